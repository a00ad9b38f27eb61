package query

import (
	"slices"
	"strconv"
	"strings"

	"github.com/sluice-data/sluice/internal/expr"
	"github.com/sluice-data/sluice/internal/spec"
)

// windows makes a window step for each window that calls stand over, and has the rest speak of its columns.
func (b *block) windows() error {
	type frame struct {
		over    *expr.Over
		at      int
		columns []named
	}
	var list []*frame
	find := func(o *expr.Over, at int) *frame {
		for _, w := range list {
			if sameWindow(w.over, o) {
				return w
			}
		}
		list = append(list, &frame{over: o, at: at})
		return list[len(list)-1]
	}
	column := func(f expr.Fragment, c expr.CallIn, name string) (string, error) {
		w := find(c.Over, f.Place(c.Pos))
		call := c.Function
		if c.Over.Frame != "" {
			var err error
			if call, err = call.With([]expr.Edit{{Pos: len(call.Text()), End: len(call.Text()), Text: " " + c.Over.Frame}}); err != nil {
				return "", err
			}
		}
		for _, col := range w.columns {
			if col.expr.Same(call) {
				return col.name, nil
			}
		}
		if name == "" {
			name = b.hidden("w")
			b.hides = append(b.hides, name)
		}
		w.columns = append(w.columns, named{name, call})
		return name, nil
	}
	err := b.each(func(f *expr.Fragment) error {
		if f == b.qualify { // behind the items, which speak of the windows' columns by now
			if err := b.aliases(f); err != nil {
				return err
			}
		}
		calls, err := f.Calls()
		if err != nil {
			return err
		}
		var edits []expr.Edit
		end := 0
		for _, c := range calls {
			switch {
			case c.Pos < end && c.Over != nil:
				return wrong(expr.Place{Pos: f.Place(c.Pos), End: f.Place(c.End)}, "a window function cannot stand within another: use a query in FROM")
			case c.Pos < end || c.Over == nil:
				continue
			}
			name := ""
			for i := range b.items {
				if it := &b.items[i]; f == &it.expr && b.called(it, c) {
					name = it.label
				}
			}
			if name, err = column(*f, c, name); err != nil {
				return err
			}
			edits = append(edits, expr.Edit{Pos: c.Pos, End: c.End, Text: expr.QuoteName(name)})
			end = c.End
		}
		*f, err = f.With(edits)
		return err
	})
	if err != nil {
		return err
	}
	for _, w := range list {
		var entries []spec.Entry
		if len(w.over.Partition) > 0 {
			var items []*spec.Node
			for _, p := range w.over.Partition {
				items = append(items, b.scalar(p))
			}
			entries = append(entries, b.entry("partition_by", w.at, b.at.Sequence(w.at, items...)))
		}
		if len(w.over.Order) > 0 {
			var items []*spec.Node
			for _, o := range w.over.Order {
				n, err := b.ordered(o.Expr, o.Rest)
				if err != nil {
					return err
				}
				items = append(items, n)
			}
			entries = append(entries, b.entry("order_by", w.at, b.at.Sequence(w.at, items...)))
		}
		var columns []spec.Entry
		for _, c := range w.columns {
			columns = append(columns, b.entry(c.name, c.expr.Place(0), b.scalar(c.expr)))
		}
		entries = append(entries, b.entry("columns", w.at, b.at.Mapping(w.at, columns...)))
		b.add("window", w.at, b.at.Mapping(w.at, entries...))
	}
	return nil
}

// called reports whether the window's column c has the name of the item, which it is as it is, if no other has that.
func (b *block) called(it *item, c expr.CallIn) bool {
	return c.Pos == 0 && c.End == len(it.expr.Text()) && !b.mayHave(it.label) && !slices.Contains(b.hides, it.label)
}

// aliases puts into f, in the places of their names, the expressions of columns of the result. A column of the rows comes first, as in DuckDB.
func (b *block) aliases(f *expr.Fragment) (err error) {
	var edits []expr.Edit
	for _, n := range f.Names() {
		i := slices.IndexFunc(b.items, func(it item) bool { return !it.star && strings.EqualFold(it.label, n.Parts[0]) })
		if i < 0 || b.has(n.Parts[0]) {
			continue
		}
		text := b.items[i].expr.Text()
		if _, name := b.items[i].expr.Name(); !name {
			text = "(" + text + ")"
		}
		edits = append(edits, expr.Edit{Pos: n.Pos, End: n.Ends[0], Text: text})
	}
	*f, err = f.With(edits)
	return err
}

func sameWindow(a, b *expr.Over) bool {
	return slices.EqualFunc(a.Partition, b.Partition, expr.Fragment.Same) &&
		slices.EqualFunc(a.Order, b.Order, func(x, y expr.OrderItem) bool { return x.Rest == y.Rest && x.Expr.Same(y.Expr) })
}

// ordered is an item of an order as steps take it: the expression with desc and nulls first behind it.
func (b *block) ordered(f expr.Fragment, rest string) (*spec.Node, error) {
	f, err := f.With([]expr.Edit{{Pos: len(f.Text()), End: len(f.Text()), Text: rest}})
	return b.scalar(f), err
}

// result makes the steps from the window on: ORDER BY, the columns, DISTINCT, LIMIT.
func (b *block) result() error {
	late := true // ORDER BY speaks of columns of the result alone
	for _, o := range b.order {
		late = late && o.column >= 0
	}
	if !late && b.sel.Distinct {
		return wrong(expr.Place{Pos: b.order[0].expr.Place(0)}, "with SELECT DISTINCT, ORDER BY may name columns of the result only")
	}
	if !late {
		if err := b.sort(func(o order) expr.Fragment {
			if o.column >= 0 {
				return b.items[o.column].expr
			}
			return o.expr
		}); err != nil {
			return err
		}
	}
	if err := b.project(); err != nil {
		return err
	}
	if b.sel.Distinct {
		at := b.items[0].at.Pos
		var entries []spec.Entry
		if !slices.ContainsFunc(b.items, func(it item) bool { return it.star }) { // else all columns
			var keys []*spec.Node
			for _, it := range b.items {
				keys = append(keys, b.at.Word(expr.QuoteName(it.label), it.at.Pos))
			}
			entries = append(entries, b.entry("keys", at, b.at.Sequence(at, keys...)))
		}
		b.add("dedupe", at, b.at.Mapping(at, entries...))
	}
	if late && len(b.order) > 0 {
		if err := b.sort(nil); err != nil {
			return err
		}
	}
	return b.limit()
}

// sort makes the step of ORDER BY; of is the expression of an item, nil where it is a column of the result.
func (b *block) sort(of func(order) expr.Fragment) error {
	at := b.order[0].expr.Place(0)
	var items []*spec.Node
	for _, o := range b.order {
		if of == nil {
			items = append(items, b.at.Word(expr.QuoteName(b.items[o.column].label)+o.rest, o.expr.Place(0)))
			continue
		}
		n, err := b.ordered(of(o), o.rest)
		if err != nil {
			return err
		}
		items = append(items, n)
	}
	b.add("sort", at, b.at.Sequence(at, items...))
	return nil
}

// project makes the select step, where the columns that are there are not the result as they are.
func (b *block) project() error {
	at := b.items[0].at.Pos
	seen := map[string]bool{}
	stars := 0
	for _, it := range b.items {
		if it.star {
			stars++
			continue
		}
		if seen[it.label] {
			return wrong(it.at, "two columns are called "+strconv.Quote(it.label)+": give one another name with AS")
		}
		seen[it.label] = true
	}
	if stars == 0 {
		if b.groups && b.asGrouped() {
			return nil
		}
		var entries []spec.Entry
		for _, it := range b.items {
			entries = append(entries, b.entry(it.label, it.at.Pos, b.scalar(it.expr)))
		}
		b.add("select", at, b.at.Mapping(at, entries...))
		return nil
	}
	hides := slices.Clone(b.hides)
	for _, it := range b.items { // a window's column that has its place in the list is not part of *
		if name, ok := it.expr.Name(); !it.star && ok && name == it.label && b.windowGives(name) {
			hides = append(hides, name)
		}
	}
	if stars == 1 && b.items[0].star && len(b.items[0].exclude)+len(b.hides) == 0 && b.windowsBehind(b.items[1:]) {
		return nil
	}
	var list []*spec.Node
	for _, it := range b.items {
		switch left := append(slices.Clone(hides), it.exclude...); {
		case it.star && len(left) == 0:
			list = append(list, b.at.Word("*", it.at.Pos))
		case it.star:
			var names []*spec.Node
			for _, n := range left {
				names = append(names, b.at.Word(n, it.at.Pos))
			}
			exclude := b.at.Mapping(it.at.Pos, b.entry("exclude", it.at.Pos, b.at.Sequence(it.at.Pos, names...)))
			list = append(list, b.at.Mapping(it.at.Pos, b.entry("*", it.at.Pos, exclude)))
		default:
			list = append(list, b.at.Mapping(it.at.Pos, b.entry(it.label, it.at.Pos, b.scalar(it.expr))))
		}
	}
	b.add("select", at, b.at.Sequence(at, list...))
	return nil
}

// windowsBehind reports whether items are just the columns that the window steps put behind all others.
func (b *block) windowsBehind(items []item) bool {
	var given []string
	for _, s := range b.steps[b.first:] {
		if s.Name != "window" {
			continue
		}
		entries, err := s.Node.Get("columns").Map()
		if err != nil {
			return false
		}
		for _, e := range entries {
			given = append(given, e.Key)
		}
	}
	return slices.EqualFunc(given, items, func(g string, it item) bool {
		name, ok := it.expr.Name()
		return !it.star && ok && g == it.label && name == g
	})
}

// windowGives reports whether a window step of this block gives the column.
func (b *block) windowGives(name string) bool {
	for _, s := range b.steps[b.first:] {
		if s.Name != "window" {
			continue
		}
		if entries, err := s.Node.Get("columns").Map(); err == nil && slices.ContainsFunc(entries, func(e spec.Entry) bool { return e.Key == name }) {
			return true
		}
	}
	return false
}

// asGrouped reports whether the result is the aggregate step's columns, one after the other, and nothing came after it.
func (b *block) asGrouped() bool {
	for i := len(b.steps) - 1; i >= b.first; i-- {
		switch b.steps[i].Name {
		case "filter", "sort":
			continue
		case "aggregate":
		default:
			return false
		}
		var have []string
		for _, key := range []string{"by", "measures"} {
			if n := b.steps[i].Node.Get(key); n != nil {
				entries, err := n.Map()
				if err != nil {
					return false
				}
				for _, e := range entries {
					have = append(have, e.Key)
				}
			}
		}
		return slices.EqualFunc(have, b.items, func(h string, it item) bool {
			name, ok := it.expr.Name()
			return ok && h == it.label && name == h
		})
	}
	return false
}

// limit makes the step of LIMIT and OFFSET.
func (b *block) limit() error {
	var entries []spec.Entry
	at := 0
	for _, c := range []struct {
		key  string
		text *expr.Fragment
	}{{"rows", b.sel.Limit}, {"offset", b.sel.Offset}} {
		if c.text == nil {
			continue
		}
		if strings.EqualFold(c.text.Text(), "all") || strings.EqualFold(c.text.Text(), "null") {
			continue
		}
		n, err := strconv.ParseInt(c.text.Text(), 10, 64)
		if err != nil || n < 0 {
			return wrong(expr.Place{Pos: c.text.Place(0), End: c.text.Place(len(c.text.Text()))}, "want a number of rows, found "+c.text.Text())
		}
		at = c.text.Place(0)
		entries = append(entries, b.entry(c.key, at, b.scalar(*c.text)))
	}
	if b.sel.Limit == nil && len(entries) > 0 { // OFFSET alone: all that follow
		entries = append(entries, b.entry("rows", at, b.at.Word(strconv.FormatInt(1<<50, 10), at)))
	}
	if len(entries) > 0 {
		b.add("limit", at, b.at.Mapping(at, entries...))
	}
	return nil
}
