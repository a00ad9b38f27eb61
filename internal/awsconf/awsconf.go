// Package awsconf is the one reader of the AWS SDK's configuration: region, credentials, endpoints, transport and retries, and what a failed request
// means. Credentials come from the SDK's default chain; endpoints of one's own from AWS_ENDPOINT_URL_<SERVICE> and AWS_ENDPOINT_URL.
package awsconf

import (
	"context"
	"math/rand/v2"
	"net/http"
	"os"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/ratelimit"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"

	"github.com/sluice-data/sluice/internal/fail"
)

// Config is what the environment and the profile say.
type Config struct {
	aws.Config
	// RequestChecksums and ResponseChecksums say that somebody chose a mode; the SDK fills in its own if not.
	RequestChecksums, ResponseChecksums bool
}

// Read reads the configuration. It sends no request; region may be "" for the configured one.
func Read(ctx context.Context, region string) (Config, error) {
	var load []func(*config.LoadOptions) error
	if region != "" {
		load = append(load, config.WithRegion(region))
	}
	cfg, err := config.LoadDefaultConfig(ctx, load...)
	if err != nil {
		return Config{}, fail.Newf(fail.Usage, "read AWS configuration: %w", err)
	}
	c := Config{Config: cfg}
	for _, source := range cfg.ConfigSources {
		switch s := source.(type) {
		case config.EnvConfig:
			c.RequestChecksums = c.RequestChecksums || s.RequestChecksumCalculation != aws.RequestChecksumCalculationUnset
			c.ResponseChecksums = c.ResponseChecksums || s.ResponseChecksumValidation != aws.ResponseChecksumValidationUnset
		case config.SharedConfig:
			c.RequestChecksums = c.RequestChecksums || s.RequestChecksumCalculation != aws.RequestChecksumCalculationUnset
			c.ResponseChecksums = c.ResponseChecksums || s.ResponseChecksumValidation != aws.ResponseChecksumValidationUnset
		}
	}
	return c, nil
}

// Service is the configuration for a client of a service with small requests, such as redshiftdata.NewFromConfig(cfg). endpoint is the service's name in
// AWS_ENDPOINT_URL_<SERVICE> ("REDSHIFT_DATA"); region may be "" for the configured one. close gives up the connections kept for reuse.
func Service(ctx context.Context, endpoint, region string) (cfg aws.Config, close func(), err error) {
	c, err := Read(ctx, region)
	if err != nil {
		return aws.Config{}, nil, err
	}
	if c.Region == "" && (os.Getenv("AWS_ENDPOINT_URL_"+endpoint) != "" || os.Getenv("AWS_ENDPOINT_URL") != "") {
		c.Region = "us-east-1" // a server of one's own takes any
	}
	if c.Region == "" {
		return aws.Config{}, nil, fail.Newf(fail.Usage, "no AWS region: set AWS_REGION")
	}
	client, err := c.Client(4)
	if err != nil {
		return aws.Config{}, nil, err
	}
	client.Timeout = 2 * time.Minute // of one request: the SDK has none of its own
	c.HTTPClient = client
	c.Retryer = func() aws.Retryer { return Retryer(8, 20*time.Second) }
	return c.Config, client.CloseIdleConnections, nil
}

// Client has the configured transport (AWS_CA_BUNDLE, timeouts of dialing and TLS) and keeps conns idle connections for reuse.
func (c Config) Client(conns int) (*http.Client, error) {
	client := awshttp.NewBuildableClient()
	if c.HTTPClient != nil {
		configured, ok := c.HTTPClient.(*awshttp.BuildableClient) // holds AWS_CA_BUNDLE
		if !ok {
			return nil, fail.Newf(fail.Internal, "read AWS configuration: HTTP client is a %T", c.HTTPClient)
		}
		client = configured
	}
	t := client.GetTransport()
	t.DialContext = client.GetDialer().DialContext
	t.MaxIdleConns, t.MaxIdleConnsPerHost = conns, conns
	t.WriteBufferSize, t.ReadBufferSize = 32<<10, 16<<10 // for each connection; bodies of objects are read past it
	return &http.Client{Transport: t, CheckRedirect: redirect}, nil
}

// redirect follows as the SDK does: only these two repeat the request as it was. Other redirects are answers to report.
func redirect(r *http.Request, via []*http.Request) error {
	if r.Response.StatusCode != http.StatusTemporaryRedirect && r.Response.StatusCode != http.StatusPermanentRedirect || len(via) > 5 {
		return http.ErrUseLastResponse
	}
	if via[len(via)-1].URL.Host != r.URL.Host {
		r.Header.Del("X-Amz-Security-Token") // as net/http does with Authorization
	}
	return nil
}

// Backoff is the pause before try number n (1, 2, …) is repeated: 100 ms doubling, with jitter so that those who wait spread out.
func Backoff(n int) time.Duration {
	d := 100 * time.Millisecond << min(max(n, 1)-1, 8)
	return time.Duration((0.5 + rand.Float64()/2) * float64(d))
}

// Retryer is the SDK's standard one without its token bucket, which a burst of refusals over many requests would empty, and with more codes that
// another try may help with.
func Retryer(attempts int, mostBackoff time.Duration) aws.Retryer {
	return retry.NewStandard(func(o *retry.StandardOptions) {
		o.MaxAttempts = attempts
		o.RateLimiter = ratelimit.None
		o.Backoff = retry.BackoffDelayerFunc(func(attempt int, _ error) (time.Duration, error) { return min(Backoff(attempt), mostBackoff), nil })
		o.Retryables = append(o.Retryables, retry.RetryableErrorCode{Codes: again})
	})
}
