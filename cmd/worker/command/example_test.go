package command

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/sluice-data/sluice/internal/job"
	"github.com/sluice-data/sluice/sinks"
	"github.com/sluice-data/sluice/sources"
)

// The source: block of every format and the sink: block of every destination in the reference run, on two rows.
func TestReferenceExamples(t *testing.T) {
	root := t.TempDir()
	keep := func(name string, body []byte) {
		t.Helper()
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, body, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	keep("raw/trips/1.csv.gz", zipped(t, "id;name\n1;NA\n2;caf\xe9\n"))
	keep("raw/trips.tsv", []byte("id\tname\n1\tx\n2\ty\n"))
	keep("raw/events/1.jsonl.gz", zipped(t, `{"id": 1}`+"\n"+`{"id": 2}`+"\n"))
	if err := os.Mkdir(filepath.Join(root, "curated"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range sinks.Names() {
		d, _ := sinks.Lookup(name)
		rec := runExample(t, root, d.Example, "--input", filepath.Join(root, "raw/trips.tsv"))
		if name == "parquet" && len(rec.Files) == 1 {
			body, err := os.ReadFile(filepath.Join(root, "curated/trips_daily", filepath.Base(rec.Files[0].URI)))
			if err != nil {
				t.Fatal(err)
			}
			keep("raw/trips/1.parquet", body)
		}
	}
	for _, f := range sources.All() {
		runExample(t, root, f.Example+"\nsink: {uri: s3://curated/"+f.Name+"/}\n")
	}
}

// runExample runs a pipeline of the given blocks, which is to read two rows and commit them.
func runExample(t *testing.T, root, blocks string, flags ...string) job.Receipt {
	t.Helper()
	pipeline := filepath.Join(root, "example.yaml")
	if err := os.WriteFile(pipeline, []byte("version: 1\nname: example\n"+blocks), 0o644); err != nil {
		t.Fatal(err)
	}
	var out, log bytes.Buffer
	w := world{args: append([]string{"run", "-p", pipeline, "--local-root", root}, flags...), getenv: func(string) string { return "" },
		stdin: bytes.NewReader(nil), stdout: &out, stderr: &log}
	code := w.main(t.Context())
	var rec job.Receipt
	if err := json.Unmarshal(out.Bytes(), &rec); err != nil {
		t.Fatalf("%s\nends in no receipt: %v\n%s", blocks, err, log.String())
	}
	if code != 0 || rec.Status != job.Committed || rec.Rows.Read != 2 || rec.Rows.Written != 2 {
		t.Errorf("%s\nexit code %d, %s%s", blocks, code, out.String(), log.String())
	}
	return rec
}

func zipped(t *testing.T, text string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := io.WriteString(z, text); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}
