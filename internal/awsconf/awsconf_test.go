package awsconf

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	smithy "github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/sluice-data/sluice/internal/fail"
)

// answered is a failed request as the SDK gives it.
func answered(status int, code, message string) error {
	return &smithy.OperationError{ServiceID: "Glue", OperationName: "CreateTable", Err: &awshttp.ResponseError{RequestID: "r1", ResponseError: &smithyhttp.ResponseError{
		Response: &smithyhttp.Response{Response: &http.Response{StatusCode: status, Header: http.Header{}}}, Err: &smithy.GenericAPIError{Code: code, Message: message}}}}
}

// uncredited is the error of a request that there were no credentials for.
func uncredited(err error) error {
	return &smithy.OperationError{ServiceID: "Glue", OperationName: "CreateTable", Err: fmt.Errorf("get identity: %w", fmt.Errorf("get credentials: %w", fmt.Errorf("failed to refresh cached credentials, %w", err)))}
}

// agentError is as the SDK's client of credential endpoints has it.
type agentError int

func (e agentError) Error() string               { return "RequestError: try later" }
func (e agentError) ErrorCode() string           { return "RequestError" }
func (e agentError) ErrorMessage() string        { return "try later" }
func (agentError) ErrorFault() smithy.ErrorFault { return smithy.FaultServer }
func (e agentError) HTTPStatusCode() int         { return int(e) }

func TestErrors(t *testing.T) {
	call := Call{"glue:CreateTable", "table curated.trips"}
	for _, c := range []struct {
		err  error
		kind fail.Kind
		says string
	}{
		{answered(400, "AccessDeniedException", "User: x is not authorized"), fail.Permission, "glue:CreateTable on table curated.trips: access denied: allow glue:CreateTable on it: 400 AccessDeniedException: User: x is not authorized (request id r1)"},
		{answered(403, "SomethingNew", ""), fail.Permission, "allow glue:CreateTable"},
		{answered(400, "ExpiredTokenException", ""), fail.Permission, "expired"},
		{answered(400, "UnrecognizedClientException", ""), fail.Permission, "credentials are wrong"},
		{answered(400, "ThrottlingException", "Rate exceeded"), fail.Temporary, "Rate exceeded"},
		{answered(400, "ActiveStatementsExceededException", ""), fail.Temporary, "ActiveStatements"},
		{answered(500, "InternalServerException", ""), fail.Temporary, "500"},
		{answered(503, "", ""), fail.Temporary, "503"},
		{answered(400, "ValidationException", "Database is null"), fail.Usage, "Database is null"},
		{answered(400, "EntityNotFoundException", "Database curated not found"), fail.Usage, "it does not exist"},
		{answered(400, "SomethingNew", "what"), fail.Internal, "SomethingNew: what"},
		{&smithy.GenericAPIError{Code: "NotAuthorizedForSourceException"}, fail.Permission, "access denied: allow glue:CreateTable on it"},
		{&smithy.GenericAPIError{Code: "NotAuthorizedForDetailTypeException"}, fail.Permission, "access denied"},
		{&smithy.GenericAPIError{Code: "InvalidArgument", Message: "Parameter is not valid."}, fail.Usage, "Parameter is not valid."},
		{&smithy.GenericAPIError{Code: "MalformedDetail"}, fail.Usage, "MalformedDetail"},
		{&smithy.GenericAPIError{Code: "InvalidAccountIdException"}, fail.Usage, "InvalidAccountId"},
		{&smithy.GenericAPIError{Code: "RedactionFailure"}, fail.Temporary, "RedactionFailure"},
		{&smithy.GenericAPIError{Code: "InternalException"}, fail.Temporary, "InternalException"},
		{answered(400, "GlueEncryptionException", "User: x is not authorized to perform: kms:Decrypt"), fail.Permission, "the KMS key that it is encrypted with cannot be used: allow kms:Decrypt and kms:GenerateDataKey"},
		{answered(400, "KmsAccessDeniedException", ""), fail.Permission, "the KMS key that it is encrypted with"},
		{answered(400, "KmsInvalidStateException", ""), fail.Permission, "enabled"},
		{answered(400, "ResourceNumberLimitExceededException", "Number of partitions exceeds limit"), fail.Usage, "a quota of the account is used up: 400 ResourceNumberLimitExceededException"},
		{answered(400, "ServiceQuotaExceededException", ""), fail.Usage, "a quota of the account"},
		{answered(400, "FederationSourceException", ""), fail.Usage, "FederationSource"},
		{answered(400, "FederationSourceRetryableException", ""), fail.Temporary, "FederationSource"},
		{answered(400, "ResourceNotReadyException", ""), fail.Temporary, "ResourceNotReady"},
		{answered(400, "OperationNotSupportedException", ""), fail.Usage, "OperationNotSupported"},
		{answered(400, "PermissionTypeMismatchException", ""), fail.Permission, "access denied"},
		{uncredited(answered(403, "AccessDenied", "User x is not authorized to perform: sts:AssumeRole")), fail.Permission, "glue:CreateTable on table curated.trips: no usable AWS credentials: 403 AccessDenied: User x is not authorized to perform: sts:AssumeRole"},
		{uncredited(answered(400, "InvalidIdentityToken", "No OpenIDConnect provider found")), fail.Permission, "no usable AWS credentials: 400 InvalidIdentityToken"},
		{uncredited(answered(400, "IDPRejectedClaim", "")), fail.Permission, "no usable AWS credentials"},
		{uncredited(answered(403, "RegionDisabledException", "")), fail.Permission, "no usable AWS credentials"},
		{uncredited(answered(401, "UnauthorizedException", "Session token not found or invalid")), fail.Permission, "no usable AWS credentials"}, // of SSO
		{uncredited(answered(400, "InvalidGrantException", "")), fail.Permission, "no usable AWS credentials"},
		{uncredited(answered(400, "IDPCommunicationError", "")), fail.Temporary, "AWS credentials could not be got now: 400 IDPCommunicationError"},
		{uncredited(answered(400, "Throttling", "")), fail.Temporary, "could not be got now"},
		{uncredited(answered(500, "", "")), fail.Temporary, "could not be got now"},
		{uncredited(fmt.Errorf("failed to load credentials, %w", agentError(429))), fail.Temporary, "could not be got now"}, // of the container's agent
		{uncredited(fmt.Errorf("failed to load credentials, %w", agentError(404))), fail.Permission, "no usable AWS credentials"},
		{uncredited(&smithyhttp.RequestSendError{Err: &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("connection refused")}}), fail.Temporary, "could not be got now: dial tcp: connection refused"},
		{uncredited(fmt.Errorf("no EC2 IMDS role found, %w", &smithyhttp.RequestSendError{Err: context.DeadlineExceeded})), fail.Permission, "no usable AWS credentials"}, // a machine that has none
		{&smithyhttp.RequestSendError{Err: &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("connection refused")}}, fail.Temporary, "connection refused"},
		{fmt.Errorf("get identity: %w", errors.New("failed to refresh cached credentials, no EC2 IMDS role found")), fail.Permission, "no usable AWS credentials"},
		{&net.DNSError{Name: "glue.nowhere.amazonaws.com", IsNotFound: true}, fail.Temporary, "check the endpoint and the region"},
		{io.ErrUnexpectedEOF, fail.Temporary, "EOF"},
		{fail.Newf(fail.Data, "ours"), fail.Data, "ours"},
	} {
		err := call.Error(t.Context(), c.err)
		if fail.KindOf(err) != c.kind || !strings.Contains(err.Error(), c.says) || !errors.Is(err, c.err) && CodeOf(err) != CodeOf(c.err) {
			t.Errorf("%v: %v %q, want %v %q", c.err, fail.KindOf(err), err, c.kind, c.says)
		}
	}
	if call.Error(t.Context(), nil) != nil {
		t.Error("no error became one")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := call.Error(ctx, answered(400, "ValidationException", "")); fail.KindOf(err) != fail.Temporary || !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

// TestService: a client made of the configuration goes to the endpoint of the environment, in any region, and tries again what may pass.
func TestService(t *testing.T) {
	var calls atomic.Int32
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if n := calls.Add(1); n < 3 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		if !strings.Contains(r.Header.Get("Authorization"), "/us-east-1/") {
			t.Errorf("signed %s", r.Header.Get("Authorization"))
		}
		fmt.Fprint(w, `<ListAllMyBucketsResult><Buckets></Buckets></ListAllMyBucketsResult>`)
	}))
	defer srv.Close()
	t.Setenv("AWS_CONFIG_FILE", "/nonexistent")
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
	t.Setenv("AWS_ACCESS_KEY_ID", "a")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "s")
	t.Setenv("AWS_REGION", "")
	t.Setenv("AWS_DEFAULT_REGION", "")
	if _, _, err := Service(t.Context(), "S3", ""); fail.KindOf(err) != fail.Usage || !strings.Contains(err.Error(), "AWS_REGION") {
		t.Errorf("without a region: %v", err)
	}
	t.Setenv("AWS_ENDPOINT_URL_S3", srv.URL)
	cfg, done, err := Service(t.Context(), "S3", "")
	if err != nil {
		t.Fatal(err)
	}
	defer done()
	if _, err := s3.NewFromConfig(cfg).ListBuckets(t.Context(), &s3.ListBucketsInput{}); err != nil || calls.Load() != 3 {
		t.Errorf("%v, after %d requests", err, calls.Load())
	}
}
