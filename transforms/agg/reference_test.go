package agg

import (
	"fmt"
	"math"
	"math/big"
	"slices"
	"strconv"
	"strings"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/memory"
)

// variant is a way to call a function and what it must give, computed from texts with big numbers.
type variant struct {
	name  string
	of    string                        // for titles
	call  func(typ arrow.DataType) Call // of columns x, of the type, and y, an int64
	takes func(typ arrow.DataType) bool // nil: all
	want  func(typ arrow.DataType, order []string, rows []sample) string
	tame  bool    // floats without infinities and the like
	mild  bool    // small numbers
	off   float64 // share by which a float may be off
}

// mildly is what sums of products of small floats may be off by.
const mildly = 1e-9

func (v variant) title() string { return v.name + v.of }

func fx(typ arrow.DataType) arrow.Field { return arrow.Field{Name: "x", Type: typ, Nullable: true} }

var fy = arrow.Field{Name: "y", Type: arrow.PrimitiveTypes.Int64, Nullable: true}

func callX(typ arrow.DataType) Call  { return Args(fx(typ)) }
func callXY(typ arrow.DataType) Call { return Args(fx(typ), fy) }

func distinctX(typ arrow.DataType) Call {
	c := callX(typ)
	c.Distinct = true
	return c
}

// withConst adds a constant argument in front of the others or behind them.
func constArg(v string) Arg {
	if f, err := strconv.ParseFloat(v, 64); err == nil {
		if strings.Contains(v, ".") {
			t := &arrow.Decimal128Type{Precision: 10, Scale: int32(len(v) - strings.Index(v, ".") - 1)}
			return Arg{Field: arrow.Field{Type: t}, Const: column1(memory.DefaultAllocator, t, []string{v})}
		}
		return Arg{Field: arrow.Field{Type: int64s}, Const: column1(memory.DefaultAllocator, int64s, []string{fmt.Sprint(int64(f))})}
	}
	return Arg{Field: arrow.Field{Type: arrow.BinaryTypes.String}, Const: column1(memory.DefaultAllocator, arrow.BinaryTypes.String, []string{v})}
}

func with(c Call, v string) Call {
	c.Args = append(c.Args, constArg(v))
	return c
}

func within(q string, desc bool) func(arrow.DataType) Call {
	return func(typ arrow.DataType) Call {
		c := Call{Order: []Key{{Field: fx(typ), Desc: desc, Arg: -1}}, Within: true}
		if q != "" {
			c.Args = []Arg{constArg(q)}
		}
		return c
	}
}

func orderBy(c Call, f arrow.Field, desc bool, arg int) Call {
	c.Order = append(c.Order, Key{Field: f, Desc: desc, NullsFirst: desc, Arg: arg})
	return c
}

// Types.
func numeric(t arrow.DataType) bool {
	return arrow.IsInteger(t.ID()) || arrow.IsFloating(t.ID()) || t.ID() == arrow.DECIMAL128
}
func exact(t arrow.DataType) bool    { return numeric(t) && !arrow.IsFloating(t.ID()) }
func integral(t arrow.DataType) bool { return arrow.IsInteger(t.ID()) }
func truth(t arrow.DataType) bool    { return t.ID() == arrow.BOOL }
func texts(t arrow.DataType) bool {
	return t.ID() == arrow.STRING || t.ID() == arrow.LARGE_STRING
}

type want = func(typ arrow.DataType, order []string, rows []sample) string

// xs are the values of x that are not null, in the order of the input.
func xs(rows []sample) (out []string) {
	for _, r := range rows {
		if r.x != "null" {
			out = append(out, r.x)
		}
	}
	return out
}

func sorted(order, vals []string) []string {
	slices.SortStableFunc(vals, func(a, b string) int { return slices.Index(order, a) - slices.Index(order, b) })
	return vals
}

func unique(order, vals []string) []string { return slices.Compact(sorted(order, vals)) }

// none makes what w gives for rows without a value null.
func none(w want) want {
	return func(typ arrow.DataType, order []string, rows []sample) string {
		if len(xs(rows)) == 0 {
			return "null"
		}
		return w(typ, order, rows)
	}
}

func rats(vals []string) (out []*big.Rat) {
	for _, v := range vals {
		r, ok := new(big.Rat).SetString(v)
		if !ok {
			panic(v)
		}
		if f, err := strconv.ParseFloat(v, 64); err == nil && strings.ContainsAny(v, "e") {
			r.SetFloat64(f)
		}
		out = append(out, r)
	}
	return out
}

func ratText(r *big.Rat) string {
	f, _ := r.Float64()
	return fmt.Sprint(f)
}

// squares is the sum of the squared distances from the mean.
func squares(vals []*big.Rat) *big.Rat { return products(vals, vals) }

func mean(vals []*big.Rat) *big.Rat {
	m := new(big.Rat)
	for _, v := range vals {
		m.Add(m, v)
	}
	return m.Quo(m, big.NewRat(int64(len(vals)), 1))
}

func products(a, b []*big.Rat) *big.Rat {
	ma, mb, sum := mean(a), mean(b), new(big.Rat)
	for i := range a {
		x, y := new(big.Rat).Sub(a[i], ma), new(big.Rat).Sub(b[i], mb)
		sum.Add(sum, x.Mul(x, y))
	}
	return sum
}

func spread(least int, root bool) want {
	return func(_ arrow.DataType, _ []string, rows []sample) string {
		vals := rats(xs(rows))
		if len(vals) < least {
			return "null"
		}
		v := squares(vals)
		v.Quo(v, big.NewRat(int64(len(vals)+1-least), 1))
		f, _ := v.Float64()
		if root {
			f = math.Sqrt(f)
		}
		return fmt.Sprint(f)
	}
}

// both computes from the rows where neither x nor y is null.
func both(f func(y, x []*big.Rat) string) want {
	return func(_ arrow.DataType, _ []string, rows []sample) string {
		var y, x []string
		for _, r := range rows {
			if r.x != "null" && r.y != "null" {
				y, x = append(y, r.x), append(x, r.y) // y is the first argument
			}
		}
		if len(y) == 0 {
			return "null"
		}
		return f(rats(y), rats(x))
	}
}

func count(vals []*big.Rat) *big.Rat { return big.NewRat(int64(len(vals)), 1) }

// moreScale are the digits that a decimal result has more than its argument.
func moreScale(d *arrow.Decimal128Type) int {
	return int(max(d.Scale, min(d.Scale+4, 38-(d.Precision-d.Scale))))
}

func cont(q string, desc bool) want {
	return none(func(typ arrow.DataType, order []string, rows []sample) string {
		vals := rats(sorted(order, xs(rows)))
		if desc {
			slices.Reverse(vals)
		}
		share, _ := new(big.Rat).SetString(q)
		at := new(big.Rat).Mul(share, big.NewRat(int64(len(vals)-1), 1))
		i := int(new(big.Int).Quo(at.Num(), at.Denom()).Int64())
		v := new(big.Rat).Set(vals[i])
		if part := at.Sub(at, big.NewRat(int64(i), 1)); part.Sign() > 0 {
			d := new(big.Rat).Sub(vals[i+1], vals[i])
			v.Add(v, d.Mul(d, part))
		}
		if d, ok := typ.(*arrow.Decimal128Type); ok {
			return v.FloatString(moreScale(d))
		}
		return ratText(v)
	})
}

func disc(q string, desc bool) want {
	return none(func(_ arrow.DataType, order []string, rows []sample) string {
		vals := sorted(order, xs(rows))
		if desc {
			slices.Reverse(vals)
		}
		share, _ := new(big.Rat).SetString(q)
		for i, v := range vals {
			if big.NewRat(int64(i+1), int64(len(vals))).Cmp(share) >= 0 {
				return v
			}
		}
		panic("no value")
	})
}

func about(q float64) want {
	return none(func(_ arrow.DataType, order []string, rows []sample) string {
		vals := sorted(order, xs(rows))
		return vals[int(math.Round(q*float64(len(vals)-1)))]
	})
}

// tallied are the different values with their counts, in ascending order.
func tallied(order []string, rows []sample) (vals []string, n map[string]int) {
	n = map[string]int{}
	for _, x := range xs(rows) {
		n[x]++
	}
	return unique(order, xs(rows)), n
}

func most(desc bool) want {
	return none(func(_ arrow.DataType, order []string, rows []sample) string {
		vals, n := tallied(order, rows)
		if desc {
			slices.Reverse(vals)
		}
		return slices.MaxFunc(vals, func(a, b string) int { return n[a] - n[b] })
	})
}

func joined(vals []string) string {
	if len(vals) == 0 {
		return "null"
	}
	return "[" + strings.Join(vals, " ") + "]"
}

func all(rows []sample) (out []string) {
	for _, r := range rows {
		out = append(out, r.x)
	}
	return out
}

// byY puts rows in the order of y, nulls last, or descending with nulls first.
func byY(rows []sample, desc bool) []sample {
	rows = slices.Clone(rows)
	rank := func(r sample) int {
		i := slices.Index(ys, r.y)
		if i < 0 {
			i = len(ys)
		}
		if desc {
			return -i
		}
		return i
	}
	slices.SortStableFunc(rows, func(a, b sample) int { return rank(a) - rank(b) })
	return rows
}

// paired are the rows where neither is null.
func paired(rows []sample) (out []sample) {
	for _, r := range rows {
		if r.x != "null" && r.y != "null" {
			out = append(out, r)
		}
	}
	return out
}

func firstOf(rows []sample) string {
	if len(rows) == 0 {
		return "null"
	}
	return rows[0].x
}

func reversed(rows []sample) []sample {
	rows = slices.Clone(rows)
	slices.Reverse(rows)
	return rows
}

func bitwise(op func(a, b *big.Int) *big.Int) want {
	return none(func(_ arrow.DataType, _ []string, rows []sample) string {
		var out *big.Int
		for _, x := range xs(rows) {
			v, _ := new(big.Int).SetString(x, 10)
			if out == nil {
				out = v
			} else {
				out = op(out, v)
			}
		}
		return out.String()
	})
}

var variants = []variant{
	{name: "count", of: "(*)", call: func(arrow.DataType) Call { return Call{Star: true} }, want: func(_ arrow.DataType, _ []string, rows []sample) string { return strconv.Itoa(len(rows)) }},
	{name: "count", call: callX, want: func(_ arrow.DataType, _ []string, rows []sample) string { return strconv.Itoa(len(xs(rows))) }},
	{name: "count", of: " distinct", call: distinctX, want: func(_ arrow.DataType, order []string, rows []sample) string {
		return strconv.Itoa(len(unique(order, xs(rows))))
	}},
	{name: "approx_count_distinct", call: callX, want: func(_ arrow.DataType, order []string, rows []sample) string {
		return strconv.Itoa(len(unique(order, xs(rows))))
	}},
	{name: "sum", call: callX, takes: numeric, want: none(func(typ arrow.DataType, _ []string, rows []sample) string { return referenceSum(false, typ, xs(rows)) })},
	{name: "avg", call: callX, takes: numeric, want: none(func(typ arrow.DataType, _ []string, rows []sample) string { return referenceSum(true, typ, xs(rows)) })},
	{name: "sum", of: " distinct", call: distinctX, takes: numeric, want: none(func(typ arrow.DataType, order []string, rows []sample) string {
		return referenceSum(false, typ, unique(order, xs(rows)))
	})},
	{name: "avg", of: " distinct", call: distinctX, takes: numeric, want: none(func(typ arrow.DataType, order []string, rows []sample) string {
		return referenceSum(true, typ, unique(order, xs(rows)))
	})},
	{name: "min", call: callX, want: none(func(_ arrow.DataType, order []string, rows []sample) string { return sorted(order, xs(rows))[0] })},
	{name: "max", call: callX, want: none(func(_ arrow.DataType, order []string, rows []sample) string {
		v := sorted(order, xs(rows))
		return v[len(v)-1]
	})},
	{name: "var_pop", call: callX, takes: numeric, tame: true, want: spread(1, false)},
	{name: "var_samp", call: callX, takes: numeric, tame: true, want: spread(2, false)},
	{name: "stddev_pop", call: callX, takes: numeric, tame: true, want: spread(1, true)},
	{name: "stddev_samp", call: callX, takes: numeric, tame: true, want: spread(2, true)},
	{name: "stddev_samp", of: " distinct", call: distinctX, takes: exact, want: func(typ arrow.DataType, order []string, rows []sample) string {
		var some []sample
		for _, x := range unique(order, xs(rows)) {
			some = append(some, sample{x: x})
		}
		return spread(2, true)(typ, order, some)
	}},
	{name: "covar_pop", call: callXY, takes: numeric, mild: true, off: mildly, want: both(func(y, x []*big.Rat) string { return ratText(new(big.Rat).Quo(products(y, x), count(y))) })},
	{name: "covar_samp", call: callXY, takes: numeric, mild: true, off: mildly, want: both(func(y, x []*big.Rat) string {
		if len(y) < 2 {
			return "null"
		}
		return ratText(new(big.Rat).Quo(products(y, x), big.NewRat(int64(len(y)-1), 1)))
	})},
	{name: "corr", call: callXY, takes: numeric, mild: true, off: mildly, want: both(func(y, x []*big.Rat) string {
		d := new(big.Rat).Mul(squares(y), squares(x))
		if d.Sign() == 0 {
			return "null"
		}
		p := products(y, x)
		r, _ := new(big.Rat).Quo(new(big.Rat).Mul(p, p), d).Float64()
		return fmt.Sprint(math.Copysign(math.Sqrt(r), float64(p.Sign())))
	})},
	{name: "regr_count", call: callXY, takes: numeric, mild: true, want: func(_ arrow.DataType, _ []string, rows []sample) string { return strconv.Itoa(len(paired(rows))) }},
	{name: "regr_avgy", call: callXY, takes: numeric, mild: true, off: mildly, want: both(func(y, _ []*big.Rat) string { return ratText(mean(y)) })},
	{name: "regr_avgx", call: callXY, takes: numeric, mild: true, off: mildly, want: both(func(_, x []*big.Rat) string { return ratText(mean(x)) })},
	{name: "regr_syy", call: callXY, takes: numeric, mild: true, off: mildly, want: both(func(y, _ []*big.Rat) string { return ratText(squares(y)) })},
	{name: "regr_sxx", call: callXY, takes: numeric, mild: true, off: mildly, want: both(func(_, x []*big.Rat) string { return ratText(squares(x)) })},
	{name: "regr_sxy", call: callXY, takes: numeric, mild: true, off: mildly, want: both(func(y, x []*big.Rat) string { return ratText(products(y, x)) })},
	{name: "regr_slope", call: callXY, takes: numeric, mild: true, off: mildly, want: both(func(y, x []*big.Rat) string {
		if squares(x).Sign() == 0 {
			return "null"
		}
		return ratText(new(big.Rat).Quo(products(y, x), squares(x)))
	})},
	{name: "regr_intercept", call: callXY, takes: numeric, mild: true, off: mildly, want: both(func(y, x []*big.Rat) string {
		if squares(x).Sign() == 0 {
			return "null"
		}
		slope := new(big.Rat).Quo(products(y, x), squares(x))
		return ratText(new(big.Rat).Sub(mean(y), slope.Mul(slope, mean(x))))
	})},
	{name: "regr_r2", call: callXY, takes: numeric, mild: true, off: mildly, want: both(func(y, x []*big.Rat) string {
		switch {
		case squares(x).Sign() == 0:
			return "null"
		case squares(y).Sign() == 0:
			return "1"
		}
		p := products(y, x)
		return ratText(p.Mul(p, p).Quo(p, new(big.Rat).Mul(squares(y), squares(x))))
	})},
	{name: "bool_and", call: callX, takes: truth, want: none(func(_ arrow.DataType, _ []string, rows []sample) string {
		return fmt.Sprint(!slices.Contains(xs(rows), "false"))
	})},
	{name: "bool_or", call: callX, takes: truth, want: none(func(_ arrow.DataType, _ []string, rows []sample) string {
		return fmt.Sprint(slices.Contains(xs(rows), "true"))
	})},
	{name: "count_if", call: callX, takes: truth, want: func(_ arrow.DataType, _ []string, rows []sample) string {
		return strconv.Itoa(len(slices.DeleteFunc(xs(rows), func(x string) bool { return x != "true" })))
	}},
	{name: "bit_and", call: callX, takes: integral, want: bitwise(func(a, b *big.Int) *big.Int { return a.And(a, b) })},
	{name: "bit_or", call: callX, takes: integral, want: bitwise(func(a, b *big.Int) *big.Int { return a.Or(a, b) })},
	{name: "bit_xor", call: callX, takes: integral, want: bitwise(func(a, b *big.Int) *big.Int { return a.Xor(a, b) })},
	{name: "product", call: callX, takes: numeric, mild: true, off: mildly, want: none(func(_ arrow.DataType, _ []string, rows []sample) string {
		p := 1.0
		for _, x := range xs(rows) {
			v, _ := strconv.ParseFloat(x, 64)
			p *= v
		}
		return fmt.Sprint(p)
	})},
	{name: "percentile_cont", call: within("0.3", false), takes: numeric, tame: true, want: cont("0.3", false)},
	{name: "percentile_cont", of: " desc", call: within("0.9", true), takes: numeric, tame: true, want: cont("0.9", true)},
	{name: "median", call: callX, takes: numeric, tame: true, want: cont("0.5", false)},
	{name: "median", of: " distinct", call: distinctX, takes: exact, want: func(typ arrow.DataType, order []string, rows []sample) string {
		var some []sample
		for _, x := range unique(order, xs(rows)) {
			some = append(some, sample{x: x})
		}
		return cont("0.5", false)(typ, order, some)
	}},
	{name: "percentile_disc", call: within("0.3", false), want: disc("0.3", false)},
	{name: "percentile_disc", of: " desc", call: within("0.75", true), want: disc("0.75", true)},
	{name: "approx_quantile", call: func(t arrow.DataType) Call { return with(callX(t), "0.4") }, takes: numeric, off: 1.0 / 256, want: about(0.4)},
	{name: "mode", call: callX, want: most(false)},
	{name: "mode", of: " within desc", call: within("", true), want: most(true)},
	{name: "histogram", call: callX, want: none(func(_ arrow.DataType, order []string, rows []sample) string {
		vals, n := tallied(order, rows)
		for i, v := range vals {
			vals[i] = fmt.Sprintf("{%s %d}", v, n[v])
		}
		return joined(vals)
	})},
	{name: "top_k", call: func(t arrow.DataType) Call { return with(callX(t), "2") }, want: none(func(_ arrow.DataType, order []string, rows []sample) string {
		vals, n := tallied(order, rows)
		slices.SortStableFunc(vals, func(a, b string) int { return n[b] - n[a] })
		return joined(vals[:min(len(vals), 2)])
	})},
	{name: "array_agg", call: callX, want: func(_ arrow.DataType, _ []string, rows []sample) string { return joined(all(rows)) }},
	{name: "array_agg", of: " by y desc", call: func(t arrow.DataType) Call { return orderBy(callX(t), fy, true, -1) }, want: func(_ arrow.DataType, _ []string, rows []sample) string {
		return joined(all(byY(rows, true)))
	}},
	{name: "array_agg", of: " distinct by x desc", call: func(t arrow.DataType) Call { return orderBy(distinctX(t), fx(t), true, 0) }, want: func(_ arrow.DataType, order []string, rows []sample) string {
		vals := unique(append(slices.Clone(order), "null"), all(rows))
		slices.Reverse(vals)
		return joined(vals)
	}},
	{name: "string_agg", call: func(t arrow.DataType) Call { return with(callX(t), ", ") }, takes: texts, want: none(func(_ arrow.DataType, _ []string, rows []sample) string { return strings.Join(xs(rows), ", ") })},
	{name: "string_agg", of: " by y", call: func(t arrow.DataType) Call { return orderBy(with(callX(t), "|"), fy, false, -1) }, takes: texts,
		want: none(func(_ arrow.DataType, _ []string, rows []sample) string {
			return strings.Join(xs(byY(rows, false)), "|")
		})},
	{name: "string_agg", of: " distinct", call: func(t arrow.DataType) Call { return with(distinctX(t), "") }, takes: texts,
		want: none(func(_ arrow.DataType, order []string, rows []sample) string {
			return strings.Join(unique(order, xs(rows)), "")
		})},
	{name: "first", call: callX, want: func(_ arrow.DataType, _ []string, rows []sample) string { return firstOf(rows) }},
	{name: "first", of: " by y desc", call: func(t arrow.DataType) Call { return orderBy(callX(t), fy, true, -1) }, want: func(_ arrow.DataType, _ []string, rows []sample) string {
		return firstOf(byY(rows, true))
	}},
	{name: "last", call: callX, want: func(_ arrow.DataType, _ []string, rows []sample) string { return firstOf(reversed(rows)) }},
	{name: "last", of: " by y", call: func(t arrow.DataType) Call { return orderBy(callX(t), fy, false, -1) }, want: func(_ arrow.DataType, _ []string, rows []sample) string {
		return firstOf(reversed(byY(rows, false)))
	}},
	{name: "any_value", call: callX, want: none(func(_ arrow.DataType, _ []string, rows []sample) string { return xs(rows)[0] })},
	{name: "arg_min", call: callXY, want: func(_ arrow.DataType, _ []string, rows []sample) string { return firstOf(byY(paired(rows), false)) }},
	{name: "arg_max", call: callXY, want: func(_ arrow.DataType, _ []string, rows []sample) string { return firstOf(byY(paired(rows), true)) }},
}

func referenceSum(avg bool, typ arrow.DataType, vals []string) string {
	total, special := new(big.Rat), 0.0
	for _, s := range vals {
		if r, ok := new(big.Rat).SetString(s); ok {
			if typ.ID() == arrow.FLOAT64 || typ.ID() == arrow.FLOAT32 {
				f, _ := strconv.ParseFloat(s, 64)
				r.SetFloat64(f)
			}
			total.Add(total, r)
		} else {
			f, _ := strconv.ParseFloat(s, 64)
			special += f
		}
	}
	if special != 0 || math.IsNaN(special) {
		return fmt.Sprint(special)
	}
	if avg {
		total.Quo(total, big.NewRat(int64(len(vals)), 1))
		if d, ok := typ.(*arrow.Decimal128Type); ok {
			return total.FloatString(moreScale(d))
		}
	}
	if arrow.IsFloating(typ.ID()) || avg && typ.ID() != arrow.DECIMAL128 {
		f, _ := total.Float64()
		return fmt.Sprint(f)
	}
	d, ok := typ.(*arrow.Decimal128Type)
	if !ok {
		return total.Num().String()
	}
	return total.FloatString(int(d.Scale))
}
