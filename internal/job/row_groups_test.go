package job

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	parquetgo "github.com/parquet-go/parquet-go"
)

// Row groups have the rows that the sink: block says, by number or by bytes, whatever the lanes; the last one has what is left.
func TestRowGroups(t *testing.T) {
	for options, want := range map[string][]int64{
		"":                        {122_880, 27_120},
		"row_group_rows: 1000":    slices.Repeat([]int64{1000}, 150),
		"row_group_rows: 1000000": {150_000},
		"row_group_rows: 1000000, row_group_size: 1MiB":   nil, // a row has some 12 bytes: two row groups
		"row_group_rows: 1000000, row_group_size: 128MiB": {150_000},
	} {
		r := &rig{dir: t.TempDir()}
		var text strings.Builder
		text.WriteString("id,zone\n")
		for i := range 150_000 {
			fmt.Fprintf(&text, "%d,z\n", i)
		}
		r.write(t, "in/big.csv", text.String())
		p := r.write(t, "groups.yaml", "version: 1\nname: g\nschema: {columns: {id: int64, zone: string}}\nsink: {uri: \"s3://out/g/\", parquet: {"+options+"}}\n")
		rec, err := Run(t.Context(), Options{Pipeline: p, Inputs: []string{"s3://in/big.csv"}, LocalRoot: r.dir, Lanes: 2, MemoryLimit: "2GiB", Version: "test",
			Getenv: func(string) string { return "" }, Stdin: strings.NewReader(""), Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		f, err := os.Open(filepath.Join(r.dir, strings.TrimPrefix(rec.Files[0].URI, "s3://")))
		if err != nil {
			t.Fatal(err)
		}
		info, err := f.Stat()
		if err != nil {
			t.Fatal(err)
		}
		pf, err := parquetgo.OpenFile(f, info.Size())
		if err != nil {
			t.Fatal(err)
		}
		var got []int64
		for _, g := range pf.RowGroups() {
			got = append(got, g.NumRows())
		}
		if want == nil && len(got) < 2 || want != nil && !slices.Equal(got, want) {
			t.Errorf("%q: row groups of %v rows, want %v", options, got, want)
		}
		f.Close()
	}
}
