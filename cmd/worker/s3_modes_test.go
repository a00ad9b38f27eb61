package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"

	"github.com/sluice-data/sluice/internal/job"
)

const shopsPipeline = `version: 1
name: shops
source: {format: csv}
schema: {columns: {id: int64, shop: string}}
sink: {uri: "s3://BUCKET/out/", partition_by: [shop], MODE}
`

// shops runs the pipeline in a mode on an input.
func (r *s3rig) shops(t *testing.T, mode, input string) *exec.Cmd {
	t.Helper()
	r.pipeline(t, strings.Replace(shopsPipeline, "MODE", mode, 1))
	return r.worker(t.Context(), r.event(input, "", ""))
}

// ids are those in the data files of the table.
func (r *s3rig) ids(t *testing.T) (ids []int64) {
	t.Helper()
	for _, k := range r.srv.Keys(t, r.bucket) {
		if !strings.HasPrefix(k, "out/shop=") {
			continue
		}
		body := r.srv.Get(t, r.bucket, k)
		f, err := parquet.OpenFile(bytes.NewReader(body), int64(len(body)))
		if err != nil {
			t.Fatal(err)
		}
		rows := make([]parquet.Row, f.NumRows())
		for _, g := range f.RowGroups() {
			rd := g.Rows()
			n, _ := rd.ReadRows(rows)
			for _, row := range rows[:n] {
				ids = append(ids, row[0].Int64())
			}
			rd.Close()
		}
	}
	slices.Sort(ids)
	return ids
}

// kill -9 while a run replaces partitions: before its files are visible, while they become so, after its commit and before the old files are gone. The old rows stand or the new
// ones, and the retry leaves the new ones alone. Then a compaction.
func TestS3ReplaceKillThenRetry(t *testing.T) {
	deletes := func(r *http.Request) bool {
		return r.Method == http.MethodDelete && strings.Contains(r.URL.Path, "/out/shop=") && !r.URL.Query().Has("uploadId")
	}
	for _, c := range []struct {
		name  string
		n     int64
		kind  func(*http.Request) bool
		then  []int64 // what stands when it is killed
		retry job.Status
	}{
		{"waiting for its turn", 1, func(r *http.Request) bool {
			return r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/_table/turn-")
		}, []int64{1, 2, 3}, job.Committed},
		{"completing", 1, func(r *http.Request) bool { return r.Method == http.MethodPost && r.URL.Query().Has("uploadId") }, []int64{1, 2, 3}, job.Committed},
		{"committing", 2, func(r *http.Request) bool {
			return r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/claim-")
		}, []int64{1, 2, 3, 12, 13}, job.Committed},
		{"clearing", 1, deletes, []int64{1, 2, 3, 12, 13}, job.AlreadyCommitted},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newS3Rig(t)
			r.srv.Put(t, r.bucket, "old.csv", []byte("id,shop\n1,a\n2,b\n3,c\n"))
			r.srv.Put(t, r.bucket, "new.csv", []byte("id,shop\n12,b\n13,c\n"))
			r.srv.Put(t, r.bucket, "more.csv", []byte("id,shop\n22,b\n23,b\n"))
			if code, rec := finish(t, r.shops(t, "mode: append", "old.csv")); code != 0 || rec.Status != job.Committed {
				t.Fatalf("exit %d, %+v", code, rec.Error)
			}
			const mode = "mode: replace_partitions"
			stopped := r.stopAt(t, c.n, c.kind)
			cmd := r.shops(t, mode, "new.csv")
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			<-stopped
			cmd.Process.Kill()
			cmd.Wait()
			if got := r.ids(t); !slices.Equal(got, c.then) {
				t.Fatalf("a killed run leaves %v, want %v", got, c.then)
			}
			r.endpoint = r.srv.Endpoint
			code, rec := finish(t, r.shops(t, mode, "new.csv"))
			if code != 0 || rec.Status != c.retry {
				t.Fatalf("retry: exit %d, %s, %+v", code, rec.Status, rec.Error)
			}
			if got := r.ids(t); !slices.Equal(got, []int64{1, 12, 13}) {
				t.Fatalf("the table has %v", got)
			}
			code, old := finish(t, r.shops(t, "mode: append", "old.csv"))
			if code != 0 || old.Status != job.AlreadyCommitted || len(old.ReplacedBy) != 1 || old.ReplacedBy[0].RunID != rec.RunID || len(old.Files) != 1 {
				t.Fatalf("the old event: exit %d, %s", code, old.JSON())
			}
			if code, rec := finish(t, r.shops(t, "mode: append", "more.csv")); code != 0 || rec.Status != job.Committed {
				t.Fatalf("exit %d, %+v", code, rec.Error)
			}
			if got := r.compact(t); got.Status != job.CompactedFiles || got.Files.Before != 2 || got.Files.After != 1 || got.Rows != 3 {
				t.Fatalf("%s", got.JSON())
			}
			if got := r.ids(t); !slices.Equal(got, []int64{1, 12, 13, 22, 23}) {
				t.Fatalf("the table has %v", got)
			}
			if got := r.compact(t); got.Status != job.NothingToDo {
				t.Fatalf("%s", got.JSON())
			}
		})
	}
}

func (r *s3rig) compact(t *testing.T) (res job.Compacted) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "worker", "compact", "s3://"+r.bucket+"/out/", "--path-style", "--endpoint-url", r.endpoint)
	cmd.Env = append(os.Environ(), r.srv.Env()...)
	var out, log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &log
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v\n%s\n%s", err, &out, &log)
	}
	if err := json.Unmarshal(out.Bytes(), &res); err != nil {
		t.Fatal(err)
	}
	return res
}
