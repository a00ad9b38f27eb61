package transforms

import (
	"github.com/apache/arrow/go/v17/arrow"

	"github.com/sluice-data/sluice/internal/expr"
	"github.com/sluice-data/sluice/internal/spec"
	"github.com/sluice-data/sluice/transforms/internal/group"
)

func init() {
	Register(Def{
		Name: "aggregate",
		Doc: "Groups rows by columns (by: a list of names, or a mapping of names to SQL expressions) and computes measures over each group: name: an expression over aggregate functions, " +
			"each of which may have DISTINCT, ORDER BY and FILTER (WHERE condition). Nulls are a group of their own, so are NaNs. Without by there is one group of all rows, which is there for no rows too. " +
			"having: a condition over keys, measures and aggregate functions keeps the groups for which it is true.\n\n" +
			"rollup, cube and grouping_sets group by several sets of keys at once: rollup: [a, b] by (a, b), (a) and all rows, cube: [a, b] by every subset, grouping_sets: [[a, b], []] by those written. " +
			"A key that is not in a set is null there; grouping(a, b) tells: a bit for each, the last one lowest, set where the key is not in the set. Keys of by that they do not name are in every set.\n\n" +
			"window: groups by windows of time, and gives window_start and window_end behind the keys: {tumbling: 5m, on: pickup}, {hopping: {size: 1h, every: 15m}, on: pickup}: each row is in several, " +
			"or {session: 30m, on: pickup}: a row less than 30 minutes after the one before it in its group is in the same window, which ends 30 minutes after its last row. " +
			"A window holds its start and not its end; windows are aligned to Monday, 2000-01-03 00:00. A row without a time is a bad row.\n\n" +
			"Groups that do not fit the memory limit go to disk. Groups come in the order first seen while they are few, and in no particular order beyond that.",
		Example: "- aggregate: {by: [zone], measures: {trips: count(*), revenue: sum(fare + tip), riders: count(distinct trip_id), per_mile: \"sum(fare) / nullif(sum(distance), 0)\"}, having: count(*) > 0}",
		Bind:    bindAggregate,
	})
}

func bindAggregate(env Env, n *spec.Node, in *arrow.Schema) (Bound, error) {
	if _, err := n.Map("by", "measures", "having", "rollup", "cube", "grouping_sets", "window"); err != nil {
		return Bound{}, err
	}
	b := &aggregateBinder{env: env, in: in, seen: names{}, a: &aggregate{copies: 1}}
	b.cfg.Budget, b.cfg.TempDir = env.MemoryBudget, env.TempDir
	for _, part := range []struct {
		bind func(*spec.Node) error
		key  string
	}{{b.by, "by"}, {b.sets, ""}, {b.window, "window"}, {b.measures, "measures"}, {b.condition, "having"}} {
		at := n
		if part.key != "" {
			if at = n.Get(part.key); at == nil {
				continue
			}
		}
		if err := part.bind(at); err != nil {
			return Bound{}, err
		}
	}
	if len(b.cfg.Keys)+len(b.measured) == 0 {
		return Bound{}, n.Errorf("aggregate needs by or measures: {by: [column], measures: {name: function(column)}}")
	}
	return b.bound(n)
}

// aggregateBinder reads the arguments of an aggregate step.
type aggregateBinder struct {
	env      Env
	in       *arrow.Schema
	cfg      group.Config
	a        *aggregate
	seen     names    // of result columns
	keyed    []string // for explain
	measured []measure
	calls    []called       // what the fold computes
	bits     []groupingBits // what is told from the set of keys
	having   *measure
}

// name takes the name of a result column, which must be new.
func (b *aggregateBinder) name(at *spec.Node, name string) error {
	if b.seen[name] {
		return at.Errorf("aggregate gives two columns called %q", name)
	}
	b.seen.add(name)
	return nil
}

func (b *aggregateBinder) by(n *spec.Node) error {
	if n.IsMap() {
		entries, err := n.Map()
		if err != nil {
			return err
		}
		for _, e := range entries {
			p, err := compile(b.env, e.Value, b.in)
			if err != nil {
				return err
			}
			if err := b.key(e.At, e.Key, p); err != nil {
				return err
			}
			if said := e.Key + " = " + p.Source(); e.Key != p.Source() {
				b.keyed = append(b.keyed, said)
			} else {
				b.keyed = append(b.keyed, e.Key)
			}
		}
		return nil
	}
	items, err := n.List()
	if err != nil {
		return n.Errorf("by wants a list of columns or a mapping (name: expression)")
	}
	for _, it := range items {
		if err := b.column(it); err != nil {
			return err
		}
	}
	return nil
}

// column takes the key that is a column of the rows.
func (b *aggregateBinder) column(it *spec.Node) error {
	name, err := it.Str()
	if err != nil {
		return err
	}
	if _, err := lookup(it, b.in, name); err != nil {
		return err
	}
	p, err := expr.Compile(expr.QuoteName(name), b.in, b.env.Expr)
	if err != nil {
		return it.Errorf("%w", err)
	}
	b.keyed = append(b.keyed, name)
	return b.key(it, name, p)
}

func (b *aggregateBinder) key(at *spec.Node, name string, p *expr.Program) error {
	if err := b.name(at, name); err != nil {
		return err
	}
	f := p.Field()
	f.Name = name
	if !group.Groupable(f.Type) {
		return at.Errorf("aggregate by %q: values of type %s cannot be grouped", name, f.Type)
	}
	b.cfg.Keys = append(b.cfg.Keys, f)
	b.a.keys = append(b.a.keys, b.program(p))
	return nil
}

// program is the number of p among the expressions that are evaluated, once each.
func (b *aggregateBinder) program(p *expr.Program) int {
	for i, q := range b.a.progs {
		if q.Source() == p.Source() {
			return i
		}
	}
	b.a.progs = append(b.a.progs, p)
	return len(b.a.progs) - 1
}
