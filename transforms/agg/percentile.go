package agg

import (
	"fmt"
	"math"
	"math/big"
	"slices"

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
	index := func(n int) int {
		// The first k with k/n >= q.
		k := new(big.Rat).Mul(q, new(big.Rat).SetInt64(int64(n)))
		up := new(big.Int).Div(new(big.Int).Add(k.Num(), new(big.Int).Sub(k.Denom(), big.NewInt(1))), k.Denom()).Int64()
		i := int(max(up, 1) - 1)
		if desc {
			i = n - 1 - i
		}
		return i
	}
	pick := &picker{at: index, of: func(c *collect, mem memory.Allocator, _ []int, at [][2]int32) (arrow.Array, error) {
		first := make([]int32, len(at))
		for g := range at {
			first[g] = at[g][0]
		}
		return c.cols[0].take(mem, first)
	}}
	if null {
		pick = nil
	}
	return collectedOr(c, like(f), []Input{{Arg: arg}}, -1, []int{0}, func(c *collect, mem memory.Allocator, off, rows []int32) (arrow.Array, error) {
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
	}, pick), nil
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
	pick := &picker{
		at: func(n int) int { i, _ := position(n, q); return i },
		of: func(c *collect, mem memory.Allocator, n []int, at [][2]int32) (arrow.Array, error) {
			return percentilesOf(c, mem, n, at, q, toFloat, result, more)
		},
	}
	if null {
		pick = nil
	}
	return collectedOr(c, column(result), []Input{{Arg: arg}}, -1, []int{0}, func(c *collect, mem memory.Allocator, off, rows []int32) (arrow.Array, error) {
		n := len(off) - 1
		has := filled(off)
		if null {
			clear(has)
		}
		if isDecimal {
			return decimalPercentiles(c, mem, off, rows, q, has, result, more)
		}
		buf, out := col.Make[float64](mem, n)
		all, err := c.cols[0].take(memory.DefaultAllocator, rows)
		if err != nil {
			return nil, err
		}
		defer all.Release()
		v := slices.Clone(toFloat(all))
		for g := range n {
			if has[g] != 0 {
				out[g] = percentile(v[off[g]:off[g+1]], q)
			}
		}
		return col.Of(mem, float64s, n, buf, has), nil
	}, pick), nil
}

// percentilesOf are percentiles of groups of n values each, of which those around the place are at of c's column.
func percentilesOf(c *collect, mem memory.Allocator, n []int, at [][2]int32, q *big.Rat, toFloat func(arrow.Array) []float64, result arrow.DataType, more int32) (arrow.Array, error) {
	_, isDecimal := c.cols[0].typ.(*arrow.Decimal128Type)
	has := make([]uint8, len(at))
	var floats []float64
	if !isDecimal {
		all, err := c.cols[0].take(memory.DefaultAllocator, every(nil, c.cols[0].n))
		if err != nil {
			return nil, err
		}
		defer all.Release()
		floats = toFloat(all)
	}
	buf, out := col.Make[float64](mem, len(at))
	defer buf.Release()
	nums, dec := col.Make[decimal128.Num](mem, len(at))
	defer nums.Release()
	words := arrow.GetData[uint64](c.cols[0].data)
	value := func(i int32) *big.Int { return decimal128.New(int64(words[2*i+1]), words[2*i]).BigInt() }
	for g := range at {
		i := at[g]
		if i[0] < 0 {
			continue
		}
		has[g] = 1
		_, part := position(n[g], q)
		switch {
		case isDecimal:
			v := value(i[0])
			next := v
			if i[1] >= 0 {
				next = value(i[1])
			}
			var ok bool
			if dec[g], ok = between(v, next, part, more); !ok {
				return nil, &GroupError{g, fmt.Sprintf("decimal(38,%d) out of range", result.(*arrow.Decimal128Type).Scale)}
			}
		default:
			f, _ := part.Float64()
			out[g] = floats[i[0]]
			if f != 0 && out[g] == out[g] {
				out[g] = proportion(out[g], floats[i[1]], f)
			}
		}
	}
	if isDecimal {
		nums.Retain()
		return col.Of(mem, result, len(at), nums, has), nil
	}
	buf.Retain()
	return col.Of(mem, float64s, len(at), buf, has), nil
}

// before is an order as a less.
func before(order func(i, j int32) int) func(i, j int32) bool {
	return func(i, j int32) bool { return order(i, j) < 0 }
}

// percentile is the value at the share q of v, whose order it changes. NaN is the greatest.
func percentile(v []float64, q *big.Rat) float64 {
	numbers := 0
	for i, x := range v {
		if x == x {
			v[numbers], v[i] = x, v[numbers]
			numbers++
		}
	}
	less := func(x, y float64) bool { return x < y }
	i, part := position(len(v), q)
	if i >= numbers {
		return math.NaN()
	}
	nth(v[:numbers], i, less)
	f, _ := part.Float64()
	if f == 0 {
		return v[i]
	}
	lo, hi := v[i], math.NaN()
	if i+1 < numbers {
		hi = least(v[i+1:numbers], less)
	}
	return proportion(lo, hi, f)
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

func decimalPercentiles(c *collect, mem memory.Allocator, off, rows []int32, q *big.Rat, has []uint8, t arrow.DataType, more int32) (arrow.Array, error) {
	w, less := arrow.GetData[uint64](c.cols[0].data), before(c.cols[0].order())
	buf, out := col.Make[decimal128.Num](mem, len(has))
	for g := range out {
		if has[g] == 0 {
			continue
		}
		of := rows[off[g]:off[g+1]]
		value := func(i int32) *big.Int { return decimal128.New(int64(w[2*i+1]), w[2*i]).BigInt() }
		i, part := position(len(of), q)
		nth(of, i, less)
		v := value(of[i])
		next := v
		if part.Sign() != 0 {
			next = value(least(of[i+1:], less))
		}
		var ok bool
		if out[g], ok = between(v, next, part, more); !ok {
			buf.Release()
			return nil, &GroupError{g, fmt.Sprintf("decimal(38,%d) out of range", t.(*arrow.Decimal128Type).Scale)}
		}
	}
	return col.Of(mem, t, len(out), buf, has), nil
}
