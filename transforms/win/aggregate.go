package win

import (
	"errors"
	"fmt"
	"math"
	"math/bits"
	"slices"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/transforms/agg"
	"github.com/sluice-data/sluice/transforms/internal/col"
	"github.com/sluice-data/sluice/transforms/internal/orderkey"
	"github.com/sluice-data/sluice/transforms/internal/take"
)

// Aggregate binds an aggregate function over frames. Over whole partitions it is computed once for each; over other frames sums and least rows are told from those
// up to a row, values at a place in order and different ones from all rows' order, other states of fixed size are merged in blocks of rows, and what can not be told
// so is computed for each frame from its rows.
func Aggregate(f agg.Func, call agg.Call) (Bound, error) {
	b, err := f.Bind(call)
	if err != nil {
		return Bound{}, err
	}
	for _, in := range b.Inputs {
		if in.Place && len(in.By) > 0 || in.Arg >= len(call.Args) && !in.Place {
			return Bound{}, fmt.Errorf("%s over a window takes the window's order: leave ORDER BY out", f.Name)
		}
	}
	a := aggregate{Bound: b}
	switch {
	case call.Distinct && !f.Set:
	case f.Name == "min" || f.Name == "max":
		a.framed = aggregateLeast(call.Args[0].Field, f.Name == "max")
	case f.Name == "sum" || f.Name == "avg" || f.Name == "count":
		a.framed, a.summed = a.sums, true
	}
	a.runs = a.framed != nil
	rowBytes := int64(0)
	if a.framed == nil {
		switch {
		case b.Ranked != nil:
			a.wide, rowBytes = a.ranks, rankedBytes
		case call.Distinct && f.Name == "count" && len(call.Args) == 1 && orderkey.Orderable(call.Args[0].Type):
			a.wide, rowBytes = a.different, rankedBytes
		case f.Name != "product" && a.flat(): // large factors that overflow in a block of their own, times zero, are no number
			a.wide, rowBytes = a.tree, a.treeBytes()
		}
		a.framed = a.frames
	}
	return Bound{Result: b.Result, Compute: a.compute, Stream: a.stream, RowBytes: rowBytes}, nil
}

type aggregate struct {
	agg.Bound
	framed framed
	summed bool // framed is sums
	runs   bool // what all rows so far come to is told from one row
	// wide gives frames, rows lo[i] … hi[i]-1, their values where those are not told from each of their rows; nil if they have to be.
	wide func(lo, hi []int32, args []arrow.Array, mem memory.Allocator) (arrow.Array, error)
}

type framed func(p *Part, args []arrow.Array, mem memory.Allocator) (arrow.Array, error)

func (a aggregate) compute(p *Part, args []arrow.Array, mem memory.Allocator) (arrow.Array, error) {
	inputs, drop := a.inputs(p, args)
	defer drop()
	if p.Frame.Whole() {
		return a.whole(p, inputs, mem)
	}
	return a.framed(p, inputs, mem)
}

// inputs are the columns that the accumulator takes, of the arguments; drop releases what was made for it.
func (a aggregate) inputs(p *Part, args []arrow.Array) (in []arrow.Array, drop func()) {
	var own []arrow.Array
	for _, i := range a.Inputs {
		switch {
		case i.Place:
			at := make([]int64, p.N)
			for k := range at {
				at[k] = int64(k)
			}
			own = append(own, col.New(int64s, at, nil))
		case i.Nulls:
			there := make([]uint8, p.N)
			for k := range there {
				if args[i.Arg].IsValid(k) {
					there[k] = 1
				}
			}
			own = append(own, col.NewBool(make([]uint8, p.N), there))
		default:
			in = append(in, args[i.Arg])
			continue
		}
		in = append(in, own[len(own)-1])
	}
	return in, func() {
		for _, x := range own {
			x.Release()
		}
	}
}

// whole gives each row its partition's value.
func (a aggregate) whole(p *Part, args []arrow.Array, mem memory.Allocator) (arrow.Array, error) {
	acc := a.New(mem)
	defer acc.Release()
	groups, part := make([]uint32, p.N), uint32(0)
	idx := make([]int32, p.N)
	p.each(func(lo, hi int) {
		for i := lo; i < hi; i++ {
			groups[i], idx[i] = part, int32(part)
		}
		part++
	})
	if err := acc.Update(groups, len(p.Starts), args); err != nil {
		return nil, err
	}
	values, err := result(acc, mem)
	if err != nil {
		return nil, err
	}
	defer values.Release()
	return a.spread(p, values, idx, mem)
}

const (
	framesAtOnce = 1 << 16 // rows of frames that are computed together
	framesMost   = 1 << 31 // rows of all frames of what is held at a time
)

// frames gives each row the value of its frame's rows: as a.wide does in partitions where frames are wide, and else row by row.
func (a aggregate) frames(p *Part, args []arrow.Array, mem memory.Allocator) (arrow.Array, error) {
	lo, hi, err := p.bounds()
	if err != nil {
		return nil, err
	}
	total, blocks := int64(0), 0 // rows of frames that are gone through; rows of partitions with wide frames
	idx := every(p.N)
	p.each(func(first, end int) {
		rows := int64(0)
		for i := first; i < end; i++ {
			if i == first || lo[i] != lo[i-1] || hi[i] != hi[i-1] {
				rows += int64(hi[i] - lo[i])
			}
		}
		if a.wide == nil || rows/wideFrames <= int64(end-first) {
			total += rows
			return
		}
		blocks += end - first
		for i := first; i < end; i++ {
			idx[i] += int32(p.N)
		}
	})
	switch blocks {
	case 0:
		return a.byRows(p, lo, hi, total, args, mem)
	case p.N:
		return a.wide(lo, hi, args, mem)
	}
	narrow, wide := slices.Clone(hi), slices.Clone(hi)
	for i, at := range idx {
		if int(at) < p.N {
			wide[i] = lo[i]
		} else {
			narrow[i] = lo[i]
		}
	}
	both := make([]arrow.Array, 2)
	defer func() {
		for _, v := range both {
			if v != nil {
				v.Release()
			}
		}
	}()
	if both[0], err = a.byRows(p, lo, narrow, total, args, mem); err != nil {
		return nil, err
	}
	if both[1], err = a.wide(lo, wide, args, mem); err != nil {
		return nil, err
	}
	values, err := array.Concatenate(both, mem)
	if err != nil {
		return nil, fmt.Errorf("bring values together: %w", err)
	}
	defer values.Release()
	return a.spread(p, values, idx, mem)
}

// byRows gives each frame, rows lo[i] … hi[i]-1 and total of them in all, its value, of its rows. Rows that follow each other and see the same share it.
func (a aggregate) byRows(p *Part, lo, hi []int32, total int64, args []arrow.Array, mem memory.Allocator) (arrow.Array, error) {
	if total > framesMost {
		return nil, fail.Newf(fail.Usage, "window: the frames of %s have %d rows together, and each is computed from its rows: make the frame narrower, or all of the partition", a.Result.Name, total)
	}
	var parts []arrow.Array // values of frames
	defer func() {
		for _, v := range parts {
			v.Release()
		}
	}()
	idx := make([]int32, p.N)
	var rows []int32
	var groups []uint32
	acc, n, done, held := a.New(mem), uint32(0), int32(0), int64(0)
	defer func() { acc.Release() }()
	update := func() error {
		some := make([]arrow.Array, 0, len(args))
		defer func() {
			for _, c := range some {
				c.Release()
			}
		}()
		for _, c := range args {
			t, err := take.Array(c, rows, mem)
			if err != nil {
				return err
			}
			some = append(some, t)
		}
		err := acc.Update(groups, int(n), some)
		rows, groups = rows[:0], groups[:0]
		return err
	}
	flush := func() error {
		if n == 0 {
			return nil
		}
		if err := update(); err != nil {
			return err
		}
		v, err := result(acc, mem)
		if err != nil {
			return err
		}
		parts, done, n = append(parts, v), done+int32(n), 0
		if held += int64(v.Data().SizeInBytes()); p.Most > 0 && held > p.Most && weights(v) != nil {
			return a.tooMuch(p, held)
		}
		acc.Release()
		acc = a.New(mem)
		return nil
	}
	for i := range p.N {
		if i > 0 && lo[i] == lo[i-1] && hi[i] == hi[i-1] && n > 0 {
			idx[i] = idx[i-1]
			continue
		}
		idx[i] = done + int32(n)
		n++
		for at := lo[i]; at < hi[i]; at++ {
			rows, groups = append(rows, at), append(groups, n-1)
			if len(rows) == framesAtOnce {
				if err := update(); err != nil {
					return nil, err
				}
			}
		}
		if n == framesAtOnce/16 {
			if err := flush(); err != nil {
				return nil, err
			}
		}
	}
	if err := flush(); err != nil {
		return nil, err
	}
	values, err := array.Concatenate(parts, mem)
	if err != nil {
		return nil, fmt.Errorf("bring values together: %w", err)
	}
	defer values.Release()
	return a.spread(p, values, idx, mem)
}

func result(acc agg.Accumulator, mem memory.Allocator) (arrow.Array, error) {
	a, err := acc.Result(mem)
	var g *agg.GroupError
	if errors.As(err, &g) {
		return nil, fail.Newf(fail.Data, "window: %w", err)
	}
	return a, err
}

// sums takes the state that each row alone has, adds it up over the frames, and lets the function make values of these.
func (b aggregate) sums(p *Part, args []arrow.Array, mem memory.Allocator) (arrow.Array, error) {
	values, _, err := b.sumsBehind(p, args, nil, mem)
	return values, err
}

// sumsBehind is sums where before, if it is not nil, is the state of p's first row, which is not among args. It gives the frames' states, too, which nobody has to release.
func (b aggregate) sumsBehind(p *Part, args, before []arrow.Array, mem memory.Allocator) (values arrow.Array, states []arrow.Array, err error) {
	rows := p.N
	if before != nil {
		rows--
	}
	one := b.New(mem)
	defer one.Release()
	if err := one.Update(each(rows), rows, args); err != nil {
		return nil, nil, err
	}
	state, err := one.State()
	if err != nil {
		return nil, nil, err
	}
	defer func() {
		for _, a := range state {
			a.Release()
		}
	}()
	for i := range before {
		all, err := joined(mem, before[i], state[i])
		if err != nil {
			return nil, nil, err
		}
		state[i].Release()
		state[i] = all
	}
	lo, hi, err := p.bounds()
	if err != nil {
		return nil, nil, err
	}
	sums := make([]arrow.Array, 0, len(state))
	for i := 0; i < len(state); i++ {
		switch state[i].DataType().ID() {
		case arrow.DECIMAL128: // and how often it wrapped
			sums = append(sums, sumExact(state[i], state[i+1], lo, hi)...)
			i++
		case arrow.FLOAT64: // and its compensation
			sums = append(sums, sumFloats(p, state[i], lo, hi)...)
			i++
		case arrow.INT64:
			sums = append(sums, sumInts(state[i], lo, hi))
		default:
			return nil, nil, fail.Newf(fail.Internal, "window: a state of type %s", state[i].DataType())
		}
	}
	all := b.New(mem)
	defer all.Release()
	if err := all.Merge(each(p.N), p.N, sums); err != nil {
		return nil, nil, err
	}
	values, err = result(all, mem)
	return values, sums, err
}

// present counts the rows up to each that are not null, as sums from the first one on.
func present(a arrow.Array) []int32 {
	out := make([]int32, a.Len()+1)
	for i := range a.Len() {
		out[i+1] = out[i]
		if a.IsValid(i) {
			out[i+1]++
		}
	}
	return out
}

func sumInts(a arrow.Array, lo, hi []int32) arrow.Array {
	v := col.Fixed[int64](a)
	upTo := make([]int64, len(v)+1)
	for i, x := range v {
		upTo[i+1] = upTo[i] + x
	}
	out := make([]int64, len(v))
	for i := range out {
		out[i] = upTo[hi[i]] - upTo[lo[i]]
	}
	return col.New(int64s, out, nil)
}

// sumExact sums 128-bit integers in 192 bits: the difference of two sums is exact.
func sumExact(a, wraps arrow.Array, lo, hi []int32) []arrow.Array {
	n := a.Len()
	w, there := col.Words16(a), present(a)
	type wide [3]uint64
	upTo := make([]wide, n+1)
	over := col.Fixed[int64](wraps)
	for i := range n {
		s := upTo[i]
		if there[i+1] > there[i] {
			var c uint64
			s[0], c = bits.Add64(s[0], w[2*i], 0)
			s[1], c = bits.Add64(s[1], w[2*i+1], c)
			s[2], _ = bits.Add64(s[2], uint64(int64(w[2*i+1])>>63)+uint64(over[i]), c)
		}
		upTo[i+1] = s
	}
	sums, out, has := make([]uint64, 2*n), make([]int64, n), make([]uint8, n)
	for i := range n {
		x, y := upTo[hi[i]], upTo[lo[i]]
		var c uint64
		sums[2*i], c = bits.Sub64(x[0], y[0], 0)
		sums[2*i+1], c = bits.Sub64(x[1], y[1], c)
		top, _ := bits.Sub64(x[2], y[2], c)
		out[i] = int64(top + sums[2*i+1]>>63) // what the sign of the lower words does not say
		if there[hi[i]] > there[lo[i]] {
			has[i] = 1
		}
	}
	return []arrow.Array{col.NewSized(a.DataType(), n, arrow.GetBytes(sums), has), col.New(int64s, out, nil)}
}

// sumFloats sums floats: from the partition's beginning with compensation, else over a tree of sums, since the difference of two sums may have no right digit.
func sumFloats(p *Part, a arrow.Array, lo, hi []int32) []arrow.Array {
	n := a.Len()
	v, there := col.Fixed[float64](a), present(a)
	sum, comp, has := make([]float64, n), make([]float64, n), make([]uint8, n)
	p.each(func(first, end int) {
		if p.Frame.Lo == -Unbounded {
			s, c, at := 0.0, 0.0, first
			for i := first; i < end; i++ {
				for ; at < int(hi[i]); at++ {
					if there[at+1] == there[at] {
						continue
					}
					t := s + v[at]
					b := t - s
					c += (s - (t - b)) + (v[at] - b)
					s = t
				}
				sum[i], comp[i] = s, c
			}
			return
		}
		size := end - first
		tree := make([]float64, 2*size)
		for i := range size {
			if there[first+i+1] > there[first+i] {
				tree[size+i] = v[first+i]
			}
		}
		for i := size - 1; i > 0; i-- {
			tree[i] = tree[2*i] + tree[2*i+1]
		}
		for i := first; i < end; i++ {
			l, r := int(lo[i])-first+size, int(hi[i])-first+size
			left, right := 0.0, 0.0
			for ; l < r; l, r = l/2, r/2 {
				if l&1 != 0 {
					left += tree[l]
					l++
				}
				if r&1 != 0 {
					r--
					right = tree[r] + right
				}
			}
			sum[i] = left + right
		}
	})
	for i := range has {
		if there[hi[i]] > there[lo[i]] {
			has[i] = 1
		}
		if math.IsInf(sum[i], 0) || math.IsNaN(sum[i]) {
			comp[i] = 0
		}
	}
	return []arrow.Array{col.New(float64s, sum, has), col.New(float64s, comp, nil)}
}

// aggregateLeast finds the row with the least value, or with the greatest one, of each frame: the frames' ends never go back, so
// only rows that none behind them beats are kept.
func aggregateLeast(arg arrow.Field, greatest bool) framed {
	return func(p *Part, args []arrow.Array, mem memory.Allocator) (arrow.Array, error) {
		plan, err := orderkey.New([]orderkey.Column{{Type: arg.Type, Desc: greatest}})
		if err != nil {
			return nil, fail.Newf(fail.Internal, "window: %w", err)
		}
		var keys orderkey.Keys
		if err := plan.NewEncoder().Encode(args[:1], p.N, &keys); err != nil {
			return nil, fmt.Errorf("window: %w", err)
		}
		lo, hi, err := p.bounds()
		if err != nil {
			return nil, err
		}
		idx := make([]int32, p.N)
		var best []int32
		p.each(func(first, end int) {
			best = best[:0]
			head, at := 0, first
			for i := first; i < end; i++ {
				for ; at < int(hi[i]); at++ {
					if args[0].IsNull(at) {
						continue
					}
					for len(best) > head && keys.Less(plan, at, int(best[len(best)-1])) {
						best = best[:len(best)-1]
					}
					best = append(best, int32(at))
				}
				for head < len(best) && best[head] < lo[i] {
					head++
				}
				idx[i] = -1
				if head < len(best) {
					idx[i] = best[head]
				}
			}
		})
		return pick(args[0], idx, mem)
	}
}
