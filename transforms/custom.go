package transforms

import (
	"context"
	"slices"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/internal/spec"
	"github.com/sluice-data/sluice/pipeline"
)

// Custom is a step made of a Go function, for builds of the worker with steps of their own. It names no package that only Sluice can import.
type Custom struct {
	Name    string // in the pipeline file; one that a step has already panics
	Doc     string // one paragraph for the reference
	Example string // a YAML list item
	// Bind checks the arguments against the columns that come in, before a byte is read. args is the value under the step's name: a string for a single value, []any
	// for a list, map[string]any for a mapping. An error stops the run with exit code 2 and the step's place.
	Bind func(args any, in *arrow.Schema) (CustomStep, error)
}

// CustomStep is a Custom bound to its input.
type CustomStep struct {
	// Schema is that of the records which the functions return.
	Schema *arrow.Schema
	// Uses are the incoming columns that the step needs; nil is all of them. Others may be missing from the records that it gets, and columns that it passes on
	// have to be among these.
	Uses []string
	// New makes the function that one lane calls. Functions of several lanes run at the same time: they share nothing that changes.
	New func() (CustomFunc, error)
}

// CustomFunc turns a record, which it borrows, into one of the same number of rows, which it gives away: a record that is passed on as it is has to be retained. mem is for
// what it allocates. An error ends the run; what a single row is to blame for belongs into Rows. The result may depend on the rows alone, not on time, chance
// or the rows before: a retry has to compute the same.
type CustomFunc func(ctx context.Context, rec arrow.Record, mem memory.Allocator) (arrow.Record, Rows, error)

// Rows are the rows of a record that a step takes out, by their number in it.
type Rows struct {
	Filtered []int // by intent
	Rejected []Rejected
}

// Rejected is a row that is bad: it goes to the quarantine or fails the run, as errors: says.
type Rejected struct {
	Row                   int
	Column, Value, Reason string
}

// RegisterCustom adds a step made of a Go function. A name registered twice panics.
func RegisterCustom(c Custom) {
	Register(Def{Name: c.Name, Doc: c.Doc, Example: c.Example, Bind: func(_ Env, n *spec.Node, in *arrow.Schema) (Bound, error) {
		var s CustomStep
		if err := fail.Guard("bind "+c.Name, func() (err error) {
			s, err = c.Bind(n.Value(), in)
			return err
		}); err != nil {
			return Bound{}, n.Errorf("%s: %w", c.Name, err)
		}
		if s.Schema == nil || s.New == nil {
			return Bound{}, fail.Newf(fail.Internal, "step %s: Bind gave no schema or no function", c.Name)
		}
		for _, name := range s.Uses {
			if len(in.FieldIndices(name)) == 0 {
				return Bound{}, n.Errorf("%s: unknown column %q%s", c.Name, name, hint(name, slices.Collect(columnNames(in))))
			}
		}
		return Bound{Step: &custom{c.Name, s}, Explain: c.Name, Needs: func(map[string]bool) map[string]bool {
			if s.Uses == nil {
				return nil
			}
			need := names{}
			need.add(s.Uses...)
			return need
		}}, nil
	}})
}

func columnNames(s *arrow.Schema) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for _, f := range s.Fields() {
			if !yield(f.Name) {
				return
			}
		}
	}
}

type custom struct {
	name string
	step CustomStep
}

func (c *custom) Name() string          { return c.name }
func (c *custom) Schema() *arrow.Schema { return c.step.Schema }
func (c *custom) Drops() pipeline.Cause { return pipeline.Filtered }
func (c *custom) NewStage(mem memory.Allocator) (pipeline.Stage, error) {
	f, err := c.step.New()
	if err != nil {
		return nil, err
	}
	return &customStage{c, f, mem}, nil
}

type customStage struct {
	c   *custom
	f   CustomFunc
	mem memory.Allocator
}

func (s *customStage) Close() {}

func (s *customStage) Apply(ctx context.Context, b pipeline.Batch, rej *pipeline.Rejects) (pipeline.Batch, error) {
	n := int(b.Rec.NumRows())
	rec, out, err := s.f(ctx, b.Rec, s.mem)
	if err != nil {
		return pipeline.Batch{}, fail.Newf(fail.Data, "step %s: %w", s.c.name, err)
	}
	defer rec.Release()
	if int(rec.NumRows()) != n || !rec.Schema().Equal(s.c.step.Schema) {
		return pipeline.Batch{}, fail.Newf(fail.Internal, "step %s took %d rows and gave %d of %s, it promised as many of %s", s.c.name, n, rec.NumRows(), rec.Schema(), s.c.step.Schema)
	}
	if len(out.Filtered)+len(out.Rejected) == 0 {
		rec.Retain()
		return with(b, rec), nil
	}
	gone := make([]bool, n)
	var bad refusals
	for _, r := range out.Rejected {
		if r.Row < 0 || r.Row >= n {
			return pipeline.Batch{}, fail.Newf(fail.Internal, "step %s rejected row %d of %d", s.c.name, r.Row, n)
		}
		bad = append(bad, refusal{r.Row, r.Column, r.Value, r.Reason})
		gone[r.Row] = true
	}
	bad.reject(b, n, rej)
	for _, i := range out.Filtered {
		if i < 0 || i >= n {
			return pipeline.Batch{}, fail.Newf(fail.Internal, "step %s filtered row %d of %d", s.c.name, i, n)
		}
		gone[i] = true
	}
	left := make([]int32, 0, n)
	for i, g := range gone {
		if !g {
			left = append(left, int32(i))
		}
	}
	return keep(b, rec, left, s.mem)
}
