package agg

import (
	"math"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/sluice-data/sluice/internal/schema"
	"github.com/sluice-data/sluice/transforms/internal/col"
)

func init() {
	Register(Func{
		Name:    "min",
		Doc:     "min(x) is the least value that is not null; null if there are none. Numbers, decimals, dates, times, bool (false first) and strings (by bytes); NaN is the greatest float, and which of 0 and -0 it is is not defined.",
		Example: "min(total)",
		State:   "the least value so far, of the argument's type, null for none",
		Set:     true,
		bind:    func(c Call) (Bound, error) { return bindExtreme("min", c, minimums) },
	})
	Register(Func{
		Name:    "max",
		Doc:     "max(x) is the greatest value that is not null; null if there are none. Numbers, decimals, dates, times, bool (true last) and strings (by bytes); NaN is the greatest float, and which of 0 and -0 it is is not defined.",
		Example: "max(total)",
		State:   "the greatest value so far, of the argument's type, null for none",
		Set:     true,
		bind:    func(c Call) (Bound, error) { return bindExtreme("max", c, maximums) },
	})
}

// extremes makes the accumulators of min or of max, by the way values are held.
type extremes struct {
	i8, i16, i32, i64, u8, u16, u32, u64, f32, f64 func(t arrow.DataType) Accumulator
	want                                           int // sign of the comparison with the value so far that wins
}

var minimums = extremes{
	i8: ofInts(math.MaxInt8, minInts[int8]), i16: ofInts(math.MaxInt16, minInts[int16]), i32: ofInts(math.MaxInt32, minInts[int32]), i64: ofInts(math.MaxInt64, minInts[int64]),
	u8: ofInts(math.MaxUint8, minInts[uint8]), u16: ofInts(math.MaxUint16, minInts[uint16]), u32: ofInts(math.MaxUint32, minInts[uint32]), u64: ofInts(math.MaxUint64, minInts[uint64]),
	f32: ofInts(float32(math.NaN()), minFloats[float32]), f64: ofInts(math.NaN(), minFloat64s),
	want: -1,
}

var maximums = extremes{
	i8: ofInts(math.MinInt8, maxInts[int8]), i16: ofInts(math.MinInt16, maxInts[int16]), i32: ofInts(math.MinInt32, maxInts[int32]), i64: ofInts(math.MinInt64, maxInts[int64]),
	u8: ofInts(0, maxInts[uint8]), u16: ofInts(0, maxInts[uint16]), u32: ofInts(0, maxInts[uint32]), u64: ofInts(0, maxInts[uint64]),
	f32: ofInts(float32(math.Inf(-1)), maxFloats[float32]), f64: ofInts(math.Inf(-1), maxFloats[float64]),
	want: 1,
}

func bindExtreme(name string, c Call, e extremes) (Bound, error) {
	arg, err := one(name, c)
	if err != nil {
		return Bound{}, err
	}
	t := arg.Type
	f := column(t)
	b := Bound{Result: f, State: []arrow.Field{f}}
	of := func(mk func(arrow.DataType) Accumulator) (Bound, error) {
		b.New = func(memory.Allocator) Accumulator { return mk(t) }
		return b, nil
	}
	switch id := t.ID(); {
	case schema.IsJSON(arg):
	case id == arrow.FLOAT32:
		return of(e.f32)
	case id == arrow.FLOAT64:
		return of(e.f64)
	case id == arrow.BOOL:
		b.New = func(memory.Allocator) Accumulator { return &extremeBool{want: e.want} }
		return b, nil
	case id == arrow.DECIMAL128:
		b.New = func(memory.Allocator) Accumulator { return &extremeDecimal{typ: t, want: e.want} }
		return b, nil
	case col.IsVar(t):
		b.New = func(memory.Allocator) Accumulator { return &extremeText{typ: t, want: e.want} }
		return b, nil
	case id == arrow.INT8:
		return of(e.i8)
	case id == arrow.INT16:
		return of(e.i16)
	case id == arrow.INT32 || id == arrow.DATE32 || id == arrow.TIME32:
		return of(e.i32)
	case id == arrow.INT64 || id == arrow.DATE64 || id == arrow.TIME64 || id == arrow.TIMESTAMP || id == arrow.DURATION:
		return of(e.i64)
	case id == arrow.UINT8:
		return of(e.u8)
	case id == arrow.UINT16:
		return of(e.u16)
	case id == arrow.UINT32:
		return of(e.u32)
	case id == arrow.UINT64:
		return of(e.u64)
	}
	return Bound{}, unfit(name, arg, "values that have an order (numbers, dates, times, strings, bool)")
}

// number is what extreme holds: every fixed-width type with an order is one of these underneath.
type number interface {
	int8 | int16 | int32 | int64 | uint8 | uint16 | uint32 | uint64 | float32 | float64
}

// extreme is the least or greatest value per group. Groups start at the value that loses against every other, so that the loop
// need not ask whether there was one before.
type extreme[T number] struct {
	typ   arrow.DataType
	start T
	fold  func(v []T, groups []uint32, x []T)
	v     []T
	seen
}

func ofInts[T number](start T, fold func(v []T, groups []uint32, x []T)) func(arrow.DataType) Accumulator {
	return func(t arrow.DataType) Accumulator { return &extreme[T]{typ: t, start: start, fold: fold} }
}

func minInts[T number](v []T, groups []uint32, x []T) {
	x = x[:len(groups)]
	for i, g := range groups {
		if x[i] < v[g] {
			v[g] = x[i]
		}
	}
}

func maxInts[T number](v []T, groups []uint32, x []T) {
	x = x[:len(groups)]
	for i, g := range groups {
		if x[i] > v[g] {
			v[g] = x[i]
		}
	}
}

// minFloats and maxFloats order NaN above all numbers, as PostgreSQL does.
func minFloats[T float32 | float64](v []T, groups []uint32, x []T) {
	x = x[:len(groups)]
	for i, g := range groups {
		if x[i] < v[g] || v[g] != v[g] {
			v[g] = x[i]
		}
	}
}

// maxFloats has no branch, as whether a value is the greatest so far cannot be foreseen; nor has minFloat64s.
func maxFloats[T float32 | float64](v []T, groups []uint32, x []T) {
	x = x[:len(groups)]
	for i, g := range groups {
		v[g] = max(v[g], x[i]) // NaN if either is
	}
}

func minFloat64s(v []float64, groups []uint32, x []float64) {
	const inf = 0x7FF << 52
	x = x[:len(groups)]
	for i, g := range groups {
		a, least := math.Float64bits(x[i]), math.Float64bits(v[g])
		k := orderOf(a)
		if a<<1 > inf<<1 {
			k = math.MaxInt64 // of a NaN with any sign: v begins with one that has none, and that stays
		}
		if k < orderOf(least) {
			least = a
		}
		v[g] = math.Float64frombits(least)
	}
}

// orderOf is an integer that is ordered as the float with these bits is, NaN without a sign last.
func orderOf(bits uint64) int64 { return int64(bits) ^ int64(uint64(int64(bits)>>63)>>1) }

func (e *extreme[T]) grow(n int) {
	old := len(e.v)
	e.v = col.Grow(e.v, n)
	e.seen.grow(n)
	for i := old; i < n; i++ {
		e.v[i] = e.start
	}
}

func (e *extreme[T]) Update(groups []uint32, n int, args []arrow.Array) error {
	e.grow(n)
	x := fixedOf[T](args[0])
	valid, off := col.Valid(args[0])
	if valid == nil {
		e.fold(e.v, groups, x)
		e.all(groups)
		return nil
	}
	for i := range groups {
		if valid[(off+i)>>3]>>uint((off+i)&7)&1 != 0 {
			e.fold(e.v, groups[i:i+1], x[i:i+1])
			e.one(groups[i])
		}
	}
	return nil
}

func fixedOf[T number](a arrow.Array) []T { return col.Fixed[T](a) }

func (e *extreme[T]) Merge(groups []uint32, n int, state []arrow.Array) error {
	return e.Update(groups, n, state)
}

func (e *extreme[T]) Result(mem memory.Allocator) (arrow.Array, error) {
	e.blank()
	return col.Copy(mem, e.typ, e.v, e.has), nil
}

// blank zeroes what stands where there is no value.
func (e *extreme[T]) blank() {
	for g, s := range e.has {
		if s == 0 {
			e.v[g] = 0
		}
	}
}

func (e *extreme[T]) State() ([]arrow.Array, error) {
	e.blank()
	return []arrow.Array{col.New(e.typ, e.v, e.has)}, nil
}

func (e *extreme[T]) Size() int64 {
	return int64(cap(e.v)*e.typ.(arrow.FixedWidthDataType).BitWidth()/8 + cap(e.has))
}
func (e *extreme[T]) Release() { e.v, e.seen = nil, seen{} }

func (e *extreme[T]) Reset() {
	e.v = reset(e.v)
	e.seen.reset()
}

// Reserve makes room for n groups.
func (e *extreme[T]) Reserve(n int) {
	e.v = col.Reserve(e.v, n)
	e.seen.Reserve(n)
}
