package agg

import (
	"fmt"
	"math"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/sluice-data/sluice/transforms/internal/col"
)

func init() {
	for _, f := range []struct {
		name, doc, example string
		result             func(m *moments) (float64, bool)
	}{
		{"covar_pop", "the covariance of a population", "covar_pop(total, user_id)", func(m *moments) (float64, bool) { return m.xy / m.n, true }},
		{"covar_samp", "the covariance of a sample; null for fewer than two pairs", "covar_samp(total, user_id)", func(m *moments) (float64, bool) { return m.xy / (m.n - 1), m.n > 1 }},
		{"corr", "the correlation coefficient; null where one of the two does not vary", "corr(total, user_id)", func(m *moments) (float64, bool) {
			r := m.xy / (math.Sqrt(m.xx) * math.Sqrt(m.yy))
			return max(-1, min(r, 1)), m.xx > 0 && m.yy > 0 || r != r && m.xx != 0 && m.yy != 0
		}},
		{"regr_slope", "the slope of the line through the pairs by least squares; null where x does not vary", "regr_slope(total, user_id)", func(m *moments) (float64, bool) { return m.xy / m.xx, m.xx != 0 }},
		{"regr_intercept", "y of that line at x = 0; null where x does not vary", "regr_intercept(total, user_id)", func(m *moments) (float64, bool) {
			return m.y - m.x*(m.xy/m.xx), m.xx != 0
		}},
		{"regr_r2", "the square of the correlation coefficient; 1 where y does not vary, null where x does not", "regr_r2(total, user_id)", func(m *moments) (float64, bool) {
			if m.yy == 0 {
				return 1, m.xx != 0
			}
			return m.xy * m.xy / m.xx / m.yy, m.xx != 0
		}},
		{"regr_avgx", "the mean of x", "regr_avgx(total, user_id)", func(m *moments) (float64, bool) { return m.x, true }},
		{"regr_avgy", "the mean of y", "regr_avgy(total, user_id)", func(m *moments) (float64, bool) { return m.y, true }},
		{"regr_sxx", "the sum of the squared distances of x from its mean", "regr_sxx(total, user_id)", func(m *moments) (float64, bool) { return m.xx, true }},
		{"regr_syy", "the sum of the squared distances of y from its mean", "regr_syy(total, user_id)", func(m *moments) (float64, bool) { return m.yy, true }},
		{"regr_sxy", "the sum of the products of both distances", "regr_sxy(total, user_id)", func(m *moments) (float64, bool) { return m.xy, true }},
	} {
		Register(Func{
			Name:    f.name,
			Doc:     f.name + "(y, x), of the rows where neither is null, is " + f.doc + "; as float64, null if there are none. Welford's method, merged by Chan's.",
			Example: f.example,
			State:   pairState,
			bind: func(c Call) (Bound, error) {
				return bindPairs(f.name, c, column(float64s), func(p *pairs, mem memory.Allocator) arrow.Array {
					buf, out := col.Make[float64](mem, len(p.m))
					has := make([]uint8, len(p.m))
					for g := range p.m {
						if p.m[g].n == 0 {
							continue
						}
						if v, ok := f.result(&p.m[g]); ok {
							out[g], has[g] = v, 1
						}
					}
					return col.Of(mem, float64s, len(out), buf, has)
				})
			},
		})
	}
	Register(Func{
		Name:    "regr_count",
		Doc:     "regr_count(y, x) is the number of rows where neither is null; as int64.",
		Example: "regr_count(total, user_id)",
		State:   pairState,
		bind: func(c Call) (Bound, error) {
			return bindPairs("regr_count", c, arrow.Field{Type: int64s}, func(p *pairs, mem memory.Allocator) arrow.Array {
				buf, out := col.Make[int64](mem, len(p.m))
				for g := range out {
					out[g] = int64(p.m[g].n)
				}
				return col.Of(mem, int64s, len(out), buf, nil)
			})
		},
	})
}

const pairState = "six float64: how many pairs, the means of y and of x, the sums of squared distances from them of y and of x, and the sum of the products of both distances"

// moments are those of pairs of y and x.
type moments struct{ n, y, x, yy, xx, xy float64 }

func (m *moments) add(y, x float64) {
	m.n++
	dy, dx := y-m.y, x-m.x
	m.y += dy / m.n
	m.x += dx / m.n
	m.yy += dy * (y - m.y)
	m.xx += dx * (x - m.x)
	m.xy += dy * (x - m.x)
}

func (m *moments) merge(o moments) {
	switch {
	case o.n == 0:
		return
	case m.n == 0:
		*m = o
		return
	}
	n := m.n + o.n
	dy, dx, part := o.y-m.y, o.x-m.x, o.n/n
	m.yy += o.yy + dy*dy*(m.n*part)
	m.xx += o.xx + dx*dx*(m.n*part)
	m.xy += o.xy + dy*dx*(m.n*part)
	m.y += dy * part
	m.x += dx * part
	m.n = n
}

// pairs keeps the moments of each group.
type pairs struct {
	m      []moments
	y, x   func(arrow.Array) []float64
	result func(p *pairs, mem memory.Allocator) arrow.Array
}

func bindPairs(name string, c Call, result arrow.Field, finish func(p *pairs, mem memory.Allocator) arrow.Array) (Bound, error) {
	if len(c.Args) != 2 {
		return Bound{}, fmt.Errorf("%s takes two columns, as in %s(y, x), not %d", name, name, len(c.Args))
	}
	var to [2]func(arrow.Array) []float64
	for i := range to {
		if to[i] = floatsOf(c.Args[i].Type); to[i] == nil {
			return Bound{}, unfit(name, c.Args[i].Field, "numbers")
		}
	}
	state := make([]arrow.Field, 6)
	for i := range state {
		state[i].Type = float64s
	}
	return Bound{Result: result, State: state, New: func(memory.Allocator) Accumulator { return &pairs{y: to[0], x: to[1], result: finish} }}, nil
}

func (p *pairs) Update(groups []uint32, n int, args []arrow.Array) error {
	p.m = col.Grow(p.m, n)
	y, x := p.y(args[0]), p.x(args[1])
	vy, vx := validOf(args[0]), validOf(args[1])
	for i, g := range groups {
		if (vy == nil || vy[i] != 0) && (vx == nil || vx[i] != 0) {
			p.m[g].add(y[i], x[i])
		}
	}
	return nil
}

func (p *pairs) Merge(groups []uint32, n int, state []arrow.Array) error {
	p.m = col.Grow(p.m, n)
	var v [6][]float64
	for i := range v {
		v[i] = col.Fixed[float64](state[i])
	}
	for i, g := range groups {
		p.m[g].merge(moments{v[0][i], v[1][i], v[2][i], v[3][i], v[4][i], v[5][i]})
	}
	return nil
}

func (p *pairs) State() ([]arrow.Array, error) {
	var v [6][]float64
	for i := range v {
		v[i] = make([]float64, len(p.m))
	}
	for g, m := range p.m {
		v[0][g], v[1][g], v[2][g], v[3][g], v[4][g], v[5][g] = m.n, m.y, m.x, m.yy, m.xx, m.xy
	}
	out := make([]arrow.Array, len(v))
	for i := range v {
		out[i] = col.New(float64s, v[i], nil)
	}
	return out, nil
}

func (p *pairs) Result(mem memory.Allocator) (arrow.Array, error) { return p.result(p, mem), nil }
func (p *pairs) Size() int64                                      { return 48 * int64(cap(p.m)) }
func (p *pairs) Reset()                                           { p.m = reset(p.m) }
func (p *pairs) Release()                                         { p.m = nil }

// Reserve makes room for n groups.
func (p *pairs) Reserve(n int) { p.m = col.Reserve(p.m, n) }
