package win

import (
	"fmt"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/sluice-data/sluice/transforms/internal/col"
	"github.com/sluice-data/sluice/transforms/internal/take"
)

// Streamer computes a function for pieces of rows that follow each other: a partition may be in several. It keeps what later rows need of
// those before.
type Streamer interface {
	// Next gives the value of each row of the piece, owned by the caller. The first row of one that goes on with a partition is not among
	// p.Starts, and not among p.Peers if it goes on with a set of peers.
	Next(p *Part, args []arrow.Array, mem memory.Allocator) (arrow.Array, error)
	Close()
}

// goesOn reports whether the piece begins within a partition.
func (p *Part) goesOn() bool { return len(p.Starts) == 0 || p.Starts[0] > 0 }

// numbers is row_number, rank or dense_rank.
type numbers struct {
	of                 func(n *numbers) int64
	row, peers, before int64 // of the partition so far: rows, sets of peers, rows before the last set
}

func numbered(of func(n *numbers) int64) func(Frame) Streamer {
	return func(Frame) Streamer { return &numbers{of: of} }
}

func (n *numbers) Close() {}

func (n *numbers) Next(p *Part, _ []arrow.Array, mem memory.Allocator) (arrow.Array, error) {
	buf, out := col.Make[int64](mem, p.N)
	starts, peers := p.Starts, p.Peers
	for i := range out {
		if len(starts) > 0 && int(starts[0]) == i {
			starts, n.row, n.peers = starts[1:], 0, 0
		}
		if len(peers) > 0 && int(peers[0]) == i {
			peers, n.before, n.peers = peers[1:], n.row, n.peers+1
		}
		n.row++
		out[i] = n.of(n)
	}
	return col.Of(mem, int64s, p.N, buf, nil), nil
}

// mostLag is up to where lag keeps the values of the rows before.
const mostLag = 1000

// lag is lag by so many rows.
type lag struct {
	by   int
	last arrow.Array // of the partition, as many at most; nil for none
}

func (l *lag) Close() { l.keep(nil) }

func (l *lag) keep(a arrow.Array) {
	if l.last != nil {
		l.last.Release()
	}
	l.last = a
}

func (l *lag) Next(p *Part, args []arrow.Array, mem memory.Allocator) (arrow.Array, error) {
	if !p.goesOn() {
		l.keep(nil)
	}
	from := 0 // the first row's place behind those kept
	if l.last != nil {
		from = l.last.Len()
	}
	all, err := joined(mem, l.last, args[0])
	if err != nil {
		return nil, err
	}
	defer all.Release()
	idx, starts, lo := make([]int32, p.N), p.Starts, 0
	for i := range idx {
		if len(starts) > 0 && int(starts[0]) == i {
			starts, lo = starts[1:], from+i
		}
		if at := from + i - l.by; at >= lo {
			idx[i] = int32(at)
		} else if idx[i] = -1; len(args) == 3 {
			idx[i] = int32(all.Len() + i)
		}
	}
	var out arrow.Array
	if len(args) == 3 {
		both, err := joined(mem, all, args[2])
		if err != nil {
			return nil, err
		}
		defer both.Release()
		out, err = take.Array(both, idx, mem)
		if err != nil {
			return nil, err
		}
	} else if out, err = pick(all, idx, mem); err != nil {
		return nil, err
	}
	kept := make([]int32, 0, l.by)
	for i := max(lo, all.Len()-l.by); i < all.Len(); i++ {
		kept = append(kept, int32(i))
	}
	last, err := take.Array(all, kept, mem)
	if err != nil {
		out.Release()
		return nil, err
	}
	l.keep(last)
	return out, nil
}

// joined is b behind a, which may be nil.
func joined(mem memory.Allocator, a, b arrow.Array) (arrow.Array, error) {
	if a == nil || a.Len() == 0 {
		b.Retain()
		return b, nil
	}
	both, err := array.Concatenate([]arrow.Array{a, b}, mem)
	if err != nil {
		return nil, fmt.Errorf("bring values together: %w", err)
	}
	return both, nil
}

// running is an aggregate over all rows up to the current one, or to the last one equal to it: pieces do not part equal rows then.
type running struct {
	a     aggregate
	frame Frame
	// What the partition has so far, as a row before the piece's: the least value, or the state of a sum.
	before []arrow.Array
}

// stream is for frames from the partition's beginning to the current row. Floats are not added up so: what is lost to rounding would depend on the pieces.
func (a aggregate) stream(f Frame) Streamer {
	if !a.runs || f.Lo != -Unbounded || f.Hi != 0 || f.Distance != nil {
		return nil
	}
	for _, s := range a.State {
		if a.summed && s.Type.ID() == arrow.FLOAT64 {
			return nil
		}
	}
	return &running{a: a, frame: f}
}

func (r *running) Close() {
	for _, a := range r.before {
		a.Release()
	}
	r.before = nil
}

func (r *running) Next(p *Part, args []arrow.Array, mem memory.Allocator) (arrow.Array, error) {
	if !p.goesOn() {
		r.Close()
	}
	inputs, drop := r.a.inputs(p, args)
	defer drop()
	q := *p
	q.Frame = r.frame
	if r.before != nil {
		q = p.behindOne()
		q.Frame = r.frame
	}
	values, next, err := r.compute(&q, inputs, mem)
	if err != nil {
		return nil, err
	}
	r.Close()
	for _, a := range next {
		last, err := take.Array(a, []int32{int32(a.Len() - 1)}, mem)
		if err != nil {
			values.Release()
			return nil, err
		}
		r.before = append(r.before, last)
	}
	if q.N == p.N {
		return values, nil
	}
	defer values.Release()
	return array.NewSlice(values, 1, int64(q.N)), nil
}

// compute gives the values, and the columns whose last row stands for all rows of the last partition.
func (r *running) compute(q *Part, inputs []arrow.Array, mem memory.Allocator) (values arrow.Array, next []arrow.Array, err error) {
	if r.a.summed {
		return r.a.sumsBehind(q, inputs, r.before, mem)
	}
	x := inputs[0]
	if r.before != nil {
		if x, err = joined(mem, r.before[0], inputs[0]); err != nil {
			return nil, nil, err
		}
		defer x.Release()
	}
	values, err = r.a.framed(q, []arrow.Array{x}, mem)
	return values, []arrow.Array{values}, err
}

// behindOne is p with a row more in front, of the partition and the set of peers that p goes on with, or of peers of its own.
func (p *Part) behindOne() Part {
	moved := func(at []int32) []int32 {
		out := make([]int32, 1, len(at)+1)
		for _, i := range at {
			out = append(out, i+1)
		}
		return out
	}
	return Part{N: p.N + 1, Starts: moved(p.Starts), Peers: moved(p.Peers)}
}
