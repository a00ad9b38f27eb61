// Package agg is the registry of aggregate functions and the functions themselves, one file each.
package agg

import (
	"sort"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/memory"
)

// Func is an aggregate function as it registers itself.
type Func struct {
	Name    string // "sum"
	Doc     string
	Example string // "sum(total)"
	// Bind checks argument types (count(*) has none) and the DISTINCT mark.
	Bind func(args []arrow.Field, distinct bool) (Bound, error)
}

// Bound is a function bound to its argument types.
type Bound struct {
	Result arrow.Field   // type and nullability of the result; its name is ""
	State  []arrow.Field // the partial state's columns: what merges, spills and ships between array jobs
	New    func(mem memory.Allocator) Accumulator
}

// Accumulator holds the state of one function for groups 0 … n-1, columnar. One lane owns it. State and Result end its work: only Size,
// Reset and Release may follow.
type Accumulator interface {
	// Update folds row i of args into group groups[i]; n is the number of groups so far (state grows to it). After an error the state is
	// undefined and the run fails.
	Update(groups []uint32, n int, args []arrow.Array) error
	// Merge folds partial state (as State gives it) row i into group groups[i].
	Merge(groups []uint32, n int, state []arrow.Array) error
	// State is the partial state of all groups, owned by the caller. It may share the accumulator's memory, which must stay until it is released.
	State() ([]arrow.Array, error)
	// Result is the final value of all groups in memory of mem, owned by the caller. A group whose value cannot be had (overflow) is a *GroupError.
	Result(mem memory.Allocator) (arrow.Array, error)
	// Reset forgets all groups and keeps the memory for others.
	Reset()
	// Size is the bytes held, for the memory budget.
	Size() int64
	Release()
}

// Reserver is an Accumulator that can make room for n groups ahead, which saves it growing step by step.
type Reserver interface{ Reserve(n int) }

// GroupError is a fault of one group: a sum that its type cannot hold.
type GroupError struct {
	Group  int
	Reason string // "bigint out of range"
}

func (e *GroupError) Error() string { return e.Reason }

var funcs = map[string]Func{}

// Register adds a function; a name registered twice panics.
func Register(f Func) {
	if _, dup := funcs[f.Name]; dup {
		panic("agg: function registered twice: " + f.Name)
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
