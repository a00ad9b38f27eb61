package redshift

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"
	"go.uber.org/goleak"

	"github.com/sluice-data/sluice/internal/objstore"
	"github.com/sluice-data/sluice/internal/pgtest"
	"github.com/sluice-data/sluice/internal/redshifttest"
	"github.com/sluice-data/sluice/internal/s3test"
	"github.com/sluice-data/sluice/internal/schema"
	"github.com/sluice-data/sluice/internal/spec"
	"github.com/sluice-data/sluice/pipeline"
	"github.com/sluice-data/sluice/sinks"
	_ "github.com/sluice-data/sluice/sinks/parquet"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(pgtest.Tests{M: m}) }

// rig is a double of Redshift, an S3 server and a bucket.
type rig struct {
	*redshifttest.Server
	s3     *s3test.Server
	store  objstore.Store
	bucket string
}

func newRig(t *testing.T) *rig {
	t.Helper()
	r := &rig{s3: s3test.Start(t)}
	r.store = r.s3.Store(t)
	r.bucket = r.s3.Bucket(t)
	r.Server = redshifttest.Start(t, pgtest.Start(t).Database(t), r.s3)
	for _, kv := range append(r.s3.Env(), r.Env()...) {
		k, v, _ := strings.Cut(kv, "=")
		t.Setenv(k, v)
	}
	return r
}

// node is a mapping in YAML's flow style.
func node(t *testing.T, text string) *spec.Node {
	t.Helper()
	root, err := spec.Parse("p.yaml", []byte("redshift: "+text+"\n"))
	if err != nil {
		t.Fatal(err)
	}
	return root.Get("redshift")
}

// columns is a schema: "name type" or "name type not null", separated by semicolons.
func columns(t *testing.T, text string) *arrow.Schema {
	t.Helper()
	var fields []arrow.Field
	for _, c := range strings.Split(text, ";") {
		name, typ, _ := strings.Cut(strings.TrimSpace(c), " ")
		typ, required := strings.CutSuffix(typ, " not null")
		f, err := schema.ParseField(name, typ)
		if err != nil {
			t.Fatal(err)
		}
		f.Nullable = !required
		fields = append(fields, f)
	}
	return arrow.NewSchema(fields, nil)
}

func request(t *testing.T, store objstore.Store, bucket, runID, block string, s *arrow.Schema) sinks.TargetRequest {
	t.Helper()
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	if testing.Verbose() {
		log = slog.New(slog.NewTextHandler(os.Stderr, nil))
	}
	return sinks.TargetRequest{At: node(t, block), Schema: s, Store: store, Dir: objstore.Ref{Bucket: bucket, Key: "stage/"}, RunID: runID, Pipeline: "trips", Version: "test", Format: "parquet", Mode: "append", Log: log}
}

// open binds a block; its connection is closed with the test.
func (r *rig) open(t *testing.T, runID, block string, s *arrow.Schema) *delivery {
	t.Helper()
	d, err := open(request(t, r.store, r.bucket, runID, strings.ReplaceAll(block, "DSN", r.DSN), s))
	if err != nil {
		t.Fatal(err)
	}
	out := d.(*delivery)
	out.pause = func(int) time.Duration { return 5 * time.Millisecond }
	out.poll = 8 * time.Millisecond
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return out
}

// commit writes rows, each a list of JSON objects in a file of its own, as the worker stages them.
func (r *rig) commit(t *testing.T, runID string, s *arrow.Schema, files ...string) sinks.Commit {
	t.Helper()
	dest, _ := sinks.Lookup("parquet")
	dir := objstore.Ref{Bucket: r.bucket, Key: "stage/"}
	ctx := context.Background()
	sink, err := dest.Open(ctx, sinks.Request{Schema: s, Store: r.store, Dir: dir, RunID: runID, TargetFileSize: 1, CreatedBy: "test"})
	if err != nil {
		t.Fatal(err)
	}
	enc, err := sink.NewEncoder(memory.DefaultAllocator)
	if err != nil {
		t.Fatal(err)
	}
	defer enc.Close()
	var l pipeline.Ledger
	for _, rows := range files {
		rec, _, err := array.RecordFromJSON(memory.DefaultAllocator, s, strings.NewReader(rows), array.WithUseNumber())
		if err != nil {
			t.Fatal(err)
		}
		defer rec.Release()
		b, err := enc.Encode(ctx, []arrow.Record{rec})
		if err != nil {
			t.Fatal(err)
		}
		if err := sink.Write(ctx, b); err != nil {
			t.Fatal(err)
		}
	}
	if err := sink.Commit(ctx, &l); err != nil {
		t.Fatal(err)
	}
	return sinks.Commit{RunID: runID, At: time.Date(2026, 11, 28, 1, 2, 3, 4, time.UTC), Manifest: objstore.Ref{Bucket: r.bucket, Key: "stage/_runs/" + runID + "/manifest.json"}, Files: sink.Files(), Rows: l.Written}
}

// ways are the two to the database.
var ways = map[string]string{
	"data api": "workgroup: analytics, database: dev",
	"direct":   `dsn: "DSN"`,
}

func (r *rig) deliver(t *testing.T, runID, block string, s *arrow.Schema, files ...string) (string, error) {
	t.Helper()
	d := r.open(t, runID, block, s)
	if _, err := d.Preflight(t.Context()); err != nil {
		return "", err
	}
	return d.Deliver(t.Context(), r.commit(t, runID, s, files...))
}

const (
	run1 = "00000000000000a1"
	run2 = "00000000000000a2"
)

func equal(t *testing.T, what string, got, want any) {
	t.Helper()
	if g, w := fmt.Sprint(got), fmt.Sprint(want); g != w {
		t.Fatalf("%s\n got %s\nwant %s", what, g, w)
	}
}
