package csv

import (
	"bytes"
	"context"
	"io"
	"strings"

	"github.com/apache/arrow/go/v17/arrow"

	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/internal/schema"
	"github.com/sluice-data/sluice/internal/textval"
	"github.com/sluice-data/sluice/pipeline"
	"github.com/sluice-data/sluice/sources"
)

const (
	inferBytes = 1 << 20 // of the first input's head
	inferRows  = 20_000
	maxSpread  = 4 // inputs of which more is looked at than the head, if they are large
)

// plan is a column of the source and how its cells are read.
type plan struct {
	name     string
	field    arrow.Field
	inferred bool // its type was not declared: a value that it would not give back is a misfit
	layout   *textval.Layout
	format   string
	json     bool
}

// settle fixes the schema: the declared columns, and under evolve and infer those found in the inputs' heads (or, with FullScan, in all of them).
func (s *source) settle(ctx context.Context) error {
	found, err := s.find(ctx)
	if err != nil {
		return err
	}
	return s.plan(found)
}

// find looks at the inputs' heads, or at all of them.
func (s *source) find(ctx context.Context) (*finder, error) {
	found := newFinder(s)
	strict := s.mode == sources.Strict
	for i, in := range s.req.Inputs {
		if strict && i > 0 {
			break // each is checked when its turn comes
		}
		n := inferBytes
		if i > 0 || strict {
			n = 2 * sampleBytes
		}
		if err := found.head(ctx, in, n); err != nil {
			return nil, err
		}
	}
	if len(s.declared) == 0 && len(found.order) == 0 {
		if len(s.req.Inputs) == 0 {
			return nil, fail.Newf(fail.Input, "no inputs")
		}
		return nil, fail.Newf(fail.Data, "is empty, so there are no columns to infer: declare schema.columns").In(s.req.Inputs[0].URI)
	}
	if s.req.FullScan && !strict {
		if err := found.scan(ctx); err != nil {
			return nil, err
		}
	}
	return found, nil
}

// plan orders the columns: under infer as the first file has them, else the declared ones first.
func (s *source) plan(found *finder) error {
	declared := map[string]sources.Column{}
	for _, c := range s.req.Schema.Columns {
		declared[c.Field.Name] = c
	}
	order := s.declared
	switch s.mode {
	case sources.Infer:
		order = append(append([]string{}, found.order...), without(s.declared, found.order)...)
	case sources.Evolve:
		order = append(append([]string{}, s.declared...), without(found.order, s.declared)...)
	}
	var fields []arrow.Field
	for _, name := range order {
		if s.req.Need != nil && !s.req.Need[name] {
			continue
		}
		p := plan{name: name}
		if c, ok := declared[name]; ok {
			if err := p.declare(c); err != nil {
				return err
			}
		} else {
			p.inferred, p.layout = true, iso
			p.field = arrow.Field{Name: name, Type: found.guesses[name].dataType(), Nullable: true}
		}
		s.cols = append(s.cols, p)
		fields = append(fields, p.field)
	}
	s.schema = arrow.NewSchema(fields, nil)
	return nil
}

func (p *plan) declare(c sources.Column) error {
	p.field, p.format, p.json = c.Field, c.Format, schema.IsJSON(c.Field)
	switch c.Field.Type.(type) {
	case *arrow.BooleanType, *arrow.Int8Type, *arrow.Int16Type, *arrow.Int32Type, *arrow.Int64Type, *arrow.Uint8Type, *arrow.Uint16Type, *arrow.Uint32Type, *arrow.Uint64Type,
		*arrow.Float32Type, *arrow.Float64Type, *arrow.Decimal128Type, *arrow.StringType, *arrow.BinaryType:
		return nil
	case *arrow.Date32Type, *arrow.Time64Type, *arrow.TimestampType:
		l, err := textval.NewLayout(c.Format, c.TZ)
		if err != nil {
			return fail.Newf(fail.Usage, "schema line %d: column %q: %w", c.Line, p.name, err)
		}
		p.layout = l
		return nil
	}
	return unsupported(c, schema.TypeName(c.Field))
}

// finder gathers the columns of the inputs, in the order they come up, and what their values have in common.
type finder struct {
	s       *source
	order   []string
	guesses map[string]*guess
	x       index
	scratch []byte
	wanted  map[string]*wanted
	first   *headed // of the inputs that are not empty
	of      string  // its URI
	spread  int     // inputs of which more than the head may still be looked at
}

func newFinder(s *source) *finder {
	return &finder{s: s, guesses: map[string]*guess{}, wanted: s.holds(), spread: maxSpread}
}

// head looks at the first n bytes of in, or as many more as its header takes.
func (f *finder) head(ctx context.Context, in sources.Input, n int) error {
	wrap := func(r io.Reader) (io.Reader, error) { return f.s.transcode(in.URI, r) }
	for ; ; n *= 2 {
		head, eof, err := sources.ReadHead(ctx, in, n, wrap)
		if err != nil {
			return err
		}
		h, more, err := f.s.readHead(in.URI, head, eof, f.s.known)
		if err != nil {
			return err
		}
		if more {
			if n > max(f.s.req.MaxRecord, inferBytes) {
				return fail.Newf(fail.Data, "the header does not end within %d bytes: look for a quote that is never closed", len(head)).In(in.URI).At(1, 0)
			}
			continue
		}
		if h.empty {
			return nil
		}
		if f.s.mode == sources.Strict {
			return h.checkDrift(in.URI, f.s.declared)
		}
		if err := f.agree(in.URI, &h); err != nil {
			return err
		}
		f.add(&h)
		if len(f.s.known) == 0 && h.header {
			f.s.known = h.names
		}
		f.observe(&h, head[h.begin:], eof, inferRows)
		if f.s.req.FullScan || f.spread == 0 {
			return nil // everything will be looked at, or enough was
		}
		pieces, err := sources.Spread(ctx, in, head)
		if len(pieces) > 0 {
			f.spread--
		}
		for i, p := range pieces {
			b, last := p.Text, i == len(pieces)-1
			f.observe(&h, b[h.entry(b, last):], last, inferRows)
		}
		return err
	}
}

// entry is where in b, which starts anywhere in the input, a record seems to start: before a few that are sound and have as many fields as
// they should. It is b's length if there is no such place. (Inside quoted text there may be one; what is taken for a value there is at
// worst a reason to read the column as text.)
func (h *headed) entry(b []byte, eof bool) int {
	const few, tries = 5, 100
	var ends []uint32
	pos := 0
	for range tries {
		i := bytes.IndexByte(b[pos:], h.term)
		if i < 0 {
			break
		}
		pos += i + 1
		at, good := pos, 0
		for ; good < few; good++ {
			if at = h.skip(b, at, h.fields == 1); at == len(b) && eof {
				return pos
			}
			var s span
			if ends, s = h.record(b, at, ends[:0]); s.fault != sound || !s.whole && !eof || len(ends) != h.fields {
				break
			}
			at = s.next
		}
		if good == few {
			return pos
		}
	}
	return len(b)
}

// agree refuses an input whose first record was guessed to be what it may not be, since that of the inputs before it was something else: it would be
// lost as a header, or its values would go under other names.
func (f *finder) agree(uri string, h *headed) error {
	s, first := f.s, f.first
	if s.header != nil {
		return nil
	}
	if first == nil {
		f.first, f.of = h, uri
	}
	const say = "set source.csv.header to say which it is"
	line := 1 + h.lines
	if h.header {
		line = max(1, h.lines)
	}
	switch {
	case first != nil && first.header != h.header && len(s.declared) == 0 && h.header:
		return fail.Newf(fail.Data, "the first record reads like a header (%s), that of %s like data: %s for all inputs", someNames(h.names), f.of, say).In(uri).At(line, 0)
	case first != nil && first.header != h.header && len(s.declared) == 0:
		return fail.Newf(fail.Data, "the first record reads like data, that of %s like a header (%s): %s for all inputs", f.of, someNames(first.names), say).In(uri).At(line, 0)
	case !h.header || first == nil && len(s.declared) == 0:
		return nil
	}
	for _, name := range h.names {
		if f.guesses[name] != nil || indexOf(s.declared, name) >= 0 {
			return nil
		}
	}
	have := s.declared
	if len(have) == 0 {
		have = f.order
	}
	return fail.Newf(fail.Data, "the first record reads like a header, and has none of the columns that there are so far: it is %s, they are %s; %s", someNames(h.names), someNames(have), say).In(uri).At(line, 0)
}

// someNames are names for a message.
func someNames(names []string) string {
	const most = 5
	if len(names) > most {
		return strings.Join(names[:most], ", ") + " …"
	}
	return strings.Join(names, ", ")
}

// add notes h's columns.
func (f *finder) add(h *headed) {
	for _, name := range f.s.namesOf(h) {
		if f.guesses[name] == nil {
			f.guesses[name] = &guess{}
			f.order = append(f.order, name)
		}
	}
}

// observe looks at the values of up to most sound records of b.
func (f *finder) observe(h *headed, b []byte, eof bool, most int) {
	names := f.s.namesOf(h)
	to := make([]*guess, h.fields) // nil: declared, or not wanted
	for i, name := range names {
		if f.s.req.Need == nil || f.s.req.Need[name] {
			to[i] = f.guesses[name]
		}
	}
	for _, name := range f.s.declared {
		if i := indexOf(names, name); i >= 0 && f.s.wanted == nil {
			to[i] = nil
		}
	}
	for pos, size := 0, pieceBytes; pos < len(b) && most > 0; {
		limit := min(pos+size, len(b))
		x := &f.x
		x.build(b, pos, limit, eof && limit == len(b), &h.layout)
		if x.next == pos {
			if limit == len(b) {
				return
			}
			size *= 2 // a record longer than a piece
			continue
		}
		r := run{b: b, x: x, d: &h.dialect, fields: h.fields, n: min(x.rows, most)}
		for i, g := range to {
			if r.field = i; g != nil && r.n > 0 {
				f.column(g, h, &r)
				f.wanted[names[i]].hold(&r)
			}
		}
		most -= r.n
		pos, size = x.next, pieceBytes
	}
}

// column adds r's cells to g. The usual ones are classified here, as classify would, the others by value.
func (f *finder) column(g *guess, h *headed, r *run) {
	lo, hi, step, add := r.cells()
	b := r.b
	empty, plain := f.s.nulls.empty, len(f.s.nulls.other) == 0
	var j, k int
	for range r.n {
		if g.seen[kindText] {
			return // it is a string whatever else comes
		}
		s, e := int(lo[j]+add), int(hi[k])
		j, k = j+step, k+r.fields
		n := e - s
		switch {
		case n == 0 && empty:
			continue
		case !plain:
		case uint(n-1) < 8 && e >= 8:
			if _, point, ok := short(b, e, n); ok && !leadingZero(b, s, e) {
				g.any = true
				if point == 8 {
					g.seen[kindInt] = true
					g.digits = max(g.digits, n)
				} else {
					g.seen[kindFloat] = true
					g.digits, g.scale = max(g.digits, n-8+point), max(g.scale, 7-point)
				}
				continue
			}
		case n == 19:
			if _, ok := textval.Fixed(b[s:e]); ok {
				g.any, g.seen[kindTimestamp] = true, true
				continue
			}
		}
		f.scratch = f.value(g, h, b[s:e], f.scratch)
	}
}

// value adds one cell to g. A quoted empty one is null in every type but string, and there nothing is lost either.
func (f *finder) value(g *guess, h *headed, raw, scratch []byte) []byte {
	v, scratch, quoted := h.text(raw, scratch)
	if !quoted && f.s.nulls.has(v) || quoted && len(v) == 0 && f.s.nulls.empty {
		return scratch
	}
	g.add(v)
	return scratch
}

// scan reads every input to its end, on all lanes.
func (f *finder) scan(ctx context.Context) error {
	s := f.s
	for _, g := range f.guesses {
		*g = guess{}
	}
	var cur *headed
	c := s.newChunker(func(_ context.Context, i int, head []byte, eof bool) (int, int64, error) {
		h, more, err := s.readHead(s.req.Inputs[i].URI, head, eof, s.known)
		if more || err != nil {
			return -1, 0, err
		}
		cur = &h
		s.layout = &cur.layout
		f.add(&h)
		return h.begin, h.lines, nil
	})
	defer c.Close()
	parts := make([]*finder, max(s.req.Lanes, 1))
	for i := range parts {
		parts[i] = newFinder(s)
	}
	err := sources.Scan(ctx, len(parts), func(ctx context.Context) (*pipeline.Chunk, error) {
		chunk, err := c.Next(ctx)
		if err == nil {
			chunk.Part = cur
		}
		return chunk, err
	}, func(lane int, chunk *pipeline.Chunk) error {
		h := chunk.Part.(*headed)
		parts[lane].add(h)
		parts[lane].observe(h, chunk.Data, true, len(chunk.Data)+1)
		return nil
	})
	for _, part := range parts {
		for name, g := range part.guesses {
			f.guesses[name].merge(g)
		}
		for name, w := range part.wanted {
			f.wanted[name].misfit = f.wanted[name].misfit || w.misfit
		}
	}
	return err
}

func indexOf(names []string, name string) int {
	for i, n := range names {
		if n == name {
			return i
		}
	}
	return -1
}
