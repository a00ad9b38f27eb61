package objstore

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/sluice-data/sluice/internal/awsconf"
	"github.com/sluice-data/sluice/internal/fail"
)

// S3Options say how to reach S3. Zero values are what a worker in AWS wants; credentials come from the SDK's default
// chain, and what is not set here from the AWS_… environment.
type S3Options struct {
	Endpoint     string        // "" means AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL, or AWS itself
	PathStyle    bool          // bucket in the path; implied for an endpoint that is an IP address or has no domain
	Region       string        // "" means AWS_REGION, the profile's, or us-east-1 with an endpoint of one's own
	MaxConns     int           // idle connections kept for reuse; default 128
	MaxAttempts  int           // of each request; default AWS_MAX_ATTEMPTS, or 10
	MaxBackoff   time.Duration // longest pause between two of them; default 20 s (45 s for all ten)
	StallTimeout time.Duration // a request without progress for this long is broken and tried again; default 60 s
}

func (o S3Options) withDefaults(attempts int) S3Options {
	if o.MaxConns <= 0 {
		o.MaxConns = 128
	}
	if o.MaxAttempts <= 0 {
		o.MaxAttempts = cmp.Or(attempts, 10)
	}
	if o.MaxBackoff <= 0 {
		o.MaxBackoff = defaultMaxBackoff
	}
	if o.StallTimeout <= 0 {
		o.StallTimeout = time.Minute
	}
	return o
}

type s3Store struct {
	client    *s3.Client
	opt       S3Options
	checksums bool // parts are sent with CRC32 and listed with it at the end
	http      *http.Client
	width     *width
	way       *way
	writes    Writes
}

// distance is how long the shortest answer took to begin.
func (s *s3Store) distance() time.Duration { return s.way.distance() }

var _ Store = (*s3Store)(nil)

// NewS3 makes an S3 store. It sends no request: wrong credentials show with the first operation.
func NewS3(ctx context.Context, opt S3Options) (Store, error) {
	cfg, err := awsconf.Read(ctx, opt.Region)
	if err != nil {
		return nil, err
	}
	opt = opt.withDefaults(cfg.RetryMaxAttempts)
	s := &s3Store{opt: opt, way: &way{}}
	s.width = newWidth(time.Now, s.way.distance)
	s.http, err = cfg.Client(opt.MaxConns)
	if err != nil {
		return nil, err
	}
	var region string
	s.client = s3.NewFromConfig(cfg.Config, func(o *s3.Options) {
		if opt.Endpoint != "" {
			o.BaseEndpoint = aws.String(opt.Endpoint)
		}
		o.HTTPClient = &stallClient{inner: s.http, limit: opt.StallTimeout, way: s.way}
		o.Retryer = awsconf.Retryer(opt.MaxAttempts, opt.MaxBackoff)
		o.DisableLogOutputChecksumValidationSkipped = true
		o.ContinueHeaderThresholdBytes = -1 // asking first whether a part may be sent costs each a round trip
		foreign := false
		if o.BaseEndpoint != nil {
			u, err := url.Parse(*o.BaseEndpoint)
			foreign = err != nil || !strings.HasSuffix(u.Hostname(), ".amazonaws.com")
			o.UsePathStyle = opt.PathStyle || err == nil && noSubdomains(u.Hostname())
		}
		o.UsePathStyle = o.UsePathStyle || opt.PathStyle
		if foreign && o.Region == "" {
			o.Region = "us-east-1"
		}
		// Other stores choke on checksum trailers; whoever knows theirs does not sets the AWS_… variables.
		if foreign && !cfg.RequestChecksums {
			o.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenRequired
		}
		if foreign && !cfg.ResponseChecksums {
			o.ResponseChecksumValidation = aws.ResponseChecksumValidationWhenRequired
		}
		region = o.Region
		s.checksums = o.RequestChecksumCalculation != aws.RequestChecksumCalculationWhenRequired
	})
	if region == "" {
		return nil, fail.Newf(fail.Usage, "no AWS region: set AWS_REGION")
	}
	if u, err := url.Parse(opt.Endpoint); opt.Endpoint != "" && (err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https") {
		return nil, fail.Newf(fail.Usage, "read endpoint %q: want http://host:port or https://host", opt.Endpoint)
	}
	return s, nil
}

// noSubdomains says that bucket.host cannot be resolved.
func noSubdomains(host string) bool {
	return net.ParseIP(host) != nil || !strings.Contains(host, ".")
}

// CloseIdleConnections closes what the store keeps for reuse.
func (s *s3Store) CloseIdleConnections() { s.http.CloseIdleConnections() }

func (s *s3Store) Stat(ctx context.Context, ref Ref, pin Pin) (Info, error) {
	const verb = "stat object"
	if ref.Key == "" {
		return Info{}, failf(fail.Usage, ref, "%s: it names a bucket and no object", verb)
	}
	pin.ETag = strings.Trim(pin.ETag, `"`)
	info, err := s.head(ctx, ref, pin.VersionID)
	if err != nil {
		if pin.VersionID != "" && (awsconf.StatusOf(err) == 400 || awsconf.StatusOf(err) == 404 || awsconf.StatusOf(err) == 405) {
			return Info{}, s.versionGone(ctx, ref, pin, err)
		}
		return Info{}, s3Error(ctx, ref, verb, s.spelledOut(ctx, ref, err))
	}
	if pin.ETag != "" && pin.ETag != info.ETag {
		return Info{}, changed(ref, verb, pin, info)
	}
	return info, nil
}

// statHead is Stat and the first bytes of the object in one request. Whatever is unusual about the answer is left to Stat.
func (s *s3Store) statHead(ctx context.Context, ref Ref, pin Pin, n int64) (Info, []byte, error) {
	in := &s3.GetObjectInput{Bucket: &ref.Bucket, Key: &ref.Key, Range: aws.String(fmt.Sprintf("bytes=0-%d", n-1))}
	if pin.VersionID != "" {
		in.VersionId = &pin.VersionID
	}
	out, err := s.client.GetObject(ctx, in)
	if err != nil {
		if ofCaller(awsconf.CodeOf(err)) {
			return Info{}, nil, s3Error(ctx, ref, "stat object", err)
		}
		info, err := s.Stat(ctx, ref, pin)
		return info, nil, err
	}
	defer out.Body.Close()
	var last, total int64
	_, err = fmt.Sscanf(aws.ToString(out.ContentRange), "bytes 0-%d/%d", &last, &total)
	etag := etag(out.ETag)
	if err != nil || last != min(n, total)-1 || etag == "" || pin.ETag != "" && etag != strings.Trim(pin.ETag, `"`) {
		info, err := s.Stat(ctx, ref, pin)
		return info, nil, err
	}
	info := Info{Ref: ref, Size: total, ETag: etag, VersionID: cmp.Or(pin.VersionID, versionOf(out.VersionId)), ModTime: aws.ToTime(out.LastModified),
		Kept: kept(out.ServerSideEncryption, out.SSEKMSKeyId, out.StorageClass)}
	head := make([]byte, last+1)
	if _, err := io.ReadFull(out.Body, head); err != nil {
		return info, nil, cancelled(ctx, ref, "read object") // the connection broke: the reader asks again
	}
	return info, head, nil
}

func (s *s3Store) head(ctx context.Context, ref Ref, version string) (Info, error) {
	in := &s3.HeadObjectInput{Bucket: &ref.Bucket, Key: &ref.Key}
	if version != "" {
		in.VersionId = &version
	}
	out, err := s.client.HeadObject(ctx, in)
	if err != nil {
		return Info{}, err
	}
	info := Info{
		Ref: ref, Size: aws.ToInt64(out.ContentLength), ETag: etag(out.ETag),
		VersionID: versionOf(out.VersionId), ModTime: aws.ToTime(out.LastModified), Kept: kept(out.ServerSideEncryption, out.SSEKMSKeyId, out.StorageClass),
	}
	if version != "" {
		info.VersionID = version
	}
	if info.ETag == "" || out.ContentLength == nil {
		return Info{}, failf(fail.Internal, ref, "stat object: the store gives no ETag or no size")
	}
	return info, nil
}

// spelledOut is the error of a HEAD, whose answer has no body to say more than a status, as a GET has it where the caller was
// refused.
func (s *s3Store) spelledOut(ctx context.Context, ref Ref, err error) error {
	if status := awsconf.StatusOf(err); status != 400 && status != 401 && status != 403 {
		return err
	}
	out, again := s.client.GetObject(ctx, &s3.GetObjectInput{Bucket: &ref.Bucket, Key: &ref.Key, Range: aws.String("bytes=0-0")})
	if again == nil {
		out.Body.Close()
		return err
	}
	if code := awsconf.CodeOf(again); code == "" || code == "UnknownError" { // no XML either
		return err
	}
	return again
}

// etag is without its quotes.
func etag(s *string) string { return strings.Trim(aws.ToString(s), `"`) }

// versionGone says what stands where the pinned version stood.
func (s *s3Store) versionGone(ctx context.Context, ref Ref, pin Pin, err error) error {
	const verb = "stat object"
	now, headErr := s.head(ctx, ref, "")
	switch {
	case headErr == nil:
		return changed(ref, verb, pin, now)
	case awsconf.StatusOf(headErr) == 404:
		return failf(fail.Input, ref, "%s: %w: neither version %s nor any other", verb, ErrNotExist, pin.VersionID)
	}
	return s3Error(ctx, ref, verb, err)
}

func (s *s3Store) ReadRange(ctx context.Context, info Info, off, n int64) (io.ReadCloser, error) {
	if err := checkRange(info, off, n); err != nil {
		return nil, err
	}
	if n == 0 {
		return io.NopCloser(bytes.NewReader(nil)), nil
	}
	open := func(ctx context.Context, off, n int64) (io.ReadCloser, error) { return s.get(ctx, info, off, n) }
	return newResuming(ctx, info.Ref, open, off, n, s.opt.MaxBackoff)
}

// get opens one ranged request, pinned to the version.
func (s *s3Store) get(ctx context.Context, info Info, off, n int64) (io.ReadCloser, error) {
	const verb = "read object"
	in := &s3.GetObjectInput{Bucket: &info.Bucket, Key: &info.Key, Range: aws.String(fmt.Sprintf("bytes=%d-%d", off, off+n-1))}
	if info.ETag != "" {
		in.IfMatch = aws.String(`"` + info.ETag + `"`)
	}
	if info.VersionID != "" {
		in.VersionId = &info.VersionID
	}
	out, err := s.client.GetObject(ctx, in)
	if err != nil {
		status := awsconf.StatusOf(err)
		if status == 412 || status == 416 || info.VersionID != "" && (status == 404 || status == 405) {
			return nil, s.changedUnderUs(ctx, info, err)
		}
		return nil, s3Error(ctx, info.Ref, verb, err)
	}
	var first, last, total int64
	if _, err := fmt.Sscanf(aws.ToString(out.ContentRange), "bytes %d-%d/%d", &first, &last, &total); err != nil || first != off || last != off+n-1 {
		out.Body.Close()
		return nil, failf(fail.Internal, info.Ref, "%s: asked for bytes %d-%d, the store gave range %q", verb, off, off+n-1, aws.ToString(out.ContentRange))
	}
	if got := etag(out.ETag); total != info.Size || info.ETag != "" && got != info.ETag {
		out.Body.Close()
		return nil, changed(info.Ref, verb, Pin{info.ETag, info.VersionID}, Info{Size: total, ETag: got, VersionID: versionOf(out.VersionId), ModTime: aws.ToTime(out.LastModified)})
	}
	return &s3Body{ctx: ctx, ref: info.Ref, body: out.Body}, nil
}

// changedUnderUs is the error of a pinned read that found another version, and says which.
func (s *s3Store) changedUnderUs(ctx context.Context, info Info, err error) error {
	const verb = "read object"
	now, headErr := s.head(ctx, info.Ref, "")
	switch {
	case headErr == nil:
		return changed(info.Ref, verb, Pin{info.ETag, info.VersionID}, now)
	case awsconf.StatusOf(headErr) == 404:
		return failf(fail.Input, info.Ref, "%s: %w: wanted etag %s version %s, there is now no object", verb, ErrChanged, orNone(info.ETag), orNone(info.VersionID))
	}
	return s3Error(ctx, info.Ref, verb, err)
}

// s3Body gives errors in the middle of a body their kind.
type s3Body struct {
	ctx  context.Context
	ref  Ref
	body io.ReadCloser
}

func (b *s3Body) Read(p []byte) (int, error) {
	n, err := b.body.Read(p)
	if err != nil && err != io.EOF {
		if stop := cancelled(b.ctx, b.ref, "read object"); stop != nil {
			return n, stop
		}
		err = failf(fail.Temporary, b.ref, "read object: the connection broke: %w", err)
	}
	return n, err
}

// Close may close a connection with bytes left in it; that is no failure of the read.
func (b *s3Body) Close() error {
	b.body.Close()
	return nil
}

// List asks for URL-encoded keys, since XML cannot hold every character that a key can.
func (s *s3Store) List(ctx context.Context, prefix Ref) iter.Seq2[Info, error] {
	const verb = "list objects"
	return func(yield func(Info, error) bool) {
		in := &s3.ListObjectsV2Input{Bucket: &prefix.Bucket, Prefix: &prefix.Key, EncodingType: types.EncodingTypeUrl}
		for {
			out, err := s.client.ListObjectsV2(ctx, in)
			if err != nil {
				yield(Info{}, s3Error(ctx, prefix, verb, err))
				return
			}
			for _, o := range out.Contents {
				key, err := listedKey(aws.ToString(o.Key), out.EncodingType)
				if err != nil {
					yield(Info{}, failf(fail.Internal, prefix, "%s: decode key %q: %w", verb, aws.ToString(o.Key), err))
					return
				}
				if strings.HasSuffix(key, "/") && aws.ToInt64(o.Size) == 0 {
					continue
				}
				info := Info{Ref: Ref{prefix.Bucket, key}, Size: aws.ToInt64(o.Size), ETag: etag(o.ETag), ModTime: aws.ToTime(o.LastModified)}
				if !yield(info, nil) {
					return
				}
			}
			if !aws.ToBool(out.IsTruncated) {
				return
			}
			if aws.ToString(out.NextContinuationToken) == "" {
				yield(Info{}, failf(fail.Internal, prefix, "%s: the store says there is more and not where", verb))
				return
			}
			in.ContinuationToken = out.NextContinuationToken
		}
	}
}

// listedKey undoes the encoding if the store says that it did it.
func listedKey(key string, encoding types.EncodingType) (string, error) {
	if encoding != types.EncodingTypeUrl {
		return key, nil
	}
	return url.QueryUnescape(key)
}

func (s *s3Store) Delete(ctx context.Context, ref Ref) error {
	_, err := s.client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &ref.Bucket, Key: &ref.Key})
	if err == nil {
		return nil
	}
	var gone *types.NoSuchKey
	if errors.As(err, &gone) {
		return nil
	}
	return s3Error(ctx, ref, "delete object", err)
}

// versionOf is the version that an answer names. That of a bucket whose versioning is suspended is always "null", whatever was written over it: the ETag tells such objects
// apart, as it does where there are no versions (S3 user guide, "Working with objects in a versioning-suspended bucket").
func versionOf(id *string) string {
	if v := aws.ToString(id); v != "null" {
		return v
	}
	return ""
}
