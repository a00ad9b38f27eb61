package objstore

import (
	"context"
	"errors"

	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/sluice-data/sluice/internal/awsconf"
	"github.com/sluice-data/sluice/internal/fail"
)

// s3Error gives a failed request its kind and a message for a person. Codes: S3 API reference, "Error responses".
func s3Error(ctx context.Context, ref Ref, verb string, err error) error {
	if stop := cancelled(ctx, ref, verb); stop != nil {
		return stop
	}
	var already *fail.Error
	if errors.As(err, &already) {
		return err
	}
	status, code, short := awsconf.StatusOf(err), awsconf.CodeOf(err), awsconf.Shorten(err)
	if kind, hint, none := awsconf.NoCredentials(err); none { // code and status are not S3's
		if kind == fail.Temporary {
			return failf(kind, ref, "%s: %s: %w", verb, hint, gaveUp{short})
		}
		return failf(kind, ref, "%s: %s: %w", verb, hint, short)
	}
	switch code {
	case "NoSuchBucket":
		kind := fail.Input
		if writing(verb) {
			kind = fail.Usage // where to write is the user's to say; no input is missing
		}
		return failf(kind, ref, "%s: the bucket does not exist: %w", verb, ErrNotExist)
	case "NoSuchUpload":
		return failf(fail.Temporary, ref, "%s: %w", verb, ErrLost)
	case "NoSuchVersion":
		return failf(fail.Input, ref, "%s: %w: the version does not exist", verb, ErrChanged)
	case "InvalidObjectState":
		return failf(fail.Input, ref, "%s: the object is archived; restore it first: %w", verb, short)
	case "InvalidBucketName", "KeyTooLongError", "InvalidURI", "NotImplemented", "EntityTooLarge":
		return failf(fail.Usage, ref, "%s: %w", verb, short)
	case "PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException", "TemporaryRedirect":
		return wrongRegion(ref, verb, err, short)
	case "ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired", "InvalidToken":
		return failf(fail.Permission, ref, "%s: the credentials have expired or their session is unknown: %w", verb, short)
	case "InvalidAccessKeyId", "SignatureDoesNotMatch": // some stores give them other statuses
		return denied(ref, verb, code, short)
	case "RequestTimeTooSkewed":
		return failf(fail.Permission, ref, "%s: this machine's clock is wrong: %w", verb, short)
	case "KMS.NotFoundException", "KMS.DisabledException", "KMS.KMSInvalidStateException", "KMS.InvalidKeyUsageException", "KMS.KeyUnavailableException":
		return noKey(ref, verb, short)
	case "ThrottlingException", "KMS.ThrottlingException", "RequestTimeout", "SlowDown", "InternalError", "ServiceUnavailable", "ConditionalRequestConflict", "OperationAborted":
		return failf(fail.Temporary, ref, "%s: %w", verb, gaveUp{short})
	}
	switch {
	case status == 404:
		return failf(fail.Input, ref, "%s: %w", verb, ErrNotExist)
	case status == 412:
		return failf(fail.Input, ref, "%s: %w", verb, ErrChanged)
	case status == 301, status == 307:
		return wrongRegion(ref, verb, err, short)
	case status == 401, status == 403:
		return denied(ref, verb, code, short)
	case status >= 500, status == 429, status == 408:
		return failf(fail.Temporary, ref, "%s: %w", verb, gaveUp{short})
	case status != 0:
		return failf(fail.Internal, ref, "%s: %w", verb, short)
	}
	return noAnswer(ref, verb, err, short)
}

// noAnswer is the error of a request that was not answered, or not even sent.
func noAnswer(ref Ref, verb string, err error, short awsconf.Short) error {
	kind, hint := awsconf.Unanswered(err)
	var cause error = short
	if kind == fail.Temporary {
		cause = gaveUp{short}
	}
	if hint != "" {
		return failf(kind, ref, "%s: %s: %w", verb, hint, cause)
	}
	return failf(kind, ref, "%s: %w", verb, cause)
}

func wrongRegion(ref Ref, verb string, err error, short awsconf.Short) error {
	var answer *smithyhttp.ResponseError
	if errors.As(err, &answer) && answer.Response != nil {
		if region := answer.Response.Header.Get("X-Amz-Bucket-Region"); region != "" {
			return failf(fail.Usage, ref, "%s: the bucket is in region %s: set AWS_REGION=%s: %w", verb, region, region, short)
		}
	}
	return failf(fail.Usage, ref, "%s: wrong region or endpoint for this bucket: %w", verb, short)
}
