package group

import (
	"context"
	"fmt"
	"io"
	"syscall"
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/sluice-data/sluice/transforms/agg"
	"github.com/sluice-data/sluice/transforms/internal/col"
)

func measure(fn, arg string, in arrow.DataType, index int) Measure {
	f, _ := agg.Lookup(fn)
	m := Measure{Text: fn + "(" + arg + ")"}
	var args []arrow.Field
	if arg != "*" {
		m.Args = []int{index}
		args = []arrow.Field{{Type: in, Nullable: true}}
	} else {
		m.CountAll = true
	}
	b, err := f.Bind(agg.Call{Args: agg.Args(args...).Args, Star: len(args) == 0})
	if err != nil {
		panic(err)
	}
	m.Bound, m.Field = b, b.Result
	m.Field.Name = fn + arg
	return m
}

type columns struct{ keys, args []arrow.Array }

// cpu is the seconds of processor time that the process has used.
func cpu() float64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9
}

// benchmark folds the batches into one lane and drains it; it reports rows per second of one core.
func benchmark(b *testing.B, keyTypes []arrow.DataType, batches []columns, measures ...Measure) {
	var fields []arrow.Field
	for i, t := range keyTypes {
		fields = append(fields, arrow.Field{Name: fmt.Sprint("k", i), Type: t, Nullable: true})
	}
	rows, groups := 0, int64(0)
	b.ReportAllocs()
	start := cpu()
	for b.Loop() {
		f, err := New(Config{Keys: fields, Args: []arrow.DataType{arrow.PrimitiveTypes.Float64}, Measures: measures})
		if err != nil {
			b.Fatal(err)
		}
		l := f.NewLane(memory.DefaultAllocator)
		for _, c := range batches {
			n := c.keys[0].Len()
			rows += n
			if err := l.Add(context.Background(), c.keys, c.args, n); err != nil {
				b.Fatal(err)
			}
		}
		d, err := f.Drain(context.Background(), memory.DefaultAllocator, []*Lane{l})
		if err != nil {
			b.Fatal(err)
		}
		for groups = 0; ; {
			r, err := d.Next(context.Background())
			if err == io.EOF {
				break
			} else if err != nil {
				b.Fatal(err)
			}
			groups += r.NumRows()
			r.Release()
		}
		d.Close()
	}
	b.ReportMetric(float64(rows)/(cpu()-start)/1e6, "Mrows/cpu-s") // of the whole process: garbage collection is part of the cost
	b.ReportMetric(float64(groups), "groups")
}

func mixed(i int) uint64 {
	z := uint64(i+1) * 0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

func data(rows int, keys func(z []uint64) []arrow.Array) []columns {
	const batch = 8192
	var out []columns
	for lo := 0; lo < rows; lo += batch {
		n := min(batch, rows-lo)
		z, v := make([]uint64, n), make([]float64, n)
		for i := range n {
			z[i] = mixed(lo + i)
			v[i] = float64(z[i]>>40) / 100
		}
		out = append(out, columns{keys(z), []arrow.Array{col.New(arrow.PrimitiveTypes.Float64, v, nil)}})
	}
	return out
}

func intKeys(groups uint64) func(z []uint64) []arrow.Array {
	return func(z []uint64) []arrow.Array {
		k := make([]int64, len(z))
		for i, x := range z {
			k[i] = int64(x%groups) * 7919
		}
		return []arrow.Array{col.New(arrow.PrimitiveTypes.Int64, k, nil)}
	}
}

func textKeys(groups uint64, format string) func(z []uint64) []arrow.Array {
	return func(z []uint64) []arrow.Array {
		off, text := []int32{0}, []byte{}
		for _, x := range z {
			text = fmt.Appendf(text, format, x%groups)
			off = append(off, int32(len(text)))
		}
		return []arrow.Array{col.NewVar(arrow.BinaryTypes.String, off, text, nil)}
	}
}

func four() []Measure {
	f := arrow.PrimitiveTypes.Float64
	return []Measure{measure("count", "*", nil, 0), measure("sum", "x", f, 0), measure("min", "x", f, 0), measure("max", "x", f, 0)}
}

func BenchmarkGroupBy(b *testing.B) {
	i64 := []arrow.DataType{arrow.PrimitiveTypes.Int64}
	text := []arrow.DataType{arrow.BinaryTypes.String}
	for _, c := range []struct {
		name  string
		rows  int
		types []arrow.DataType
		keys  func([]uint64) []arrow.Array
	}{
		{"int/1k", 4_000_000, i64, intKeys(1000)},
		{"int/100k", 10_000_000, i64, intKeys(100_000)},
		{"int/5M", 10_000_000, i64, intKeys(5_000_000)},
		{"text9/1k", 4_000_000, text, textKeys(1000, "%09d")},
		{"text9/100k", 4_000_000, text, textKeys(100_000, "%09d")},
		{"text9/5M", 10_000_000, text, textKeys(5_000_000, "%09d")},
		{"text24/100k", 4_000_000, text, textKeys(100_000, "a longer key %09d")},
		{"date,int32/96k", 4_000_000, []arrow.DataType{arrow.FixedWidthTypes.Date32, arrow.PrimitiveTypes.Int32}, func(z []uint64) []arrow.Array {
			d, l := make([]int32, len(z)), make([]int32, len(z))
			for i, x := range z {
				d[i], l[i] = int32(19000+x%365), int32(x>>20%265)
			}
			return []arrow.Array{col.New(arrow.FixedWidthTypes.Date32, d, nil), col.New(arrow.PrimitiveTypes.Int32, l, nil)}
		}},
	} {
		b.Run(c.name, func(b *testing.B) { benchmark(b, c.types, data(c.rows, c.keys), four()...) })
	}
}
