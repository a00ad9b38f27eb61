package main

import (
	"bytes"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"

	"github.com/sluice-data/sluice/internal/job"
	"github.com/sluice-data/sluice/internal/s3test"
)

// faultyPipeline writes four files, so that a call can fail after others have gone well, and has bad rows.
const faultyPipeline = `version: 1
name: faults
source: {format: csv}
schema: {columns: {id: int64, zone: string, fare: "float64"}}
errors: {quarantine: "s3://BUCKET/bad/"}
steps: [{derive: {quarter: "id % 4"}}]
sink:
  uri: s3://BUCKET/out/
  partition_by: [quarter]
`

const faultyRows = 2000

// faultyRides is a CSV of faultyRows good rows and a bad one.
func faultyRides() []byte { return append(rides(faultyRows), "x,zone,1.5\n"...) }

// s3Fault is what goes wrong on the way to S3, and what the worker makes of it.
type s3Fault struct {
	name     string
	pipeline string // default faultyPipeline
	input    string // default in.csv
	env      []string
	rule     func(s3test.Call) *s3test.Answer // of the front
	exit     int
	words    []string // of the error's message and file; BUCKET stands for the bucket
	visible  bool     // files that were completed may stay, without a manifest
	open     bool     // nobody may abort the uploads: the next attempt does
}

// on answers calls of op whose key begins with prefix.
func on(op, prefix string, a *s3test.Answer) func(s3test.Call) *s3test.Answer {
	return func(c s3test.Call) *s3test.Answer {
		if c.Op == op && strings.HasPrefix(c.Key, prefix) {
			return a
		}
		return nil
	}
}

// nth answers call number n of op, and all that are like it: the SDK tries again.
func nth(op string, n int, a *s3test.Answer) func(s3test.Call) *s3test.Answer {
	key := ""
	return func(c s3test.Call) *s3test.Answer {
		if c.Op == op && c.N == n && key == "" {
			key = c.Key
		}
		if c.Op == op && c.Key == key {
			return a
		}
		return nil
	}
}

// from answers everything from call number n of op on.
func from(op string, n int, a *s3test.Answer) func(s3test.Call) *s3test.Answer {
	begun := false
	return func(c s3test.Call) *s3test.Answer {
		if begun = begun || c.Op == op && c.N == n; begun {
			return a
		}
		return nil
	}
}

const faultyKey = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"

// The errors of AWS: S3 API reference, "Error responses"; KMS's come through S3 under their own names.
var (
	slowDown   = &s3test.Answer{Status: 503, Code: "SlowDown", Message: "Please reduce your request rate."}
	internal   = &s3test.Answer{Status: 500, Code: "InternalError", Message: "We encountered an internal error. Please try again."}
	expired    = &s3test.Answer{Status: 400, Code: "ExpiredToken", Message: "The provided token has expired."}
	unknownKey = &s3test.Answer{Status: http.StatusForbidden, Code: "InvalidAccessKeyId", Message: "The AWS Access Key Id you provided does not exist in our records."}
	skewed     = &s3test.Answer{Status: http.StatusForbidden, Code: "RequestTimeTooSkewed", Message: "The difference between the request time and the current time is too large."}
	noKey      = &s3test.Answer{Status: 400, Code: "KMS.NotFoundException", Message: "Key '" + faultyKey + "' does not exist"}
	keyOff     = &s3test.Answer{Status: 400, Code: "KMS.DisabledException", Message: faultyKey + " is disabled."}
	kmsRate    = &s3test.Answer{Status: 400, Code: "ThrottlingException", Message: "You have exceeded the rate at which you may call KMS. Reduce the frequency of your calls."}
	bareDenied = &s3test.Answer{Status: http.StatusForbidden, Code: "AccessDenied", Message: "Access Denied"}
)

func s3Faults() []s3Fault {
	twice := []string{"AWS_MAX_ATTEMPTS=2"}
	faults := []s3Fault{
		{name: "wrong secret", env: []string{"AWS_SECRET_ACCESS_KEY=wrong"}, exit: 77, words: []string{"s3://BUCKET/in.csv", "secret key"}},
		{name: "unknown access key", rule: from("GetObject", 0, unknownKey), exit: 77, words: []string{"s3://BUCKET/in.csv", "does not know the access key"}},
		{name: "wrong clock", rule: from("GetObject", 0, skewed), exit: 77, words: []string{"s3://BUCKET/in.csv", "clock is wrong"}},
		{name: "no credentials", env: []string{"AWS_ACCESS_KEY_ID=", "AWS_SECRET_ACCESS_KEY=", "AWS_CONFIG_FILE=/none", "AWS_SHARED_CREDENTIALS_FILE=/none"}, exit: 77,
			words: []string{"s3://BUCKET/in.csv", "no usable AWS credentials"}},
		{name: "no bucket to read from", input: "s3://no-such-bucket-0/in.csv", exit: 66, words: []string{"s3://no-such-bucket-0/in.csv", "bucket does not exist"}},
		{name: "no bucket to write to", pipeline: strings.Replace(faultyPipeline, "BUCKET/out", "no-such-bucket-1/out", 1), exit: 2,
			words: []string{"s3://no-such-bucket-1/out/", "bucket does not exist"}},
		{name: "no bucket for bad rows", pipeline: strings.Replace(faultyPipeline, "BUCKET/bad", "no-such-bucket-2/bad", 1), exit: 2,
			words: []string{"s3://no-such-bucket-2/bad/", "bucket does not exist"}},
		{name: "may not read", rule: on("GetObject", "in.csv", s3test.Denied("s3:GetObject", "arn:aws:s3:::b/in.csv")), exit: 77,
			words: []string{"s3://BUCKET/in.csv", "s3:GetObject is not granted"}},
		{name: "may not read, and AWS says no more", rule: func(c s3test.Call) *s3test.Answer { // as of a missing object, without s3:ListBucket
			if c.Key == "in.csv" {
				return bareDenied
			}
			return nil
		}, exit: 77, words: []string{"s3://BUCKET/in.csv", "s3:GetObject", "kms:Decrypt", "s3:ListBucket"}},
		{name: "may not list", rule: on("ListObjectsV2", "", s3test.Denied("s3:ListBucket", "arn:aws:s3:::b")), exit: 77,
			words: []string{"s3://BUCKET/out/", "s3:ListBucket is not granted"}},
		{name: "may not write", rule: on("CreateMultipartUpload", "out/", s3test.Denied("s3:PutObject", "arn:aws:s3:::b/out/x")), exit: 77,
			words: []string{"s3://BUCKET/out/quarter=", "s3:PutObject is not granted"}},
		{name: "may not write, and AWS says no more", rule: on("CreateMultipartUpload", "out/", bareDenied), exit: 77,
			words: []string{"s3://BUCKET/out/quarter=", "s3:PutObject", "kms:GenerateDataKey"}},
		{name: "may not write to one folder", rule: on("CreateMultipartUpload", "out/quarter=2/", s3test.Denied("s3:PutObject", "arn:aws:s3:::b/out/quarter=2/x")), exit: 77,
			words: []string{"s3://BUCKET/out/quarter=2/", "s3:PutObject is not granted"}},
		{name: "may not write bad rows", rule: on("CreateMultipartUpload", "bad/", s3test.Denied("s3:PutObject", "arn:aws:s3:::b/bad/x")), exit: 77,
			words: []string{"s3://BUCKET/bad/", "s3:PutObject is not granted"}},
		{name: "may not write the log", rule: on("PutObject", "out/_runs/", s3test.Denied("s3:PutObject", "arn:aws:s3:::b/out/_runs/x")), exit: 77,
			words: []string{"s3://BUCKET/out/_runs/", "s3:PutObject is not granted"}},
		{name: "may not use the key", rule: on("CreateMultipartUpload", "out/", s3test.Denied("kms:GenerateDataKey", faultyKey)), exit: 77,
			words: []string{"s3://BUCKET/out/quarter=", "kms:GenerateDataKey is not granted", faultyKey}},
		{name: "may not use the key for the log", rule: on("PutObject", "", s3test.Denied("kms:GenerateDataKey", faultyKey)), exit: 77,
			words: []string{"s3://BUCKET/out/_runs/", "kms:GenerateDataKey is not granted"}},
		{name: "may not use the key for parts", rule: on("UploadPart", "out/", s3test.Denied("kms:Decrypt", faultyKey)), exit: 77,
			words: []string{"s3://BUCKET/out/quarter=", "kms:Decrypt is not granted"}},
		{name: "may not use the key of the input", rule: on("GetObject", "in.csv", s3test.Denied("kms:Decrypt", faultyKey)), exit: 77,
			words: []string{"s3://BUCKET/in.csv", "kms:Decrypt is not granted"}},
		{name: "no such key", rule: on("CreateMultipartUpload", "out/", noKey), exit: 2, words: []string{"s3://BUCKET/out/quarter=", "kms_key_id", "does not exist"}},
		{name: "key of the input is disabled", rule: on("GetObject", "in.csv", keyOff), exit: 66, words: []string{"s3://BUCKET/in.csv", "key", "is disabled"}},
		{name: "key's rate", env: twice, rule: on("CreateMultipartUpload", "out/", kmsRate), exit: 75, words: []string{"s3://BUCKET/out/quarter=", "ThrottlingException"}},
		{name: "storm", rule: func(c s3test.Call) *s3test.Answer { // two of three, whatever is called
			if c.N%3 != 2 {
				return slowDown
			}
			return nil
		}, exit: 0},
		{name: "storm without end", env: twice, rule: on("UploadPart", "", slowDown), exit: 75, words: []string{"s3://BUCKET/", "SlowDown"}},
		{name: "storm at the commit", env: twice, rule: on("CompleteMultipartUpload", "", slowDown), exit: 75, words: []string{"s3://BUCKET/", "SlowDown"}},
		{name: "token expires while the input is read", rule: from("GetObject", 0, expired), exit: 77, words: []string{"s3://BUCKET/in.csv", "expired"}},
		{name: "token expires while uploads begin", rule: from("CreateMultipartUpload", 2, expired), exit: 77, words: []string{"expired"}, open: true},
		{name: "token expires at the commit", rule: from("CompleteMultipartUpload", 1, expired), exit: 77, words: []string{"expired"}, open: true, visible: true},
	}
	for n := range 5 { // four files and the bad rows
		faults = append(faults,
			s3Fault{name: fmt.Sprint("part denied at call ", n), rule: nth("UploadPart", n, bareDenied), exit: 77, words: []string{"s3://BUCKET/", "send part 1", "s3:PutObject"}},
			s3Fault{name: fmt.Sprint("part fails at call ", n), env: twice, rule: nth("UploadPart", n, internal), exit: 75, words: []string{"s3://BUCKET/", "send part 1", "InternalError"}},
			s3Fault{name: fmt.Sprint("completion denied at call ", n), rule: nth("CompleteMultipartUpload", n, bareDenied), exit: 77,
				words: []string{"s3://BUCKET/", "complete upload", "s3:PutObject"}, visible: true})
	}
	return faults
}

// TestS3Faults: whatever S3 refuses, the error names the object and what is wanting, the exit code says whether to try
// again, nothing is committed, no upload stays open on the server, and the next run commits as if nothing had been.
func TestS3Faults(t *testing.T) {
	for _, f := range s3Faults() {
		t.Run(f.name, func(t *testing.T) {
			r := newS3Rig(t)
			front := r.srv.Front(t)
			r.endpoint = front.Endpoint
			r.pipeline(t, faultyPipeline)
			if f.pipeline != "" {
				r.pipeline(t, f.pipeline)
			}
			r.srv.Put(t, r.bucket, "in.csv", faultyRides())
			before := r.srv.OpenUploads(t, r.bucket)
			front.Answer(f.rule)
			cmd := r.worker(t.Context(), r.event("in.csv", "", ""))
			if f.input != "" {
				cmd = r.worker(t.Context(), "", "--input", f.input)
			}
			cmd.Env = append(cmd.Env, f.env...)
			code, rec := finish(t, cmd)
			if code != f.exit {
				t.Fatalf("exit %d, want %d: %+v", code, f.exit, rec.Error)
			}
			if code == 0 {
				r.checkFaulty(t, rec, before)
				return
			}
			text := rec.Error.Message
			for _, w := range f.words {
				if w = strings.ReplaceAll(w, "BUCKET", r.bucket); !strings.Contains(text, w) {
					t.Errorf("the error does not say %q: %s", w, text)
				}
			}
			for _, k := range r.srv.Keys(t, r.bucket) {
				if strings.HasSuffix(k, "/manifest.json") || !f.visible && (strings.HasSuffix(k, ".parquet") || strings.HasPrefix(k, "bad/")) {
					t.Errorf("a failed run left %s", k)
				}
			}
			if n := r.srv.OpenUploads(t, r.bucket); n != before && !f.open {
				t.Errorf("%d uploads are open", n-before)
			}
			front.Answer(nil)
			r.pipeline(t, faultyPipeline)
			code, rec = finish(t, r.worker(t.Context(), r.event("in.csv", "", "")))
			if code != 0 || rec.Status != job.Committed {
				t.Fatalf("the next run: exit %d, %+v", code, rec.Error)
			}
			r.checkFaulty(t, rec, before)
		})
	}
}

// checkFaulty: the bucket has the files of the receipt, with all rows, and no more.
func (r *s3rig) checkFaulty(t *testing.T, rec job.Receipt, open int) {
	t.Helper()
	var want, got []string
	for _, f := range slices.Concat(rec.Files, rec.Quarantine) {
		want = append(want, strings.TrimPrefix(f.URI, "s3://"+r.bucket+"/"))
	}
	var rows int64
	for _, k := range r.srv.Keys(t, r.bucket) {
		if strings.HasSuffix(k, ".parquet") {
			body := r.srv.Get(t, r.bucket, k)
			f, err := parquet.OpenFile(bytes.NewReader(body), int64(len(body)))
			if err != nil {
				t.Fatal(err)
			}
			rows += f.NumRows()
		}
		if strings.HasSuffix(k, ".parquet") || strings.HasPrefix(k, "bad/") {
			got = append(got, k)
		}
	}
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(got, want) || rows != faultyRows || len(rec.Files) != 4 || len(rec.Quarantine) != 1 {
		t.Errorf("%d rows in %v, the receipt names %v", rows, got, want)
	}
	if n := r.srv.OpenUploads(t, r.bucket); n != open {
		t.Errorf("%d uploads are open", n-open)
	}
}

// TestS3Encryption: what sink.s3 asks for stands on every request that makes an object, and a store that does not do it is
// found out before a byte is sent to it.
func TestS3Encryption(t *testing.T) {
	r := newS3Rig(t)
	front := r.srv.Front(t)
	r.endpoint = front.Endpoint
	r.srv.Put(t, r.bucket, "in.csv", faultyRides())
	before := r.srv.OpenUploads(t, r.bucket)
	wish := faultyPipeline + "  s3: {sse: aws:kms, kms_key_id: alias/lake, storage_class: STANDARD_IA}\n"

	// A bucket whose policy wants the key: refused without it.
	policy := func(c s3test.Call) *s3test.Answer {
		if (c.Op == "CreateMultipartUpload" || c.Op == "PutObject") && c.Header.Get("X-Amz-Server-Side-Encryption-Aws-Kms-Key-Id") != "alias/lake" {
			return s3test.Denied("s3:PutObject", "arn:aws:s3:::"+c.Bucket+"/"+c.Key)
		}
		return nil
	}
	front.Answer(policy)
	r.pipeline(t, faultyPipeline)
	if code, rec := finish(t, r.worker(t.Context(), r.event("in.csv", "", ""))); code != 77 || !strings.Contains(rec.Error.Message, "s3:PutObject") {
		t.Errorf("without the key: exit %d, %+v", code, rec.Error)
	}
	r.pipeline(t, wish)
	front.Deaf.Store(true)
	code, rec := finish(t, r.worker(t.Context(), r.event("in.csv", "", "")))
	if code != 2 || !strings.Contains(rec.Error.Message, "encrypted by aws:kms") {
		t.Errorf("a store that does not encrypt: exit %d, %+v", code, rec.Error)
	}
	if n := r.srv.OpenUploads(t, r.bucket); n != before {
		t.Errorf("%d uploads are open", n-before)
	}
	if slices.ContainsFunc(front.Calls(), func(c s3test.Call) bool { return c.Op == "UploadPart" }) {
		t.Error("bytes were sent to a store that does not encrypt")
	}
	front.Deaf.Store(false)
	front.Answer(policy)
	code, rec = finish(t, r.worker(t.Context(), r.event("in.csv", "", "")))
	if code != 0 {
		t.Fatalf("exit %d, %+v", code, rec.Error)
	}
	r.checkFaulty(t, rec, before)
	made := map[string]int{}
	for _, c := range front.Calls() {
		if c.Op != "CreateMultipartUpload" && c.Op != "PutObject" {
			continue
		}
		made[c.Op]++
		class := map[string]string{"CreateMultipartUpload": "STANDARD_IA"}[c.Op]
		if h := c.Header; h.Get("X-Amz-Server-Side-Encryption") != "aws:kms" || h.Get("X-Amz-Storage-Class") != class {
			t.Errorf("%s of %s: encryption %q, storage class %q", c.Op, c.Key, h.Get("X-Amz-Server-Side-Encryption"), h.Get("X-Amz-Storage-Class"))
		}
	}
	if made["CreateMultipartUpload"] != 5 || made["PutObject"] < 3 {
		t.Errorf("calls: %v, want 5 uploads and log, manifest and report", made)
	}
}

// TestS3CompactKeeps: what a compaction writes is encrypted, and in the storage class, as the files were that it takes the place of, with nobody to tell it.
func TestS3CompactKeeps(t *testing.T) {
	r := newS3Rig(t)
	front := r.srv.Front(t)
	r.endpoint = front.Endpoint
	r.srv.Put(t, r.bucket, "a.csv", rides(20))
	r.srv.Put(t, r.bucket, "b.csv", rides(30))
	r.pipeline(t, "version: 1\nname: kept\nsource: {format: csv}\nsink:\n  uri: s3://BUCKET/out/\n  s3: {sse: aws:kms, kms_key_id: alias/lake, storage_class: STANDARD_IA}\n")
	for _, key := range []string{"a.csv", "b.csv"} {
		if code, rec := finish(t, r.worker(t.Context(), r.event(key, "", ""))); code != 0 {
			t.Fatalf("exit %d, %+v", code, rec.Error)
		}
	}
	front.Answer(nil)
	cmd := r.worker(t.Context(), "")
	cmd.Args = []string{cmd.Args[0], "compact", "s3://" + r.bucket + "/out/", "--endpoint-url", r.endpoint, "--path-style"}
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), `"status":"compacted"`) {
		t.Fatalf("%v: %s", err, out)
	}
	made := 0
	for _, c := range front.Calls() {
		h := c.Header
		encrypted := h.Get("X-Amz-Server-Side-Encryption") == "aws:kms" && h.Get("X-Amz-Server-Side-Encryption-Aws-Kms-Key-Id") == "alias/lake"
		switch {
		case c.Op == "CreateMultipartUpload":
			made++
			if !encrypted || h.Get("X-Amz-Storage-Class") != "STANDARD_IA" {
				t.Errorf("%s is written with %q, %q, %q", c.Key, h.Get("X-Amz-Server-Side-Encryption"), h.Get("X-Amz-Server-Side-Encryption-Aws-Kms-Key-Id"), h.Get("X-Amz-Storage-Class"))
			}
		case c.Op == "PutObject" && !encrypted:
			t.Errorf("%s is not encrypted by the key", c.Key)
		}
	}
	if made != 1 {
		t.Errorf("%d uploads", made)
	}
}
