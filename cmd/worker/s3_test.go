package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"

	"github.com/sluice-data/sluice/internal/job"
	"github.com/sluice-data/sluice/internal/s3test"
)

// bench is a real S3 server with a bucket and a pipeline file for the worker as a process.
type s3rig struct {
	srv      *s3test.Server
	bucket   string
	dir      string
	endpoint string
}

const ridesPipeline = `version: 1
name: rides
source: {format: csv}
schema: {columns: {id: int64, zone: string, fare: float64}}
errors: {quarantine: "s3://BUCKET/bad/"}
steps: [{filter: fare > 0}]
sink: {uri: "s3://BUCKET/out/"}
`

func newS3Rig(t *testing.T) *s3rig {
	t.Helper()
	r := &s3rig{srv: s3test.Start(t), dir: t.TempDir()}
	r.bucket, r.endpoint = r.srv.Bucket(t), r.srv.Endpoint
	r.pipeline(t, ridesPipeline)
	return r
}

func (r *s3rig) pipeline(t *testing.T, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(r.dir, "p.yaml"), []byte(strings.ReplaceAll(text, "BUCKET", r.bucket)), 0o644); err != nil {
		t.Fatal(err)
	}
}

// rides is a CSV of n rows, every tenth with a fare of 0.
func rides(n int) []byte {
	var b bytes.Buffer
	b.WriteString("id,zone,fare\n")
	for i := range n {
		fmt.Fprintf(&b, "%d,zone-%d,%d.5\n", i, i%263, i%10-0)
		if i%10 == 0 {
			b.Truncate(b.Len() - len("0.5\n"))
			b.WriteString("0\n")
		}
	}
	return b.Bytes()
}

func (r *s3rig) event(key, etag, version string) string {
	obj := map[string]any{"key": key}
	if etag != "" {
		obj["etag"] = etag
	}
	if version != "" {
		obj["version-id"] = version
	}
	b, _ := json.Marshal(map[string]any{"source": "aws.s3", "detail-type": "Object Created", "time": "2026-11-22T00:00:00Z",
		"detail": map[string]any{"bucket": map[string]any{"name": r.bucket}, "object": obj}})
	return string(b)
}

// worker is the worker as a process of its own on the event.
func (r *s3rig) worker(ctx context.Context, event string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "worker", append([]string{"run", "-p", filepath.Join(r.dir, "p.yaml"), "--event", event, "--path-style", "--endpoint-url", r.endpoint}, args...)...)
	cmd.Env = append(os.Environ(), r.srv.Env()...)
	return cmd
}

// finish waits for the process and returns its exit code and receipt.
func finish(t *testing.T, cmd *exec.Cmd) (int, job.Receipt) {
	t.Helper()
	var out, log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &log
	if err := cmd.Run(); cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), parseReceipt(t, out.Bytes(), log.String())
}

func parseReceipt(t *testing.T, out []byte, log string) job.Receipt {
	t.Helper()
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	var rec job.Receipt
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &rec); err != nil {
		t.Fatalf("no receipt: %v\nstdout: %s\nstderr: %s", err, out, log)
	}
	return rec
}

func dataKeys(keys []string) (data []string) {
	for _, k := range keys {
		if strings.HasPrefix(k, "out/part-") {
			data = append(data, k)
		}
	}
	return data
}

// checkWhole checks that exactly one commit of n rides stands: its data and nothing else, no upload left open.
func (r *s3rig) checkWhole(t *testing.T, rec job.Receipt, n int) {
	t.Helper()
	keys := r.srv.Keys(t, r.bucket)
	data := dataKeys(keys)
	if len(data) != len(rec.Files) {
		t.Fatalf("the bucket has %v, the receipt %v", data, rec.Files)
	}
	var rows int64
	for _, k := range data {
		body := r.srv.Get(t, r.bucket, k)
		f, err := parquet.OpenFile(bytes.NewReader(body), int64(len(body)))
		if err != nil {
			t.Fatal(err)
		}
		rows += f.NumRows()
	}
	if want := int64(n - (n+9)/10); rows != want || rec.Rows.Written != want || rec.Rows.Read != int64(n) {
		t.Fatalf("%d rows stand, receipt %+v, want %d of %d", rows, rec.Rows, want, n)
	}
	r.checkNoUploads(t, rec.RunID)
	if !strings.Contains(strings.Join(keys, "\n"), "out/_runs/"+rec.RunID+"/manifest.json") {
		t.Fatalf("no manifest: %v", keys)
	}
}

func (r *s3rig) checkNoUploads(t *testing.T, runID string) {
	t.Helper()
	keys := []string{}
	for i := range 4 {
		keys = append(keys, fmt.Sprintf("out/part-%s-%05d.parquet", runID, i), fmt.Sprintf("bad/%s/part-%05d.jsonl.gz", runID, i))
	}
	if n := r.srv.OpenUploads(t, r.bucket, keys...); n != 0 {
		t.Fatalf("%d uploads are still open", n)
	}
}

func TestS3EventIsCommittedOnce(t *testing.T) {
	r := newS3Rig(t)
	key := `in/a b+c%20d'é"&?#.csv`
	info := r.srv.Put(t, r.bucket, key, rides(50_000))
	event := r.event(key, info.ETag, "")
	code, first := finish(t, r.worker(t.Context(), event))
	if code != 0 || first.Status != job.Committed {
		t.Fatalf("exit %d, %+v, %+v", code, first, first.Error)
	}
	r.checkWhole(t, first, 50_000)
	before := r.srv.Keys(t, r.bucket)
	code, again := finish(t, r.worker(t.Context(), event))
	if code != 0 || again.Status != job.AlreadyCommitted || again.RunID != first.RunID || fmt.Sprint(again.Files) != fmt.Sprint(first.Files) {
		t.Fatalf("exit %d, %+v", code, again)
	}
	if after := r.srv.Keys(t, r.bucket); fmt.Sprint(after) != fmt.Sprint(before) {
		t.Fatalf("the second delivery wrote: %v, before %v", after, before)
	}
}

func TestS3ObjectIsPinned(t *testing.T) {
	r := newS3Rig(t)
	old := r.srv.Put(t, r.bucket, "in.csv", rides(100))
	r.srv.Put(t, r.bucket, "in.csv", rides(200))
	code, rec := finish(t, r.worker(t.Context(), r.event("in.csv", old.ETag, "")))
	if code != 66 || rec.Error == nil || rec.Error.Kind != "input" || !strings.Contains(rec.Error.Message, old.ETag) {
		t.Fatalf("an object that is not the event's: exit %d, %+v", code, rec.Error)
	}
	if data := dataKeys(r.srv.Keys(t, r.bucket)); len(data) != 0 {
		t.Fatalf("a failed run left %v", data)
	}

	// In a versioned bucket the version of the event is still there, and is what is read.
	r.bucket = r.srv.VersionedBucket(t)
	r.pipeline(t, ridesPipeline)
	old = r.srv.Put(t, r.bucket, "in.csv", rides(100))
	r.srv.Put(t, r.bucket, "in.csv", rides(200))
	code, rec = finish(t, r.worker(t.Context(), r.event("in.csv", old.ETag, old.VersionID)))
	if code != 0 || rec.Rows.Read != 100 || rec.Input[0].VersionID != old.VersionID {
		t.Fatalf("an older version: exit %d, %+v, %+v", code, rec, rec.Error)
	}
}

func TestS3MissingAndDenied(t *testing.T) {
	r := newS3Rig(t)
	if code, rec := finish(t, r.worker(t.Context(), r.event("nowhere.csv", "", ""))); code != 66 || !strings.Contains(rec.Error.Message, "nowhere.csv") {
		t.Errorf("missing object: exit %d, %+v", code, rec.Error)
	}
	r.srv.Put(t, r.bucket, "in.csv", rides(10))
	cmd := r.worker(t.Context(), r.event("in.csv", "", ""))
	cmd.Env = append(cmd.Env, "AWS_SECRET_ACCESS_KEY=wrong")
	if code, rec := finish(t, cmd); code != 77 || rec.Error.Kind != "permission" {
		t.Errorf("wrong secret: exit %d, %+v", code, rec.Error)
	}
}

// Two, three, four deliveries of one event at the same time: one commit stands, everybody exits 0.
func TestS3RaceOfWorkers(t *testing.T) {
	r := newS3Rig(t)
	const n = 300_000
	r.srv.Put(t, r.bucket, "in.csv", rides(n))
	for round := range 3 {
		r.pipeline(t, strings.Replace(ridesPipeline, "name: rides", fmt.Sprintf("name: rides%d", round), 1))
		r.pipeline(t, strings.ReplaceAll(strings.Replace(ridesPipeline, "name: rides", fmt.Sprintf("name: rides%d", round), 1), "/out/", fmt.Sprintf("/out%d/", round)))
		var wg sync.WaitGroup
		codes, recs := make([]int, 4), make([]job.Receipt, 4)
		for i := range codes {
			cmd := r.worker(t.Context(), r.event("in.csv", "", ""))
			wg.Go(func() { codes[i], recs[i] = finish(t, cmd) })
			time.Sleep(time.Duration(round) * 40 * time.Millisecond)
		}
		wg.Wait()
		committed := 0
		for i := range codes {
			if codes[i] != 0 {
				t.Fatalf("round %d, worker %d: exit %d, %+v", round, i, codes[i], recs[i].Error)
			}
			if recs[i].Status == job.Committed {
				committed++
			}
			if recs[i].RunID != recs[0].RunID {
				t.Fatalf("run ids differ: %s, %s", recs[i].RunID, recs[0].RunID)
			}
		}
		if committed != 1 {
			t.Fatalf("round %d: %d workers say committed, want 1", round, committed)
		}
		var data []string
		for _, k := range r.srv.Keys(t, r.bucket) {
			if strings.HasPrefix(k, fmt.Sprintf("out%d/part-", round)) {
				data = append(data, k)
			}
		}
		if len(data) != len(recs[0].Files) {
			t.Fatalf("round %d: files %v, receipt %v", round, data, recs[0].Files)
		}
		// What stands is what the manifest names.
		cmd := r.worker(t.Context(), r.event("in.csv", "", ""))
		if code, rec := finish(t, cmd); code != 0 || rec.Status != job.AlreadyCommitted {
			t.Fatalf("round %d: after the race exit %d, %+v", round, code, rec.Error)
		}
	}
}

// stall puts a proxy before the server that lets so many bytes of in.csv through, over all requests, and then nothing more: the
// run stands still in its middle, however fast it is. The channel closes when it does.
func (r *s3rig) stall(t *testing.T, after int64) (stalled <-chan struct{}) {
	t.Helper()
	target, err := url.Parse(r.srv.Endpoint)
	if err != nil {
		t.Fatal(err)
	}
	g := &gate{still: make(chan struct{})}
	g.left.Store(after)
	proxy := &httputil.ReverseProxy{
		Rewrite: func(pr *httputil.ProxyRequest) {
			pr.SetURL(target)
			pr.Out.Host = pr.In.Host // it is signed
		},
		ModifyResponse: func(resp *http.Response) error {
			if resp.Request.Method == http.MethodGet && strings.HasSuffix(resp.Request.URL.Path, "in.csv") {
				resp.Body = &gated{resp.Body, g, resp.Request.Context()}
			}
			return nil
		},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) },
	}
	srv := &http.Server{Handler: proxy}
	l := listen(t)
	go srv.Serve(l)
	t.Cleanup(func() { srv.Close() })
	r.endpoint = "http://" + l.Addr().String()
	return g.still
}

// gate lets a number of bytes through.
type gate struct {
	left  atomic.Int64
	once  sync.Once
	still chan struct{} // closed when the bytes are used up
}

// gated is a body that passes the gate.
type gated struct {
	io.ReadCloser
	gate *gate
	ctx  context.Context
}

func (s *gated) Read(p []byte) (int, error) {
	p = p[:min(len(p), 32<<10)]
	if s.gate.left.Add(-int64(len(p))) < 0 {
		s.gate.once.Do(func() { close(s.gate.still) })
		<-s.ctx.Done()
		return 0, s.ctx.Err()
	}
	return s.ReadCloser.Read(p)
}

// SIGTERM in mid-run: exit 75 within 10 seconds, every upload aborted, nothing visible; the retry commits.
func TestS3SIGTERM(t *testing.T) {
	r := newS3Rig(t)
	const n = 600_000
	in := rides(n)
	r.srv.Put(t, r.bucket, "in.csv", in)
	stalled := r.stall(t, int64(len(in))*3/4)
	cmd := r.worker(t.Context(), r.event("in.csv", "", ""))
	var out, log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	<-stalled
	sent := time.Now()
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	cmd.Wait()
	if took := time.Since(sent); took > 10*time.Second {
		t.Errorf("gave up after %v", took)
	}
	rec := parseReceipt(t, out.Bytes(), log.String())
	if code := cmd.ProcessState.ExitCode(); code != 75 || rec.Status != job.Failed || rec.Error.Kind != "temporary" || !strings.Contains(rec.Error.Message, "SIGTERM") {
		t.Fatalf("exit %d, %+v\n%s", code, rec.Error, log.String())
	}
	r.checkNoUploads(t, rec.RunID)
	if keys := r.srv.Keys(t, r.bucket); len(keys) != 1 {
		t.Fatalf("an interrupted run left %v", keys)
	}
	r.endpoint = r.srv.Endpoint
	code, rec := finish(t, r.worker(t.Context(), r.event("in.csv", "", "")))
	if code != 0 || rec.Status != job.Committed {
		t.Fatalf("retry: exit %d, %+v", code, rec.Error)
	}
	r.checkWhole(t, rec, n)
}

// kill -9 in mid-run: nothing is visible; the retry commits and clears what the dead attempt left open.
func TestS3KillThenRetry(t *testing.T) {
	r := newS3Rig(t)
	const n = 600_000
	in := rides(n)
	r.srv.Put(t, r.bucket, "in.csv", in)
	stalled := r.stall(t, int64(len(in))*3/4)
	cmd := r.worker(t.Context(), r.event("in.csv", "", ""))
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	<-stalled
	cmd.Process.Kill()
	cmd.Wait()
	if keys := r.srv.Keys(t, r.bucket); len(keys) != 1 {
		t.Fatalf("a killed run shows %v", keys)
	}
	r.endpoint = r.srv.Endpoint
	code, rec := finish(t, r.worker(t.Context(), r.event("in.csv", "", "")))
	if code != 0 || rec.Status != job.Committed {
		t.Fatalf("retry: exit %d, %+v", code, rec.Error)
	}
	r.checkWhole(t, rec, n)
}
