package job

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/apache/arrow/go/v17/arrow"

	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/internal/schema"
	"github.com/sluice-data/sluice/internal/spec"
	"github.com/sluice-data/sluice/sources"
)

// change is one difference between the columns that are wanted and those that the inputs have.
type change struct {
	name   string
	was    spec.Column // Field.Type nil where it is not there
	now    arrow.Field // likewise
	policy string      // fail, or what is done about it
	why    string      // it fails where another policy was asked for
}

// drift is what the inputs' columns are beside those that are declared and locked, and what follows from it.
type drift struct {
	changes []change
}

// settleSchema makes the binder's schema: the declared columns with those of the lock, changed as schema.drift says where the inputs have others. Without lock and
// drift: it is the pipeline file's.
func (b *binder) settleSchema(ctx context.Context) error {
	s := b.pipe.Schema
	if b.settled || s.Lock == "" && s.Drift == (spec.Drift{}) && !hasPolicy(s.Columns) {
		return nil
	}
	b.settled = true
	s.Columns = slices.Clone(s.Columns) // widened here alone, not in the pipeline file
	if s.Lock != "" {
		var locked []arrow.Field
		if !b.relock {
			var err error
			if locked, err = readLock(ctx, b.in.store, b.pipe); err != nil {
				return err
			}
		}
		s.Columns = withLocked(s.Columns, locked, b.pipe)
		if len(locked) > 0 && s.Mode == string(sources.Infer) {
			s.Mode = string(sources.Strict)
		}
	}
	if len(s.Columns) == 0 { // the run makes the lock
		b.replace(s)
		return nil
	}
	pol := policies(s)
	if b.relock { // what is there now is what is to be locked
		pol.New, pol.Missing = "add", "ignore"
	}
	mode := string(sources.Evolve)
	if pol.New == "fail" && pol.Missing == "fail" {
		mode = string(sources.Strict)
	}
	seen, err := b.survey(ctx, s, mode)
	if err != nil {
		return err
	}
	d := compare(s, pol, seen)
	if err := d.failure(b.in.infos[0].Ref.String()); err != nil {
		return err
	}
	for _, c := range d.changes {
		if c.policy == "widen" {
			i := column(s.Columns, c.name)
			s.Columns[i].Field, s.Columns[i].Format, s.Columns[i].TZ = c.now, "", ""
		}
	}
	b.unknown = pol.New == "fail" // also one that comes up behind the heads
	if pol.New == "ignore" {
		b.only = map[string]bool{}
		for _, c := range s.Columns {
			b.only[c.Field.Name] = true
		}
	}
	if slices.ContainsFunc(d.changes, func(c change) bool { return c.policy == "ignore" }) {
		mode = string(sources.Evolve)
	}
	if s.Mode = mode; mode == string(sources.Strict) {
		b.only, b.unknown = nil, false
	}
	b.replace(s)
	return nil
}

// replace gives the binder a pipeline with the schema s. The file's stays as it is: the run's id is made of it.
func (b *binder) replace(s spec.Schema) {
	p := *b.pipe
	p.Schema = s
	b.pipe = &p
}

func hasPolicy(cols []spec.Column) bool {
	for _, c := range cols {
		if c.Drift != "" {
			return true
		}
	}
	return false
}

func column(cols []spec.Column, name string) int {
	for i, c := range cols {
		if c.Field.Name == name {
			return i
		}
	}
	return -1
}

// withLocked are the columns with the locked ones that are not declared behind them; declared types stand before locked ones.
func withLocked(cols []spec.Column, locked []arrow.Field, pipe *spec.Pipeline) []spec.Column {
	out := append([]spec.Column(nil), cols...)
	for _, f := range locked {
		if column(out, f.Name) < 0 {
			out = append(out, spec.Column{Field: f, At: pipe.Root})
		}
	}
	return out
}

// survey looks at what the inputs have beside the columns of s under mode: at the heads, or at all where a column may be widened, which has to hold for every value.
func (b *binder) survey(ctx context.Context, s spec.Schema, mode string) (sources.Survey, error) {
	if b.format.Survey == nil {
		return sources.Survey{}, fail.Newf(fail.Usage, "format %s has no survey, which schema.lock and schema.drift need", b.format.Name)
	}
	full := s.Drift.Type == "widen"
	for _, c := range s.Columns {
		full = full || c.Drift == "widen"
	}
	s.Mode = mode
	req := requestOf(b.in, &b.pipe.Source, &s, b.format, b.sizes)
	req.FullScan = full
	return b.format.Survey(ctx, req)
}

// policies are those of schema.drift, and what the mode says where it says nothing.
func policies(s spec.Schema) spec.Drift {
	p := spec.Drift{New: "add", Missing: "ignore", Type: "quarantine"}
	if s.Mode == string(sources.Strict) {
		p.New, p.Missing = "fail", "fail"
	}
	return spec.Drift{New: cmp.Or(s.Drift.New, p.New), Missing: cmp.Or(s.Drift.Missing, p.Missing), Type: cmp.Or(s.Drift.Type, p.Type)}
}

// compare finds the differences and the policy for each: the column's own, else the schema's.
func compare(s spec.Schema, pol spec.Drift, seen sources.Survey) drift {
	var d drift
	if seen.Nothing {
		return d
	}
	at := map[string]int{}
	for i, c := range seen.Columns {
		at[c.Name] = i
	}
	for _, c := range s.Columns {
		i, ok := at[c.Field.Name]
		if !ok {
			policy := pol.Missing
			if c.Drift == "ignore" || c.Drift == "fail" {
				policy = c.Drift
			}
			d.changes = append(d.changes, change{name: c.Field.Name, was: c, policy: policy})
			continue
		}
		now := seen.Columns[i]
		if now.Fits {
			continue
		}
		policy := pol.Type
		if c.Drift != "" && c.Drift != "ignore" {
			policy = c.Drift
		}
		d.changes = append(d.changes, mismatch(c, now, policy, seen.Typed))
	}
	for _, c := range seen.Columns {
		if column(s.Columns, c.Name) < 0 {
			d.changes = append(d.changes, change{name: c.Name, now: c.Field, policy: pol.New})
		}
	}
	return d
}

// mismatch is what follows where column c does not take all that was seen of it; typed as in sources.Survey.
func mismatch(c spec.Column, seen sources.Seen, policy string, typed bool) change {
	if c.Field.Type.ID() == arrow.DECIMAL128 && seen.Decimal != nil {
		seen.Type = seen.Decimal // of which a few digits more may be all that is wanting
	}
	out := change{name: c.Field.Name, was: c, now: seen.Field, policy: policy}
	switch {
	case policy == "widen":
		wide, ok := wider(c.Field, seen.Field, typed)
		if !ok || seen.Mixed {
			out.policy, out.why = "fail", " (no type holds both)"
			break
		}
		out.now = wide
	case policy == "quarantine" && typed:
		out.policy, out.why = "fail", " (the type of the file, not of single rows that quarantine could take: widen it, or declare it so and cast it in a step)"
	}
	return out
}

// wider is the type that holds the values of both, or of numbers and of what is nested the inputs' own, which holds every value that there is; else text, where values can be read as such.
func wider(was, now arrow.Field, typed bool) (arrow.Field, bool) {
	number := func(f arrow.Field) bool {
		id := f.Type.ID()
		return arrow.IsInteger(id) || arrow.IsFloating(id) || arrow.IsDecimal(id)
	}
	if schema.Widens(was, now) {
		return now, true
	}
	if both, err := schema.Union(was, now); err == nil {
		return both, true
	}
	switch {
	case number(was) && number(now), arrow.IsNested(now.Type.ID()), schema.IsJSON(now), now.Type.ID() == arrow.STRING:
		return now, true
	case typed:
		return now, false
	}
	now.Type = arrow.BinaryTypes.String
	return now, true
}

// failure is the error that tells all differences, if one of them is to fail; nil otherwise.
func (d drift) failure(input string) error {
	var failed []string
	for _, c := range d.changes {
		if c.policy == "fail" {
			failed = append(failed, c.say())
		}
	}
	if len(failed) == 0 {
		return nil
	}
	e := fail.Newf(fail.Data, "schema drift: %s; declare it, set schema.drift, or run with --update-lock where it is meant", strings.Join(failed, ", ")).In(input)
	width := 0
	for _, c := range d.changes {
		width = max(width, len(c.name))
	}
	var lines []string
	for _, c := range d.changes {
		lines = append(lines, c.line(width))
	}
	e.Excerpt = strings.Join(lines, "\n")
	return e
}

func (c change) say() string {
	switch {
	case c.was.Field.Type == nil:
		return fmt.Sprintf("new column %q %s", c.name, schema.TypeName(c.now))
	case c.now.Type == nil:
		return fmt.Sprintf("missing column %q %s", c.name, typeOf(c.was))
	}
	return fmt.Sprintf("column %q is %s, not %s%s", c.name, schema.TypeName(c.now), typeOf(c.was), c.why)
}

// typeOf is the type of a wanted column, with the format that its values are to have: they may be dates and not in it.
func typeOf(c spec.Column) string {
	if c.Format != "" {
		return fmt.Sprintf("%s as %q", schema.TypeName(c.Field), c.Format)
	}
	return schema.TypeName(c.Field)
}

// line is the change as a line of a diff.
func (c change) line(width int) string {
	done := map[string]string{"fail": "", "ignore": " (ignored)", "add": " (added)", "widen": " (widened)", "quarantine": " (bad rows)"}[c.policy]
	switch {
	case c.was.Field.Type == nil:
		return fmt.Sprintf("+ %-*s  %s%s", width, c.name, schema.TypeName(c.now), done)
	case c.now.Type == nil:
		return fmt.Sprintf("- %-*s  %s%s", width, c.name, typeOf(c.was), done)
	}
	return fmt.Sprintf("~ %-*s  %s → %s%s", width, c.name, typeOf(c.was), schema.TypeName(c.now), done)
}

var errNoLock = fail.Newf(fail.Usage, "--update-lock needs schema.lock in the pipeline file: the name of the file to write, such as schema.lock.yaml")
