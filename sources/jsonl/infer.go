package jsonl

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math"

	"github.com/apache/arrow/go/v17/arrow"

	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/internal/schema"
	"github.com/sluice-data/sluice/internal/textval"
	"github.com/sluice-data/sluice/sources"
)

const (
	headBytes  = 1 << 20
	headRows   = 20_000
	maxKeys    = 1_000  // distinct keys of an object that is still a struct; with more it is a map, so json
	maxColumns = 10_000 // distinct keys of the records
	maxShapes  = 20_000 // inferred types in all; what is nested beyond is json
	maxLevels  = 32     // nesting of inferred types; what is nested deeper is json
)

// Kinds of values that were seen, as bits.
const (
	sawBool = 1 << iota
	sawNumber
	sawString
	sawObject
	sawArray
)

// shape is what was seen of the values in one place.
type shape struct {
	saw  uint8
	text bool // given up: json

	point      bool // a number is written with a fraction or exponent
	inexact    bool // float64 would show a number differently
	negative   bool
	overInt    bool // beyond int64
	overUint   bool // beyond uint64
	ints, frac int  // most digits in front of and behind the point; beyond 38 it does not matter how many

	keys []string
	sub  map[string]*shape
	elem *shape
}

// inference gathers the shape of records.
type inference struct {
	s       scanner
	root    *shape
	wanted  map[string]*wanted // of a survey
	records int
	shapes  int
	scratch []byte
}

func newInference() *inference { return &inference{root: &shape{saw: sawObject}} }

// record adds a line; one that is no record is refused by every decoder and says nothing about types. Its error is the line's, which is
// number (0 unknown) of input, at offset.
func (in *inference) record(line []byte, input string, number, offset int64) error {
	if !in.s.record(line) {
		return nil
	}
	in.records++
	in.object(in.root, space(line, 0), 1)
	if len(in.root.keys) > maxColumns {
		return fail.Newf(fail.Data, "infer schema: with this record there are more than %d distinct keys: declare the columns to read", maxColumns).In(input).At(number, offset)
	}
	return nil
}

func (in *inference) value(sh *shape, i, depth int) int {
	b := in.s.b
	if sh.text {
		return in.s.skip(i, 0)
	}
	switch b[i] {
	case 'n':
		return i + 4
	case 't':
		sh.saw |= sawBool
		return i + 4
	case 'f':
		sh.saw |= sawBool
		return i + 5
	case '"':
		sh.saw |= sawString
		end, _ := in.s.str(i + 1)
		return end + 1
	case '{':
		sh.saw |= sawObject
		return in.object(sh, i, depth+1)
	case '[':
		sh.saw |= sawArray
		return in.array(sh, i, depth+1)
	}
	sh.saw |= sawNumber
	end := in.s.number(i)
	in.number(sh, b[i:end])
	return end
}

// nested is the shape of a part of sh, or one that is given up already where there are too many.
func (in *inference) nested(depth int) *shape {
	in.shapes++
	return &shape{text: in.shapes > maxShapes || depth > maxLevels}
}

func (in *inference) object(sh *shape, i, depth int) int {
	b := in.s.b
	i = space(b, i+1)
	if b[i] == '}' {
		return i + 1
	}
	if sh.sub == nil {
		sh.sub = map[string]*shape{}
	}
	for {
		end, esc := in.s.str(i + 1)
		key := b[i+1 : end]
		if esc {
			in.scratch = unescape(in.scratch[:0], key)
			key = in.scratch
		}
		sub := sh.sub[string(key)]
		if sub == nil {
			sub = in.nested(depth)
			sh.sub[string(key)] = sub
			sh.keys = append(sh.keys, string(key))
			if len(sh.keys) > maxKeys && sh != in.root {
				sh.text, sh.sub, sh.keys = true, map[string]*shape{}, nil
			}
		}
		var w *wanted
		if sh == in.root {
			w = in.wanted[string(key)]
		}
		from := in.s.colon(end + 1)
		i = space(b, in.value(sub, from, depth))
		if w != nil {
			w.hold(b, from)
		}
		if b[i] == '}' {
			return i + 1
		}
		i = space(b, i+1)
	}
}

func (in *inference) array(sh *shape, i, depth int) int {
	b := in.s.b
	i = space(b, i+1)
	if sh.elem == nil {
		sh.elem = in.nested(depth)
	}
	if b[i] == ']' {
		return i + 1
	}
	for {
		i = space(b, in.value(sh.elem, i, depth))
		if b[i] == ']' {
			return i + 1
		}
		i = space(b, i+1)
	}
}

func (in *inference) number(sh *shape, text []byte) {
	start := 0
	if text[0] == '-' {
		start = 1
	}
	if m, frac, end := plain(text, start); end >= 0 && m <= 1e15 {
		sh.negative = sh.negative || start == 1 && m != 0
		sh.point = sh.point || frac > 0
		digits := end - start
		if frac > 0 {
			digits -= frac + 1
		}
		sh.ints, sh.frac = max(sh.ints, digits), max(sh.frac, frac)
		return
	}
	n := normalize(text, in.scratch)
	in.scratch = n.digits
	sh.point = sh.point || bytes.ContainsAny(text, ".eE")
	sh.ints = max(sh.ints, int(min(max(int64(len(n.digits))+n.exp, 0), 1000)))
	sh.frac = max(sh.frac, int(min(max(-n.exp, 0), 1000)))
	u, _, fits := n.whole()
	sh.negative = sh.negative || n.neg && len(n.digits) > 0
	sh.overUint = sh.overUint || !fits
	sh.overInt = sh.overInt || !fits || u > math.MaxInt64 && !(n.neg && u == 1<<63)
	v, ok := textval.Float64(text)
	sh.inexact = sh.inexact || !ok || !n.isFloat64(v)
}

// field is the type that holds every value seen, exactly. A place where only nulls were seen is a string, an object that never
// had a key is json, and so is a place with several kinds of values.
func (sh *shape) field(name string) arrow.Field {
	f := arrow.Field{Name: name, Nullable: true}
	if sh.text {
		return schema.JSONField(name)
	}
	switch sh.saw {
	case 0, sawString:
		f.Type = arrow.BinaryTypes.String
	case sawBool:
		f.Type = arrow.FixedWidthTypes.Boolean
	case sawNumber:
		f.Type = sh.numberType()
	case sawArray:
		f.Type = arrow.ListOfField(sh.elem.field("element"))
	case sawObject:
		if len(sh.keys) > 0 {
			f.Type = arrow.StructOf(sh.fields()...)
		}
	}
	if f.Type == nil {
		return schema.JSONField(name)
	}
	return f
}

func (sh *shape) fields() []arrow.Field {
	fields := make([]arrow.Field, len(sh.keys))
	for i, k := range sh.keys {
		fields[i] = sh.sub[k].field(k)
	}
	return fields
}

// numberType is nil when no type holds all the numbers.
func (sh *shape) numberType() arrow.DataType {
	const most = 38
	switch {
	case !sh.point && !sh.overInt:
		return arrow.PrimitiveTypes.Int64
	case !sh.point && !sh.overUint && !sh.negative:
		return arrow.PrimitiveTypes.Uint64
	case !sh.point && sh.ints <= most:
		return &arrow.Decimal128Type{Precision: most}
	case sh.point && !sh.inexact:
		return arrow.PrimitiveTypes.Float64
	case sh.point && sh.ints+sh.frac <= most:
		return &arrow.Decimal128Type{Precision: int32(max(sh.ints+sh.frac, 1)), Scale: int32(sh.frac)}
	}
	return nil
}

// infer gives the columns that the inputs seem to have.
func infer(ctx context.Context, req sources.Request) ([]arrow.Field, error) {
	in := newInference()
	rows, refused, err := in.read(ctx, req)
	switch {
	case err != nil:
		return nil, err
	case len(in.root.keys) > 0 || len(req.Schema.Columns) > 0 || len(req.Inputs) == 0:
		return in.root.fields(), nil
	case refused != nil:
		return nil, refused
	case rows == 0:
		return nil, fail.Newf(fail.Data, "is empty, so there are no columns to infer: declare schema.columns").In(req.Inputs[0].URI)
	}
	return nil, fail.Newf(fail.Data, "the records have no keys, so there are no columns to infer: declare schema.columns").In(req.Inputs[0].URI)
}

// read looks at the head of the inputs, or at all of them with req.FullScan. It counts the lines, and says what is wrong with the first that is no record.
func (in *inference) read(ctx context.Context, req sources.Request) (rows int, refused *fail.Error, err error) {
	o := chunkerOptions(req)
	o.Consumed = nil
	if !req.FullScan {
		o.ChunkBytes = headBytes // whatever the chunks of the run are: the same head gives the same types
	}
	chunks := sources.NewChunker(req.Inputs, o)
	defer chunks.Close()
	size := 0
	more := func() bool { // with no column at all there is nothing to begin with
		return req.FullScan || rows < headRows && size < headBytes || len(in.root.keys) == 0 && len(req.Schema.Columns) == 0
	}
	var head []byte // of the first input
	for more() {
		c, err := chunks.Next(ctx)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return rows, nil, err
		}
		line := c.Line
		if head == nil && c.Offset == 0 && c.Input == req.Inputs[0].URI {
			head = bytes.Clone(c.Data[:min(len(c.Data), 64)])
		}
		for b := c.Data; len(b) > 0 && more(); rows++ {
			n := lineLen(b)
			in.s.why = ""
			offset := c.Offset + int64(len(c.Data)-len(b))
			if err := in.record(b[:n], c.Input, line, offset); err != nil {
				c.Release()
				return rows, nil, err
			}
			if refused == nil && in.s.why != "" && space(b[:n], 0) < n {
				refused = fail.Newf(fail.Data, "not JSON at byte %d of the line: %s; no other line gives columns to infer", in.s.pos+1, in.s.why).
					In(c.Input).At(line, offset)
			}
			line++
			size += n + 1
			b = b[min(n+1, len(b)):]
		}
		c.Release()
	}
	if !req.FullScan && len(head) > 0 {
		if err := in.spread(ctx, req.Inputs[0], head); err != nil {
			return rows, nil, err
		}
	}
	return rows, refused, nil
}

// spread looks at lines further on in a large input.
func (in *inference) spread(ctx context.Context, input sources.Input, head []byte) error {
	pieces, err := sources.Spread(ctx, input, head)
	if err != nil {
		return err
	}
	for _, p := range pieces {
		end := p.Offset + int64(len(p.Text))
		for b := p.Text[min(lineLen(p.Text)+1, len(p.Text)):]; ; { // the first line is cut in two
			n := lineLen(b)
			if n == len(b) {
				break // the last one too
			}
			if err := in.record(b[:n], input.URI, 0, end-int64(len(b))); err != nil {
				return err
			}
			b = b[n+1:]
		}
	}
	return nil
}
