package transforms

import (
	"slices"
	"strings"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/sluice-data/sluice/internal/expr"
	"github.com/sluice-data/sluice/internal/spec"
	"github.com/sluice-data/sluice/transforms/agg"
	"github.com/sluice-data/sluice/transforms/win"
)

func init() {
	Register(Def{
		Name: "window",
		Doc: "Adds columns of SQL window functions: partition_by is a list of columns or expressions (without it all rows are one partition), order_by what sort takes, and columns maps names to calls. " +
			windowDocs() + ". Aggregate functions work over frames, too: sum, avg, min, max, count, count(distinct x), medians, percentiles and what has a state of fixed size at little cost however wide the frame is, the others (mode, lists, sketches) from each frame's rows; FILTER (WHERE …) may stand behind the call. " +
			"A frame is written behind the call: rows between 6 preceding and current row; the ends are unbounded, current row or a number of rows, groups counts sets of rows that are equal in the order, and range goes by its value: " +
			"range between interval '7 days' preceding and current row. Without one it is SQL's: with an order_by " +
			"all rows up to the current one and those equal to it, else the whole partition. Rows come out in the order of partition_by (nulls last) and then order_by; equal rows keep that of the input, whatever the lanes. " +
			"Rows go to disk where the memory limit has no room; what the functions read and give of one partition has to fit, unless all of them are of those that need only rows before: row_number, rank, dense_rank, lag up to 1000 rows, " +
			"and min, max, count and sums of whole numbers and decimals up to the current row.",
		Example: "- window: {partition_by: [zone], order_by: [fare], columns: {rn: row_number(), prev: \"lag(fare, 1)\", run: sum(fare) rows between unbounded preceding and current row}}",
		Bind:    bindWindow,
	})
}

// windowDocs is a line on each function.
func windowDocs() string {
	var out []string
	for _, name := range win.Names() {
		f, _ := win.Lookup(name)
		out = append(out, f.Example+" is "+f.Doc)
	}
	return "The functions: " + strings.Join(out, "; ")
}

func bindWindow(env Env, n *spec.Node, in *arrow.Schema) (Bound, error) {
	if _, err := n.Map("partition_by", "order_by", "columns"); err != nil {
		return Bound{}, err
	}
	w := &windowBinder{env: env, in: in, group: &keyPart{}, order: &keyPart{}, args: &keyPart{}}
	var err error
	explain := "window"
	if at := n.Get("partition_by"); at != nil {
		if w.group, err = bindKeys(env, at, in); err != nil {
			return Bound{}, err
		}
		explain += " partition by " + strings.Join(w.group.says, ", ")
	}
	if at := n.Get("order_by"); at != nil {
		if w.order, err = bindOrder(env, at, in); err != nil {
			return Bound{}, err
		}
		explain += " order by " + strings.Join(w.order.says, ", ")
	}
	at := n.Get("columns")
	if at == nil {
		return Bound{}, n.Errorf("window needs columns: {columns: {rn: row_number()}}")
	}
	entries, err := at.Map()
	if err != nil {
		return Bound{}, err
	}
	if len(entries) == 0 {
		return Bound{}, at.Errorf("window needs at least one column: {rn: row_number()}")
	}
	var says []string
	for _, e := range entries {
		if len(in.FieldIndices(e.Key)) > 0 || slices.ContainsFunc(w.calls, func(c windowCall) bool { return c.field.Name == e.Key }) {
			return Bound{}, e.At.Errorf("window gives a column %q, and there is one: use another name", e.Key)
		}
		c, text, err := w.call(e.Value)
		if err != nil {
			return Bound{}, err
		}
		c.field.Name = e.Key
		w.calls = append(w.calls, c)
		says = append(says, e.Key+" = "+text)
	}
	explain += ": " + strings.Join(says, ", ")
	parts := []*keyPart{w.group, w.order, w.args}
	needs := func(out map[string]bool) map[string]bool {
		if out == nil {
			return nil
		}
		need := names{}
		for name := range out {
			if len(in.FieldIndices(name)) > 0 {
				need.add(name)
			}
		}
		need.add(columnsOf(parts)...)
		return need
	}
	return narrowed(everything(in), func(out view) (Bound, error) {
		f, err := newWindow(env, parts, w.calls, out)
		if err != nil {
			return Bound{}, n.Errorf("window: %w", err)
		}
		return Bound{Fold: f, Explain: explain, Needs: needs}, nil
	})
}

// windowCall is one column of a window step.
type windowCall struct {
	field   arrow.Field
	args    []int // among the columns kept with the keys
	apart   bool  // of lag and lead: the constant between the two is not kept
	frame   win.Frame
	by      *frameDistance // of a frame by values; nil without
	compute func(p *win.Part, args []arrow.Array, mem memory.Allocator) (arrow.Array, error)
	stream  func(f win.Frame) win.Streamer // may be nil
	framed  bool                           // it sees its frame alone
	bytes   int64                          // see win.Bound.RowBytes
}

type windowBinder struct {
	env                Env
	in                 *arrow.Schema
	group, order, args *keyPart
	calls              []windowCall
}

// call binds a function with its frame.
func (w *windowBinder) call(n *spec.Node) (c windowCall, text string, err error) {
	if text, err = n.Str(); err != nil {
		return c, text, err
	}
	call, frame, err := expr.ParseWindow(text)
	if err != nil {
		return c, text, placed(n, 0, err)
	}
	c.frame = win.Frame{Lo: -win.Unbounded, Hi: win.Unbounded}
	switch {
	case frame != nil:
		c.frame.Rows, c.frame.Groups = frame.Unit == expr.Rows, frame.Unit == expr.Groups
		if !frame.Lo.Unbounded {
			c.frame.Lo = frame.Lo.By
		}
		if !frame.Hi.Unbounded {
			c.frame.Hi = frame.Hi.By
		}
		if err := w.distance(n, frame, &c); err != nil {
			return c, text, err
		}
	case len(w.order.progs) > 0:
		c.frame.Hi = 0
	}
	fn, ok := win.Lookup(call.Name)
	if !ok {
		return c, text, w.aggregate(n, call, &c)
	}
	switch {
	case call.Filter != nil:
		return c, text, n.ErrorAt(call.Filter.Pos, "FILTER is for aggregate functions: %s takes none", call.Name)
	case call.Star || call.Distinct:
		return c, text, n.ErrorAt(call.Pos, "%s takes neither * nor distinct", call.Name)
	case len(call.Args) < fn.Arity[0] || len(call.Args) > fn.Arity[1]:
		return c, text, n.ErrorAt(call.Pos, "%s has %d arguments: want it like %s", call.Name, len(call.Args), fn.Example)
	case frame != nil && !fn.Framed:
		return c, text, n.ErrorAt(frame.Pos, "%s takes no frame", call.Name)
	}
	args := make([]win.Arg, len(call.Args))
	for i, a := range call.Args {
		src := a.Source
		if i == 2 { // a default is of the type of what it stands in for
			src = "CASE WHEN TRUE THEN (" + src + ") ELSE (" + call.Args[0].Source + ") END"
		}
		p, err := expr.Compile(a.Source, w.in, w.env.Expr)
		if err == nil && i == 2 {
			p, err = expr.Compile(src, w.in, w.env.Expr)
		}
		if err != nil {
			return c, text, placed(n, a.Pos, err)
		}
		args[i].Field = p.Field()
		if i == 1 || call.Name == "ntile" {
			args[i].Const = constant(p)
			continue
		}
		c.args = append(c.args, w.arg(p))
	}
	b, err := fn.Bind(args)
	if err != nil {
		return c, text, n.ErrorAt(call.Pos, "%w", err)
	}
	c.field = b.Result
	c.compute, c.stream = b.Compute, b.Stream
	c.apart, c.framed = len(c.args) == 2, fn.Framed
	return c, text, nil
}

// aggregate binds an aggregate function.
func (w *windowBinder) aggregate(n *spec.Node, call *expr.Call, c *windowCall) error {
	fn, ok := agg.Lookup(call.Name)
	if !ok {
		known := append(win.Names(), agg.Names()...)
		tip := hint(call.Name, known)
		if tip == "" {
			tip = ": use one of " + strings.Join(known, ", ")
		}
		return n.ErrorAt(call.Pos, "unknown window function %q%s", call.Name, tip)
	}
	ops, err := operandsOf(w.env, n, w.in, call)
	if err != nil {
		return err
	}
	progs, err := ops.overFrames(fn, call)
	if err != nil {
		return err
	}
	bound := agg.Call{Distinct: call.Distinct, Star: call.Star}
	for i, p := range progs {
		arg := agg.Arg{Field: p.Field()}
		if arg.Const, err = constantOf(p); err != nil {
			return n.ErrorAt(call.Args[i].Pos, "%w", err)
		}
		bound.Args = append(bound.Args, arg)
		c.args = append(c.args, w.arg(p))
	}
	b, err := win.Aggregate(fn, bound)
	if err != nil {
		return n.ErrorAt(call.Pos, "%w", err)
	}
	c.field, c.compute, c.stream, c.framed, c.bytes = b.Result, b.Compute, b.Stream, true, b.RowBytes
	return nil
}

// arg is the number of the column that p computes.
func (w *windowBinder) arg(p *expr.Program) int {
	for i, q := range w.args.progs {
		if q.Source() == p.Source() {
			return i
		}
	}
	w.args.progs = append(w.args.progs, p)
	return len(w.args.progs) - 1
}

// constant is the whole number that p is for every row, nil if it is none.
func constant(p *expr.Program) *int64 {
	if len(p.Columns()) > 0 || !arrow.IsInteger(p.Field().Type.ID()) {
		return nil
	}
	a, err := constantOf(p)
	if err != nil || a == nil {
		return nil
	}
	defer a.Release()
	if a.IsNull(0) {
		return nil
	}
	var v int64
	switch a := a.(type) {
	case *array.Int32:
		v = int64(a.Value(0))
	case *array.Int64:
		v = a.Value(0)
	default:
		return nil
	}
	return &v
}

// windowBytes is about what the functions take for so many rows of partitions, whose arguments have so many bytes: where partitions and peers begin; frames, sums and a
// result each, and what the one that takes most works with; the arguments as they were kept, together, and once more as results.
func windowBytes(rows int, args int64, calls []windowCall) int64 {
	work := int64(0)
	for _, c := range calls {
		work = max(work, c.bytes)
	}
	return int64(rows)*(8+48*int64(len(calls))+work) + 3*args
}
