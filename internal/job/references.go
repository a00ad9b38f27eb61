package job

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/apache/arrow/go/v17/arrow"

	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/internal/spec"
	"github.com/sluice-data/sluice/transforms"
)

// references are the tables that the steps join with. Each is found once a job, for the run's id, and read once, before the first chunk of
// the input.
type references struct {
	all  []*reference
	by   map[string]*reference // by what and how it is read
	held int64                 // bytes of those that were read
}

// reference is one of them. It is the transforms.Relation of every step that joins with it.
type reference struct {
	spec   spec.Reference
	origin origin
	found  bool
	schema *arrow.Schema   // once it was described
	used   map[string]bool // columns that are read
	keyed  map[string]bool // of them, those of which steps want the pieces
	added  map[string]bool // and those that they add to rows
	table  *table          // once it was read
}

// origin is where the rows of a reference come from.
type origin interface {
	// find makes sure that they are there, before anything of them is read.
	find(ctx context.Context) error
	// describe gives their columns. With fullScan types that are inferred hold for every value.
	describe(ctx context.Context, fullScan bool) (*arrow.Schema, error)
	// read reads the rows, and of their columns at least those that r uses, into limit bytes at most.
	read(ctx context.Context, r *reference, limit int64) (*table, error)
	// versions are what was read, for the manifest and the run's id. t is nil while nothing was.
	versions(t *table) []LookupRef
	// late says that the version is known when the rows are read, and not before.
	late() bool
}

// tooLarge is what is said of a table that does not fit its share of memory.
func tooLarge(limit int64) error {
	return fail.Newf(fail.Usage, "it takes more than the %d bytes that there are for it in memory: raise --memory-limit, name fewer columns, or leave out rows that are not needed", limit)
}

// tableOf is the table that the arguments of a step name: by table:, one of those of the lookups: block, or by uri: and what goes with it.
func tableOf(args *spec.Node, tables []spec.Reference) (spec.Reference, error) {
	name, uri := args.Get("table"), args.Get("uri")
	if name == nil && uri == nil && args.Get("dsn_env") == nil {
		return spec.Reference{}, args.Errorf("name the table: uri: s3://bucket/key, or table: and its name in lookups:")
	}
	if name == nil {
		return spec.ReadReference(args)
	}
	want, err := name.Str()
	if err != nil {
		return spec.Reference{}, err
	}
	for _, key := range spec.ReferenceKeys {
		if args.Get(key) != nil {
			return spec.Reference{}, args.Errorf("%s belongs to the table's entry in lookups:, since table: names it", key)
		}
	}
	var known []string
	for _, l := range tables {
		if l.Name == want {
			return l, nil
		}
		known = append(known, l.Name)
	}
	if near := spec.Nearest(want, known); near != "" {
		return spec.Reference{}, name.Errorf("lookups: has no table %q: did you mean %q?", want, near)
	}
	return spec.Reference{}, name.Errorf("lookups: has no table %q: add it there, %s: {uri: …}", want, want)
}

// refer finds or notes the reference that the arguments of a step name.
func (j *job) refer(args *spec.Node) (*reference, error) {
	ref, err := tableOf(args, j.pipe.Lookups)
	if err != nil {
		return nil, err
	}
	id, err := json.Marshal(ref.Identity())
	if err != nil {
		return nil, fail.Newf(fail.Internal, "reference table: %w", err)
	}
	r := j.refs.by[string(id)]
	if r == nil {
		r = &reference{spec: ref, used: map[string]bool{}, keyed: map[string]bool{}, added: map[string]bool{}}
		if r.origin, err = j.originOf(r); err != nil {
			return nil, err
		}
		if j.refs.by == nil {
			j.refs.by = map[string]*reference{}
		}
		j.refs.by[string(id)], j.refs.all = r, append(j.refs.all, r)
	}
	return r, nil
}

// relation is transforms.Env's way to a reference.
func (j *job) relation(args *spec.Node) (transforms.Relation, error) {
	r, err := j.refer(args)
	if err != nil {
		return nil, err
	}
	if r.schema == nil {
		return nil, args.Errorf("the table %s was not looked at", r.Name())
	}
	return r, nil
}

// originOf is where the rows of r come from.
func (j *job) originOf(r *reference) (origin, error) {
	if r.spec.Query != nil {
		return newQueried(j, r)
	}
	return &objects{job: j, spec: &r.spec}, nil
}

// findReferences finds every table that a step joins with.
func (j *job) findReferences(ctx context.Context) error {
	for _, s := range ownSteps(j.pipe.Steps) {
		def, ok := transforms.Lookup(s.Name)
		if !ok || def.Tables == nil {
			continue // binding says what is wrong
		}
		for _, args := range def.Tables(s.Node) {
			if !args.IsMap() {
				continue
			}
			r, err := j.refer(args)
			if err != nil {
				return err
			}
			if r.found {
				continue
			}
			if err := r.origin.find(ctx); err != nil {
				return fmt.Errorf("reference table %s: %w", r.Name(), err)
			}
			r.found = true
		}
	}
	return nil
}

// pinReferences reads the tables whose rows are their version, and names the run anew.
func (j *job) pinReferences(ctx context.Context) error {
	late := false
	for _, r := range j.refs.all {
		if !r.origin.late() {
			continue
		}
		late = true
		if err := j.readReference(ctx, r, j.sizes.foldBytes); err != nil {
			return err
		}
	}
	if late {
		j.nameRun()
	}
	return nil
}

// pinned says that the versions of all tables are known.
func (r *references) pinned() bool {
	return !slices.ContainsFunc(r.all, func(ref *reference) bool { return ref.origin.late() && ref.table == nil })
}

// describeReferences settles their columns. With fullScan types that are inferred hold for every value; else the head decides, which will do
// to look at a plan.
func (j *job) describeReferences(ctx context.Context, fullScan bool) error {
	for _, r := range j.refs.all {
		if r.schema != nil {
			continue
		}
		var err error
		if r.schema, err = r.origin.describe(ctx, fullScan); err != nil {
			return fmt.Errorf("reference table %s: %w", r.Name(), err)
		}
	}
	return nil
}

// readReference reads a table, where all of them together may take limit bytes.
func (j *job) readReference(ctx context.Context, r *reference, limit int64) error {
	t, err := r.origin.read(ctx, r, limit-j.refs.held)
	if err != nil {
		return fmt.Errorf("reference table %s: %w", r.Name(), err)
	}
	r.table = t
	j.refs.held += t.held
	j.opt.Log.Info("reference table read", "table", r.Name(), "rows", t.rows, "bytes", t.held)
	return nil
}

// loadReferences reads the tables and lets the steps of p index them. What they hold is not there for the folds, which are bound anew.
func (j *job) loadReferences(ctx context.Context, b *binder, p *plan) error {
	if len(j.refs.all) == 0 {
		return nil
	}
	folds := len(p.segments) > 1
	limit := j.sizes.foldBytes
	if folds {
		limit /= 2
	}
	for _, r := range j.refs.all {
		if r.table != nil && j.refs.held > limit { // it was read before it was known that there are folds
			return fmt.Errorf("reference table %s: %w", r.Name(), tooLarge(limit))
		}
	}
	for _, r := range j.refs.all {
		if r.table != nil && r.table.spent { // by an attempt before
			j.refs.held -= r.table.held
			r.table.release()
			r.table = nil
		}
		if r.table == nil {
			if err := j.readReference(ctx, r, limit); err != nil {
				return err
			}
		}
	}
	if folds {
		b.env.MemoryBudget = j.sizes.foldBytes - j.refs.held
		if err := b.steps(p, p.source.Schema()); err != nil {
			return err
		}
	}
	for _, seg := range p.segments {
		steps := seg.Steps
		for _, b := range seg.Branches {
			steps = append(slices.Clip(steps), b.Steps...)
		}
		for _, s := range steps {
			if l, ok := s.(transforms.Loader); ok {
				if err := l.Load(ctx); err != nil {
					return err
				}
			}
		}
	}
	for _, r := range j.refs.all {
		if !r.origin.late() { // else its rows are the run's version, and stay
			r.table.loaded(r.added)
		}
	}
	return nil
}

// close gives the tables' memory back.
func (r *references) close() {
	for _, ref := range r.all {
		if ref.table != nil {
			ref.table.release()
			ref.table = nil
		}
	}
}

// LookupRef is an object of a reference table, in the version that was read. What a query gave has the hash of its rows for an ETag.
type LookupRef struct {
	Table string `json:"table,omitempty"` // its name in lookups:
	InputRef
	Rows int64 `json:"rows"`
}

// lookups are the references for the manifest.
func (r *references) lookups() []LookupRef {
	var out []LookupRef
	for _, ref := range r.all {
		for _, l := range ref.origin.versions(ref.table) {
			l.Table = ref.spec.Name
			out = append(out, l)
		}
	}
	return out
}

// Name is the table's name in lookups:, else its URI.
func (r *reference) Name() string {
	switch {
	case r.spec.Name != "":
		return r.spec.Name
	case r.spec.DSNEnv != "":
		return "in the database of " + r.spec.DSNEnv
	}
	return r.spec.URI
}

func (r *reference) Schema() *arrow.Schema { return r.schema }

func (r *reference) Use(columns ...string) {
	for _, c := range columns {
		r.used[c], r.keyed[c] = true, true
	}
}

func (r *reference) Add(columns ...string) {
	for _, c := range columns {
		r.used[c], r.added[c] = true, true
	}
}

// onlyAdded reports whether no step wants the pieces of a column.
func (r *reference) onlyAdded(name string) bool { return !r.keyed[name] }

func (r *reference) Rows() int { return r.table.rows }

func (r *reference) Pieces(columns ...string) [][]arrow.Array { return r.table.rowPieces(columns) }

func (r *reference) Columns(names []string, null bool) ([]arrow.Array, error) {
	again := func(name string) bool { return r.origin.late() && r.keyed[name] } // its rows stay, and steps that are begun anew index them anew
	out, err := r.table.columns(names, null, again)
	if err != nil {
		return nil, fmt.Errorf("reference table %s: %w", r.Name(), err)
	}
	return out, nil
}

func (r *reference) Place(i int) string { return r.table.place(i) }
