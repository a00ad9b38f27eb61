package transforms

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/sluice-data/sluice/internal/expr"
	"github.com/sluice-data/sluice/internal/spec"
	"github.com/sluice-data/sluice/pipeline"
	"github.com/sluice-data/sluice/transforms/internal/join"
)

func init() {
	Register(Def{
		Name: "assert",
		Doc: "Holds the rows that come by to a list of expectations: not_null (a column or several), accepted_values, range (min, max), regex, expression, referential " +
			"(the values of a column are those of a column of a reference table, given as for lookup: {zone_id: {uri: s3://ref/zones.csv, column: id}}; the column's name may be left out where it is the same), " +
			"unique (no two rows have the same value in a column or, of a list, in all of them together; it brings the rows together as dedupe does), row_count (min, max) and " +
			"freshness (the newest value of a column is no older than a time span before now()). severity says what follows when one is broken: fail (the default; the run commits nothing), " +
			"quarantine (the row is rejected, of unique all but the first; not for row_count and freshness), or warn (it stands in the manifest and the log). Null satisfies all but not_null. What was found is in the manifest's checks.",
		Example: "- assert: [{not_null: [trip_id]}, {range: {fare: {min: 0, max: 1000}}, severity: warn}, {row_count: {min: 1}}]",
		Tables:  assertTables,
		Bind:    bindAssert,
	})
}

// Finding is what came of one expectation of a run.
type Finding struct {
	Check    string `json:"check"` // "range fare 0 to 1000", or its name
	Severity string `json:"severity"`
	Passed   bool   `json:"passed"`
	Rows     int64  `json:"rows,omitempty"`   // that break it
	Detail   string `json:"detail,omitempty"` // what was found instead
	Input    string `json:"input,omitempty"`  // where the first of the rows stands, if they still know
	Line     int64  `json:"line,omitempty"`
	Value    string `json:"value,omitempty"` // of it
}

// severities of an expectation; the first is the default.
var severities = []string{"fail", "quarantine", "warn"}

func bindAssert(env Env, n *spec.Node, in *arrow.Schema) (Bound, error) {
	items, err := n.List()
	if err != nil {
		return Bound{}, n.Errorf("assert wants a list of expectations: - assert: [{not_null: id}, {row_count: {min: 1}}]")
	}
	if len(items) == 0 {
		return Bound{}, n.Errorf("assert needs at least one expectation")
	}
	b := assertBinder{env: env, in: in, a: &assert{in: in, out: everything(in), now: env.Expr.Now}}
	for _, it := range items {
		if err := b.item(it); err != nil {
			return Bound{}, err
		}
	}
	var all []Bound
	if len(b.a.all) > 0 { // what is asked of single rows comes first: there they still know where they are from
		all = append(all, b.a.bound())
	}
	all = append(all, b.last...)
	all[0].Then = all[1:]
	return all[0], nil
}

// bound is the step as it is bound.
func (a *assert) bound() Bound {
	var used, says []string
	for _, x := range a.all {
		for _, p := range []*expr.Program{x.cond, x.newest} {
			if p != nil {
				used = append(used, p.Columns()...)
			}
		}
		if x.ref != nil {
			used = append(used, x.ref.key.prog.Columns()...)
		}
		if x.column >= 0 {
			used = append(used, a.in.Field(x.column).Name)
		}
		says = append(says, x.text+" ("+x.severity+")")
	}
	return Bound{Step: a, Needs: also(used), Explain: "assert " + strings.Join(says, ", "), Verify: a.findings}
}

// assertBinder reads the expectations.
type assertBinder struct {
	env Env
	in  *arrow.Schema
	a   *assert
	// last are the steps of those about rows together, behind all others.
	last []Bound
}

var expectations = []string{"not_null", "unique", "accepted_values", "range", "regex", "expression", "referential", "row_count", "freshness"}

func (b *assertBinder) item(it *spec.Node) error {
	entries, err := it.Map(append([]string{"name", "severity"}, expectations...)...)
	if err != nil {
		return err
	}
	x := expectation{severity: severities[0], column: -1}
	var kind spec.Entry
	for _, e := range entries {
		switch e.Key {
		case "name":
			if x.name, err = e.Value.Str(); err != nil {
				return err
			}
		case "severity":
			if x.severity, err = e.Value.Str(); err != nil {
				return err
			}
			if !slices.Contains(severities, x.severity) {
				return e.Value.Errorf("severity must be fail, quarantine or warn, found %q", x.severity)
			}
		default:
			if kind.At != nil {
				return e.At.Errorf("an expectation is one of %s: %s stands beside %s", strings.Join(expectations, ", "), e.Key, kind.Key)
			}
			kind = e
		}
	}
	switch kind.Key {
	case "":
		return it.Errorf("an expectation needs one of %s", strings.Join(expectations, ", "))
	case "row_count", "freshness":
		if x.severity == "quarantine" {
			return it.Errorf("%s is about all rows together: its severity is fail or warn", kind.Key)
		}
	}
	switch kind.Key {
	case "not_null":
		return b.columns(kind.Value, func(at *spec.Node, i int, name string) error {
			return b.condition(x, at, i, "not_null "+name, expr.QuoteName(name)+" IS NOT NULL")
		})
	case "unique":
		more, err := b.unique(x, kind.Value)
		b.last = append(b.last, more...)
		return err
	case "expression":
		if x.cond, err = compileBool(b.env, kind.Value, b.in); err != nil {
			return err
		}
		x.text = x.cond.Source()
		b.a.add(x)
		return nil
	case "row_count":
		x.rows = true
		if x.least, x.most, err = bounds(kind.Value, true); err != nil {
			return err
		}
		x.text = "row_count" + span(x.least, x.most)
		b.a.add(x)
		return nil
	}
	return b.each(kind, func(e spec.Entry, i int) error {
		name := b.in.Field(i).Name
		col := expr.QuoteName(name)
		switch kind.Key {
		case "referential":
			return b.referential(x, e, i)
		case "freshness":
			return b.freshness(x, e.Value, i, name)
		case "regex":
			pattern, err := e.Value.Str()
			if err != nil {
				return err
			}
			return b.condition(x, e.Value, i, "regex "+name+" "+pattern, col+" ~ "+quoted(pattern))
		case "accepted_values":
			values, err := e.Value.Strs()
			if err != nil {
				return err
			}
			if len(values) == 0 {
				return e.Value.Errorf("accepted_values of %q is empty: no row could satisfy it", name)
			}
			list := make([]string, len(values))
			for k, v := range values {
				list[k] = quoted(v)
			}
			return b.condition(x, e.Value, i, "accepted_values "+name+" "+strings.Join(values, ", "), col+" IN ("+strings.Join(list, ", ")+")")
		}
		least, most, err := bounds(e.Value, false)
		if err != nil {
			return err
		}
		var parts []string
		if least != "" {
			parts = append(parts, col+" >= "+quoted(least))
		}
		if most != "" {
			parts = append(parts, col+" <= "+quoted(most))
		}
		return b.condition(x, e.Value, i, "range "+name+span(least, most), strings.Join(parts, " AND "))
	})
}

func quoted(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

func span(least, most string) string {
	s := ""
	if least != "" {
		s += " from " + least
	}
	if most != "" {
		s += " to " + most
	}
	return s
}

// columns calls f for a column or each of a list.
func (b *assertBinder) columns(n *spec.Node, f func(at *spec.Node, i int, name string) error) error {
	items := []*spec.Node{n}
	if n.IsList() {
		items, _ = n.List()
	}
	for _, it := range items {
		name, err := it.Str()
		if err != nil {
			return err
		}
		i, err := lookup(it, b.in, name)
		if err != nil {
			return err
		}
		if err := f(it, i, b.in.Field(i).Name); err != nil {
			return err
		}
	}
	return nil
}

// each calls f for each column of a mapping.
func (b *assertBinder) each(kind spec.Entry, f func(e spec.Entry, i int) error) error {
	entries, err := kind.Value.Map()
	if err != nil {
		return kind.Value.Errorf("%s wants a mapping of columns: {%s: {column: …}}", kind.Key, kind.Key)
	}
	for _, e := range entries {
		i, err := lookup(e.At, b.in, e.Key)
		if err != nil {
			return err
		}
		if err := f(e, i); err != nil {
			return err
		}
	}
	return nil
}

// bounds reads {min: a, max: b}, either of which may be absent ("").
func bounds(n *spec.Node, counts bool) (least, most string, err error) {
	entries, err := n.Map("min", "max")
	if err != nil {
		return "", "", err
	}
	for _, e := range entries {
		v, err := e.Value.Str()
		if err != nil {
			return "", "", err
		}
		if counts {
			if k, err := e.Value.Int(); err != nil || k < 0 {
				return "", "", e.Value.Errorf("want a number of rows, found %q", v)
			}
		}
		if e.Key == "min" {
			least = v
		} else {
			most = v
		}
	}
	if least == "" && most == "" {
		return "", "", n.Errorf("want min, max or both")
	}
	return least, most, nil
}

func (b *assertBinder) condition(x expectation, at *spec.Node, column int, text, cond string) error {
	p, err := expr.Compile(cond, b.in, b.env.Expr)
	if err != nil {
		return at.Errorf("%s: %w", text, err)
	}
	x.cond, x.column, x.text = p, column, text
	b.a.add(x)
	return nil
}

// freshness reads a span such as 24 hours; the column's values become seconds since the epoch.
func (b *assertBinder) freshness(x expectation, n *spec.Node, i int, name string) error {
	text, err := n.Str()
	if err != nil {
		return err
	}
	if x.age, err = age(text); err != nil {
		return n.Errorf("%w", err)
	}
	f := b.in.Field(i)
	if id := f.Type.ID(); id != arrow.DATE32 && id != arrow.TIMESTAMP {
		return n.Errorf("freshness needs a date or timestamp column, %q is %s", name, f.Type)
	}
	p, err := expr.Compile("extract(epoch FROM "+expr.QuoteName(name)+")::float64", b.in, b.env.Expr)
	if err != nil {
		return n.Errorf("freshness: %w", err)
	}
	x.newest, x.column, x.text = p, i, "freshness "+name+" "+text
	b.a.add(x)
	return nil
}

var ageUnits = map[string]time.Duration{"second": time.Second, "minute": time.Minute, "hour": time.Hour, "day": 24 * time.Hour, "week": 7 * 24 * time.Hour}

// age reads "24 hours".
func age(text string) (time.Duration, error) {
	f := strings.Fields(strings.ToLower(text))
	if len(f) == 2 {
		n, err := strconv.ParseInt(f[0], 10, 32)
		if unit := ageUnits[strings.TrimSuffix(f[1], "s")]; err == nil && n > 0 && unit > 0 {
			return time.Duration(n) * unit, nil
		}
	}
	return 0, errAge(text)
}

type errAge string

func (e errAge) Error() string {
	return "want a time span such as 24 hours (seconds, minutes, hours, days or weeks), found " + strconv.Quote(string(e))
}

// expectation is one thing that has to hold.
type expectation struct {
	name, severity, text string
	column               int           // whose value a broken row shows; -1 for none
	cond                 *expr.Program // true or null where a row satisfies it; nil for those about all rows
	rows                 bool          // row_count
	least, most          string        // of row_count
	ref                  *reference    // of referential
	newest               *expr.Program // of freshness: seconds since the epoch
	age                  time.Duration
}

// tally is what all lanes found of an expectation.
type tally struct {
	broken int64
	first  pipeline.Origin // the first of the broken rows in the order of the input, as far as rows know
	value  string
	any    bool
	newest float64 // of freshness; any says whether there is one
}

// assert is the step; its tallies are shared by its lanes.
type assert struct {
	in  *arrow.Schema
	out view
	now time.Time
	all []expectation

	mu      sync.Mutex // the lanes add what a batch came to; never held while computing
	count   int64
	tallies []tally
}

func (a *assert) add(x expectation) {
	a.all = append(a.all, x)
	a.tallies = append(a.tallies, tally{})
}

func (a *assert) Name() string          { return "assert" }
func (a *assert) Schema() *arrow.Schema { return a.out.schema }
func (a *assert) NewStage(mem memory.Allocator) (pipeline.Stage, error) {
	s := &assertStage{a: a, mem: mem, probes: make([]*join.Probe, len(a.all))}
	for i, x := range a.all {
		if x.ref != nil {
			s.probes[i] = x.ref.index.NewProbe()
		}
	}
	return s, nil
}

type assertStage struct {
	a      *assert
	mem    memory.Allocator
	probes []*join.Probe // of the referential ones
	ids    []int32
}

func (s *assertStage) Close() {}

func (s *assertStage) Apply(_ context.Context, b pipeline.Batch, rej *pipeline.Rejects) (pipeline.Batch, error) {
	n := int(b.Rec.NumRows())
	found := make([]tally, len(s.a.all))
	var bad refusals
	for i, x := range s.a.all {
		switch {
		case x.cond != nil:
			broken, err := s.broken(x, b)
			if err != nil {
				return pipeline.Batch{}, err
			}
			if x.severity == "quarantine" {
				bad = append(bad, broken...)
			}
			found[i].of(b, broken)
		case x.ref != nil:
			broken, err := s.absent(x, s.probes[i], b)
			if err != nil {
				return pipeline.Batch{}, err
			}
			if x.severity == "quarantine" {
				bad = append(bad, broken...)
			}
			found[i].of(b, broken)
		case x.newest != nil:
			if err := s.newest(x, b, &found[i]); err != nil {
				return pipeline.Batch{}, err
			}
		}
	}
	s.a.mu.Lock()
	s.a.count += int64(n)
	for i := range found {
		s.a.tallies[i].add(found[i])
	}
	s.a.mu.Unlock()
	rec := s.a.out.of(b.Rec)
	if left := bad.reject(b, n, rej); left != nil {
		defer rec.Release()
		return keep(b, rec, left, s.mem)
	}
	return with(b, rec), nil
}

// broken are the rows that do not satisfy x; one for which its condition fails is among them.
func (s *assertStage) broken(x expectation, b pipeline.Batch) (refusals, error) {
	ok, errs, err := x.cond.Eval(b.Rec, s.mem)
	if err != nil {
		return nil, err
	}
	defer ok.Release()
	r := rule{text: x.title()}
	shown := ok
	if x.column >= 0 {
		r.column, shown = s.a.in.Field(x.column).Name, b.Rec.Column(x.column)
	}
	var bad refusals
	for _, e := range errs {
		bad = append(bad, refusal{e.Row, r.column, e.Value, "check " + r.text + ": " + e.Reason})
	}
	if x.column < 0 {
		before := len(bad)
		bad.falses(r, shown, ok)
		for i := range bad[before:] {
			bad[before+i].value = "" // not that the condition is false
		}
		return bad, nil
	}
	bad.falses(r, shown, ok)
	return bad, nil
}

func (s *assertStage) newest(x expectation, b pipeline.Batch, t *tally) error {
	a, errs, err := x.newest.Eval(b.Rec, s.mem)
	if err != nil {
		return err
	}
	defer a.Release()
	if len(errs) > 0 { // infinity has no epoch
		return nil
	}
	f := a.(*array.Float64)
	for i, v := range f.Float64Values() {
		if f.IsValid(i) && (!t.any || v > t.newest) {
			t.newest, t.any = v, true
		}
	}
	return nil
}

// of counts the broken rows of a batch and keeps the first.
func (t *tally) of(b pipeline.Batch, broken refusals) {
	if t.broken = int64(len(broken)); t.broken == 0 {
		return
	}
	first := slices.MinFunc(broken, func(x, y refusal) int { return x.row - y.row })
	t.any, t.value = true, strings.Clone(first.value)
	if b.Rows != nil {
		i := first.row
		if b.Sel != nil {
			i = int(b.Sel[i])
		}
		t.first = b.Rows.Origin(i)
		t.first.Raw = nil // lives no longer than the batch
	}
}

func (t *tally) add(o tally) {
	if !o.any {
		return
	}
	if !t.any || cmp.Or(strings.Compare(o.first.Input, t.first.Input), cmp.Compare(o.first.Line, t.first.Line), strings.Compare(o.value, t.value)) < 0 {
		t.first, t.value = o.first, o.value
	}
	if !t.any || o.newest > t.newest {
		t.newest = o.newest
	}
	t.any = true
	t.broken += o.broken
}

func (x expectation) title() string {
	if x.name != "" {
		return x.name
	}
	return x.text
}

// findings is what came of all expectations, once all rows went through.
func (a *assert) findings() []Finding {
	a.mu.Lock()
	defer a.mu.Unlock()
	out := make([]Finding, len(a.all))
	for i, x := range a.all {
		f, t := Finding{Check: x.title(), Severity: x.severity, Passed: true}, a.tallies[i]
		switch {
		case x.rows:
			least, most := bound(x.least, 0), bound(x.most, 1<<62)
			f.Passed = a.count >= least && a.count <= most
			f.Detail = strconv.FormatInt(a.count, 10) + " rows"
		case x.newest != nil && !t.any:
			f.Passed, f.Detail = false, "no value"
		case x.newest != nil:
			newest := time.UnixMicro(int64(t.newest * 1e6)).UTC()
			f.Passed = a.now.Sub(newest) <= x.age
			f.Detail = "newest " + newest.Format(time.RFC3339) + ", now " + a.now.UTC().Format(time.RFC3339)
		case t.broken > 0:
			f.Passed, f.Rows = false, t.broken
			f.Input, f.Line, f.Value = t.first.Input, t.first.Line, t.value
		}
		out[i] = f
	}
	return out
}

// bound is a number of rows that was checked when it was read, or what stands for none.
func bound(s string, none int64) int64 {
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		return n
	}
	return none
}
