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
	seen, err := b.survey(ctx, s)
	if err != nil {
		return err
	}
	pol := policies(s)
	if b.relock { // what is there now is what is to be locked
		pol.New, pol.Missing = "add", "ignore"
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
	s.Mode = string(sources.Evolve)
	if pol.New == "fail" && pol.Missing == "fail" && !slices.ContainsFunc(d.changes, func(c change) bool { return c.policy == "ignore" }) {
		s.Mode, b.only, b.unknown = string(sources.Strict), nil, false
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

// survey looks at what the inputs have: at the heads, or at all where a column may be widened, which has to hold for every value.
func (b *binder) survey(ctx context.Context, s spec.Schema) (sources.Survey, error) {
	full := s.Drift.Type == "widen"
	for _, c := range s.Columns {
		full = full || c.Drift == "widen"
	}
	p := *b.pipe
	p.Schema = s
	req := requestOf(b.in, &p.Source, &p.Schema, b.format, b.sizes)
	req.FullScan = full
	if b.format.Survey != nil {
		return b.format.Survey(ctx, req)
	}
	req.Schema = sources.SchemaSpec{Mode: sources.Infer}
	src, err := b.format.Open(ctx, req)
	if err != nil {
		return sources.Survey{}, err
	}
	var out sources.Survey
	for _, f := range src.Schema().Fields() {
		i := column(s.Columns, f.Name)
		out.Columns = append(out.Columns, sources.Seen{Field: f, Fits: i >= 0 && holds(s.Columns[i], f)})
	}
	return out, src.Close()
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
		d.changes = append(d.changes, change{name: c.Field.Name, was: c, now: wider(c.Field, now.Field), policy: policy})
	}
	for _, c := range seen.Columns {
		if column(s.Columns, c.Name) < 0 {
			d.changes = append(d.changes, change{name: c.Name, now: c.Field, policy: pol.New})
		}
	}
	return d
}

// wider is what a column becomes that does not take all values, which now was inferred from: text where neither type holds the other's values.
func wider(was, now arrow.Field) arrow.Field {
	if !nested(now) && !holds(spec.Column{Field: now}, was) {
		now.Type = arrow.BinaryTypes.String
	}
	return now
}

// nested types were inferred from all values, and are taken as they are.
func nested(f arrow.Field) bool { return arrow.IsNested(f.Type.ID()) || schema.IsJSON(f) }

// holds reports whether column c takes every value of a column whose values have the type of f, as far as types tell: text may still be a date in the column's format.
func holds(c spec.Column, f arrow.Field) bool {
	was, now := c.Field.Type, f.Type
	if schema.IsJSON(c.Field) || schema.IsJSON(f) {
		return schema.IsJSON(c.Field)
	}
	if arrow.TypeEqual(was, now) || was.ID() == arrow.STRING {
		return true
	}
	if now.ID() == arrow.STRING { // dates and times of JSON and of declared formats come as text
		return c.Format != "" || c.TZ != "" || was.ID() == arrow.BINARY
	}
	switch w := was.(type) {
	case *arrow.Decimal128Type:
		switch n := now.(type) {
		case *arrow.Decimal128Type:
			return w.Scale >= n.Scale && w.Precision-w.Scale >= n.Precision-n.Scale
		}
		return arrow.IsInteger(now.ID()) || arrow.IsFloating(now.ID()) // of the head's values: one that does not fit is a bad row
	case *arrow.Float64Type, *arrow.Float32Type:
		return arrow.IsInteger(now.ID()) || arrow.IsFloating(now.ID()) || arrow.IsDecimal(now.ID())
	case *arrow.TimestampType:
		return now.ID() == arrow.DATE32 || now.ID() == arrow.TIMESTAMP
	case *arrow.BooleanType:
		return arrow.IsInteger(now.ID()) // 0 and 1
	}
	return arrow.IsInteger(was.ID()) && arrow.IsInteger(now.ID()) // inferred ones are int64 whatever their values
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
	return fmt.Sprintf("column %q is %s, not %s", c.name, schema.TypeName(c.now), typeOf(c.was))
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
