package agg

import (
	"fmt"
	"math"
	"math/big"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/decimal128"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/sluice-data/sluice/transforms/internal/col"
	"github.com/sluice-data/sluice/transforms/internal/orderkey"
)

func init() {
	const state = "list of the values that are not null"
	Register(Func{
		Name: "percentile_cont",
		Doc: "percentile_cont(q) WITHIN GROUP (ORDER BY x) is the value at the share q (a constant from 0 to 1) of the values that are not null, between two of them in proportion; null if there are none. " +
			"Integers and floats give float64; decimal(p,s) gives decimal(38,s+4), as avg does. Every value is kept: approx_quantile takes less memory.",
		Example: "percentile_cont(0.5) WITHIN GROUP (ORDER BY total)",
		State:   state,
		Ordered: true,
		bind: func(c Call) (Bound, error) {
			arg, desc, err := orderedArg("percentile_cont", c, 1)
			if err != nil {
				return Bound{}, err
			}
			q, null, err := exactFraction("percentile_cont", c)
			if err != nil {
				return Bound{}, err
			}
			return bindPercentile("percentile_cont", c, arg, desc, q, null)
		},
	})
	Register(Func{
		Name:    "median",
		Doc:     "median(x) is percentile_cont(0.5) WITHIN GROUP (ORDER BY x).",
		Example: "median(total)",
		State:   state,
		bind: func(c Call) (Bound, error) {
			if _, err := one("median", c); err != nil {
				return Bound{}, err
			}
			return bindPercentile("median", c, 0, false, big.NewRat(1, 2), false)
		},
	})
	Register(Func{
		Name: "percentile_disc",
		Doc: "percentile_disc(q) WITHIN GROUP (ORDER BY x) is the first value in order up to which the share q (a constant from 0 to 1) of the values that are not null lies; null if there are none. " +
			"Every value is kept.",
		Example: "percentile_disc(0.5) WITHIN GROUP (ORDER BY total)",
		State:   state,
		Ordered: true,
		bind:    bindPercentileDisc,
	})
}

// exactFraction is the share that the first argument is, without rounding.
func exactFraction(name string, c Call) (q *big.Rat, null bool, err error) {
	f, null, err := fraction(name, c, 0)
	if err != nil || null {
		return nil, null, err
	}
	if d, ok := c.Args[0].Const.(*array.Decimal128); ok {
		q, _ = new(big.Rat).SetString(d.Value(0).ToString(d.DataType().(*arrow.Decimal128Type).Scale))
		return q, false, nil
	}
	return new(big.Rat).SetFloat64(f), false, nil
}

func bindPercentileDisc(c Call) (Bound, error) {
	arg, desc, err := orderedArg("percentile_disc", c, 1)
	if err != nil {
		return Bound{}, err
	}
	q, null, err := exactFraction("percentile_disc", c)
	if err != nil {
		return Bound{}, err
	}
	f := c.Field(arg)
	if !orderkey.Orderable(f.Type) {
		return Bound{}, unfit("percentile_disc", f, "values that have an order")
	}
	at := newShare(q)
	index := func(n int) int {
		i := at.upTo(n) - 1
		if desc {
			i = n - 1 - i
		}
		return i
	}
	pick := &picker{at: func(n int) (int, bool) { return index(n), false }, of: func(mem memory.Allocator, c *chosen) (arrow.Array, error) {
		first := make([]int32, len(c.at))
		for g := range c.at {
			first[g] = c.at[g][0]
		}
		return c.h.take(mem, first)
	}}
	if null {
		pick.at = nil
	}
	if b, ok := rankedBound(like(f), f.Type, arg, pick); ok {
		return b, nil
	}
	ranked := pick.ranked(f.Type)
	if null {
		pick = nil
	}
	b := collectedOr(c, like(f), []Input{{Arg: arg}}, -1, []int{0}, func(c *collect, mem memory.Allocator, off, rows []int32) (arrow.Array, error) {
		order := c.cols[0].order()
		at := make([]int32, len(off)-1)
		for g := range at {
			of := rows[off[g]:off[g+1]]
			if at[g] = -1; len(of) == 0 || null {
				continue
			}
			i := index(len(of))
			nth(of, i, before(order))
			at[g] = of[i]
		}
		return c.cols[0].take(mem, at)
	}, pick)
	b.Ranked = ranked
	return b, nil
}

func bindPercentile(name string, c Call, arg int, desc bool, q *big.Rat, null bool) (Bound, error) {
	f := c.Field(arg)
	toFloat := floatsOf(f.Type)
	if toFloat == nil {
		return Bound{}, unfit(name, f, "numbers (percentile_disc takes all that has an order)")
	}
	if desc && !null {
		q = new(big.Rat).Sub(big.NewRat(1, 1), q)
	}
	result := float64s
	more := int32(0)
	dec, isDecimal := f.Type.(*arrow.Decimal128Type)
	if isDecimal {
		more = max(0, min(4, 38-dec.Precision))
		result = &arrow.Decimal128Type{Precision: 38, Scale: dec.Scale + more}
	}
	at := newShare(q)
	pick := &picker{at: at.between, of: func(mem memory.Allocator, c *chosen) (arrow.Array, error) {
		if isDecimal {
			return decimalPercentiles(mem, c, q, result, more)
		}
		return floatPercentiles(mem, c, at, toFloat)
	}}
	if null {
		pick.at = nil
	}
	b, _ := rankedBound(column(result), f.Type, arg, pick) // numbers all are
	return b, nil
}

// floatPercentiles are percentiles of what was chosen.
func floatPercentiles(mem memory.Allocator, c *chosen, q share, toFloat func(arrow.Array) []float64) (arrow.Array, error) {
	has := make([]uint8, len(c.at))
	all, err := c.h.take(memory.DefaultAllocator, every(nil, c.h.n))
	if err != nil {
		return nil, err
	}
	defer all.Release()
	v := toFloat(all)
	buf, out := col.Make[float64](mem, len(c.at))
	for g, i := range c.at {
		if i[0] < 0 {
			continue
		}
		has[g], out[g] = 1, v[i[0]]
		if f := q.part(c.n[g]); f != 0 && out[g] == out[g] {
			out[g] = proportion(out[g], v[i[1]], f)
		}
	}
	return col.Of(mem, float64s, len(c.at), buf, has), nil
}

// decimalPercentiles are percentiles of what was chosen.
func decimalPercentiles(mem memory.Allocator, c *chosen, q *big.Rat, t arrow.DataType, more int32) (arrow.Array, error) {
	has := make([]uint8, len(c.at))
	words := arrow.GetData[uint64](c.h.data)
	value := func(i int32) *big.Int { return decimal128.New(int64(words[2*i+1]), words[2*i]).BigInt() }
	buf, out := col.Make[decimal128.Num](mem, len(c.at))
	for g, i := range c.at {
		if i[0] < 0 {
			continue
		}
		has[g] = 1
		_, part := position(c.n[g], q)
		v := value(i[0])
		next := v
		if part.Sign() != 0 {
			next = value(i[1])
		}
		var ok bool
		if out[g], ok = between(v, next, part, more); !ok {
			buf.Release()
			return nil, &GroupError{g, fmt.Sprintf("decimal(38,%d) out of range", t.(*arrow.Decimal128Type).Scale)}
		}
	}
	return col.Of(mem, t, len(c.at), buf, has), nil
}

// before is an order as a less.
func before(order func(i, j int32) int) func(i, j int32) bool {
	return func(i, j int32) bool { return order(i, j) < 0 }
}

// proportion is the value at the share f of the way from lo to hi.
func proportion(lo, hi, f float64) float64 {
	if lo == hi {
		return lo
	}
	if d := hi - lo; !math.IsInf(d, 0) {
		return lo + d*f
	}
	return lo*(1-f) + hi*f
}

// between is the value at the share part of the way from v to next, with more digits, rounded; false if it has over 38.
func between(v, next *big.Int, part *big.Rat, more int32) (decimal128.Num, bool) {
	ten := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(more)), nil)
	limit := new(big.Int).Exp(big.NewInt(10), big.NewInt(38), nil)
	r := new(big.Int).Mul(v, ten)
	if part.Sign() != 0 {
		r.Mul(v, part.Denom()).Add(r, new(big.Int).Mul(new(big.Int).Sub(next, v), part.Num()))
		r = roundDiv(r.Mul(r, ten), part.Denom())
	}
	if r.CmpAbs(limit) >= 0 {
		return decimal128.Num{}, false
	}
	return decimal128.FromBigInt(r), true
}

// position is the index that q × (n-1) lies at, and how far on the way to the next.
func position(n int, q *big.Rat) (i int, part *big.Rat) {
	at := new(big.Rat).Mul(q, new(big.Rat).SetInt64(int64(n-1)))
	whole := new(big.Int).Quo(at.Num(), at.Denom())
	return int(whole.Int64()), at.Sub(at, new(big.Rat).SetInt(whole))
}
