package objstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"

	smithy "github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"

	"github.com/sluice-data/sluice/internal/fail"
)

// shortError says in a few words what the SDK says in a line of identifiers, which stays behind it for errors.As.
type shortError struct {
	text string
	full error
}

func (e shortError) Error() string { return e.text }
func (e shortError) Unwrap() error { return e.full }

// statusOf is the HTTP status of a failed request; 0 if there was no answer (or no error).
func statusOf(err error) int {
	var answer *smithyhttp.ResponseError
	if errors.As(err, &answer) {
		return answer.HTTPStatusCode()
	}
	return 0
}

// codeOf is S3's error code, "" if there is none.
func codeOf(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorCode()
	}
	return ""
}

// writes are the verbs of requests that make an object.
var writes = map[string]bool{"begin upload": true, "put object": true}

// s3Error gives a failed request its kind and a message for a person. Codes: S3 API reference, "Error responses".
func s3Error(ctx context.Context, ref Ref, verb string, err error) error {
	if stop := cancelled(ctx, ref, verb); stop != nil {
		return stop
	}
	var already *fail.Error
	if errors.As(err, &already) {
		return err
	}
	status, code := statusOf(err), codeOf(err)
	short := shortError{describe(err, status, code), err}
	switch code {
	case "NoSuchBucket":
		kind := fail.Input
		if writes[verb] {
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
	case "RequestTimeTooSkewed":
		return failf(fail.Permission, ref, "%s: this machine's clock is wrong: %w", verb, short)
	case "RequestTimeout", "SlowDown", "InternalError", "ServiceUnavailable", "ConditionalRequestConflict", "OperationAborted":
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
		hint := ""
		if code == "" || code == "Forbidden" || code == "AccessDenied" {
			hint = "; S3 answers the same for a missing object if s3:ListBucket is not granted"
		}
		return failf(fail.Permission, ref, "%s: access denied: %w%s", verb, short, hint)
	case status >= 500, status == 429, status == 408:
		return failf(fail.Temporary, ref, "%s: %w", verb, gaveUp{short})
	case status != 0:
		return failf(fail.Internal, ref, "%s: %w", verb, short)
	}
	return noAnswer(ref, verb, err, short)
}

// noAnswer is the error of a request that was not answered, or not even sent.
func noAnswer(ref Ref, verb string, err error, short shortError) error {
	var dns *net.DNSError
	text := err.Error()
	switch {
	case strings.Contains(text, "failed to retrieve credentials"), strings.Contains(text, "failed to refresh cached credentials"),
		strings.Contains(text, "static credentials are empty"):
		return failf(fail.Permission, ref, "%s: no usable AWS credentials: %w", verb, short)
	case errors.As(err, &dns) && dns.IsNotFound:
		return failf(fail.Temporary, ref, "%s: host %s is unknown (check the endpoint and the region): %w", verb, dns.Name, gaveUp{short})
	}
	var send *smithyhttp.RequestSendError
	var network net.Error
	if errors.As(err, &send) || errors.As(err, &network) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		return failf(fail.Temporary, ref, "%s: %w", verb, gaveUp{short})
	}
	var bad *smithy.InvalidParamsError
	if errors.As(err, &bad) || strings.Contains(text, "failed to resolve service endpoint") {
		return failf(fail.Usage, ref, "%s: %w", verb, short)
	}
	// What is left is an answer that could not be read: from a proxy or a broken line rather than from S3.
	return failf(fail.Temporary, ref, "%s: %w", verb, gaveUp{short})
}

func wrongRegion(ref Ref, verb string, err error, short shortError) error {
	var answer *smithyhttp.ResponseError
	if errors.As(err, &answer) && answer.Response != nil {
		if region := answer.Response.Header.Get("X-Amz-Bucket-Region"); region != "" {
			return failf(fail.Usage, ref, "%s: the bucket is in region %s: set AWS_REGION=%s: %w", verb, region, region, short)
		}
	}
	return failf(fail.Usage, ref, "%s: wrong region or endpoint for this bucket: %w", verb, short)
}

// describe is "403 AccessDenied: message (request id …)", or the innermost cause where there was no answer.
func describe(err error, status int, code string) string {
	if status == 0 {
		var op *net.OpError
		if errors.As(err, &op) {
			return op.Error() // has the address, which what it wraps has not
		}
		for inner := errors.Unwrap(err); inner != nil; inner = errors.Unwrap(err) {
			err = inner
		}
		return err.Error()
	}
	text := fmt.Sprint(status)
	if code != "" {
		text += " " + code
	}
	var api smithy.APIError
	if errors.As(err, &api) && api.ErrorMessage() != "" && api.ErrorMessage() != code {
		text += ": " + api.ErrorMessage()
	}
	var answer *awshttp.ResponseError
	if errors.As(err, &answer) && answer.ServiceRequestID() != "" {
		text += " (request id " + answer.ServiceRequestID() + ")"
	}
	return text
}
