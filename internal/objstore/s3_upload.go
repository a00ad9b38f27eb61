package objstore

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/sluice-data/sluice/internal/awsconf"
	"github.com/sluice-data/sluice/internal/fail"
)

// chunkSize is the unit in which an upload buffers: many open uploads take what they hold, not a part each.
const chunkSize = 256 << 10

// partSizes is how parts grow: S3 takes 10,000 parts of 5 MiB to 5 GiB (S3 user guide, "Multipart upload limits"). Some
// other stores want all parts but the last equal, so up to 31 GiB they are; four steps then reach 250 GiB while no more
// than three parts of 64 MiB are ever in memory.
var partSizes = [...]struct {
	through int32 // last part number of this size
	size    int64
}{{4000, 8 << 20}, {6000, 16 << 20}, {8000, 32 << 20}, {10000, 64 << 20}}

// partSize is the size of part number n, counted from 1; 0 beyond the last.
func partSize(n int32) int64 {
	for _, s := range partSizes {
		if n <= s.through {
			return s.size
		}
	}
	return 0
}

var chunks bufferPool

// s3Upload is a multipart upload. Write, Flush and Complete are one goroutine's at a time; Abort may come from any.
type s3Upload struct {
	store  *s3Store
	ref    Ref
	id     string
	tag    string
	run    context.Context // the caller's: when it ends, nothing more is sent
	ctx    context.Context // of the parts under way, which outlive the run's by Abort's patience
	cancel context.CancelFunc
	wait   sync.WaitGroup

	part    int32 // number of the part that buf is for
	buf     [][]byte
	held    int64 // bytes in buf
	size    int64
	flushed bool
	done    bool // completed: there is nothing to abort

	mu     sync.Mutex
	under  int           // parts under way
	change chan struct{} // closed, and made anew, when one ends
	parts  []types.CompletedPart
	ended  bool // by Abort
	err    error
}

// abortPatience is how long Abort lets the parts under way arrive. One that is cut off while the store takes it in can
// stay behind the upload that it belonged to.
const abortPatience = 2 * time.Second

// Upload begins a multipart upload. No part is begun after the end of ctx.
func (s *s3Store) Upload(ctx context.Context, ref Ref, contentType string) (Upload, error) {
	const verb = "begin upload"
	if ref.Key == "" {
		return nil, failf(fail.Usage, ref, "%s: it names a bucket and no object", verb)
	}
	u := &s3Upload{store: s, ref: ref, run: ctx, tag: rand.Text(), part: 1, change: make(chan struct{})}
	in := &s3.CreateMultipartUploadInput{Bucket: &ref.Bucket, Key: &ref.Key, Metadata: map[string]string{putTag: u.tag}}
	if contentType != "" {
		in.ContentType = &contentType
	}
	if s.checksums {
		in.ChecksumAlgorithm = types.ChecksumAlgorithmCrc32
	}
	s.writes.create(in)
	out, err := s.client.CreateMultipartUpload(ctx, in)
	if err != nil {
		return nil, s3Error(ctx, ref, verb, err)
	}
	if u.id = aws.ToString(out.UploadId); u.id == "" {
		return nil, failf(fail.Internal, ref, "%s: the store gives no upload id", verb)
	}
	if err := s.writes.confirm(ref, verb, out.ServerSideEncryption); err != nil {
		clean, cancel := context.WithTimeout(context.WithoutCancel(ctx), abortTime)
		defer cancel()
		return nil, errors.Join(err, s.abort(clean, ref, u.id))
	}
	u.ctx, u.cancel = context.WithCancel(context.WithoutCancel(ctx))
	return u, nil
}

// fail keeps the first failure.
func (u *s3Upload) fail(err error) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.err == nil {
		u.err = err
	}
	return u.err
}

func (u *s3Upload) failure() error {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.err
}

func (u *s3Upload) Write(b []byte) (int, error) {
	if u.flushed {
		return 0, u.fail(failf(fail.Internal, u.ref, "write upload: it is flushed or ended"))
	}
	if err := cancelled(u.run, u.ref, "write upload"); err != nil {
		return 0, u.fail(err)
	}
	written := 0
	for len(b) > 0 {
		if err := u.failure(); err != nil {
			return written, err
		}
		limit := partSize(u.part)
		if limit == 0 {
			return written, u.fail(failf(fail.Usage, u.ref, "write upload: object is over %d bytes, all that 10,000 parts hold; use a smaller target_file_size", u.size))
		}
		// A full part is sent only when there is more, so that the last part is never empty.
		if u.held == limit {
			if err := u.send(u.run); err != nil {
				return written, err
			}
			continue
		}
		last := len(u.buf) - 1
		if last < 0 || len(u.buf[last]) == chunkSize {
			u.buf = append(u.buf, chunks.get(chunkSize, chunkSize)[:0])
			last++
		}
		chunk := u.buf[last]
		n := int(min(int64(len(b)), int64(chunkSize-len(chunk)), limit-u.held))
		u.buf[last] = append(chunk, b[:n]...)
		u.held, u.size = u.held+int64(n), u.size+int64(n)
		b, written = b[n:], written+n
	}
	return written, nil
}

// send hands the buffer to a goroutine when the parts under way leave room for one more.
func (u *s3Upload) send(ctx context.Context) error {
	var begin time.Time
	for {
		u.mu.Lock()
		if u.err != nil { // seen under the lock that Abort takes before it waits: no part begins behind its back
			defer u.mu.Unlock()
			return u.err
		}
		if ok, extra := u.store.width.admit(u.under, u.held); ok {
			u.begin(extra)
			u.mu.Unlock()
			if !begin.IsZero() {
				u.store.width.waits(time.Since(begin))
			}
			return nil
		}
		change := u.change
		u.mu.Unlock()
		if begin.IsZero() {
			begin = time.Now()
		}
		select {
		case <-change:
		case <-ctx.Done():
			return u.fail(cancelled(ctx, u.ref, "send part"))
		case <-u.run.Done():
			return u.fail(cancelled(u.run, u.ref, "send part"))
		}
	}
}

// begin sends the buffer as the next part. Callers hold mu.
func (u *s3Upload) begin(extra bool) {
	number, size, body := u.part, u.held, &partBody{chunks: u.buf, size: u.held}
	u.part, u.buf, u.held = u.part+1, nil, 0
	u.under++
	u.wait.Go(func() {
		defer func() {
			if extra {
				u.store.width.leave(size)
			}
			u.mu.Lock()
			u.under--
			close(u.change)
			u.change = make(chan struct{})
			u.mu.Unlock()
		}()
		if err := fail.Guard("send part of "+u.ref.String(), func() error { return u.sendPart(number, body) }); err != nil {
			u.fail(err)
			return
		}
		u.store.width.sent(size)
	})
}

func (u *s3Upload) sendPart(number int32, body *partBody) error {
	in := &s3.UploadPartInput{
		Bucket: &u.ref.Bucket, Key: &u.ref.Key, UploadId: &u.id, PartNumber: &number, Body: body, ContentLength: &body.size,
	}
	if u.store.checksums {
		in.ChecksumAlgorithm = types.ChecksumAlgorithmCrc32
	}
	out, err := u.store.client.UploadPart(u.ctx, in)
	if err != nil {
		// The transport may still be reading the body of a request that it gave up: those chunks are not reused.
		return s3Error(u.ctx, u.ref, fmt.Sprintf("send part %d", number), err)
	}
	body.recycle()
	u.mu.Lock()
	defer u.mu.Unlock()
	u.parts = append(u.parts, types.CompletedPart{PartNumber: &number, ETag: out.ETag, ChecksumCRC32: out.ChecksumCRC32})
	return nil
}

// Flush sends the last part, which is empty if nothing was written: an upload needs one.
func (u *s3Upload) Flush(ctx context.Context) error {
	if err := u.failure(); err != nil {
		return err
	}
	if !u.flushed {
		u.flushed = true
		if err := u.send(ctx); err != nil {
			return err
		}
	}
	if !u.idle(ctx) {
		return u.fail(cancelled(ctx, u.ref, "flush upload"))
	}
	return u.failure()
}

// idle waits until no part is under way, and says no if ctx ends first.
func (u *s3Upload) idle(ctx context.Context) bool {
	for {
		u.mu.Lock()
		under, change := u.under, u.change
		u.mu.Unlock()
		if under == 0 {
			return ctx.Err() == nil
		}
		select {
		case <-change:
		case <-ctx.Done():
			return false
		}
	}
}

func (u *s3Upload) Complete(ctx context.Context) (Info, error) {
	const verb = "complete upload"
	if u.done {
		return Info{}, failf(fail.Internal, u.ref, "%s: it is completed", verb)
	}
	if err := u.Flush(ctx); err != nil {
		return Info{}, err
	}
	slices.SortFunc(u.parts, func(a, b types.CompletedPart) int { return int(*a.PartNumber) - int(*b.PartNumber) })
	if int32(len(u.parts)) != u.part-1 {
		return Info{}, u.fail(failf(fail.Internal, u.ref, "%s: %d parts of %d", verb, len(u.parts), u.part-1))
	}
	counted, attempts := countAttempts(ctx)
	out, err := u.store.client.CompleteMultipartUpload(counted, &s3.CompleteMultipartUploadInput{
		Bucket: &u.ref.Bucket, Key: &u.ref.Key, UploadId: &u.id,
		MultipartUpload: &types.CompletedMultipartUpload{Parts: u.parts},
	})
	if err == nil {
		u.end()
		return Info{Ref: u.ref, Size: u.size, ETag: etag(out.ETag), VersionID: versionOf(out.VersionId)}, nil
	}
	if awsconf.CodeOf(err) == "NoSuchUpload" && attempts.Load() > 1 {
		// An earlier request may have completed it without its answer reaching us.
		info, ours, headErr := u.store.isOurs(ctx, u.ref, u.tag)
		if ours && info.Size == u.size {
			u.end()
			return info, nil
		}
		if headErr != nil {
			return Info{}, u.fail(headErr)
		}
	}
	if awsconf.CodeOf(err) == "InvalidPart" {
		// The store had confirmed every part: an abort that overlaps with us has taken some of them.
		return Info{}, u.fail(failf(fail.Temporary, u.ref, "%s: %w: its parts are gone", verb, ErrLost))
	}
	return Info{}, u.fail(s3Error(ctx, u.ref, verb, err))
}

// end is after a Complete that worked.
func (u *s3Upload) end() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.done = true
	u.cancel()
}

func (u *s3Upload) Abort(ctx context.Context) error {
	u.fail(failf(fail.Internal, u.ref, "write upload: it is aborted"))
	if ctx.Err() != nil { // the run's own context, which must not reach us
		ctx = context.WithoutCancel(ctx)
	}
	ctx, cancel := context.WithTimeout(ctx, abortTime)
	defer cancel()
	patience, enough := context.WithTimeout(ctx, abortPatience)
	defer enough()
	u.idle(patience)
	u.cancel()
	u.wait.Wait()
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.done || u.ended {
		return nil
	}
	if err := u.store.abort(ctx, u.ref, u.id); err != nil {
		return err
	}
	u.ended = true
	return nil
}

// abort ends an upload and asks twice: a part that the store was still taking in during the first time would stay (S3 API
// reference, AbortMultipartUpload).
func (s *s3Store) abort(ctx context.Context, ref Ref, id string) error {
	for range 2 {
		_, err := s.client.AbortMultipartUpload(ctx, &s3.AbortMultipartUploadInput{Bucket: &ref.Bucket, Key: &ref.Key, UploadId: &id})
		if awsconf.CodeOf(err) == "NoSuchUpload" || awsconf.StatusOf(err) == 404 && awsconf.CodeOf(err) != "NoSuchBucket" {
			return nil
		}
		if err != nil {
			return s3Error(ctx, ref, "abort upload", err)
		}
	}
	return nil
}

// AbortUploads takes an exact key, since MinIO lists uploads for nothing else.
func (s *s3Store) AbortUploads(ctx context.Context, ref Ref) (int, error) {
	const verb = "list uploads"
	in := &s3.ListMultipartUploadsInput{Bucket: &ref.Bucket, Prefix: &ref.Key, EncodingType: types.EncodingTypeUrl}
	count := 0
	for {
		out, err := s.client.ListMultipartUploads(ctx, in)
		if err != nil {
			return count, s3Error(ctx, ref, verb, err)
		}
		for _, u := range out.Uploads {
			key, err := listedKey(aws.ToString(u.Key), out.EncodingType)
			if err != nil {
				return count, failf(fail.Internal, ref, "%s: decode key %q: %w", verb, aws.ToString(u.Key), err)
			}
			if key != ref.Key {
				continue
			}
			if err := s.abort(ctx, ref, aws.ToString(u.UploadId)); err != nil {
				return count, err
			}
			count++
		}
		if !aws.ToBool(out.IsTruncated) {
			return count, nil
		}
		marker, err := listedKey(aws.ToString(out.NextKeyMarker), out.EncodingType)
		if err != nil || marker == "" {
			return count, failf(fail.Internal, ref, "%s: the store says there are more and not where", verb)
		}
		in.KeyMarker, in.UploadIdMarker = &marker, out.NextUploadIdMarker
	}
}

// partBody reads a part's chunks, and again from the start when the SDK retries.
type partBody struct {
	chunks [][]byte
	size   int64
	off    int64
}

func (b *partBody) Read(p []byte) (int, error) {
	if b.off == b.size {
		return 0, io.EOF
	}
	n := copy(p, b.chunks[b.off/chunkSize][b.off%chunkSize:])
	b.off += int64(n)
	return n, nil
}

func (b *partBody) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += b.off
	case io.SeekEnd:
		offset += b.size
	}
	if offset < 0 || offset > b.size {
		return b.off, errors.New("seek outside of the part")
	}
	b.off = offset
	return offset, nil
}

func (b *partBody) recycle() {
	for _, chunk := range b.chunks {
		chunks.put(chunk)
	}
	b.chunks, b.size, b.off = nil, 0, 0
}

var _ io.ReadSeeker = (*partBody)(nil)
