package awsconf

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	smithy "github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/sluice-data/sluice/internal/fail"
)

// Short says in a few words what the SDK says in a line of identifiers, which stays behind it for errors.As.
type Short struct {
	text string
	full error
}

func (e Short) Error() string { return e.text }
func (e Short) Unwrap() error { return e.full }

// StatusOf is the HTTP status of a failed request; 0 if there was no answer (or no error).
func StatusOf(err error) int {
	var answer *smithyhttp.ResponseError
	if errors.As(err, &answer) {
		return answer.HTTPStatusCode()
	}
	return 0
}

// CodeOf is the service's error code, "" if there is none.
func CodeOf(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorCode()
	}
	return ""
}

// Shorten is "403 AccessDenied: message (request id …)", or the innermost cause where there was no answer.
func Shorten(err error) Short { return Short{describe(err, StatusOf(err), CodeOf(err)), err} }

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

// NoCredentials is what it means that a request could not be signed: STS, SSO, or the agent of the container refused the credentials, or had no answer for now. Codes and status
// are theirs then, not those of the service. ok is false for all other errors.
func NoCredentials(err error) (kind fail.Kind, hint string, ok bool) {
	text := err.Error()
	if !strings.Contains(text, "get credentials: ") && !strings.Contains(text, "failed to retrieve credentials") && !strings.Contains(text, "failed to refresh cached credentials") &&
		!strings.Contains(text, "static credentials are empty") {
		return 0, "", false
	}
	var answer interface{ HTTPStatusCode() int } // the agent's errors are no *smithyhttp.ResponseError
	status := 0
	if errors.As(err, &answer) {
		status = answer.HTTPStatusCode()
	}
	_, later := again[CodeOf(err)]
	broken := status == 0 && unsent(err) && !strings.Contains(text, "EC2 IMDS") // a machine without credentials asks EC2's in vain, last of all
	if later || broken || passing(status) {
		return fail.Temporary, "AWS credentials could not be got now", true
	}
	return fail.Permission, "no usable AWS credentials", true
}

// passing says of an HTTP status that another try may have another.
func passing(status int) bool { return status == 429 || status == 408 || status >= 500 }

// unsent says that a request, or its answer, was lost on the way.
func unsent(err error) bool {
	var send *smithyhttp.RequestSendError
	var network net.Error
	return errors.As(err, &send) || errors.As(err, &network) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF)
}

// Unanswered is what a request means that was not answered, or not even sent, with a hint for the person; "" where there is none.
func Unanswered(err error) (kind fail.Kind, hint string) {
	var dns *net.DNSError
	text := err.Error()
	if errors.As(err, &dns) && dns.IsNotFound {
		return fail.Temporary, fmt.Sprintf("host %s is unknown (check the endpoint and the region)", dns.Name)
	}
	if unsent(err) {
		return fail.Temporary, ""
	}
	var bad *smithy.InvalidParamsError
	if errors.As(err, &bad) || strings.Contains(text, "failed to resolve service endpoint") {
		return fail.Usage, ""
	}
	// What is left is an answer that could not be read: from a proxy or a broken line rather than from AWS.
	return fail.Temporary, ""
}

// again are codes that another try may help with. ("Common Errors" of the services' references; S3's "Error responses".)
var again = codes("ConditionalRequestConflict OperationAborted InternalError InternalFailure InternalServerException InternalServerError InternalServiceException " +
	"ServiceUnavailable ServiceUnavailableException SlowDown Throttling ThrottlingException ThrottledException TooManyRequestsException RequestLimitExceeded RequestThrottled " +
	"LimitExceededException ActiveStatementsExceededException ActiveSessionsExceededException OperationTimeoutException RequestTimeout RequestTimeoutException " +
	"ConcurrentModificationException ConcurrentRunsExceededException KmsThrottlingException KMS.ThrottlingException InternalException RedactionFailure ResourceNotReadyException FederationSourceRetryableException " +
	"IDPCommunicationError")

var (
	denied = codes("AccessDenied AccessDeniedException UnauthorizedOperation UnauthorizedException NotAuthorized OptInRequired Forbidden " +
		"NotAuthorizedForSourceException NotAuthorizedForDetailTypeException PermissionTypeMismatchException")
	keys   = codes("GlueEncryptionException KmsAccessDeniedException KmsInvalidStateException")
	quotas = codes("ResourceNumberLimitExceededException ServiceQuotaExceededException")
	stale  = codes("ExpiredToken ExpiredTokenException TokenRefreshRequired InvalidToken UnrecognizedClientException InvalidClientTokenId MissingAuthenticationToken " +
		"MissingAuthenticationTokenException InvalidSignatureException SignatureDoesNotMatch IncompleteSignature RequestExpired")
	wrong = codes("ValidationException ValidationError InvalidInputException InvalidParameterValue InvalidParameterCombination MissingParameter InvalidParameterException InvalidArn InvalidName " +
		"InvalidArgument InvalidAccountIdException MalformedDetail FederationSourceException OperationNotSupportedException")
	absent = codes("ResourceNotFoundException EntityNotFoundException ResourceNotFound NotFoundException StateMachineDoesNotExist TaskDoesNotExist")
)

func codes(list string) map[string]struct{} {
	out := map[string]struct{}{}
	for _, c := range strings.Fields(list) {
		out[c] = struct{}{}
	}
	return out
}

// Call is a request to a service, for messages.
type Call struct {
	Action string // as IAM policies name it: "redshift-data:BatchExecuteStatement"
	On     string // what it is about: "workgroup analytics", "arn:aws:glue:…:table/curated/trips"
}

// Error gives a failed request its kind and a message for a person: Permission names the action to allow, Temporary may be tried again, after the SDK
// has, and Usage is a setting that is wrong or a resource that is not there. Codes that mean something else to the caller, such as AlreadyExists,
// are the caller's to look for first, by CodeOf.
func (c Call) Error(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return &fail.Error{Kind: fail.Temporary, Err: fmt.Errorf("%s on %s: %w", c.Action, c.On, ctx.Err())}
	}
	var already *fail.Error
	if errors.As(err, &already) {
		return err
	}
	status, code, short := StatusOf(err), CodeOf(err), Shorten(err)
	is := func(set map[string]struct{}) bool { _, ok := set[code]; return ok }
	kind, hint := fail.Internal, ""
	if k, h, none := NoCredentials(err); none {
		return &fail.Error{Kind: k, Err: fmt.Errorf("%s on %s: %s: %w", c.Action, c.On, h, short)}
	}
	switch {
	case status == 0 && code == "":
		kind, hint = Unanswered(err)
	case is(denied):
		kind, hint = fail.Permission, "access denied: allow "+c.Action+" on it"
	case is(keys):
		kind, hint = fail.Permission, "the KMS key that it is encrypted with cannot be used: allow kms:Decrypt and kms:GenerateDataKey on the key, and see that it is enabled"
	case is(quotas):
		kind, hint = fail.Usage, "a quota of the account is used up"
	case is(stale):
		kind, hint = fail.Permission, "the credentials are wrong or have expired"
	case code == "RequestTimeTooSkewed":
		kind, hint = fail.Permission, "this machine's clock is wrong"
	case is(again):
		kind = fail.Temporary
	case is(absent):
		kind, hint = fail.Usage, "it does not exist"
	case is(wrong):
		kind = fail.Usage
	case status == 401, status == 403:
		kind, hint = fail.Permission, "access denied: allow "+c.Action+" on it"
	case passing(status):
		kind = fail.Temporary
	}
	if hint != "" {
		return &fail.Error{Kind: kind, Err: fmt.Errorf("%s on %s: %s: %w", c.Action, c.On, hint, short)}
	}
	return &fail.Error{Kind: kind, Err: fmt.Errorf("%s on %s: %w", c.Action, c.On, short)}
}
