// Package group groups rows by exact key and aggregates them inside a memory budget: one table per lane while groups are few, radix
// partitions once they are many, and partitions on disk when the budget says no. Lanes merge partition by partition.
package group

import (
	"fmt"
	"os"
	"strings"
	"sync/atomic"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/transforms/agg"
	"github.com/sluice-data/sluice/transforms/internal/keys"
)

// Config says what to compute.
type Config struct {
	Keys     []arrow.Field    // result columns of the key; none is one group for all rows, also for no rows
	Args     []arrow.DataType // the argument columns that lanes are given; measures refer to them by index
	Measures []Measure
	// Sets are several sets of keys, by each of which all rows are grouped: whether the set has key k; keys beyond are in all of them. The last
	// key is then the set's number, of SetType, and is not among the columns that lanes are given. A row is in a group of each set.
	Sets [][]bool
	// Budget is the bytes that all lanes may hold together; 0 or less is no limit.
	Budget int64
	// TempDir is where partitions go that the budget has no room for; "" is the system's.
	TempDir string
}

// Measure is an aggregate function over argument columns.
type Measure struct {
	Field    arrow.Field // of the result, named
	Text     string      // "sum(total)", for messages
	Bound    agg.Bound
	Args     []int // of Config.Args
	Filter   int   // 1 + the index in Config.Args of a bool column: rows for which it is not true do not count; 0 is none
	CountAll bool  // count(*): the rows of the group, which are counted anyway
}

// Fold is a bound aggregation. Its lanes share the budget and nothing else.
type Fold struct {
	cfg         Config
	keys        *keys.Plan
	fronts      *fronts // nil where no key is a text
	schema      *arrow.Schema
	spill       *arrow.Schema // of a partition on disk: key columns, then the states of funcs
	funcs       []function
	of          []int // measure i is the result of funcs[of[i]]
	fine        int   // the set whose groups those of the others are made of, -1 for none
	limit       int64
	floor       int64 // a partition below it is merged whatever the budget says: splitting it would not help
	used        atomic.Int64
	peak        atomic.Int64 // the most that used has been
	lanes       atomic.Int64 // made so far
	partitionAt int          // groups; tests lower it
	frontMost   int          // likewise
	stash       bool         // lanes may keep rows as they are; tests turn it off
}

// function is an accumulator to keep per partition. The first is count(*): what the ledger asks for.
type function struct {
	text  string
	bound agg.Bound
	args  []int
	where int // as Measure.Filter
	state int // its first column in a spilled record
}

// New checks cfg. The error names a key that cannot be compared.
func New(cfg Config) (*Fold, error) {
	f := &Fold{cfg: cfg, limit: cfg.Budget, floor: 1 << 20, partitionAt: partitionAt, frontMost: frontMost, stash: true}
	if f.limit <= 0 {
		f.limit = 1 << 62
	}
	if f.limit < roomy {
		f.partitionAt /= 2 // lanes' single tables hold the same groups, each of them
	}
	var err error
	types := make([]arrow.DataType, len(cfg.Keys))
	for i, k := range cfg.Keys {
		if types[i] = k.Type; k.Type == nil {
			return nil, fmt.Errorf("key %s has no type", k.Name)
		}
	}
	if f.keys, err = keys.NewPlan(types); err != nil {
		return nil, err
	}
	f.fronts = newFronts(types)
	count, _ := agg.Lookup("count")
	rows, err := count.Bind(agg.Call{Star: true})
	if err != nil {
		return nil, err
	}
	f.funcs = []function{{text: "count(*)", bound: rows}}
	fields := append([]arrow.Field(nil), cfg.Keys...)
	for _, m := range cfg.Measures {
		fields = append(fields, m.Field)
		if m.CountAll && m.Filter == 0 {
			f.of = append(f.of, 0)
			continue
		}
		f.of = append(f.of, len(f.funcs))
		f.funcs = append(f.funcs, function{text: m.Text, bound: m.Bound, args: m.Args, where: m.Filter})
	}
	f.fine = f.finest()
	f.schema = arrow.NewSchema(fields, nil)
	spilled := append([]arrow.Field(nil), cfg.Keys...)
	for i := range f.funcs {
		f.funcs[i].state = len(spilled)
		spilled = append(spilled, f.funcs[i].bound.State...)
	}
	for i := range spilled {
		spilled[i].Name, spilled[i].Nullable = fmt.Sprint(i), true
	}
	f.spill = arrow.NewSchema(spilled, nil)
	if f.cfg.TempDir == "" {
		f.cfg.TempDir = os.TempDir()
	}
	return f, nil
}

// Schema is that of the result: keys, then measures.
func (f *Fold) Schema() *arrow.Schema { return f.schema }

// hold tells the budget of n bytes more, or less.
func (f *Fold) hold(n int64) {
	now := f.used.Add(n)
	for {
		if most := f.peak.Load(); now <= most || f.peak.CompareAndSwap(most, now) {
			return
		}
	}
}

// share is one in so many parts of the budget for a lane, less where there are more than two lanes: all together they have one in half as many.
func (f *Fold) share(parts int64) int64 { return f.limit / (parts * max(f.lanes.Load(), 2) / 2) }

// room reports whether n more bytes fit the budget.
func (f *Fold) room(n int64) bool { return f.used.Load()+n <= f.limit }

// part is the groups of one partition: their keys and a state of each function.
type part struct {
	tab  *keys.Table
	accs []agg.Accumulator
	in   []arrow.Array // the arguments of one of accs
	size int64         // as accounted for in the budget
	// front finds groups of tab, while a lane fills it; worn out it is of no use any more.
	front   *front
	wornOut bool
	born    births
}

func (f *Fold) newPart(mem memory.Allocator) *part {
	p := &part{tab: f.keys.NewTable(), accs: make([]agg.Accumulator, len(f.funcs))}
	for i := range f.funcs {
		p.accs[i] = f.funcs[i].bound.New(mem)
	}
	return p
}

// update folds rows with their argument columns.
func (f *Fold) update(p *part, r *keys.Rows, ids []uint32, args []arrow.Array) error {
	p.tab.Intern(r, ids)
	return f.accumulate(p, ids, args)
}

func (f *Fold) accumulate(p *part, ids []uint32, args []arrow.Array) error {
	n := p.tab.Len()
	defer func() { clear(p.in[:cap(p.in)]) }() // the last function may take fewer than one before
	for i := range f.funcs {
		in := p.in[:0]
		for _, a := range f.funcs[i].args {
			in = append(in, args[a])
		}
		p.in = in
		var err error
		if w := f.funcs[i].where; w > 0 {
			err = agg.UpdateWhere(p.accs[i], args[w-1], ids, n, in)
		} else {
			err = p.accs[i].Update(ids, n, in)
		}
		if err != nil {
			return fmt.Errorf("aggregate %s: %w", f.funcs[i].text, err)
		}
	}
	return nil
}

// merge folds groups given as keys and states (columns of the spill schema after the keys).
func (f *Fold) merge(p *part, r *keys.Rows, states []arrow.Array) error {
	ids := make([]uint32, r.N)
	p.tab.Intern(r, ids)
	n, at := p.tab.Len(), 0
	for i := range f.funcs {
		k := len(f.funcs[i].bound.State)
		if err := p.accs[i].Merge(ids, n, states[at:at+k]); err != nil {
			return fmt.Errorf("merge %s: %w", f.funcs[i].text, err)
		}
		at += k
	}
	return nil
}

// absorb folds the groups of next into p, function by function; what is not taken over as it is goes by its state.
func (f *Fold) absorb(p, next *part) error {
	var r keys.Rows
	next.tab.View(&r, 0, next.tab.Len())
	ids := make([]uint32, r.N)
	had := p.tab.Len()
	p.tab.Intern(&r, ids)
	n := p.tab.Len()
	p.born.join(had, n, &next.born, ids)
	for i, acc := range p.accs {
		if a, ok := acc.(agg.Absorber); ok && a.Absorb(ids, n, next.accs[i]) {
			continue
		}
		states, err := next.accs[i].State()
		if err != nil {
			return fmt.Errorf("aggregate %s: %w", f.funcs[i].text, err)
		}
		err = acc.Merge(ids, n, states)
		release(states)
		if err != nil {
			return fmt.Errorf("merge %s: %w", f.funcs[i].text, err)
		}
	}
	return nil
}

// states takes the states of all functions out of p, which is done for then.
func (f *Fold) states(p *part) ([]arrow.Array, error) {
	var out []arrow.Array
	for i, acc := range p.accs {
		s, err := acc.State()
		if err != nil {
			release(out)
			return nil, fmt.Errorf("aggregate %s: %w", f.funcs[i].text, err)
		}
		out = append(out, s...)
	}
	return out, nil
}

// account tells the budget what p holds now.
func (f *Fold) account(p *part) {
	size := p.tab.Size() + p.front.size() + 64
	for _, a := range p.accs {
		size += a.Size()
	}
	f.hold(size - p.size)
	p.size = size
}

// drop releases p.
func (f *Fold) drop(p *part) {
	if p == nil {
		return
	}
	for _, a := range p.accs {
		a.Release()
	}
	f.hold(-p.size)
	p.size = 0
}

// rows is the sum of the counts of p's groups.
func (p *part) rows() int64 { return p.accs[0].(interface{ Total() int64 }).Total() }

func release(as []arrow.Array) {
	for _, a := range as {
		a.Release()
	}
}

func cut(as []arrow.Array, lo, hi int) []arrow.Array {
	out := make([]arrow.Array, len(as))
	for i, a := range as {
		out[i] = array.NewSlice(a, int64(lo), int64(hi))
	}
	return out
}

// noRoom is the error for state that neither fits the budget nor can be split.
func (f *Fold) noRoom() error {
	return fail.Newf(fail.Usage, "aggregate: one group needs more than the %d MiB of memory that aggregation may use: raise --memory-limit%s", f.limit>>20, f.cheaper())
}

// cheaper names the functions that take less memory than those used.
func (f *Fold) cheaper() string {
	other := map[string]string{"count": "approx_count_distinct in place of count(distinct)", "percentile_cont": "approx_quantile in place of percentile_cont",
		"percentile_disc": "approx_quantile in place of percentile_disc", "median": "approx_quantile in place of median"}
	var out string
	for _, fn := range f.funcs[1:] {
		name, _, _ := strings.Cut(fn.text, "(")
		if tip := other[strings.ToLower(name)]; tip != "" && !strings.Contains(out, tip) {
			out += ", or use " + tip
		}
	}
	return out
}

// Groupable reports whether values of type t can be a key.
func Groupable(t arrow.DataType) bool {
	_, err := keys.NewPlan([]arrow.DataType{t})
	return err == nil
}
