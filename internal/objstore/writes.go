package objstore

import (
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/sluice-data/sluice/internal/fail"
)

// Writes is how S3 is to keep what is written; a directory has no use for it. The zero value leaves it to the bucket.
type Writes struct {
	SSE          string // AES256 | aws:kms | aws:kms:dsse
	KMSKeyID     string // key id, alias or ARN; "" is the account's aws/s3
	StorageClass string // of what is uploaded; small objects that are put (manifest, log) stay in STANDARD
}

// kept is what an answer about an object says.
func kept(sse types.ServerSideEncryption, key *string, class types.StorageClass) Writes {
	return Writes{SSE: string(sse), KMSKeyID: aws.ToString(key), StorageClass: string(class)}
}

// Stronger reports whether w encrypts by a stronger way than o.
func (w Writes) Stronger(o Writes) bool {
	return slices.Index(strength, w.SSE) > slices.Index(strength, o.SSE)
}

// strength are the ways of encryption, the strongest last. "" is a store that has none.
var strength = []string{"", "AES256", "aws:kms", "aws:kms:dsse"}

// WithWrites is a view of the store whose writes to S3 are as w says. It shares the store's connections. Stores other than
// S3 and a router to it are returned as they are.
func WithWrites(store Store, w Writes) Store {
	if w == (Writes{}) {
		return store
	}
	switch s := store.(type) {
	case *s3Store:
		view := *s
		view.writes = w
		return &view
	case *router:
		return NewRouter(s.dir, func() (Store, error) {
			under, err := s.s3()
			if err != nil {
				return nil, err
			}
			return WithWrites(under, w), nil
		})
	}
	return store
}

// create puts the wishes on a request that begins an upload.
func (w Writes) create(in *s3.CreateMultipartUploadInput) {
	in.ServerSideEncryption, in.SSEKMSKeyId = types.ServerSideEncryption(w.SSE), w.key()
	in.StorageClass = types.StorageClass(w.StorageClass)
}

// put puts the wishes on a request that writes a small object.
func (w Writes) put(in *s3.PutObjectInput) {
	in.ServerSideEncryption, in.SSEKMSKeyId = types.ServerSideEncryption(w.SSE), w.key()
}

func (w Writes) key() *string {
	if w.KMSKeyID == "" {
		return nil
	}
	return &w.KMSKeyID
}

// confirm holds the store's answer against what was wanted: one that knows nothing of encryption passes over the wish.
func (w Writes) confirm(ref Ref, verb string, got types.ServerSideEncryption) error {
	if w.SSE == "" || string(got) == w.SSE {
		return nil
	}
	return failf(fail.Usage, ref, "%s: it was to be encrypted by %s, and the store answers with encryption %s: it does not do that", verb, w.SSE, orNone(string(got)))
}
