package job

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/parquet-go/parquet-go"

	"github.com/sluice-data/sluice/internal/objstore"
	_ "github.com/sluice-data/sluice/sources/parquet"
)

// countReads counts the ranges that are read.
type countReads struct {
	objstore.Store
	n *atomic.Int64
}

func (s countReads) ReadRange(ctx context.Context, info objstore.Info, off, n int64) (io.ReadCloser, error) {
	s.n.Add(1)
	return s.Store.ReadRange(ctx, info, off, n)
}

// A run over a file whose statistics let row groups be skipped and one over the same rows without statistics leave the same
// rows and the same account of them: what is skipped counts as read, and as filtered by the step it was skipped for.
func TestSkippedRowsAreAccountedFor(t *testing.T) {
	type row struct {
		ID   int64  `parquet:"id"`
		Zone string `parquet:"zone"`
		Fare *int32 `parquet:"fare,optional"`
	}
	for _, tc := range []struct {
		steps   string
		skipped bool
	}{
		{"  - filter: id >= 1500 AND zone = 'a'", true},
		{"  - filter: zone IN ('a', 'b')\n  - filter: id BETWEEN 300 AND 420 OR id = 1999", true},
		{"  - filter: fare IS NOT NULL\n  - filter: id > 1000\n  - aggregate: {by: [zone], measures: {n: count(*)}}", true},
		{"  - filter: id % 2 = 0\n  - filter: id > 1000", false}, // the first may fail
		{"  - derive: {k: id + 1}\n  - filter: id > 1000", false},
		{"  - filter: id < 0", true},
	} {
		t.Run(tc.steps, func(t *testing.T) {
			dir := t.TempDir()
			var results [2]*Receipt
			var rows [2][]int64
			var reads [2]atomic.Int64
			for i, opts := range [][]parquet.WriterOption{nil, {parquet.SkipPageBounds("id"), parquet.SkipPageBounds("zone"), parquet.SkipPageBounds("fare")}} {
				var buf bytes.Buffer
				w := parquet.NewGenericWriter[row](&buf, append(opts, parquet.MaxRowsPerRowGroup(100))...)
				for id := range int64(2000) {
					r := row{ID: id, Zone: []string{"a", "b"}[id%2]}
					if id%10 > 0 {
						fare := int32(id)
						r.Fare = &fare
					}
					if _, err := w.Write([]row{r}); err != nil {
						t.Fatal(err)
					}
				}
				if err := w.Close(); err != nil {
					t.Fatal(err)
				}
				put := func(name string, b []byte) string {
					path := filepath.Join(dir, name)
					if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
						t.Fatal(err)
					}
					if err := os.WriteFile(path, b, 0o644); err != nil {
						t.Fatal(err)
					}
					return path
				}
				put(fmt.Sprintf("in/%d.parquet", i), buf.Bytes())
				p := put(fmt.Sprintf("%d.yaml", i), []byte("version: 1\nname: skip\nsteps:\n"+tc.steps+"\n"))
				var log bytes.Buffer
				rec, err := Run(t.Context(), Options{Pipeline: p, LocalRoot: dir, Inputs: []string{fmt.Sprintf("s3://in/%d.parquet", i)}, Output: fmt.Sprintf("s3://out/%d/", i),
					Lanes: 2, MemoryLimit: "1GiB", Version: "test", Getenv: func(string) string { return "" }, Stdin: strings.NewReader(""), Log: slog.New(slog.NewTextHandler(&log, nil)),
					test: hooks{store: func(s objstore.Store) objstore.Store { return countReads{s, &reads[i]} }}})
				if err != nil {
					t.Fatal(err)
				}
				if rec.Bytes.Read != int64(buf.Len()) {
					t.Errorf("read %d bytes of %d", rec.Bytes.Read, buf.Len())
				}
				results[i] = rec
				r := &rig{dir: dir}
				for _, f := range rec.Files {
					rows[i] = append(rows[i], r.ids(t, f.URI)...)
				}
				slices.Sort(rows[i])
			}
			if !slices.Equal(rows[0], rows[1]) {
				t.Errorf("%d rows with statistics, %d without", len(rows[0]), len(rows[1]))
			}
			if !reflect.DeepEqual(results[0].Rows, results[1].Rows) {
				t.Errorf("accounts differ:\n%+v\n%+v", results[0].Rows, results[1].Rows)
			}
			if with, without := reads[0].Load(), reads[1].Load(); (with < without) != tc.skipped {
				t.Errorf("%d reads with statistics, %d without: want fewer: %v", with, without, tc.skipped)
			}
		})
	}
}

// A column of a type that is not supported is in nobody's way until it is used; then it is named.
func TestUnsupportedColumn(t *testing.T) {
	data, err := os.ReadFile("../../sources/parquet/testdata/duckdb_interval.parquet")
	if err != nil {
		t.Fatal(err)
	}
	for steps, want := range map[string]string{
		"":                           `column "iv"`,
		"  - select: [one]":          "",
		"  - filter: one >= 0":       `column "iv"`,
		"  - drop: [iv]":             `column "iv"`,
		"  - derive: {n: iv || 'x'}": `column "iv"`,
		"  - aggregate: {by: [one], measures: {n: count(*)}}": "",
	} {
		t.Run(steps, func(t *testing.T) {
			dir := t.TempDir()
			for name, b := range map[string][]byte{"in/x.parquet": data, "p.yaml": []byte("version: 1\nname: interval\nsteps:\n" + steps + "\n")} {
				if err := os.MkdirAll(filepath.Join(dir, filepath.Dir(name)), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(filepath.Join(dir, name), b, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			var log bytes.Buffer
			_, err := Run(t.Context(), Options{Pipeline: filepath.Join(dir, "p.yaml"), LocalRoot: dir, Inputs: []string{"s3://in/x.parquet"}, Output: "s3://out/",
				Lanes: 2, MemoryLimit: "1GiB", Version: "test", Getenv: func(string) string { return "" }, Stdin: strings.NewReader(""), Log: slog.New(slog.NewTextHandler(&log, nil))})
			if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
				t.Errorf("got %v, want %q", err, want)
			}
		})
	}
}
