package parquet

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v17/arrow/memory"
	pq "github.com/parquet-go/parquet-go"
	"pgregory.net/rapid"

	"github.com/sluice-data/sluice/pipeline"
)

// deep nests every shape in every other. Slices in JSON are null where they are nil, so the writer's empty ones are made.
type deep struct {
	ID int64
	P  *point         `parquet:",optional"`
	L  []*int32       `parquet:",list"`
	LP []point        `parquet:",list"`
	R  []string       // repeated, in no list
	M  map[string]int `parquet:"M"`
}

type point struct {
	X  int32
	S  *string  `parquet:",optional,dict"`
	In *point2  `parquet:",optional"`
	LL []string `parquet:",list"`
}

type point2 struct {
	Q  *float64 `parquet:",optional"`
	Ks []point3
}

type point3 struct {
	K int64 `parquet:",delta"`
	B *bool `parquet:",optional"`
}

// What the rows are written as, whatever their nesting, comes back: the JSON of the rows is that of the Go values.
func TestNestedProperty(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		text := rapid.SampledFrom([]string{"", "a", "bb", "ein längerer Text mit mehr als 16 Bytes"})
		maybe := func(name string) bool { return rapid.IntRange(0, 2).Draw(rt, name) > 0 }
		aPoint := func() point {
			p := point{X: rapid.Int32().Draw(rt, "x"), LL: []string{}}
			if maybe("s") {
				p.S = ptr(text.Draw(rt, "s"))
			}
			for range rapid.IntRange(0, 2).Draw(rt, "ll") {
				p.LL = append(p.LL, text.Draw(rt, "ll"))
			}
			if maybe("in") {
				p.In = &point2{Ks: []point3{}}
				if maybe("q") {
					p.In.Q = ptr(0.25)
				}
				for range rapid.IntRange(0, 3).Draw(rt, "ks") {
					k := point3{K: rapid.Int64().Draw(rt, "k")}
					if maybe("b") {
						k.B = ptr(maybe("b"))
					}
					p.In.Ks = append(p.In.Ks, k)
				}
			}
			return p
		}
		var rows []deep
		var want []string
		for i := range rapid.IntRange(0, 40).Draw(rt, "rows") {
			d := deep{ID: int64(i), L: []*int32{}, LP: []point{}, R: []string{}, M: map[string]int{}}
			if maybe("p") {
				d.P = ptr(aPoint())
			}
			for range rapid.IntRange(0, 3).Draw(rt, "l") {
				d.L = append(d.L, nil)
				if maybe("l") {
					d.L[len(d.L)-1] = ptr(rapid.Int32().Draw(rt, "l"))
				}
			}
			for range rapid.IntRange(0, 2).Draw(rt, "lp") {
				d.LP = append(d.LP, aPoint())
			}
			for range rapid.IntRange(0, 2).Draw(rt, "r") {
				d.R = append(d.R, text.Draw(rt, "r"))
			}
			m := "[]"
			if maybe("m") {
				d.M["k"] = i
				m = fmt.Sprintf(`[{"key":"k","value":%d}]`, i)
			}
			rows = append(rows, d)
			b, err := json.Marshal(struct {
				ID int64
				P  *point
				L  []*int32
				LP []point
				R  []string
				M  json.RawMessage
			}{d.ID, d.P, d.L, d.LP, d.R, json.RawMessage(m)})
			if err != nil {
				t.Fatal(err)
			}
			want = append(want, string(b))
		}
		data := write(t, rows, pq.DataPageVersion(rapid.IntRange(1, 2).Draw(rt, "version")), pq.PageBufferSize(rapid.SampledFrom([]int{16, 64, 1 << 16}).Draw(rt, "page")),
			pq.MaxRowsPerRowGroup(rapid.SampledFrom([]int64{7, 1 << 20}).Draw(rt, "group")))
		req := request(data)
		req.ChunkRows = rapid.SampledFrom([]int{1, 5, 1 << 20}).Draw(rt, "batch")
		wantRows(t, mustReadReq(t, req).rows, want...)
	})
}

// Nested texts that are much longer in one place than on average end a batch, wherever the column stands in its row.
func TestLongNestedTexts(t *testing.T) {
	type pair struct {
		N    int32
		A, B string
	}
	type row struct {
		L []string `parquet:",list"`
		P []pair   `parquet:",list"`
		O struct{ X, Y *string }
	}
	long := strings.Repeat("long ", 20_000)
	rows := make([]row, 9000)
	for i := range rows {
		s := fmt.Sprint("short", i)
		if i > 3000 && i < 3400 {
			s = long[:len(long)-i%7]
		}
		for k := range i % 3 {
			rows[i].L = append(rows[i].L, s)
			rows[i].P = append(rows[i].P, pair{int32(k), fmt.Sprint(i), s})
		}
		rows[i].O.Y = &s
	}
	for _, opts := range [][]pq.WriterOption{{pq.DataPageVersion(1)}, {pq.DataPageVersion(2), pq.PageBufferSize(1 << 20)}} {
		src := mustOpen(t, request(write(t, rows, append(opts, pq.Compression(&pq.Snappy))...)))
		src.bounds.text = 4 << 20
		mem := memory.NewCheckedAllocator(memory.NewGoAllocator())
		dec, err := src.NewDecoder(mem)
		if err != nil {
			t.Fatal(err)
		}
		c, err := src.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		at, batches := 0, 0
		err = dec.Decode(t.Context(), c, &pipeline.Rejects{}, func(b pipeline.Batch) error {
			batches++
			if size := pipeline.RecordBytes(b.Rec); size > 20<<20 {
				t.Errorf("a batch of %d rows has %d bytes", b.Rec.NumRows(), size)
			}
			for i := range int(b.Rec.NumRows()) {
				var got row
				if err := json.Unmarshal(b.Rows.Origin(i).Raw, &got); err != nil {
					t.Fatal(err)
				}
				if want := rows[at]; len(got.L) != len(want.L) || !slices.Equal(got.L, want.L) || !slices.Equal(got.P, want.P) || *got.O.Y != *want.O.Y || got.O.X != nil {
					t.Fatalf("row %d is %.100s", at, b.Rows.Origin(i).Raw)
				}
				at++
			}
			return nil
		})
		dec.Close()
		mem.AssertSize(t, 0)
		if err != nil || at != len(rows) || batches < 10 {
			t.Errorf("%d rows in %d batches, %v", at, batches, err)
		}
	}
}
