package agg

import (
	"math"
	"math/big"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/sluice-data/sluice/transforms/internal/col"
)

func init() {
	for _, f := range []struct {
		name, doc string
		aliases   []string
		least     int64 // values for a result
		root      bool
	}{
		{"var_pop", "the variance of the values that are not null as a population; null if there are none", nil, 1, false},
		{"var_samp", "the variance of the values that are not null as a sample (divided by one less than their number); null for fewer than two", []string{"variance"}, 2, false},
		{"stddev_pop", "the square root of var_pop(x)", nil, 1, true},
		{"stddev_samp", "the square root of var_samp(x)", []string{"stddev"}, 2, true},
	} {
		result := func(v float64) float64 { return v }
		if f.root {
			result = math.Sqrt
		}
		Register(Func{
			Name:    f.name,
			Aliases: f.aliases,
			Doc: f.name + "(x) is " + f.doc + ", as float64. Of integers and decimals of up to 18 digits the sums of the values and of their squares are exact and the result is rounded once; " +
				"of others it is kept by Welford's method and merged by Chan's.",
			Example: f.name + "(total)",
			State: "of integers and decimals of up to 18 digits: the columns of sum for the values, those for their squares, and int64 (how many); " +
				"of others: int64 (how many), float64 (the mean) and float64 (the sum of the squared distances from it)",
			bind: func(c Call) (Bound, error) {
				arg, err := one(f.name, c)
				if err != nil {
					return Bound{}, err
				}
				return bindVariance(f.name, arg, f.least, result)
			},
		})
	}
}

// bindVariance binds a function of the sum of the squared distances from the mean over n+1-least; null for fewer values than least.
func bindVariance(name string, arg arrow.Field, least int64, result func(v float64) float64) (Bound, error) {
	if d, ok := arg.Type.(*arrow.Decimal128Type); ok && d.Precision <= 18 || arrow.IsInteger(arg.Type.ID()) {
		unit := big.NewInt(1)
		if ok {
			unit.Exp(big.NewInt(10), big.NewInt(2*int64(d.Scale)), nil)
		}
		state := append(append(sumState(), sumState()...), arrow.Field{Type: int64s})
		return Bound{Result: column(float64s), State: state, New: func(memory.Allocator) Accumulator {
			return &exactVariance{sum: sumExact{fold: intFolds[arg.Type.ID()]}, least: least, unit: unit, result: result, words: integersOf(arg.Type)}
		}}, nil
	}
	toFloat := floatsOf(arg.Type)
	if toFloat == nil {
		return Bound{}, unfit(name, arg, "numbers")
	}
	return Bound{Result: column(float64s), State: []arrow.Field{{Type: int64s}, {Type: float64s}, {Type: float64s}}, New: func(memory.Allocator) Accumulator {
		return &variance{least: least, result: result, floats: toFloat}
	}}, nil
}

// variance is Welford's running mean and sum of squares: d is the mean and m2 of group g in w[2g], w[2g+1].
type variance struct {
	n      []int64
	w      []float64
	least  int64
	result func(v float64) float64
	floats func(arrow.Array) []float64
}

func (v *variance) Update(groups []uint32, n int, args []arrow.Array) error {
	v.n, v.w = col.Grow(v.n, n), col.Grow(v.w, 2*n)
	x := v.floats(args[0])
	valid, off := col.Valid(args[0])
	for i, g := range groups {
		if valid != nil && valid[(off+i)>>3]>>uint((off+i)&7)&1 == 0 {
			continue
		}
		p := v.w[2*g : 2*g+2]
		v.n[g]++
		d := x[i] - p[0]
		p[0] += d / float64(v.n[g])
		p[1] += d * (x[i] - p[0])
	}
	return nil
}

func (v *variance) Merge(groups []uint32, n int, state []arrow.Array) error {
	v.n, v.w = col.Grow(v.n, n), col.Grow(v.w, 2*n)
	count, mean, m2 := col.Fixed[int64](state[0]), col.Fixed[float64](state[1]), col.Fixed[float64](state[2])
	for i, g := range groups {
		p, na, nb := v.w[2*g:2*g+2], float64(v.n[g]), float64(count[i])
		switch {
		case nb == 0:
		case na == 0:
			v.n[g], p[0], p[1] = count[i], mean[i], m2[i]
		default:
			v.n[g] += count[i]
			d := mean[i] - p[0]
			p[0] += d * (nb / (na + nb))
			p[1] += m2[i] + d*d*(na*(nb/(na+nb)))
		}
	}
	return nil
}

func (v *variance) State() ([]arrow.Array, error) {
	mean, m2 := unzip(v.w)
	return []arrow.Array{col.New(int64s, v.n, nil), col.New(float64s, mean, nil), col.New(float64s, m2, nil)}, nil
}

// unzip takes pairs apart.
func unzip(w []float64) (a, b []float64) {
	a, b = make([]float64, len(w)/2), make([]float64, len(w)/2)
	for i := range a {
		a[i], b[i] = w[2*i], w[2*i+1]
	}
	return a, b
}

func (v *variance) Result(mem memory.Allocator) (arrow.Array, error) {
	buf, out := col.Make[float64](mem, len(v.n))
	has := make([]uint8, len(v.n))
	for g, n := range v.n {
		if n >= v.least {
			out[g], has[g] = v.result(v.w[2*g+1]/float64(n+1-v.least)), 1
		}
	}
	return col.Of(mem, float64s, len(out), buf, has), nil
}

func (v *variance) Size() int64 { return 8 * int64(cap(v.n)+cap(v.w)) }
func (v *variance) Reset()      { v.n, v.w = reset(v.n), reset(v.w) }
func (v *variance) Release()    { v.n, v.w = nil, nil }

// Reserve makes room for n groups.
func (v *variance) Reserve(n int) { v.n, v.w = col.Reserve(v.n, n), col.Reserve(v.w, 2*n) }

// exactVariance keeps the sums of integers and of their squares.
type exactVariance struct {
	sum    sumExact
	square int192
	n      counter
	least  int64
	unit   *big.Int // what the squares of unscaled decimals are to be divided by
	result func(v float64) float64
	words  func(a arrow.Array) (v []int64, unsigned bool)
}

func (e *exactVariance) Update(groups []uint32, n int, args []arrow.Array) error {
	if err := e.n.Update(groups, n, args); err != nil {
		return err
	}
	if err := e.sum.Update(groups, n, args); err != nil {
		return err
	}
	e.square.grow(n)
	v, unsigned := e.words(args[0])
	valid, off := col.Valid(args[0])
	for i, g := range groups {
		if valid != nil && valid[(off+i)>>3]>>uint((off+i)&7)&1 == 0 {
			continue
		}
		hi, lo := squared(v[i], unsigned)
		if int64(hi) < 0 { // only of unsigned integers: 2^127 or more, which is a wrap of 128 bits
			e.square.add(g, lo, hi&(1<<63-1))
			e.square.add(g, 0, 1<<62)
			e.square.add(g, 0, 1<<62)
		} else {
			e.square.add(g, lo, hi)
		}
		e.square.one(g)
	}
	return nil
}

func (e *exactVariance) Merge(groups []uint32, n int, state []arrow.Array) error {
	if err := e.sum.Merge(groups, n, state[:2]); err != nil {
		return err
	}
	e.square.grow(n)
	e.square.merge(groups, state[2:4])
	return e.n.Merge(groups, n, state[4:])
}

func (e *exactVariance) State() ([]arrow.Array, error) {
	n, err := e.n.State()
	return append(append(e.sum.state(), e.square.state()...), n...), err
}

// variance is (n Σx² - (Σx)²) / n / (n+1-least), rounded once.
func (e *exactVariance) variance(g int, n int64) float64 {
	const exact = 1 << 53 // what float64 holds of integers
	over := n + 1 - e.least
	s, hi, sq := int64(e.sum.w[2*g]), int64(e.sum.w[2*g+1]), e.square.w[2*g]
	if hi == s>>63 && -1<<31 < s && s < 1<<31 && e.square.w[2*g+1] == 0 && n < 1<<20 && sq < 1<<42 && e.unit.IsInt64() && e.unit.Int64() <= 10000 {
		if m, d := int64(sq)*n-s*s, n*over*e.unit.Int64(); m < exact && d < exact {
			return float64(m) / float64(d)
		}
	}
	count := big.NewInt(n)
	sum := e.sum.big(g)
	m := e.square.big(g)
	m.Mul(m, count).Sub(m, sum.Mul(sum, sum))
	d := count.Mul(count, big.NewInt(over))
	v, _ := new(big.Rat).SetFrac(m, d.Mul(d, e.unit)).Float64()
	return v
}

func (e *exactVariance) Result(mem memory.Allocator) (arrow.Array, error) {
	groups := len(e.sum.has)
	buf, out := col.Make[float64](mem, groups)
	has := make([]uint8, groups)
	for g := range out {
		n := e.n.n[g]
		if n < e.least {
			continue
		}
		has[g] = 1
		out[g] = e.result(e.variance(g, n))
	}
	return col.Of(mem, float64s, groups, buf, has), nil
}

func (e *exactVariance) Size() int64 { return e.sum.size() + e.square.size() + e.n.Size() }

func (e *exactVariance) Reset() {
	e.sum.Reset()
	e.square.reset()
	e.n.Reset()
}

func (e *exactVariance) Release() {
	e.sum.Release()
	e.square = int192{}
	e.n.Release()
}

// Reserve makes room for n groups.
func (e *exactVariance) Reserve(n int) {
	e.sum.Reserve(n)
	e.square.Reserve(n)
	e.n.Reserve(n)
}
