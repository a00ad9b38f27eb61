package agg

import (
	"fmt"
	"math"
	"slices"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/sluice-data/sluice/transforms/internal/col"
)

func init() {
	Register(Func{
		Name: "approx_quantile",
		Doc: "approx_quantile(x, q) is about the value below which the share q (a constant from 0 to 1) of the values that are not null lies, as float64; null if there are none. " +
			"It is off by 0.4 % of the value at most (DDSketch with bins of 8 significant bits: whole numbers up to 256 are exact), whatever the values, their order and the lanes, and takes some 40 bytes a bin.",
		Example: "approx_quantile(total, 0.5)",
		State:   "list of struct: v0 (int64) a bin: sign, exponent and 7 bits of the fraction of the float64, rounded to the nearest, with the sign of the number; v1 (int64) how many values are in it",
		bind:    bindApproxQuantile,
	})
}

func bindApproxQuantile(c Call) (Bound, error) {
	if len(c.Args) != 2 {
		return Bound{}, fmt.Errorf("approx_quantile takes a column and a share, as in approx_quantile(x, 0.95), not %d arguments", len(c.Args))
	}
	arg := c.Args[0].Field
	toFloat := floatsOf(arg.Type)
	if toFloat == nil {
		return Bound{}, unfit("approx_quantile", arg, "numbers")
	}
	q, null, err := fraction("approx_quantile", c, 1)
	if err != nil {
		return Bound{}, err
	}
	bins := func(a arrow.Array) arrow.Array {
		v := toFloat(a)
		out := make([]int64, len(v))
		for i, x := range v {
			out[i] = binOf(x)
		}
		return col.New(int64s, out, validOf(a))
	}
	return bindCounted("approx_quantile", arg, int64s, column(float64s), []Input{{Arg: 0}}, bins, frequent{}, func(v *values, mem memory.Allocator) (arrow.Array, error) {
		n := len(v.off) - 1
		buf, out := col.Make[float64](mem, n)
		has := filled(v.off)
		bin := arrow.GetData[int64](v.held.data)
		for g := range n {
			rows := v.rows[v.off[g]:v.off[g+1]]
			if len(rows) == 0 || null {
				has[g] = 0
				continue
			}
			slices.SortFunc(rows, func(i, j int32) int { return int(bin[i] - bin[j]) })
			var total int64
			for _, r := range rows {
				total += v.count[r]
			}
			at := int64(math.Round(q * float64(total-1)))
			for _, r := range rows {
				if at -= v.count[r]; at < 0 {
					out[g] = binValue(bin[r])
					break
				}
			}
		}
		return col.Of(mem, float64s, n, buf, has), nil
	})
}

// binShift leaves sign, exponent and 7 bits of a float64's fraction: with the leading one 8 significant bits.
const binShift = 52 - 7

// binOf is the number of x's bin, in the order of the numbers; that of NaN is the last.
func binOf(x float64) int64 {
	if x != x {
		return math.MaxInt64 >> binShift
	}
	b := int64(math.Float64bits(math.Abs(x)))
	if !math.IsInf(x, 0) {
		b = min(b+1<<(binShift-1), int64(math.Float64bits(math.MaxFloat64))) // to the nearest
	}
	if b >>= binShift; x < 0 {
		return -b
	}
	return b
}

// binValue is the number in the middle of a bin.
func binValue(bin int64) float64 {
	switch {
	case bin == math.MaxInt64>>binShift:
		return math.NaN()
	case bin < 0:
		return -math.Float64frombits(uint64(-bin) << binShift)
	}
	return math.Float64frombits(uint64(bin) << binShift)
}

// fraction is the share that argument i is.
func fraction(name string, c Call, i int) (q float64, null bool, err error) {
	q, null, err = constant(name, c, i, "the share, a number from 0 to 1,")
	if err == nil && !null && !(q >= 0 && q <= 1) {
		err = fmt.Errorf("%s wants a share from 0 to 1, not %v", name, q)
	}
	return q, null, err
}
