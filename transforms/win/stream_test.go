package win

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/decimal128"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/sluice-data/sluice/transforms/agg"
)

// Piece by piece, however the pieces are cut, each function gives what it gives for whole partitions.
func TestPiecesGiveWhatWholePartitionsDo(t *testing.T) {
	const n = 300
	rng := rand.New(rand.NewPCG(3, 5))
	mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
	defer mem.AssertSize(t, 0)
	ints, texts, decimals := array.NewInt64Builder(mem), array.NewStringBuilder(mem), array.NewDecimal128Builder(mem, &arrow.Decimal128Type{Precision: 38, Scale: 2})
	whole := Part{N: n}
	for i := range n {
		start := i == 0 || rng.IntN(40) == 0
		if start {
			whole.Starts = append(whole.Starts, int32(i))
		}
		if start || rng.IntN(3) > 0 {
			whole.Peers = append(whole.Peers, int32(i))
		}
		if rng.IntN(5) == 0 {
			ints.AppendNull()
			texts.AppendNull()
			decimals.AppendNull()
			continue
		}
		ints.Append(rng.Int64N(100) - 50)
		texts.Append(fmt.Sprint("t", rng.IntN(100)))
		decimals.Append(decimal128.New(rng.Int64N(1000)-500, rng.Uint64()))
	}
	cols := map[string]arrow.Array{"int": ints.NewArray(), "text": texts.NewArray(), "decimal": decimals.NewArray()}
	defer func() {
		for _, a := range cols {
			a.Release()
		}
		ints.Release()
		texts.Release()
		decimals.Release()
	}()
	field := func(name string) arrow.Field { return arrow.Field{Type: cols[name].DataType(), Nullable: true} }
	number := func(v int64) *int64 { return &v }
	type call struct {
		name  string
		b     Bound
		args  []string
		frame Frame
	}
	var calls []call
	add := func(name, fn string, args []Arg, of ...string) {
		f, _ := Lookup(fn)
		b, err := f.Bind(args)
		if err != nil {
			t.Fatal(err)
		}
		calls = append(calls, call{name, b, of, Frame{Lo: -Unbounded, Hi: 0}})
	}
	add("row_number", "row_number", nil)
	add("rank", "rank", nil)
	add("dense_rank", "dense_rank", nil)
	add("lag", "lag", []Arg{{Field: field("text")}}, "text")
	add("lag 7 of a decimal", "lag", []Arg{{Field: field("decimal")}, {Const: number(7)}}, "decimal")
	add("lag 0", "lag", []Arg{{Field: field("int")}, {Const: number(0)}}, "int")
	add("lag with a default", "lag", []Arg{{Field: field("int")}, {Const: number(3)}, {Field: field("int")}}, "int", "", "int")
	for _, fn := range []string{"sum", "avg", "min", "max", "count"} {
		for _, of := range []string{"int", "decimal", "text"} {
			if of == "text" && (fn == "sum" || fn == "avg") {
				continue
			}
			f, _ := agg.Lookup(fn)
			b, err := Aggregate(f, agg.Args(field(of)))
			if err != nil {
				t.Fatal(err)
			}
			for _, rows := range []bool{true, false} {
				calls = append(calls, call{fmt.Sprint(fn, " of ", of, ", by rows ", rows), b, []string{of}, Frame{Rows: rows, Lo: -Unbounded, Hi: 0}})
			}
		}
	}
	for _, c := range calls {
		args := func(lo, hi int) (out []arrow.Array, drop func()) {
			for _, name := range c.args {
				if name == "" {
					out = append(out, nil)
					continue
				}
				out = append(out, array.NewSlice(cols[name], int64(lo), int64(hi)))
			}
			return out, func() {
				for _, a := range out {
					if a != nil {
						a.Release()
					}
				}
			}
		}
		p := whole
		p.Frame = c.frame
		in, drop := args(0, n)
		want, err := c.b.Compute(&p, in, mem)
		drop()
		if err != nil {
			t.Fatal(c.name, err)
		}
		if c.b.Stream == nil || c.b.Stream(c.frame) == nil {
			want.Release()
			if c.name != "avg of int, by rows true" && c.name != "avg of int, by rows false" {
				t.Errorf("%s takes no pieces", c.name)
			}
			continue
		}
		for range 20 {
			s := c.b.Stream(c.frame)
			for lo := 0; lo < n; {
				hi := min(n, lo+1+rng.IntN(60))
				for !c.frame.Rows && hi < n && !has(whole.Peers, hi) {
					hi++ // pieces do not part peers
				}
				piece := Part{N: hi - lo, Frame: c.frame, Starts: within(whole.Starts, lo, hi), Peers: within(whole.Peers, lo, hi)}
				in, drop := args(lo, hi)
				got, err := s.Next(&piece, in, mem)
				drop()
				if err != nil {
					t.Fatal(c.name, err)
				}
				part := array.NewSlice(want, int64(lo), int64(hi))
				if !array.Equal(got, part) {
					t.Fatalf("%s: rows %d to %d are\n%v\nwant\n%v", c.name, lo, hi, got, part)
				}
				part.Release()
				got.Release()
				lo = hi
			}
			s.Close()
		}
		want.Release()
	}
}

func has(at []int32, i int) bool {
	for _, x := range at {
		if int(x) == i {
			return true
		}
	}
	return false
}

func within(at []int32, lo, hi int) (out []int32) {
	for _, x := range at {
		if int(x) >= lo && int(x) < hi {
			out = append(out, x-int32(lo))
		}
	}
	return out
}
