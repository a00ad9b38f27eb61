package objstore

import (
	"regexp"
	"strings"

	"github.com/sluice-data/sluice/internal/awsconf"
	"github.com/sluice-data/sluice/internal/fail"
)

// request is what IAM asks for before it lets a request through.
type request struct {
	verb   string // or how it begins: parts have numbers
	action string // AWS service authorization reference, "Actions defined by Amazon S3"
	writes bool   // makes an object
}

var requests = []request{
	{"begin upload", "s3:PutObject", true},
	{"send part", "s3:PutObject", true},
	{"complete upload", "s3:PutObject", true},
	{"put object", "s3:PutObject", true},
	{"stat object", "s3:GetObject", false},
	{"read object", "s3:GetObject", false},
	{"list objects", "s3:ListBucket", false},
	{"list uploads", "s3:ListBucketMultipartUploads", false},
	{"abort upload", "s3:AbortMultipartUpload", false},
	{"delete object", "s3:DeleteObject", false},
}

func requestOf(verb string) request {
	for _, r := range requests {
		if strings.HasPrefix(verb, r.verb) {
			return r
		}
	}
	return request{}
}

// writing reports whether the request makes an object.
func writing(verb string) bool { return requestOf(verb).writes }

// missing is the action that AWS names in the message of an AccessDenied, which may be one of KMS.
var missing = regexp.MustCompile(`not authorized to perform: ([a-z0-9-]+:[A-Za-z]+)`)

// denied is the error of a request that was refused (401, 403): it says which permission is wanting.
func denied(ref Ref, verb, code string, short awsconf.Short) error {
	switch code {
	case "InvalidAccessKeyId":
		return failf(fail.Permission, ref, "%s: the store does not know the access key (AWS_ACCESS_KEY_ID, the profile or the role): %w", verb, short)
	case "SignatureDoesNotMatch":
		return failf(fail.Permission, ref, "%s: the secret key is not that of the access key (AWS_SECRET_ACCESS_KEY or the profile): %w", verb, short)
	case "", "Forbidden", "AccessDenied": // HEAD has no body to say which
	default:
		return failf(fail.Permission, ref, "%s: access denied: %w", verb, short)
	}
	if m := missing.FindStringSubmatch(short.Error()); m != nil {
		return failf(fail.Permission, ref, "%s: access denied: %s is not granted: %w", verb, m[1], short)
	}
	hint := ""
	r := requestOf(verb)
	switch {
	case r.action == "":
		return failf(fail.Permission, ref, "%s: access denied: %w", verb, short)
	case r.writes:
		hint = ", with a key of KMS also kms:GenerateDataKey and kms:Decrypt"
	case r.action == "s3:GetObject":
		hint = " (and s3:GetObjectVersion in a bucket with versions), with a key of KMS also kms:Decrypt; S3 answers the same for a missing object if s3:ListBucket is not granted"
	}
	return failf(fail.Permission, ref, "%s: access denied: %w: it takes %s%s", verb, short, r.action, hint)
}

// ofCaller reports whether the error is about who asks, or the bucket, rather than the object: another request meets the same.
func ofCaller(code string) bool {
	switch code {
	case "AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "RequestTimeTooSkewed", "NoSuchBucket",
		"ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired", "InvalidToken":
		return true
	}
	return strings.HasPrefix(code, "KMS.")
}

// noKey is the error of a request whose key of KMS cannot be used. Whoever writes has named it, in sink.s3 or as the bucket's.
func noKey(ref Ref, verb string, short awsconf.Short) error {
	if writing(verb) {
		return failf(fail.Usage, ref, "%s: the key that is to encrypt it cannot be used (sink.s3.kms_key_id, or the bucket's own): %w", verb, short)
	}
	return failf(fail.Input, ref, "%s: the key that it is encrypted with cannot be used: %w", verb, short)
}
