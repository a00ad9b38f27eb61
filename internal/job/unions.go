package job

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/apache/arrow/go/v17/arrow"

	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/internal/objstore"
	"github.com/sluice-data/sluice/internal/spec"
	"github.com/sluice-data/sluice/pipeline"
	"github.com/sluice-data/sluice/sources"
	"github.com/sluice-data/sluice/transforms"
)

// united is the input of a union step. It is read as the first input is: streamed, counted and pinned. It is the step's transforms.Input.
type united struct {
	spec  spec.Reference
	steps []spec.Step // its own, as the file has them
	infos []objstore.Info

	in     *intake // of the attempt, as what follows
	format sources.Format
	read   *arrow.Schema // all of its columns
	schema *arrow.Schema // those that it was opened for
	need   map[string]bool
	source pipeline.Source
}

// findUnions finds the inputs of the union steps, in the order of the steps.
func (j *job) findUnions(ctx context.Context) error {
	j.unions = nil
	for _, s := range j.pipe.Steps {
		def, ok := transforms.Lookup(s.Name)
		if !ok || !def.Unites || !s.Node.IsMap() {
			continue // binding says what is wrong
		}
		ref, err := tableOf(s.Node, j.pipe.Lookups)
		if err != nil {
			return err
		}
		if ref.Query != nil {
			return s.Node.Errorf("a union reads files, and %s is a query of PostgreSQL, which a lookup or JOIN joins with", (&united{spec: ref}).Name())
		}
		u := &united{spec: ref}
		if n := s.Node.Get("steps"); n != nil {
			if u.steps, err = spec.ReadSteps(n); err != nil {
				return err
			}
		}
		if u.infos, err = expand(ctx, j.store, []string{ref.URI}, &head{}); err != nil {
			return fmt.Errorf("union %s: %w", u.Name(), err)
		}
		j.unions = append(j.unions, u)
	}
	return nil
}

// ownSteps are all steps with those that unions have for their inputs.
func ownSteps(steps []spec.Step) []spec.Step {
	var out []spec.Step
	for _, s := range steps {
		out = append(out, s)
		if def, ok := transforms.Lookup(s.Name); ok && def.Unites && s.Node.IsMap() {
			if n := s.Node.Get("steps"); n != nil {
				more, _ := spec.ReadSteps(n) // binding says what is wrong
				out = append(out, more...)
			}
		}
	}
	return out
}

// intakes are all inputs of a run, the first one first.
type intakes []*intake

// intakes are those of the job, not yet read. Close them when all that reads them has ended.
func (j *job) intakes() intakes {
	all := intakes{j.intake()}
	for _, u := range j.unions {
		*u = united{spec: u.spec, steps: u.steps, infos: u.infos, in: j.intakeOf(u.infos, u.spec.Compression, j.progress)}
		all = append(all, u.in)
	}
	return all
}

func (a intakes) close() {
	for _, in := range a {
		in.close()
	}
}

func (a intakes) reset() {
	for _, in := range a {
		in.reset()
	}
}

func (a intakes) consumed() (n int64) {
	for _, in := range a {
		n += in.consumed()
	}
	return n
}

func (a intakes) size() (n int64) {
	for _, in := range a {
		n += in.size()
	}
	return n
}

// inputs are the objects of all inputs.
func (j *job) inputs() []InputRef {
	out := inputRefs(j.infos)
	for _, u := range j.unions {
		out = append(out, inputRefs(u.infos)...)
	}
	return out
}

// Name is the table's name in lookups:, else its URI.
func (u *united) Name() string {
	if u.spec.Name != "" {
		return u.spec.Name
	}
	return u.spec.URI
}

func (u *united) Schema() *arrow.Schema { return u.schema }

// describe settles what its columns are; those that are declared need no look at it.
func (u *united) describe(ctx context.Context, b *binder, fullScan bool) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("union %s: %w", u.Name(), err)
		}
	}()
	if u.format, err = u.in.format(ctx, u.spec.Format); err != nil {
		return err
	}
	if u.spec.Schema.Mode == string(sources.Strict) {
		u.read = declared(u.spec.Schema.Columns)
		u.schema = u.read
		return nil
	}
	if err := u.open(ctx, b, fullScan); err != nil {
		return err
	}
	u.read = u.schema
	return nil
}

// open opens it for the columns that are needed.
func (u *united) open(ctx context.Context, b *binder, fullScan bool) error {
	if err := u.close(); err != nil {
		return err
	}
	req := requestOf(u.in, &u.spec.Source, &u.spec.Schema, u.format, b.sizes)
	req.Need, req.FullScan = u.need, fullScan
	src, err := u.format.Open(ctx, req)
	if err != nil {
		return err
	}
	u.source, u.schema = src, src.Schema()
	return nil
}

// narrow opens it again if not all of its columns are needed, or for the first time.
func (u *united) narrow(ctx context.Context, b *binder, fullScan bool) (opened bool, err error) {
	if u.source != nil && (u.need == nil || len(u.need) >= u.read.NumFields()) {
		return false, nil
	}
	if err := u.open(ctx, b, fullScan); err != nil {
		return true, fmt.Errorf("union %s: %w", u.Name(), err)
	}
	return true, nil
}

func (u *united) close() error {
	if u.source == nil {
		return nil
	}
	s := u.source
	u.source = nil
	return s.Close()
}

// unite joins the sources of the unions to the plan's own, which then is all of them.
func (b *binder) unite(p *plan) error {
	if len(p.unions) == 0 {
		return nil
	}
	all := []pipeline.Source{p.source}
	for i, u := range p.unions {
		if err := b.settle(u.source, nil, u.steps, p.segments[0].Branches[i].Steps); err != nil {
			return err
		}
		all = append(all, u.source)
	}
	p.source = sources.Union(all...)
	for _, u := range p.unions {
		u.source = nil // p.source closes it
	}
	return nil
}

// closeUnions closes those that are not a part of the plan's source yet.
func (p *plan) closeUnions() error {
	var errs []error
	for _, u := range p.unions {
		errs = append(errs, u.close())
	}
	return errors.Join(errs...)
}

// input is transforms.Env's way to the unions' inputs, which steps ask for in their order.
func (b *binder) input() func(*spec.Node) (transforms.Input, error) {
	next := 0
	return func(args *spec.Node) (transforms.Input, error) {
		if next == len(b.unions) {
			return nil, args.Errorf("%w", fail.Newf(fail.Internal, "the input of union %d was not found", next+1))
		}
		next++
		return b.unions[next-1], nil
	}
}

// explainUnion are the lines of a plan for one of its unions.
func explainUnion(w *strings.Builder, u *united, lines []string) {
	fmt.Fprintf(w, "  union %s", u.format.Name)
	explainObjects(w, u.infos)
	fmt.Fprintf(w, "\n    read  %s\n", describe(u.schema.Fields()))
	for _, l := range lines {
		fmt.Fprintf(w, "    %s\n", l)
	}
}
