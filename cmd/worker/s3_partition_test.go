package main

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/parquet-go/parquet-go"

	"github.com/sluice-data/sluice/internal/job"
)

const zonesPipeline = `version: 1
name: zones
source: {format: csv}
schema: {columns: {id: int64, zone: string, fare: float64}}
steps: [{filter: fare > 0}]
sink: {uri: "s3://BUCKET/out/", partition_by: [zone]}
`

// zones is how many partitions rides have.
const zones = 263

// checkZones checks that one commit of n rides stands, a file in each zone's folder, and no upload is left open.
func (r *s3rig) checkZones(t *testing.T, rec job.Receipt, n int) {
	t.Helper()
	var rows int64
	files := 0
	var keys []string
	for _, k := range r.srv.Keys(t, r.bucket) {
		switch {
		case strings.HasPrefix(k, "out/zone="):
			body := r.srv.Get(t, r.bucket, k)
			f, err := parquet.OpenFile(bytes.NewReader(body), int64(len(body)))
			if err != nil {
				t.Fatal(err)
			}
			if len(f.RowGroups()) != 1 {
				t.Errorf("%s has %d row groups", k, len(f.RowGroups()))
			}
			rows += f.NumRows()
			files++
		case strings.Contains(k, "/attempt-"):
			t.Errorf("%s was not removed", k)
		}
	}
	for z := range zones {
		for part := range 2 {
			keys = append(keys, fmt.Sprintf("out/zone=zone-%d/part-%s-%05d.parquet", z, rec.RunID, part))
		}
	}
	if want := int64(n - (n+9)/10); rows != want || rec.Rows.Written != want || files != zones || len(rec.Files) != zones {
		t.Fatalf("%d rows in %d files, receipt %+v with %d files, want %d in %d", rows, files, rec.Rows, len(rec.Files), want, zones)
	}
	if open := r.srv.OpenUploads(t, r.bucket, keys...); open != 0 {
		t.Fatalf("%d uploads are still open", open)
	}
}

// stopAt puts a proxy before the server that keeps the nth request of a kind, and those after it, from going through.
func (r *s3rig) stopAt(t *testing.T, n int64, kind func(*http.Request) bool) (stopped <-chan struct{}) {
	t.Helper()
	target, err := url.Parse(r.srv.Endpoint)
	if err != nil {
		t.Fatal(err)
	}
	reached := make(chan struct{})
	var seen atomic.Int64
	forward := &httputil.ReverseProxy{
		Rewrite: func(pr *httputil.ProxyRequest) {
			pr.SetURL(target)
			pr.Out.Host = pr.In.Host // it is signed
		},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) },
	}
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if kind(req) {
			if k := seen.Add(1); k >= n {
				if k == n {
					close(reached)
				}
				<-req.Context().Done()
				return
			}
		}
		forward.ServeHTTP(w, req)
	})}
	l := listen(t)
	go srv.Serve(l)
	t.Cleanup(func() { srv.Close() })
	r.endpoint = "http://" + l.Addr().String()
	return reached
}

// kill -9 while the partitions are uploaded, and while they are made visible: the retry commits each of them once, and clears
// what the dead attempt left.
func TestS3PartitionsKillThenRetry(t *testing.T) {
	const n = 60_000
	for _, c := range []struct {
		name    string
		kind    func(*http.Request) bool
		visible bool // some partitions are, when the worker is killed
	}{
		{"uploading", func(r *http.Request) bool { return r.Method == http.MethodPost && r.URL.Query().Has("uploads") }, false},
		{"completing", func(r *http.Request) bool { return r.Method == http.MethodPost && r.URL.Query().Has("uploadId") }, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newS3Rig(t)
			r.pipeline(t, zonesPipeline)
			r.srv.Put(t, r.bucket, "in.csv", rides(n))
			stopped := r.stopAt(t, zones/2, c.kind)
			cmd := r.worker(t.Context(), r.event("in.csv", "", ""))
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			<-stopped
			cmd.Process.Kill()
			cmd.Wait()
			data := 0
			for _, k := range r.srv.Keys(t, r.bucket) {
				if strings.HasPrefix(k, "out/zone=") {
					data++
				}
			}
			if (data > 0) != c.visible {
				t.Fatalf("a killed run shows %d files", data)
			}
			r.endpoint = r.srv.Endpoint
			code, rec := finish(t, r.worker(t.Context(), r.event("in.csv", "", "")))
			if code != 0 || rec.Status != job.Committed {
				t.Fatalf("retry: exit %d, %+v", code, rec.Error)
			}
			r.checkZones(t, rec, n)
			code, again := finish(t, r.worker(t.Context(), r.event("in.csv", "", "")))
			if code != 0 || again.Status != job.AlreadyCommitted || len(again.Files) != zones {
				t.Fatalf("second run: exit %d, %+v", code, again.Error)
			}
		})
	}
}
