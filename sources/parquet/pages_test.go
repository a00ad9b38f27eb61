package parquet

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow/go/v17/arrow/memory"
	pq "github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"
	"pgregory.net/rapid"

	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/pipeline"
	"github.com/sluice-data/sluice/sources"
)

// paged has columns whose pages end at different rows.
type paged struct {
	ID int64
	D  string   `parquet:",dict"`
	S  string   `parquet:",delta"`
	O  *float64 `parquet:",optional"`
	G  struct {
		A int32   `parquet:",dict"`
		B *string `parquet:",optional"`
	}
	Bit bool
}

func pagedRows(n int) []paged {
	rows := make([]paged, n)
	for i := range rows {
		r := paged{ID: int64(i), D: fmt.Sprint("d", i%7), S: fmt.Sprintf("%05d%s", i, strings.Repeat("s", i%50)), Bit: i%3 == 0}
		if i%5 > 0 {
			r.O = ptr(float64(i) / 4)
		}
		r.G.A = int32(i % 11)
		if i%4 > 1 {
			r.G.B = ptr(fmt.Sprint("b", i))
		}
		rows[i] = r
	}
	return rows
}

func withoutIndexes(t testing.TB, data []byte) []byte {
	return refoot(t, data, func(md *format.FileMetaData) {
		for _, g := range md.RowGroups {
			for i := range g.Columns {
				c := &g.Columns[i]
				c.OffsetIndexLength, c.ColumnIndexLength, c.OffsetIndexOffset, c.ColumnIndexOffset = 0, 0, 0, 0
			}
		}
	})
}

// A row group is cut into parts for the lanes, by offset index or by page headers, and the parts together are its rows.
func TestSplitsRowGroups(t *testing.T) {
	for _, version := range []int{1, 2} {
		data := write(t, pagedRows(5000), pq.PageBufferSize(3000), pq.DataPageVersion(version), pq.Compression(&pq.Zstd))
		want := mustRead(t, data).rows
		for name, data := range map[string][]byte{"offset index": data, "page headers": withoutIndexes(t, data)} {
			t.Run(fmt.Sprint(name, " v", version), func(t *testing.T) {
				req := request(data)
				req.Lanes = 3
				rows, _, _ := readSkipping(t, req)
				wantRows(t, rows, want...)
				src := mustOpen(t, req)
				src.splitRows, src.patience = 700, time.Hour
				chunks := 0
				for ; ; chunks++ {
					if _, err := src.Next(t.Context()); err == io.EOF {
						break
					} else if err != nil {
						t.Fatal(err)
					}
				}
				if chunks != 7 {
					t.Errorf("%d parts of 5000 rows, want 7", chunks)
				}
			})
		}
	}
}

func mustOpen(t testing.TB, req sources.Request) *source {
	t.Helper()
	src, err := open(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	return src.(*source)
}

// With few row groups, of a store that answers slowly, nothing is asked page by page; repeated columns are never cut.
func TestSplitsNothingAtACost(t *testing.T) {
	type nest struct {
		L []int64 `parquet:",list"`
	}
	var lists []nest
	for i := range 3000 {
		lists = append(lists, nest{make([]int64, i%3)})
	}
	slow := request(withoutIndexes(t, write(t, pagedRows(3000), pq.PageBufferSize(3000))))
	for name, req := range map[string]sources.Request{"slow store": slow, "lists": request(write(t, lists, pq.PageBufferSize(3000)))} {
		req.Lanes = 4
		src := mustOpen(t, req)
		src.splitRows, src.patience = 700, 0
		c, err := src.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if c.Known.Records != 3000 {
			t.Errorf("%s: part of %d rows, want all 3000", name, c.Known.Records)
		}
	}
}

// Pages that the column index excludes are not read, whatever the pages of the other columns are.
func TestSkipsPages(t *testing.T) {
	type row struct {
		ID  int64
		Big string
	}
	big := make([]row, 5000)
	for i := range big {
		big[i] = row{int64(i), fmt.Sprint(i, strings.Repeat("x", 500))}
	}
	data := write(t, big, pq.PageBufferSize(2000))
	all := mustRead(t, data).rows
	_, _, full := readSkipping(t, request(data))
	for _, lanes := range []int{1, 4} {
		req := request(data)
		req.Lanes = lanes
		rows, skipped, asked := readSkipping(t, req, atLeast("ID", 4000))
		if skipped < 3500 || skipped > 4000 {
			t.Errorf("skipped %d rows of 5000", skipped)
		}
		wantRows(t, rows, all[skipped:]...)
		if asked > full/2 {
			t.Errorf("asked for %d bytes of %d", asked, full)
		}
	}
}

// Whatever rows are wanted of whatever pages: they are the ones, with and without dictionaries, nulls and structs.
func TestAnyPieceOfARowGroup(t *testing.T) {
	files := map[string][]byte{}
	for _, size := range []int{500, 4000, 1 << 20} {
		for _, version := range []int{1, 2} {
			files[fmt.Sprint(size, " v", version)] = write(t, pagedRows(1500), pq.PageBufferSize(size), pq.DataPageVersion(version))
		}
	}
	for name, data := range files {
		all := mustRead(t, data).rows
		t.Run(name, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				from := rapid.Int64Range(0, 1499).Draw(t, "from")
				to := rapid.Int64Range(from+1, 1500).Draw(t, "to")
				req := request(data)
				src, err := open(context.Background(), req)
				if err != nil {
					t.Fatal(err)
				}
				s := src.(*source)
				f := s.files[0]
				at, err := s.pagesOf(context.Background(), f, &f.groups[0])
				if err != nil || at == nil {
					t.Fatalf("no pages: %v", err)
				}
				s.group = 1
				if err := s.cut(context.Background(), f, 0); err != nil {
					t.Fatal(err)
				}
				c := s.queue[0]
				p := c.Part.(part)
				p.from, p.to, p.pages = from, to, at
				c.Part, c.Row = p, from
				mem := memory.NewCheckedAllocator(memory.NewGoAllocator())
				dec, err := s.NewDecoder(mem)
				if err != nil {
					t.Fatal(err)
				}
				row := from
				err = dec.Decode(context.Background(), c, &pipeline.Rejects{}, func(b pipeline.Batch) error {
					for i := range int(b.Rec.NumRows()) {
						if got := string(b.Rows.Origin(i).Raw); got != all[row] {
							t.Fatalf("row %d: %s, want %s", row, got, all[row])
						}
						row++
					}
					return nil
				})
				dec.Close()
				if err != nil || row != to || mem.CurrentAlloc() != 0 {
					t.Fatalf("rows %d to %d of %d, %d bytes left: %v", from, row, to, mem.CurrentAlloc(), err)
				}
			})
		})
	}
}

// An offset index that contradicts the pages is an error, and one that contradicts itself is not used: rows of columns are
// never put together that do not belong together.
func TestLyingOffsetIndex(t *testing.T) {
	rows := pagedRows(5000)
	data := write(t, rows, pq.PageBufferSize(3000))
	want := mustRead(t, data).rows
	f, err := pq.OpenFile(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	change := func(lie func(*format.OffsetIndex)) []byte {
		x := f.OffsetIndexes()[2] // S
		x.PageLocations = append([]format.PageLocation(nil), x.PageLocations...)
		lie(&x)
		b, err := thrift.Marshal(new(thrift.CompactProtocol), &x)
		if err != nil {
			t.Fatal(err)
		}
		c := &f.Metadata().RowGroups[0].Columns[2]
		if len(b) > int(c.OffsetIndexLength) {
			t.Fatal("the lie is too long")
		}
		out := bytes.Clone(data)
		copy(out[c.OffsetIndexOffset:c.OffsetIndexOffset+int64(c.OffsetIndexLength)], append(b, make([]byte, int(c.OffsetIndexLength)-len(b))...))
		return out
	}
	for name, lie := range map[string]func(*format.OffsetIndex){
		"rows of a page": func(x *format.OffsetIndex) { x.PageLocations[3].FirstRowIndex-- },
		"one page less":  func(x *format.OffsetIndex) { x.PageLocations = append(x.PageLocations[:3], x.PageLocations[4:]...) },
		"order":          func(x *format.OffsetIndex) { x.PageLocations[3].FirstRowIndex = x.PageLocations[1].FirstRowIndex },
		"place":          func(x *format.OffsetIndex) { x.PageLocations[3].Offset = 1 },
	} {
		t.Run(name, func(t *testing.T) {
			req := request(change(lie))
			req.Lanes = 4
			src := mustOpen(t, req)
			src.splitRows = 700
			dec, err := src.NewDecoder(memory.NewGoAllocator())
			if err != nil {
				t.Fatal(err)
			}
			defer dec.Close()
			row := 0
			for err == nil {
				var c *pipeline.Chunk
				if c, err = src.Next(t.Context()); err != nil {
					break
				}
				err = dec.Decode(t.Context(), c, &pipeline.Rejects{}, func(b pipeline.Batch) error {
					for i := range int(b.Rec.NumRows()) {
						if got := string(b.Rows.Origin(i).Raw); got != want[row] {
							t.Fatalf("row %d: %s, want %s", row, got, want[row])
						}
						row++
					}
					return nil
				})
			}
			if err != io.EOF && fail.KindOf(err) != fail.Data || err == io.EOF && row != len(want) {
				t.Errorf("%d rows, %v", row, err)
			}
		})
	}
}

// Page indexes that are said to lie where no file reaches, or anywhere in numbers that overflow, are not used; the rows are what they are.
func TestIndexesBeyondTheFile(t *testing.T) {
	data := write(t, pagedRows(5000), pq.PageBufferSize(3000))
	want := mustRead(t, data).rows
	for _, off := range []int64{math.MaxInt64, math.MaxInt64 - 8, int64(len(data)) - 8, -8} {
		for name, change := range map[string]func(*format.ColumnChunk){
			"column index": func(c *format.ColumnChunk) { c.ColumnIndexOffset = off },
			"offset index": func(c *format.ColumnChunk) { c.OffsetIndexOffset = off },
		} {
			t.Run(fmt.Sprint(name, " at ", off), func(t *testing.T) {
				req := request(refoot(t, data, func(md *format.FileMetaData) { change(&md.RowGroups[0].Columns[1]) }))
				req.Lanes = 3
				rows, skipped, _ := readSkipping(t, req, atLeast("ID", 1e9))
				if int(skipped)+len(rows) != len(want) {
					t.Errorf("%d rows and %d skipped of %d", len(rows), skipped, len(want))
				}
				rows, _, _ = readSkipping(t, req, atLeast("ID", 0))
				wantRows(t, rows, want...)
			})
		}
	}
}
