package agg

import (
	"fmt"
	"math/big"
	"slices"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/transforms/internal/col"
)

// spillers are the functions whose values may be on disk, bound to a column of type t; those that do not take t are left out.
func spillers(t *testing.T, typ arrow.DataType) map[string]Bound {
	x := Arg{Field: arrow.Field{Name: "x", Type: typ, Nullable: true}}
	out := map[string]Bound{}
	add := func(name, fn string, c Call) {
		f, _ := Lookup(fn)
		if b, err := f.Bind(c); err == nil {
			out[name] = b
		}
	}
	add("count(distinct)", "count", Call{Args: []Arg{x}, Distinct: true})
	add("median", "median", Call{Args: []Arg{x}})
	add("percentile_cont(NULL)", "percentile_cont", Call{Args: []Arg{{Field: arrow.Field{Type: float64s}, Const: col.New(float64s, []float64{0}, []uint8{0})}}, Within: true,
		Order: []Key{{Field: x.Field, Arg: -1}}})
	for _, desc := range []bool{false, true} {
		add(fmt.Sprint("mode desc ", desc), "mode", Call{Within: true, Order: []Key{{Field: x.Field, Desc: desc, Arg: -1}}})
	}
	for _, k := range []int64{1, 3, 100} {
		add(fmt.Sprint("top_k ", k), "top_k", Call{Args: []Arg{x, {Field: arrow.Field{Type: int64s}, Const: col.New(int64s, []int64{k}, nil)}}})
	}
	for _, fn := range []string{"sum", "avg", "stddev_samp", "product", "median", "mode"} {
		add(fn+"(distinct)", fn, Call{Args: []Arg{x}, Distinct: true})
	}
	for _, q := range []float64{0, 0.3, 0.77, 1} {
		for _, desc := range []bool{false, true} {
			c := Call{Args: []Arg{{Field: arrow.Field{Type: float64s}, Const: col.New(float64s, []float64{q}, nil)}}, Within: true,
				Order: []Key{{Field: x.Field, Desc: desc, Arg: -1}}}
			add(fmt.Sprintf("percentile_cont(%v) desc %v", q, desc), "percentile_cont", c)
			add(fmt.Sprintf("percentile_disc(%v) desc %v", q, desc), "percentile_disc", c)
		}
	}
	return out
}

var spillTexts = map[string][]string{
	"numbers": {"0", "7", "1", "3", "2", "5", "100", "99", "64", "12", "8"},
	"signed":  {"0", "-1", "7", "-100", "3", "127", "-128", "99", "-2", "5", "1"},
	"floats":  {"0", "-1.5", "NaN", "1e30", "-Inf", "Inf", "2.25", "-0.125", "7", "3.5", "1e-20"},
	"decimal": {"0.00", "-1.50", "12345678901234567890.12", "-98765432109876543210.01", "3.25", "0.01", "-0.01", "77.00", "5.55"},
	"texts":   {"", "a", "ab", "b", "ä", "zebra", strings.Repeat("long", 60), "0", "A", "\x00"},
}

// What goes to disk between updates and comes back gives the values that memory does, whatever the type, the groups and how often.
func TestSpillEqualsMemory(t *testing.T) {
	p := arrow.PrimitiveTypes
	for _, c := range []struct {
		typ   arrow.DataType
		texts string
	}{
		{p.Uint8, "numbers"}, {p.Uint16, "numbers"}, {p.Uint32, "numbers"}, {p.Uint64, "numbers"}, {p.Int8, "signed"}, {p.Int16, "signed"}, {p.Int32, "signed"},
		{p.Int64, "signed"}, {p.Float32, "floats"}, {p.Float64, "floats"}, {&arrow.Decimal128Type{Precision: 24, Scale: 2}, "decimal"}, {arrow.BinaryTypes.String, "texts"},
		{arrow.BinaryTypes.LargeString, "texts"},
	} {
		if testing.Short() && !slices.Contains([]arrow.Type{arrow.UINT8, arrow.INT64, arrow.FLOAT64, arrow.DECIMAL128, arrow.STRING}, c.typ.ID()) {
			continue
		}
		bounds := spillers(t, c.typ)
		if len(bounds) < 5 {
			t.Fatalf("%s: %d functions take it", c.typ, len(bounds))
		}
		texts := spillTexts[c.texts]
		for name, b := range bounds {
			mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
			inMemory, onDisk := b.New(mem), b.New(mem)
			const groups = 5 // the last one has no value
			for round := range 40 {
				var vals []string
				var of []uint32
				for i := range 17 {
					k := (round*31 + i*i*7) % 101
					of = append(of, uint32(k%(groups-1)))
					if vals = append(vals, texts[k*k%len(texts)]); k%9 == 0 {
						vals[i] = "null"
					}
				}
				a := spillColumn(mem, c.typ, vals)
				for _, acc := range []Accumulator{inMemory, onDisk} {
					if err := acc.Update(of, groups, []arrow.Array{a}); err != nil {
						t.Fatalf("%s of %s: %v", name, c.typ, err)
					}
				}
				a.Release()
				s, ok := onDisk.(Spiller)
				if !ok || !s.Spills() {
					t.Fatalf("%s of %s does not spill", name, c.typ)
				}
				if round != 20 && round < 38 {
					if err := s.Spill(t.TempDir()); err != nil {
						t.Fatal(err)
					}
				}
			}
			want, err := inMemory.Result(mem)
			if err != nil {
				t.Fatal(err)
			}
			got, err := onDisk.Result(mem)
			if err != nil {
				t.Fatal(err)
			}
			if g, w := fmt.Sprint(got), fmt.Sprint(want); g != w {
				t.Errorf("%s of %s: %s from disk, %s from memory", name, c.typ, g, w)
			}
			got.Release()
			want.Release()
			onDisk.Reset()
			inMemory.Release()
			onDisk.Release()
			mem.AssertSize(t, 0)
		}
	}
}

func spillColumn(mem memory.Allocator, typ arrow.DataType, vals []string) arrow.Array {
	b := array.NewBuilder(mem, typ)
	defer b.Release()
	for _, v := range vals {
		if v == "null" {
			b.AppendNull()
			continue
		}
		if err := b.AppendValueFromString(v); err != nil {
			panic(err)
		}
	}
	return b.NewArray()
}

// A disk that fails, at whatever point, is an error that says so, to be tried again.
func TestSpillFaults(t *testing.T) {
	b, err := bindPercentile("median", Args(arrow.Field{Type: float64s}), 0, false, big.NewRat(1, 2), false)
	if err != nil {
		t.Fatal(err)
	}
	for i, fault := range []struct {
		want string
		do   func(c *standing[uint64]) error
	}{
		{"create spill file", func(c *standing[uint64]) error { return c.Spill("/nowhere") }},
		{"write values to disk", func(c *standing[uint64]) error {
			if err := c.Spill(t.TempDir()); err != nil {
				return err
			}
			c.disk.file.Close()
			return c.Update([]uint32{0}, 1, []arrow.Array{col.New(float64s, []float64{1}, nil)})
		}},
		{"read values from disk", func(c *standing[uint64]) error {
			if err := c.Spill(t.TempDir()); err != nil {
				return err
			}
			return c.disk.file.Truncate(c.disk.end - 3)
		}},
	} {
		acc := b.New(memory.DefaultAllocator).(*standing[uint64])
		if err := acc.Update([]uint32{0, 0}, 1, []arrow.Array{col.New(float64s, []float64{3, 4}, nil)}); err != nil {
			t.Fatal(err)
		}
		err := fault.do(acc)
		if err == nil {
			_, err = acc.Result(memory.DefaultAllocator)
		}
		kind := fail.Temporary
		if i == 0 { // it stays so
			kind = fail.Usage
		}
		if fail.KindOf(err) != kind || !strings.Contains(fmt.Sprint(err), fault.want) {
			t.Errorf("fault %d: %v, want %q", i, err, fault.want)
		}
		acc.Release()
	}
}
