// Package agg is the registry of aggregate functions and the functions themselves, one file each.
package agg

import (
	"fmt"
	"sort"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/sluice-data/sluice/internal/expr"
)

// Func is an aggregate function as it registers itself.
type Func struct {
	Name    string // "sum"
	Aliases []string
	Doc     string
	Example string // "sum(total)"
	State   string // what the columns of the partial state are, for docs/states.md
	Star    bool   // f(*) means something
	Ordered bool   // ORDER BY in the call, or WITHIN GROUP, makes a difference
	Set     bool   // a value that comes again changes nothing: DISTINCT makes no difference
	// bind checks the arguments.
	bind func(c Call) (Bound, error)
}

// Call is how a function is called.
type Call struct {
	Args     []Arg
	Order    []Key // of ORDER BY in the call, or of WITHIN GROUP
	Within   bool  // Order is WITHIN GROUP's
	Distinct bool
	Star     bool
}

// Arg is an argument.
type Arg struct {
	arrow.Field
	Const arrow.Array // one row, where the argument uses no column; else nil
}

// Key is a key of an ORDER BY.
type Key struct {
	arrow.Field
	Desc, NullsFirst bool
	Arg              int // the argument that is the same expression, -1 if none is
}

// Args is a call with arguments of these types and nothing else.
func Args(fields ...arrow.Field) Call {
	var c Call
	for _, f := range fields {
		c.Args = append(c.Args, Arg{Field: f})
	}
	return c
}

// Bound is a function bound to its argument types.
type Bound struct {
	Result arrow.Field   // type and nullability of the result; its name is ""
	State  []arrow.Field // the partial state's columns: what merges, spills and ships between array jobs
	Inputs []Input       // the columns that Update is given
	New    func(mem memory.Allocator) Accumulator
	Ranked *Ranked // of a function of values at places in the order of its only input; nil of others
}

// Input is a column for Update: an argument, or where the row stands in the order that the function asks for.
type Input struct {
	Arg   int  // of Call.Args; those beyond are of Call.Order
	Nulls bool // only whether it is null counts: a bool column whose values mean nothing
	Place bool // not an argument: the place of the row
	By    []SortKey
}

// SortKey is a key of a place: the column of an argument, or of Call.Order, in an order.
type SortKey struct {
	Arg              int // of Call.Args; those beyond are of Call.Order
	Desc, NullsFirst bool
}

// Type is that of the input's column. A place without keys is the number of the row in the order of the input; with keys it is bytes that
// compare as the keys do (package orderkey), and then as the number of the row.
func (in Input) Type(c Call) arrow.DataType {
	switch {
	case in.Place && len(in.By) == 0:
		return int64s
	case in.Place:
		return arrow.BinaryTypes.Binary
	case in.Nulls:
		return arrow.FixedWidthTypes.Boolean
	}
	return c.Field(in.Arg).Type
}

// Field is that of an argument or, beyond them, of a key of Order.
func (c Call) Field(i int) arrow.Field {
	if i < len(c.Args) {
		return c.Args[i].Field
	}
	return c.Order[i-len(c.Args)].Field
}

// Bind checks how the function is called. The error says what it takes.
func (f Func) Bind(c Call) (Bound, error) {
	switch {
	case c.Star && !f.Star:
		return Bound{}, fmt.Errorf("%s(*) has no meaning: name a column", f.Name)
	case c.Within && !f.Ordered:
		return Bound{}, fmt.Errorf("%s takes no WITHIN GROUP", f.Name)
	}
	if f.Set {
		c.Distinct = false
	}
	if !f.Ordered {
		c.Order = nil
	}
	if c.Distinct && f.Name != "count" {
		return bindDifferent(f, c)
	}
	b, err := f.bind(c)
	if err == nil && b.Inputs == nil {
		for i := range c.Args {
			b.Inputs = append(b.Inputs, Input{Arg: i})
		}
	}
	return b, err
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

// Absorber is an Accumulator that can take over what another of the same Bound holds, without a copy.
type Absorber interface {
	// Absorb folds group g of from into groups[g], as Merge does with its State; from is then empty, fit only for Size, Reset and Release. False,
	// and nothing has happened, if it cannot.
	Absorb(groups []uint32, n int, from Accumulator) bool
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

// Register adds a function under its name and aliases; a name registered twice panics.
func Register(f Func) {
	for _, n := range append([]string{f.Name}, f.Aliases...) {
		if _, dup := funcs[n]; dup {
			panic("agg: function registered twice: " + n)
		}
		funcs[n] = f
	}
	expr.Aggregate(append([]string{f.Name}, f.Aliases...)...)
}

// Lookup finds a function by its lower-case name.
func Lookup(name string) (Func, bool) {
	f, ok := funcs[name]
	return f, ok
}

// Names are the registered names without aliases, sorted.
func Names() []string {
	out := make([]string, 0, len(funcs))
	for n, f := range funcs {
		if n == f.Name {
			out = append(out, n)
		}
	}
	sort.Strings(out)
	return out
}
