package parquet

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sluice-data/sluice/internal/schema"
)

var rewrite = flag.Bool("rewrite", false, "write the golden files anew")

// Files by other writers give exactly what their golden files say; see testdata/README.md.
func TestSamples(t *testing.T) {
	files, err := filepath.Glob("testdata/*.parquet")
	if err != nil || len(files) == 0 {
		t.Fatalf("no samples: %v", err)
	}
	for _, name := range files {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".parquet"), func(t *testing.T) {
			data := load(t, filepath.Base(name))
			res, err := read(t, request(data))
			var got strings.Builder
			if err != nil {
				fmt.Fprintf(&got, "error: %v\n", err)
			} else {
				if res.consumed != int64(len(data)) {
					t.Errorf("consumed %d of %d bytes", res.consumed, len(data))
				}
				for _, f := range res.schema.Fields() {
					fmt.Fprintf(&got, "%s: %s\n", f.Name, schema.TypeName(f))
				}
				const most = 40
				for i, r := range res.rows {
					if i < most || i == len(res.rows)-1 {
						fmt.Fprintf(&got, "row %d: %s\n", i, r)
					}
				}
				for _, r := range res.rejects {
					fmt.Fprintf(&got, "reject: %v; %s\n", r.Err(), r.Raw)
				}
			}
			golden := strings.TrimSuffix(name, ".parquet") + ".golden"
			if *rewrite {
				if err := os.WriteFile(golden, []byte(got.String()), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			wantRows(t, strings.Split(got.String(), "\n"), strings.Split(string(want), "\n")...)
		})
	}
}
