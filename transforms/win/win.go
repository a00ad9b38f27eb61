// Package win is the registry of window functions and the functions themselves, a file for each kind.
package win

import (
	"fmt"
	"sort"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/sluice-data/sluice/transforms/internal/take"
)

// Func is a window function as it registers itself.
type Func struct {
	Name    string // "row_number"
	Doc     string
	Example string // "lag(fare, 1)"
	// Arity is the least and the most arguments.
	Arity [2]int
	// Framed says that a frame may be given.
	Framed bool
	// Bind checks the arguments' types. Those from Fixed on are constants.
	Bind func(args []Arg) (Bound, error)
}

// Arg is an argument of a call.
type Arg struct {
	arrow.Field
	Const *int64 // its value, where it is a whole number that is the same for all rows
}

// Bound is a function bound to its arguments.
type Bound struct {
	Result arrow.Field
	// Compute gives the function's value for each row, owned by the caller. args are the values of the arguments for each row.
	Compute func(p *Part, args []arrow.Array, mem memory.Allocator) (arrow.Array, error)
	// Stream makes what computes the function over a frame for pieces of partitions, one after the other; it, or what it gives, is nil where
	// whole partitions are needed.
	Stream func(f Frame) Streamer
	// RowBytes is about what Compute takes of memory for each row, beyond its arguments, its result and the frames' ends.
	RowBytes int64
}

// Part is rows in order, in whole partitions.
type Part struct {
	N      int
	Starts []int32 // the first row of each partition
	Peers  []int32 // the first row of each set of rows that are equal in the order
	Frame  Frame
	// Most bounds the bytes of a result whose values are of no fixed size, and are repeated for rows that see the same; 0 is no bound.
	Most int64
}

var funcs = map[string]Func{}

// Register adds a function; a name registered twice panics.
func Register(f Func) {
	if _, dup := funcs[f.Name]; dup {
		panic("win: function registered twice: " + f.Name)
	}
	funcs[f.Name] = f
}

// Lookup finds a function by its lower-case name.
func Lookup(name string) (Func, bool) {
	f, ok := funcs[name]
	return f, ok
}

// Names are the registered names, sorted.
func Names() []string {
	out := make([]string, 0, len(funcs))
	for n := range funcs {
		out = append(out, n)
	}
	sort.Strings(out)
	return out
}

// each calls f with the rows [lo, hi) of each partition.
func (p *Part) each(f func(lo, hi int)) {
	for i, lo := range p.Starts {
		hi := p.N
		if i+1 < len(p.Starts) {
			hi = int(p.Starts[i+1])
		}
		f(int(lo), hi)
	}
}

// eachPeers calls f with the rows [from, to) of each set of peers and the partition [lo, hi) that they are in.
func (p *Part) eachPeers(f func(lo, hi, from, to int)) {
	k := 0
	p.each(func(lo, hi int) {
		for k < len(p.Peers) && int(p.Peers[k]) < hi {
			from, to := int(p.Peers[k]), hi
			if k+1 < len(p.Peers) {
				to = min(to, int(p.Peers[k+1]))
			}
			f(lo, hi, from, to)
			k++
		}
	})
}

// pick is a's rows idx; one below 0 is null.
func pick(a arrow.Array, idx []int32, mem memory.Allocator) (arrow.Array, error) {
	missing := false
	for _, i := range idx {
		missing = missing || i < 0
	}
	if !missing {
		return take.Array(a, idx, mem)
	}
	null := array.MakeArrayOfNull(mem, a.DataType(), 1)
	defer null.Release()
	both, err := array.Concatenate([]arrow.Array{a, null}, mem)
	if err != nil {
		return nil, fmt.Errorf("bring values together: %w", err)
	}
	defer both.Release()
	for i, x := range idx {
		if x < 0 {
			idx[i] = int32(a.Len())
		}
	}
	return take.Array(both, idx, mem)
}

var (
	int64s   = arrow.PrimitiveTypes.Int64
	float64s = arrow.PrimitiveTypes.Float64
)
