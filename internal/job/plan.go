package job

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/apache/arrow/go/v17/arrow"

	"github.com/sluice-data/sluice/internal/expr"
	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/internal/objstore"
	"github.com/sluice-data/sluice/internal/schema"
	"github.com/sluice-data/sluice/internal/spec"
	"github.com/sluice-data/sluice/pipeline"
	"github.com/sluice-data/sluice/sinks"
	"github.com/sluice-data/sluice/sources"
	"github.com/sluice-data/sluice/transforms"
)

// plan is a pipeline file bound to the real schema of its inputs.
type plan struct {
	format   sources.Format
	source   pipeline.Source
	read     *arrow.Schema // all columns of the inputs
	segments []pipeline.Segment
	out      *arrow.Schema
	lines    []string // the bound steps, one line each, for explain
	unions   []*united
	joined   [][]string // their lines
	verify   []func() []transforms.Finding
}

// binder makes plans: once from the head of the inputs, and once more when inference has to look at all of them.
type binder struct {
	pipe   *spec.Pipeline
	in     *intake
	sizes  sizes
	env    transforms.Env
	format sources.Format
	table  transforms.Table // of a partitioned sink
	unions []*united
	// demands are what the targets demand of the rows; none until they were asked.
	demands []transforms.Demand

	relock  bool            // the lock is written anew: what it says now does not count
	settled bool            // pipe's schema is what lock and drift make of it
	unknown bool            // a column that comes up behind the heads makes its row bad, though missing ones are null
	only    map[string]bool // the columns that are read if others are not even to be looked at; nil for all
}

// bind opens the source and binds every step, all before the first chunk is read.
func (b *binder) bind(ctx context.Context, fullScan bool) (p *plan, err error) {
	if b.format.Open == nil {
		if b.format, err = b.in.format(ctx, b.pipe.Source.Format); err != nil {
			return nil, err
		}
	}
	if err := b.settleSchema(ctx); err != nil {
		return nil, err
	}
	p = &plan{format: b.format, unions: b.unions}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.close())
		}
	}()
	req := b.request(fullScan)
	req.Need = b.only
	if b.pipe.Schema.Mode != string(sources.Strict) {
		// The columns are known only after a look at the inputs.
		if p.source, err = b.format.Open(ctx, req); err != nil {
			return p, err
		}
		p.read = p.source.Schema()
	} else {
		p.read = declared(b.pipe.Schema.Columns)
	}
	for _, u := range p.unions {
		if err := u.describe(ctx, b, fullScan); err != nil {
			return p, err
		}
	}
	if err := b.steps(p, p.read); err != nil {
		return p, err
	}
	again := false
	if need := b.needs(p); p.source == nil || need != nil && len(need) < p.read.NumFields() {
		if err := p.closeSource(); err != nil {
			return p, err
		}
		req.Need, again = need, true
		if p.source, err = b.format.Open(ctx, req); err != nil {
			return p, err
		}
	}
	for _, u := range p.unions {
		opened, err := u.narrow(ctx, b, fullScan)
		if err != nil {
			return p, err
		}
		again = again || opened
	}
	if again {
		if err := b.steps(p, p.source.Schema()); err != nil {
			return p, err
		}
	}
	if err := b.settle(p.source, b.pipe.Schema.Columns, b.pipe.Steps, p.segments[0].Steps); err != nil {
		return p, err
	}
	return p, b.unite(p)
}

func (p *plan) close() error { return errors.Join(p.closeSource(), p.closeUnions()) }

func (p *plan) closeSource() error {
	if p.source == nil {
		return nil
	}
	s := p.source
	p.source = nil
	return s.Close()
}

func (b *binder) request(fullScan bool) sources.Request {
	req := requestOf(b.in, &b.pipe.Source, &b.pipe.Schema, b.format, b.sizes)
	req.FullScan, req.RejectUnknown = fullScan, b.unknown
	return req
}

// requestOf asks for all columns of the objects of in, read as source: and schema: say.
func requestOf(in *intake, src *spec.Source, declared *spec.Schema, format sources.Format, s sizes) sources.Request {
	c := src.CSV
	req := sources.Request{
		Inputs: in.inputs(),
		Schema: sources.SchemaSpec{Mode: sources.Mode(declared.Mode)},
		Options: sources.Options{Delimiter: c.Delimiter, Quote: c.Quote, Header: c.Header, NullValues: c.NullValues,
			Encoding: c.Encoding, Comment: c.Comment, SkipRows: c.SkipRows},
		ChunkBytes: s.chunkBytes, ChunkRows: s.chunkRows, MaxRecord: s.maxRecord, Lanes: s.lanes,
		Waited: in.progress.Stages.Cut.Wait,
	}
	if format.Seekable {
		req.Consumed = func(n int64) { in.seekable.Add(n); in.progress.Bytes.Add(n) }
	}
	for _, col := range declared.Columns {
		line, _ := col.At.Lines()
		req.Schema.Columns = append(req.Schema.Columns, sources.Column{Field: col.Field, Format: col.Format, TZ: col.TZ, Line: line})
	}
	return req
}

func namesOf(s *arrow.Schema) []string {
	out := make([]string, s.NumFields())
	for i, f := range s.Fields() {
		out[i] = f.Name
	}
	return out
}

// declared is the schema of columns that the pipeline file declares.
func declared(columns []spec.Column) *arrow.Schema {
	fields := make([]arrow.Field, len(columns))
	for i, c := range columns {
		fields[i] = c.Field
	}
	return arrow.NewSchema(fields, nil)
}

// steps binds the checks and steps to the schema in, and cuts them into segments at the folds.
func (b *binder) steps(p *plan, in *arrow.Schema) error {
	p.segments, p.lines, p.joined, p.verify, p.out = []pipeline.Segment{{}}, nil, nil, nil, in
	bounds, err := b.bound(in, nil)
	if err != nil {
		return err
	}
	if keep := narrower(bounds); keep != nil {
		if bounds, err = b.bound(in, keep); err != nil {
			return err
		}
	}
	for _, bd := range bounds {
		seg := &p.segments[len(p.segments)-1]
		if bd.Fold != nil {
			seg.Fold = bd.Fold
			p.segments = append(p.segments, pipeline.Segment{})
		} else {
			seg.Steps = append(seg.Steps, bd.Step)
		}
		p.out = bd.Schema()
		p.lines = append(p.lines, bd.Explain)
		if bd.Verify != nil {
			p.verify = append(p.verify, bd.Verify)
		}
		if bd.Joined != nil {
			p.join(seg, bd.Joined)
		}
	}
	return nil
}

// join makes the branch of a union behind the segment's last step.
func (p *plan) join(seg *pipeline.Segment, j *transforms.Joined) {
	br := pipeline.Branch{At: len(seg.Steps)}
	var lines []string
	for _, s := range j.Steps {
		for _, bd := range append([]transforms.Bound{s}, s.Then...) {
			br.Steps = append(br.Steps, bd.Step)
			lines = append(lines, bd.Explain)
			if bd.Verify != nil {
				p.verify = append(p.verify, bd.Verify)
			}
		}
	}
	seg.Branches, p.joined = append(seg.Branches, br), append(p.joined, lines)
}

// bound are the checks and steps bound one after the other. Those that can do with less give only the columns in keep, which has a
// set for each, nil for all columns.
func (b *binder) bound(in *arrow.Schema, keep []map[string]bool) ([]transforms.Bound, error) {
	out, err := b.boundWith(b.env, in, keep)
	if err != nil {
		return nil, err
	}
	folds := 0
	for _, bd := range out {
		if bd.Fold != nil {
			folds++
		}
	}
	if folds < 2 {
		return out, nil
	}
	// While a fold drains into the next one both hold memory: each may take half.
	env := b.env
	env.MemoryBudget /= 2
	return b.boundWith(env, in, keep)
}

func (b *binder) boundWith(env transforms.Env, in *arrow.Schema, keep []map[string]bool) ([]transforms.Bound, error) {
	if b.pipe.SQL != nil {
		p := *b.pipe
		var err error
		if p.Steps, err = statement(b.pipe, namesOf(in)); err != nil {
			return nil, err
		}
		b.pipe = &p
	}
	env.Input = b.input()
	var out []transforms.Bound
	folds := false
	next := func(bd transforms.Bound) {
		if keep != nil && keep[len(out)] != nil && bd.Narrow != nil {
			bd = bd.Narrow(keep[len(out)])
		}
		out = append(out, bd)
		in = bd.Schema()
		folds = folds || bd.Fold != nil
	}
	var checks []transforms.ColumnCheck
	for _, c := range b.pipe.Schema.Columns {
		for _, ch := range c.Checks {
			checks = append(checks, transforms.ColumnCheck{Column: c.Field.Name, At: c.At, NotNull: ch.NotNull, Expr: ch.Expr})
		}
	}
	if len(checks) > 0 {
		bd, err := transforms.BindChecks(env, checks, in)
		if err != nil {
			return nil, err
		}
		next(bd)
	}
	for _, s := range b.pipe.Steps {
		def, err := transforms.Find(s)
		if err != nil {
			return nil, err
		}
		bd, err := def.Bind(env, s.Node, in)
		if err != nil {
			return nil, fail.Wrap(fail.Usage, err)
		}
		if folds && bd.Joined != nil {
			return nil, s.At.Errorf("%s has to stand before the steps that need all rows (sort, aggregate, window and the like): its rows are read behind the input's, not behind theirs", s.Name)
		}
		next(bd)
		for _, more := range bd.Then {
			next(more)
		}
	}
	bindAll := func(steps []transforms.Bind) error {
		for _, bind := range steps {
			bd, err := bind(env, in)
			if err != nil {
				return fail.Wrap(fail.Usage, err)
			}
			next(bd)
		}
		return nil
	}
	layout := b.layout()
	if err := bindAll(layout.Computed()); err != nil {
		return nil, err
	}
	if demands := slices.Concat(b.ofFormat(in), b.demands); len(demands) > 0 { // before rows are sorted and gathered by partition, and lose their places in the input
		bd, err := transforms.BindDemands(demands, in)
		if err != nil {
			return nil, err
		}
		next(bd)
	}
	if err := bindAll(layout.Steps()); err != nil {
		return nil, err
	}
	return out, nil
}

// ofFormat is what the format of the files demands of the columns in them.
func (b *binder) ofFormat(in *arrow.Schema) []transforms.Demand {
	d, _ := sinks.Lookup(b.pipe.Sink.Format)
	if d.Constraints == nil {
		return nil
	}
	var out []transforms.Demand
	for _, f := range in.Fields() {
		if !slices.Contains(b.pipe.Sink.PartitionBy, f.Name) {
			out = append(out, demandsOf(d.Name, d.Constraints(f))...)
		}
	}
	return out
}

// demandsOf are the constraints of the block of sink: with that name.
func demandsOf(name string, constraints []sinks.Constraint) []transforms.Demand {
	out := make([]transforms.Demand, len(constraints))
	for i, c := range constraints {
		out[i] = transforms.Demand{Column: c.Column, Of: "sink." + name, Because: c.Because, Check: c.Check}
	}
	return out
}

// layout is what the sink asks of its rows.
func (b *binder) layout() transforms.Layout {
	l := transforms.Layout{SortBy: b.pipe.Sink.SortBy, Table: b.table}
	if len(b.pipe.Sink.PartitionBy) > 0 {
		l.PartitionBy = b.pipe.Sink.PartitionAt
	}
	return l
}

// needs are the input columns that the pipeline uses; nil means all. What it uses of the unions' inputs is noted there.
func (b *binder) needs(p *plan) map[string]bool {
	bounds, err := b.bound(p.read, nil)
	if err != nil {
		return nil
	}
	need, after := uses(bounds)
	next := 0
	for i, bd := range bounds {
		if bd.Joined != nil {
			p.unions[next].need = throughAll(bd.Joined.Steps, after[i])
			next++
		}
	}
	return need
}

// throughAll are the columns that steps one behind the other need of their input, where out is needed of what they give; nil means all.
func throughAll(bounds []transforms.Bound, out map[string]bool) map[string]bool {
	for _, bd := range slices.Backward(bounds) {
		if bd.Needs == nil {
			return nil
		}
		out = bd.Needs(out)
	}
	return out
}

// uses are the columns that the steps need of their input and, for each step, what later ones need of its output; nil means all.
func uses(bounds []transforms.Bound) (in map[string]bool, after []map[string]bool) {
	after = make([]map[string]bool, len(bounds))
	for i := len(bounds) - 1; i >= 0; i-- {
		after[i] = in
		if bounds[i].Needs == nil {
			in = nil
			continue
		}
		in = bounds[i].Needs(in)
	}
	return in, after
}

// narrower is what later steps need of each step's output, where a step gives more than that and can give less; else nil.
func narrower(bounds []transforms.Bound) []map[string]bool {
	_, after := uses(bounds)
	for i, bd := range bounds {
		if after[i] == nil || bd.Narrow == nil {
			continue
		}
		for _, f := range bd.Schema().Fields() {
			if !after[i][f.Name] {
				return after
			}
		}
	}
	return nil
}

// explain prints the bound plan.
func (p *plan) explain(b *binder) string {
	var w strings.Builder
	fields := p.read
	if p.source != nil {
		fields = p.source.Schema()
	}
	if p.source == nil { // bound to the declared columns
		format := b.pipe.Source.Format
		if format == "" {
			format = "of a format told from content"
		}
		fmt.Fprintf(&w, "source  %s, no input given", format)
	} else {
		fmt.Fprintf(&w, "source  %s", p.format.Name)
	}
	explainObjects(&w, b.in.infos)
	fmt.Fprintf(&w, "\n  read  %s\n", describe(fields.Fields()))
	if skipped := p.read.NumFields() - fields.NumFields(); skipped > 0 {
		fmt.Fprintf(&w, "  skip  %d of %d columns: nothing uses them\n", skipped, p.read.NumFields())
	}
	step := 0
	for i, seg := range p.segments {
		fmt.Fprintf(&w, "segment %d on %d lanes\n", i, b.sizes.lanes)
		for at := range seg.Steps {
			fmt.Fprintf(&w, "  %s\n", p.lines[step])
			step++
			for n, br := range seg.Branches {
				if br.At == at+1 {
					explainUnion(&w, p.unions[n], p.joined[n])
				}
			}
		}
		if seg.Fold != nil {
			fmt.Fprintf(&w, "  fold  %s\n", p.lines[step])
			step++
		}
	}
	s := b.pipe.Sink
	fmt.Fprintf(&w, "sink    %s %s, %s", s.Format, s.URI, s.Options)
	fmt.Fprintf(&w, ", files of about %d bytes\n", s.TargetFileSize)
	switch s.Mode {
	case spec.Replace:
		fmt.Fprintln(&w, "  mode  replace: the files of earlier runs go after the commit")
	case spec.ReplacePartitions:
		fmt.Fprintln(&w, "  mode  replace_partitions: the files of earlier runs in the partitions that this one has rows of go after the commit")
	}
	files, folders := divide(p.out, s.PartitionBy)
	if len(folders) > 0 {
		fmt.Fprintf(&w, "  in    folders of %s\n", describe(folders))
	}
	fmt.Fprintf(&w, "  write %s\n", describe(files))
	return w.String()
}

// explainObjects names the first of them.
func explainObjects(w *strings.Builder, infos []objstore.Info) {
	for i, f := range infos {
		if i == 3 {
			fmt.Fprintf(w, " and %d more", len(infos)-i)
			break
		}
		fmt.Fprintf(w, " %s (%d bytes)", f.Ref, f.Size)
	}
}

func describe(fields []arrow.Field) string {
	parts := make([]string, len(fields))
	for i, f := range fields {
		parts[i] = f.Name + " " + schema.TypeName(f)
	}
	return strings.Join(parts, ", ")
}

// envOf is what expressions see: now() is the time of the event, so that a retry computes the same.
func envOf(vars map[string]string, started time.Time) (expr.Env, error) {
	for _, k := range []string{"SCHEDULED_TIME", "EVENT_TIME"} {
		if v := vars[k]; v != "" {
			t, err := time.Parse(time.RFC3339Nano, v)
			if err != nil {
				return expr.Env{}, fail.Newf(fail.Usage, "%s %q is not an RFC 3339 time: %w", k, v, err)
			}
			return expr.Env{Now: t, Secret: os.LookupEnv}, nil
		}
	}
	return expr.Env{Now: started, Secret: os.LookupEnv}, nil
}
