// Package awstest has doubles of AWS services with small JSON requests: Glue, EventBridge and Step Functions. Each takes the requests and members that the API's reference has and
// that its target may send; others fail the test.
package awstest

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

// Double is what the services have in common.
type Double struct {
	sync.Mutex
	Requests []string // actions, in the order in which they came
	Regions  []string // that they were signed for
	t        testing.TB
	url      string
	variable string // names the endpoint in the environment
}

// answer is what a request comes to: a document, or an error's code and message; raw, of a status, is sent as it is. A request that is dropped is not answered.
type answer struct {
	out           any
	code, message string
	status        int
	raw           string
	drop          bool
}

func refuse(code, message string) answer { return answer{code: code, message: message} }

// serve starts the double; the server ends with the test. signing is the service's name in signatures, prefix that in X-Amz-Target. carryOut is called with the double locked, then after
// its answer is written.
func (d *Double) serve(t testing.TB, variable, signing, prefix string, carryOut func(action string, body []byte) answer, then func(action string)) {
	t.Helper()
	d.t, d.variable = t, variable
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		d.Lock()
		defer d.Unlock()
		action, ok := strings.CutPrefix(r.Header.Get("X-Amz-Target"), prefix)
		scope := strings.Split(r.Header.Get("Authorization"), "/") // AWS4-HMAC-SHA256 Credential=a/20261129/eu-central-1/glue/aws4_request, …
		if r.Method != http.MethodPost || !ok || len(scope) < 5 || scope[3] != signing {
			t.Errorf("%s %s", r.Method, r.Header)
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		d.Regions = append(d.Regions, scope[2])
		a := carryOut(action, body)
		d.Requests = append(d.Requests, action)
		w.Header().Set("Content-Type", "application/x-amz-json-1.1")
		switch {
		case a.drop:
			panic(http.ErrAbortHandler)
		case a.status != 0:
			w.WriteHeader(a.status)
			_, err = io.WriteString(w, a.raw)
		case a.code != "":
			w.WriteHeader(http.StatusBadRequest)
			err = json.NewEncoder(w).Encode(map[string]string{"__type": "com.amazonaws#" + a.code, "message": a.message})
		default:
			err = json.NewEncoder(w).Encode(a.out)
		}
		if err != nil {
			t.Error(err)
		}
		if then != nil {
			then(action)
		}
	}))
	t.Cleanup(srv.Close)
	d.url = srv.URL
}

// decode reads a request, which has no members that v has not.
func (d *Double) decode(action string, body []byte, v any) {
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		d.t.Errorf("%s: %v\n%s", action, err, body)
	}
}

// Env is the environment in which the service is asked, each NAME=value.
func (d *Double) Env() []string {
	return []string{d.variable + "=" + d.url, "AWS_ACCESS_KEY_ID=a", "AWS_SECRET_ACCESS_KEY=s", "AWS_REGION=eu-central-1", "AWS_CONFIG_FILE=/nonexistent", "AWS_SHARED_CREDENTIALS_FILE=/nonexistent"}
}

// Setenv sets it for the test.
func (d *Double) Setenv(t testing.TB) {
	t.Helper()
	for _, kv := range d.Env() {
		name, value, _ := strings.Cut(kv, "=")
		t.Setenv(name, value)
	}
}
