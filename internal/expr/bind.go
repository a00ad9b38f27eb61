package expr

import (
	"fmt"
	"sort"
	"strings"
	"sync/atomic"

	"github.com/apache/arrow/go/v17/arrow"

	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/internal/schema"
)

// binder turns syntax into nodes over a schema: names to columns, operators and functions to kernels, types checked.
type binder struct {
	src     string
	schema  *arrow.Schema
	env     Env
	columns []column
	slots   int
	// Of a measure: the columns of schema that hold the results of its aggregates, and the input's columns, for messages.
	calls  []string
	input  *arrow.Schema
	common *common       // parts that stand more than once; nil where they are not looked for
	held   *atomic.Int64 // what is kept of dictionaries by all that b binds
}

// root binds the whole expression.
func (b *binder) root(n syntax) (node, *Error) {
	out, err := b.bind(n)
	if err != nil {
		return nil, err
	}
	if out.typ().kind == kInterval {
		return nil, errAt(n.place(), "no file has columns of intervals: write extract(epoch FROM …) for seconds, or …::string")
	}
	return out, nil
}

// text is the source of a span for messages, on one line and not too long.
func (b *binder) text(s span) string {
	return fail.Shorten(strings.Join(strings.Fields(b.src[s.pos:s.end]), " "))
}

// call makes a strict function node and folds it if it is constant.
func (b *binder) call(t typ, k kernel, mayFail bool, at span, args ...node) node {
	return fold(&function{t: t, args: args, run: k, src: b.text(at), mayFail: mayFail})
}

func (b *binder) bind(n syntax) (node, *Error) {
	x, err := b.bindOne(n)
	if err != nil || b.common == nil {
		return x, err
	}
	return b.once(n, x), nil
}

func (b *binder) bindOne(n syntax) (node, *Error) {
	switch n := n.(type) {
	case *literal:
		return b.literal(n)
	case *name:
		return b.column(n)
	case *unary:
		return b.unary(n)
	case *binaryOp:
		return b.binary(n)
	case *isTest:
		return b.isTest(n)
	case *inList:
		return b.in(n)
	case *between:
		return b.between(n)
	case *like:
		return b.like(n)
	case *caseOf:
		return b.caseOf(n)
	case *castTo:
		return b.castTo(n)
	case *call:
		return b.function(n)
	case *subscript:
		return b.subscript(n)
	case *fieldOf:
		return b.fieldOf(n)
	case *arrayOf:
		return b.arrayOf(n)
	case *quantified:
		return b.quantified(n)
	case *aggregated:
		return b.column(&name{n.span, []namePart{{n.span, b.calls[n.index], true}}})
	}
	return nil, errAt(n.place(), "expression of an unknown form")
}

func (b *binder) bindAll(list []syntax) ([]node, *Error) {
	out := make([]node, len(list))
	for i, x := range list {
		var err *Error
		if out[i], err = b.bind(x); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// column resolves a name: an exact match first, then, unless quoted, one regardless of letter case.
func (b *binder) column(n *name) (node, *Error) {
	first := n.parts[0]
	i, err := find(first, b.schema.Fields(), "column")
	if err != nil {
		if b.input != nil {
			if _, of := find(first, b.input.Fields(), "column"); of == nil {
				err = errAt(first.span, "column %q is neither a key of the groups nor inside an aggregate function: add it to by, or choose one of its values, as in any_value(%[1]s)", first.text)
			}
		}
		return nil, err
	}
	f := b.schema.Field(i)
	c := &columnNode{index: i, field: f, null: f.Nullable}
	b.use(f.Name, i, f.Type)
	for _, part := range n.parts[1:] {
		st, ok := f.Type.(*arrow.StructType)
		if !ok {
			return nil, errAt(part.span, "%s is %s, which has no fields", f.Name, schema.TypeName(f))
		}
		k, err := find(part, st.Fields(), "field")
		if err != nil {
			return nil, err
		}
		f = st.Field(k)
		c.path = append(c.path, k)
		c.null = c.null || f.Nullable
		c.field = f
	}
	c.t = typeOf(f)
	c.convert = converts(f.Type)
	return c, nil
}

// converts reports whether reading a column of type dt can fail in some rows.
func converts(dt arrow.DataType) bool {
	switch dt := dt.(type) {
	case *arrow.TimestampType:
		return dt.Unit != arrow.Microsecond
	case *arrow.Time64Type:
		return dt.Unit != arrow.Microsecond
	case *arrow.Date64Type:
		return true
	}
	return false
}

func (b *binder) use(name string, index int, t arrow.DataType) {
	for _, c := range b.columns {
		if c.index == index {
			return
		}
	}
	b.columns = append(b.columns, column{name, index, t})
}

func find(p namePart, fields []arrow.Field, what string) (int, *Error) {
	var exact, folded []int
	names := make([]string, len(fields))
	for i, f := range fields {
		names[i] = f.Name
		if f.Name == p.text {
			exact = append(exact, i)
		} else if !p.quoted && strings.EqualFold(f.Name, p.text) {
			folded = append(folded, i)
		}
	}
	switch {
	case len(exact) == 1:
		return exact[0], nil
	case len(exact) > 1:
		return 0, errAt(p.span, "%s %q is ambiguous: %d have this name", what, p.text, len(exact))
	case len(folded) == 1:
		return folded[0], nil
	case len(folded) > 1:
		return 0, errAt(p.span, "%s %q is ambiguous: %s; write it in double quotes with its exact letters", what, p.text, quotedNames(folded, names))
	}
	if best, ok := nearest(p.text, names); ok {
		return 0, errAt(p.span, "unknown %s %q: did you mean %q?", what, p.text, best)
	}
	if len(names) == 0 {
		return 0, errAt(p.span, "unknown %s %q: there are none here", what, p.text)
	}
	sort.Strings(names)
	if more := len(names) - 12; more > 0 {
		names = append(names[:12], fmt.Sprintf("… and %d more", more))
	}
	return 0, errAt(p.span, "unknown %s %q: there are %s", what, p.text, strings.Join(names, ", "))
}

func quotedNames(at []int, names []string) string {
	var out []string
	for _, i := range at {
		out = append(out, fmt.Sprintf("%q", names[i]))
	}
	return strings.Join(out, " and ")
}

func (b *binder) isTest(n *isTest) (node, *Error) {
	x, err := b.bind(n.x)
	if err != nil {
		return nil, err
	}
	f := &function{t: simple(kBool), args: []node{x}, lenient: true, never: true, src: b.text(n.span)}
	if n.what == "NULL" {
		f.run = isNullKernel(n.not)
		if !x.nullable() && !x.fallible() {
			return boolNode(n.not), nil
		}
		return fold(f), nil
	}
	if x, err = b.boolean(x, n.x.place(), "IS "+n.what); err != nil {
		return nil, err
	}
	f.args[0] = x
	f.run = isBoolKernel(n.what == "TRUE", n.not)
	return fold(f), nil
}

// boolean checks that x is a condition.
func (b *binder) boolean(x node, at span, where string) (node, *Error) {
	if x.typ().kind == kBool {
		return x, nil
	}
	if c, ok := x.(*constNode); ok && (c.untyped || c.v.kind == kNull) {
		return b.cast(x, simple(kBool), at)
	}
	return nil, errAt(at, "%s needs a condition, not %s", where, x.typ())
}

func (b *binder) caseOf(n *caseOf) (node, *Error) {
	out := &caseNode{}
	var operand node
	var let *letNode
	if n.operand != nil {
		x, err := b.bind(n.operand)
		if err != nil {
			return nil, err
		}
		operand, let = b.share(x)
	}
	var results []node
	var places []span
	for _, w := range n.whens {
		var cond node
		var err *Error
		if operand != nil {
			value, e := b.bind(w.cond)
			if e != nil {
				return nil, e
			}
			cond, err = b.compare("=", operand, value, n.operand.place(), w.cond.place(), w.cond.place())
		} else if cond, err = b.bind(w.cond); err == nil {
			cond, err = b.boolean(cond, w.cond.place(), "WHEN")
		}
		if err != nil {
			return nil, err
		}
		out.conds = append(out.conds, cond)
		then, err := b.bind(w.then)
		if err != nil {
			return nil, err
		}
		results = append(results, then)
		places = append(places, w.then.place())
	}
	if n.other != nil {
		other, err := b.bind(n.other)
		if err != nil {
			return nil, err
		}
		results = append(results, other)
		places = append(places, n.other.place())
	}
	if err := b.results(out, results, places, "CASE"); err != nil {
		return nil, err
	}
	return wrap(let, out), nil
}

// results gives a CASE its branches, one for each condition and maybe the last for all other rows, of one type.
func (b *binder) results(out *caseNode, list []node, places []span, where string) *Error {
	list, t, err := b.unifyAll(list, places, where)
	if err != nil {
		return err
	}
	out.t = t
	out.thens = list[:len(out.conds)]
	if len(list) > len(out.conds) {
		out.other = list[len(out.conds)]
	}
	return nil
}

// share makes x usable several times at the price of one evaluation: a column or constant as it is, else by a letNode whose
// body the caller sets.
func (b *binder) share(x node) (node, *letNode) {
	switch x.(type) {
	case *columnNode, *constNode, *slotNode, *onceNode:
		return x, nil
	}
	let := &letNode{slot: b.slots, value: x}
	b.slots++
	return &slotNode{slot: let.slot, t: x.typ(), null: x.nullable()}, let
}

// unifyAll brings values to the one type that holds them all.
func (b *binder) unifyAll(list []node, places []span, where string) ([]node, typ, *Error) {
	t := typ{}
	known := false
	for i, x := range list {
		c, isConst := x.(*constNode)
		if isConst && c.untyped {
			continue
		}
		if !known {
			t, known = x.typ(), x.typ().kind != kNull
			continue
		}
		u, ok := unify(t, x.typ())
		switch {
		case isConst && c.number && t.kind == kUint64 && fitsUint(c):
			u, ok = t, true
		case isConst && !c.v.null && t.kind == kFloat32 && x.typ().kind.numeric():
			u, ok = t, true
		}
		if !ok || u.kind == kOpaque {
			return nil, t, errAt(places[i], "%s cannot give both %s and %s: cast one to the type of the other", where, t, x.typ())
		}
		t = u
	}
	if !known {
		t = simple(kNull)
		for _, x := range list {
			if x.typ().kind != kNull {
				t = simple(kString)
			}
		}
	}
	if t.kind == kOpaque {
		return nil, t, errAt(places[0], "%s does not work on %s", where, t)
	}
	out := make([]node, len(list))
	for i, x := range list {
		var err *Error
		if out[i], err = b.cast(x, t, places[i]); err != nil {
			return nil, t, err
		}
	}
	return out, t, nil
}

func (b *binder) castTo(n *castTo) (node, *Error) {
	x, err := b.bind(n.x)
	if err != nil {
		return nil, err
	}
	t, err := b.typeNamed(n)
	if err != nil {
		return nil, err
	}
	if bare := strings.ToLower(n.typ); bare == "numeric" || bare == "decimal" {
		// PostgreSQL's numeric without bounds holds every number as it is: nothing may be rounded to a scale nobody named.
		switch from := x.typ(); {
		case from.kind == kDecimal:
			return x, nil
		case from.kind.integer():
			t.scale = 0
		case from.kind.float():
			if n.try {
				return b.try(t, floatToDecExactly, n.span, x), nil
			}
			return b.call(t, floatToDecExactly, true, n.span, x), nil
		}
	}
	if n.try {
		return b.tryCast(x, t, n.span)
	}
	out, err := b.cast(x, t, n.span)
	if c, ok := out.(*constNode); ok && c.untyped { // '…'::text is a string for good
		typed := *c
		typed.untyped = false
		out = &typed
	}
	return out, err
}

// typeNamed is the type that a cast names: one of a column, or interval.
func (b *binder) typeNamed(n *castTo) (typ, *Error) {
	if strings.EqualFold(n.typ, "interval") {
		return simple(kInterval), nil
	}
	f, err := schema.ParseField("", n.typ)
	if err != nil {
		msg := err.Error()
		word, _, _ := strings.Cut(n.typ, "(")
		if best, ok := nearest(word, typeNames); ok && !strings.EqualFold(best, word) && strings.HasPrefix(msg, "unknown type") {
			msg = fmt.Sprintf("unknown type %q: did you mean %s?", n.typ, best)
		}
		return typ{}, errAt(n.typeAt, "%s", msg)
	}
	return typeOf(f), nil
}

// typeNames are the names a mistyped type is compared with.
var typeNames = []string{"bool", "boolean", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float32", "float64", "decimal", "numeric",
	"string", "text", "varchar", "binary", "date", "time", "timestamp", "timestamptz", "smallint", "integer", "bigint", "real", "double precision", "json", "interval"}

// cast converts x to t, implicitly or not; the caller knows that it is allowed. A string literal that cannot be read as t is
// an error here already.
func (b *binder) cast(x node, t typ, at span) (node, *Error) {
	from := x.typ()
	if from.same(t) && (from.json == t.json || from.kind != kString) {
		return x, nil
	}
	c, isConst := x.(*constNode)
	if text, ok := constString(x); ok && t.json && jsonValid([]byte(text)) {
		out := stringNode(text, false)
		out.v.json = true
		return out, nil
	}
	if isConst && c.v.null {
		return nullNode(t), nil
	}
	if from.kind == kNull { // NULL of a CASE without a typed branch
		return &function{t: t, args: []node{x}, run: func(f *function, r *run, _ []byte, _ []*vector) *vector { return nullOf(f.t, r.n) }, maybe: true}, nil
	}
	if !castable(from, t) {
		return nil, errAt(at, "%s", noCast(from, t))
	}
	k, mayFail := castKernel(from, t)
	out := b.call(t, k, mayFail, at, x)
	if f, failed := out.(*function); failed && isConst && c.untyped {
		return nil, errAt(at, "string %q is %s", fail.Shorten(string(c.v.str(0))), f.notA())
	}
	return out, nil
}
