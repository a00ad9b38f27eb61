package parquet

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/memory"
	"github.com/parquet-go/parquet-go/format"

	"github.com/sluice-data/sluice/sinks"
	"github.com/sluice-data/sluice/sinks/files"
)

// What docs/readers.md says of files is so in one of every type, whatever the codec: data pages of version 1, encodings that every reader has, no INT96, the codec asked for in
// all chunks, columns in their order, statistics, and a name that no reader takes for a compressed file.
func TestWhatReadersNeed(t *testing.T) {
	mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
	defer mem.AssertSize(t, 0)
	var fields []arrow.Field
	for i, dt := range leafTypes {
		fields = append(fields, arrow.Field{Name: string(rune('z'-i%26)) + strings.Repeat("x", i/26), Type: dt, Nullable: true})
	}
	fields = append(fields, arrow.Field{Name: "list", Type: arrow.ListOf(arrow.PrimitiveTypes.Int64), Nullable: true})
	s := arrow.NewSchema(fields, nil)
	m := maker{r: rand.New(rand.NewPCG(1, 1)), nulls: 0.2, distinct: 300}
	rec := m.record(mem, s, 600)
	defer rec.Release()
	for name, codec := range map[string]format.CompressionCodec{"zstd": format.Zstd, "snappy": format.Snappy, "gzip": format.Gzip, "lz4": format.Lz4Raw, "none": format.Uncompressed} {
		w, err := newWriter(files.Request{Schema: s, Options: Options{Compression: name}})
		if err != nil {
			t.Fatal(err)
		}
		if w.Extension() != ".parquet" {
			t.Errorf("%s: files end in %s", name, w.Extension())
		}
		data := writeFile(t, sinks.Request{Schema: s, Options: Options{Compression: name}}, []arrow.Record{rec})
		f := open(t, data)
		if name != "lz4" { // see TestLZ4
			checkFile(t, data, []arrow.Record{rec})
		}
		meta := f.Metadata()
		for i, c := range f.Root().Columns() {
			if c.Name() != fields[i].Name {
				t.Errorf("%s: column %d is %s, want %s", name, i, c.Name(), fields[i].Name)
			}
		}
		dictionaries := 0
		for _, g := range meta.RowGroups {
			for _, c := range g.Columns {
				where := name + ": " + strings.Join(c.MetaData.PathInSchema, ".")
				if c.MetaData.Type == format.Int96 {
					t.Errorf("%s is INT96", where)
				}
				if c.MetaData.Codec != codec && c.MetaData.Codec != format.Uncompressed {
					t.Errorf("%s: codec %s", where, c.MetaData.Codec)
				}
				for _, e := range c.MetaData.Encoding {
					if !slices.Contains([]format.Encoding{format.Plain, format.RLE, format.RLEDictionary}, e) {
						t.Errorf("%s: encoding %s", where, e)
					}
				}
				for _, st := range c.MetaData.EncodingStats {
					if st.PageType == format.DictionaryPage {
						dictionaries++
					} else if st.PageType != format.DataPage {
						t.Errorf("%s: page %s", where, st.PageType)
					}
				}
				if st := c.MetaData.Statistics; st.NullCount == 0 {
					t.Errorf("%s: no null counted", where)
				}
			}
		}
		if dictionaries == 0 {
			t.Errorf("%s: no page is a dictionary's, or nothing says so", name)
		}
	}
}
