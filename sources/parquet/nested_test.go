package parquet

import (
	"encoding/json"
	"fmt"
	"testing"

	pq "github.com/parquet-go/parquet-go"
	"pgregory.net/rapid"
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
