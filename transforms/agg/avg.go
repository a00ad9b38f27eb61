package agg

import (
	"fmt"
	"math"
	"math/big"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/decimal128"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/sluice-data/sluice/transforms/internal/col"
)

func init() {
	Register(Func{
		Name: "avg",
		Doc: "avg(x) is the mean of the values that are not null; null if there are none. Integers and floats give float64 (integers from their exact sum); " +
			"decimal(p,s) gives decimal(38,s+4), with less scale where the digits before the point need the room, rounded half away from zero.",
		Example: "avg(total)",
		State:   "the columns of sum, then int64: how many values",
		bind:    bindAvg,
	})
}

func bindAvg(c Call) (Bound, error) {
	arg, err := one("avg", c)
	if err != nil {
		return Bound{}, err
	}
	if fold, ok := floatFolds[arg.Type.ID()]; ok {
		return Bound{Result: column(float64s), State: append(floatState(), arrow.Field{Type: int64s}),
			New: func(memory.Allocator) Accumulator { return &avg{sum: &sumFloat{fold: fold}, result: avgFloats} }}, nil
	}
	fold, ok := intFolds[arg.Type.ID()]
	if !ok {
		return Bound{}, unfit("avg", arg, "numbers")
	}
	result, typ := avgInts, float64s
	if d, ok := arg.Type.(*arrow.Decimal128Type); ok {
		more := max(0, min(4, 38-d.Precision)) // a mean lies within the range of its values: it always fits
		dt := &arrow.Decimal128Type{Precision: 38, Scale: d.Scale + more}
		typ, result = dt, func(a *avg, mem memory.Allocator) (arrow.Array, error) { return avgDecimals(a, mem, dt, more) }
	}
	return Bound{Result: column(typ), State: append(sumState(), arrow.Field{Type: int64s}),
		New: func(memory.Allocator) Accumulator { return &avg{sum: &sumExact{fold: fold}, result: result} }}, nil
}

// avg is a sum and a count of values.
type avg struct {
	sum    Accumulator
	n      counter
	result func(*avg, memory.Allocator) (arrow.Array, error)
}

func (a *avg) Update(groups []uint32, n int, args []arrow.Array) error {
	if err := a.n.Update(groups, n, args); err != nil {
		return err
	}
	return a.sum.Update(groups, n, args)
}

func (a *avg) Merge(groups []uint32, n int, state []arrow.Array) error {
	last := len(state) - 1
	if err := a.n.Merge(groups, n, state[last:]); err != nil {
		return err
	}
	return a.sum.Merge(groups, n, state[:last])
}

func (a *avg) State() ([]arrow.Array, error) {
	sum, err := a.sum.State()
	if err != nil {
		return nil, err
	}
	n, err := a.n.State()
	return append(sum, n...), err
}

func (a *avg) Result(mem memory.Allocator) (arrow.Array, error) { return a.result(a, mem) }
func (a *avg) Size() int64                                      { return a.sum.Size() + a.n.Size() }

func (a *avg) Reset() {
	a.sum.Reset()
	a.n.Reset()
}

func (a *avg) Release() {
	a.sum.Release()
	a.n.Release()
}

func avgFloats(a *avg, mem memory.Allocator) (arrow.Array, error) {
	s := a.sum.(*sumFloat)
	buf, out := col.Make[float64](mem, len(s.has))
	for g := range out {
		out[g] = s.total(g) / float64(a.n.n[g])
	}
	return col.Of(mem, float64s, len(out), buf, s.has), nil
}

func avgInts(a *avg, mem memory.Allocator) (arrow.Array, error) {
	s := a.sum.(*sumExact)
	buf, out := col.Make[float64](mem, len(s.has))
	for g := range out {
		lo, hi := s.w[2*g], s.w[2*g+1]
		total := float64(int64(lo))
		if hi != uint64(int64(lo)>>63) {
			total, _ = new(big.Float).SetInt(decimal128.New(int64(hi), lo).BigInt()).Float64()
		}
		out[g] = total / float64(a.n.n[g])
	}
	return col.Of(mem, float64s, len(out), buf, s.has), nil
}

// avgDecimals divides sum × 10^more by the count.
func avgDecimals(a *avg, mem memory.Allocator, dt *arrow.Decimal128Type, more int32) (arrow.Array, error) {
	s := a.sum.(*sumExact)
	ten := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(more)), nil)
	limit := new(big.Int).Exp(big.NewInt(10), big.NewInt(38), nil)
	small := math.MaxInt64 / ten.Int64() / 2 // so that doubling the remainder cannot overflow either
	buf, out := col.Make[decimal128.Num](mem, len(s.has))
	for g := range out {
		n := a.n.n[g]
		if n == 0 {
			continue
		}
		lo, hi := int64(s.w[2*g]), int64(s.w[2*g+1])
		if s.fits(g) && hi == lo>>63 && lo <= small && lo >= -small && n < math.MaxInt64/2 {
			out[g] = decimal128.FromI64(divRound(lo*ten.Int64(), n))
			continue
		}
		v := s.big(g)
		v = roundDiv(v.Mul(v, ten), big.NewInt(n))
		if v.CmpAbs(limit) >= 0 {
			buf.Release()
			return nil, &GroupError{g, fmt.Sprintf("decimal(38,%d) out of range", dt.Scale)}
		}
		out[g] = decimal128.FromBigInt(v)
	}
	return col.Of(mem, dt, len(out), buf, s.has), nil
}

// divRound is a/n rounded half away from zero, for n > 0.
func divRound(a, n int64) int64 {
	q, r := a/n, a%n
	switch {
	case r >= n-r:
		q++
	case -r >= n+r:
		q--
	}
	return q
}

// roundDiv is a/n rounded half away from zero, for n > 0.
func roundDiv(a, n *big.Int) *big.Int {
	q, r := new(big.Int).QuoRem(a, n, new(big.Int))
	if r.Abs(r).Lsh(r, 1).Cmp(n) >= 0 {
		q.Add(q, big.NewInt(int64(a.Sign())))
	}
	return q
}

// big is the sum of group g.
func (s *int192) big(g int) *big.Int {
	v := decimal128.New(int64(s.w[2*g+1]), s.w[2*g]).BigInt()
	if s.wraps != nil {
		v.Add(v, new(big.Int).Lsh(big.NewInt(s.wraps[g]), 128))
	}
	return v
}

// Reserve makes room for n groups.
func (a *avg) Reserve(n int) {
	a.n.Reserve(n)
	a.sum.(Reserver).Reserve(n)
}
