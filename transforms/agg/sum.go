package agg

import (
	"fmt"
	"math"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/sluice-data/sluice/transforms/internal/col"
)

func init() {
	Register(Func{
		Name: "sum",
		Doc: "sum(x) adds the values that are not null; null if there are none. Integers give int64 (unsigned ones uint64) and decimal(p,s) gives decimal(38,s), " +
			"exactly: a total that does not fit fails the run, whatever the order of the rows. Floats give float64 by compensated summation.",
		Example: "sum(total)",
		State: "of integers and decimals: decimal(38) (the unscaled sum as 128 bits, null for no value) and int64 (how often it wrapped around); " +
			"of floats: float64 (the sum, null for no value) and float64 (its compensation)",
		bind: bindSum,
	})
}

func bindSum(c Call) (Bound, error) {
	arg, err := one("sum", c)
	if err != nil {
		return Bound{}, err
	}
	if fold, ok := floatFolds[arg.Type.ID()]; ok {
		return Bound{Result: column(float64s), State: floatState(), New: func(memory.Allocator) Accumulator { return &sumFloat{fold: fold} }}, nil
	}
	fold, ok := intFolds[arg.Type.ID()]
	if !ok {
		return Bound{}, unfit("sum", arg, "numbers")
	}
	result := sumType(arg.Type)
	return Bound{Result: column(result), State: sumState(), New: func(memory.Allocator) Accumulator { return &sumExact{fold: fold, result: result} }}, nil
}

// sumType is the type of the sum of integers or decimals of type t.
func sumType(t arrow.DataType) arrow.DataType {
	switch t.ID() {
	case arrow.DECIMAL128:
		return &arrow.Decimal128Type{Precision: 38, Scale: t.(*arrow.Decimal128Type).Scale}
	case arrow.UINT8, arrow.UINT16, arrow.UINT32, arrow.UINT64:
		return arrow.PrimitiveTypes.Uint64
	}
	return int64s
}

// sumExact adds integers and decimals.
type sumExact struct {
	int192
	fold   intFold
	result arrow.DataType
}

func (s *sumExact) Update(groups []uint32, n int, args []arrow.Array) error {
	s.grow(n)
	s.fold(&s.int192, groups, args[0])
	return nil
}

func (s *sumExact) Merge(groups []uint32, n int, state []arrow.Array) error {
	s.grow(n)
	s.merge(groups, state)
	return nil
}

func (s *sumExact) State() ([]arrow.Array, error) { return s.state(), nil }

func (s *sumExact) Result(mem memory.Allocator) (arrow.Array, error) {
	n := len(s.has)
	if d, ok := s.result.(*arrow.Decimal128Type); ok {
		for g := range n {
			if !s.fits38(g) {
				return nil, &GroupError{g, fmt.Sprintf("decimal(38,%d) out of range", d.Scale)}
			}
		}
		return col.CopySized(mem, d, n, arrow.GetBytes(s.w[:2*n]), s.has), nil
	}
	buf, out := col.Make[uint64](mem, n)
	unsigned := s.result.ID() == arrow.UINT64
	for g := range out {
		lo, hi := s.w[2*g], s.w[2*g+1]
		if unsigned && hi != 0 || !unsigned && hi != uint64(int64(lo)>>63) {
			buf.Release()
			return nil, &GroupError{g, s.result.Name() + " out of range"}
		}
		out[g] = lo
	}
	return col.Of(mem, s.result, n, buf, s.has), nil
}

func (s *sumExact) Size() int64 { return s.size() }
func (s *sumExact) Release()    { s.int192 = int192{} }
func (s *sumExact) Reset()      { s.reset() }

// sumFloat adds floats by compensated summation (Neumaier's, with Knuth's branch-free TwoSum): the error does not grow with the
// number of rows, so that batches and lanes make no visible difference.
type sumFloat struct {
	w []float64 // sum and compensation of group g in w[2g], w[2g+1]
	seen
	fold floatFold
}

type floatFold func(s *sumFloat, groups []uint32, a arrow.Array)

var floatFolds = map[arrow.Type]floatFold{arrow.FLOAT32: addFloats[float32], arrow.FLOAT64: addFloats[float64]}

func floatState() []arrow.Field { return []arrow.Field{column(float64s), column(float64s)} }

func (s *sumFloat) grow(n int) {
	s.w = col.Grow(s.w, 2*n)
	s.seen.grow(n)
}

func addFloats[T float32 | float64](s *sumFloat, groups []uint32, a arrow.Array) {
	v := col.Fixed[T](a)[:len(groups)]
	if valid, off := col.Valid(a); valid != nil {
		for i, g := range groups {
			if valid[(off+i)>>3]>>uint((off+i)&7)&1 != 0 {
				s.add(g, float64(v[i]))
				s.one(g)
			}
		}
		return
	}
	s.all(groups)
	w := col.Pairs(s.w)
	for i, g := range groups {
		x, p := float64(v[i]), &w[g]
		t := p[0] + x
		b := t - p[0]
		p[0], p[1] = t, p[1]+((p[0]-(t-b))+(x-b))
	}
}

func (s *sumFloat) add(g uint32, x float64) {
	p := s.w[2*g : 2*g+2]
	t := p[0] + x
	b := t - p[0]
	p[1] += (p[0] - (t - b)) + (x - b)
	p[0] = t
}

func (s *sumFloat) Update(groups []uint32, n int, args []arrow.Array) error {
	s.grow(n)
	s.fold(s, groups, args[0])
	return nil
}

func (s *sumFloat) Merge(groups []uint32, n int, state []arrow.Array) error {
	s.grow(n)
	sum, comp := col.Fixed[float64](state[0]), col.Fixed[float64](state[1])
	valid, off := col.Valid(state[0])
	for i, g := range groups {
		if valid != nil && valid[(off+i)>>3]>>uint((off+i)&7)&1 == 0 {
			continue
		}
		s.add(g, sum[i])
		s.w[2*g+1] += comp[i]
		s.one(g)
	}
	return nil
}

func (s *sumFloat) State() ([]arrow.Array, error) {
	sum, comp := make([]float64, len(s.has)), make([]float64, len(s.has))
	for g := range sum {
		sum[g], comp[g] = s.w[2*g], s.w[2*g+1]
	}
	return []arrow.Array{col.New(float64s, sum, s.has), col.New(float64s, comp, nil)}, nil
}

// total is the sum of group g. The compensation of an infinite or NaN sum means nothing.
func (s *sumFloat) total(g int) float64 {
	t := s.w[2*g]
	if math.IsInf(t, 0) || math.IsNaN(t) {
		return t
	}
	return t + s.w[2*g+1]
}

func (s *sumFloat) Result(mem memory.Allocator) (arrow.Array, error) {
	buf, out := col.Make[float64](mem, len(s.has))
	for g := range out {
		out[g] = s.total(g)
	}
	return col.Of(mem, float64s, len(out), buf, s.has), nil
}

func (s *sumFloat) Size() int64 { return int64(cap(s.w))*8 + int64(cap(s.has)) }
func (s *sumFloat) Release()    { s.w, s.seen = nil, seen{} }

func (s *sumFloat) Reset() {
	s.w = reset(s.w)
	s.seen.reset()
}

// Reserve makes room for n groups.
func (s *sumFloat) Reserve(n int) {
	s.w = col.Reserve(s.w, 2*n)
	s.seen.Reserve(n)
}
