package objstore

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/feature/s3/manager"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/sluice-data/sluice/internal/awsconf"
	"github.com/sluice-data/sluice/internal/fail"
)

// PutReader writes all of r as one object, replacing what is there: quarantine parts and reports, where nothing has to be
// held back until a commit. After an error the object is as it was before. Info.Size is the number of bytes read from r.
func PutReader(ctx context.Context, store Store, ref Ref, r io.Reader, contentType string) (Info, error) {
	if router, ok := store.(*router); ok {
		s, err := router.pick(ref)
		if err != nil {
			return Info{}, err
		}
		store = s
	}
	if s, ok := store.(*s3Store); ok {
		return s.putReader(ctx, ref, r, contentType)
	}
	u, err := store.Upload(ctx, ref, contentType)
	if err != nil {
		return Info{}, err
	}
	if _, err = io.Copy(struct{ io.Writer }{u}, r); err == nil {
		var info Info
		if info, err = u.Complete(ctx); err == nil {
			return info, nil
		}
	}
	if left := u.Abort(context.WithoutCancel(ctx)); left != nil {
		err = errors.Join(err, left)
	}
	return Info{}, fail.Wrap(fail.Internal, err)
}

// putReader is one PutObject up to a part's size and a multipart upload beyond. manager aborts a failed upload under the
// context of the upload itself, which cannot work once that is cancelled: so it is told not to, and we do.
func (s *s3Store) putReader(ctx context.Context, ref Ref, r io.Reader, contentType string) (Info, error) {
	const verb = "put object"
	//nolint:staticcheck // deprecated, and named by the design for where a whole-object transfer is all that is wanted
	uploader := manager.NewUploader(s.client, func(u *manager.Uploader) {
		u.LeavePartsOnError = true
		u.Concurrency = partsInFlight
		u.PartSize = partSizes[0].size
	})
	if !s.checksums {
		uploader.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenRequired
	}
	counted := &countingReader{r: r}
	body := io.Reader(counted)
	if seeker, ok := r.(io.ReadSeeker); ok {
		n, err := remaining(seeker)
		if err != nil {
			return Info{}, failf(fail.Internal, ref, "%s: %w", verb, err)
		}
		body, counted.n = seeker, n // lets manager send without a copy
	}
	in := &s3.PutObjectInput{Bucket: &ref.Bucket, Key: &ref.Key, Body: body}
	if contentType != "" {
		in.ContentType = &contentType
	}
	s.writes.put(in)
	out, err := uploader.Upload(ctx, in)
	if err == nil {
		if err := s.writes.confirm(ref, verb, out.ServerSideEncryption); err != nil {
			return Info{}, err
		}
		return Info{Ref: ref, Size: counted.n, ETag: etag(out.ETag), VersionID: versionOf(out.VersionID)}, nil
	}
	if counted.err != nil {
		err = fail.Wrap(fail.Internal, counted.err) // r's own failure says more than what manager made of it
	} else {
		err = s3Error(ctx, ref, verb, err)
	}
	var multi manager.MultiUploadFailure
	if errors.As(err, &multi) && multi.UploadID() != "" {
		abort, cancel := context.WithTimeout(context.WithoutCancel(ctx), abortTime)
		defer cancel()
		if left := s.abort(abort, ref, multi.UploadID()); left != nil {
			err = errors.Join(err, left)
		}
	}
	return Info{}, err
}

// remaining is the number of bytes from where r stands.
func remaining(r io.Seeker) (int64, error) {
	here, err := r.Seek(0, io.SeekCurrent)
	if err != nil {
		return 0, err
	}
	end, err := r.Seek(0, io.SeekEnd)
	if err != nil {
		return 0, err
	}
	_, err = r.Seek(here, io.SeekStart)
	return end - here, err
}

// abortTime bounds the clean-up of an upload: exit code 75 has to come within 10 s of a SIGTERM.
const abortTime = 8 * time.Second

type countingReader struct {
	r   io.Reader
	n   int64
	err error
}

func (c *countingReader) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	if err != nil && err != io.EOF {
		c.err = err
	}
	return n, err
}

// putTag is the metadata by which a write is known as ours when the answer to it was lost.
const putTag = "sluice-write"

func (s *s3Store) Put(ctx context.Context, ref Ref, body []byte, contentType string, ifAbsent bool) (Info, error) {
	const verb = "put object"
	if ref.Key == "" {
		return Info{}, failf(fail.Usage, ref, "%s: it names a bucket and no object", verb)
	}
	if !ifAbsent {
		return s.putReader(ctx, ref, bytes.NewReader(body), contentType)
	}
	info, err := s.putIf(ctx, ref, body, contentType, func(in *s3.PutObjectInput) { in.IfNoneMatch = aws.String("*") })
	if errors.Is(err, errPrecondition) {
		err = failf(fail.Data, ref, "%s: %w", verb, ErrExists)
	}
	return info, err
}

func (s *s3Store) Replace(ctx context.Context, was Info, body []byte, contentType string) (Info, error) {
	info, err := s.putIf(ctx, was.Ref, body, contentType, func(in *s3.PutObjectInput) { in.IfMatch = aws.String(`"` + was.ETag + `"`) })
	if errors.Is(err, errPrecondition) {
		err = failf(fail.Input, was.Ref, "replace object: %w: etag %s is not there any more", ErrChanged, was.ETag)
	}
	return info, err
}

// errPrecondition: the object was not as the request wanted it.
var errPrecondition = errors.New("precondition failed")

// putIf puts an object under a condition.
func (s *s3Store) putIf(ctx context.Context, ref Ref, body []byte, contentType string, on func(*s3.PutObjectInput)) (Info, error) {
	tag := rand.Text()
	counted, attempts := countAttempts(ctx)
	in := &s3.PutObjectInput{
		Bucket: &ref.Bucket, Key: &ref.Key, Body: bytes.NewReader(body), ContentLength: aws.Int64(int64(len(body))),
		Metadata: map[string]string{putTag: tag},
	}
	on(in)
	if contentType != "" {
		in.ContentType = &contentType
	}
	s.writes.put(in)
	out, err := s.client.PutObject(counted, in)
	if err == nil {
		if err := s.writes.confirm(ref, "put object", out.ServerSideEncryption); err != nil {
			return Info{}, err
		}
		return Info{Ref: ref, Size: int64(len(body)), ETag: etag(out.ETag), VersionID: versionOf(out.VersionId)}, nil
	}
	// Under If-Match a missing object is 404 (S3 user guide, "How to prevent object overwrites with conditional writes"). So is a missing bucket.
	missing := in.IfMatch != nil && awsconf.StatusOf(err) == 404 && awsconf.CodeOf(err) != "NoSuchBucket"
	if awsconf.StatusOf(err) != 412 && !missing {
		return Info{}, s3Error(ctx, ref, "put object", err)
	}
	if attempts.Load() > 1 {
		// An earlier request may have got through without its answer reaching us: then the object that is there is ours.
		if info, ours, err := s.isOurs(ctx, ref, tag); err != nil || ours {
			return info, err
		}
	}
	return Info{}, errPrecondition
}

// isOurs says whether the object carries the tag of this write.
func (s *s3Store) isOurs(ctx context.Context, ref Ref, tag string) (Info, bool, error) {
	out, err := s.client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &ref.Bucket, Key: &ref.Key})
	if awsconf.StatusOf(err) == 404 {
		return Info{}, false, nil
	}
	if err != nil {
		return Info{}, false, s3Error(ctx, ref, "stat object", err)
	}
	if out.Metadata[putTag] != tag {
		return Info{}, false, nil
	}
	return Info{
		Ref: ref, Size: aws.ToInt64(out.ContentLength), ETag: etag(out.ETag),
		VersionID: versionOf(out.VersionId), ModTime: aws.ToTime(out.LastModified),
	}, true, nil
}
