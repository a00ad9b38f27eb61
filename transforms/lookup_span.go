package transforms

import (
	"strings"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/sluice-data/sluice/internal/expr"
	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/internal/schema"
	"github.com/sluice-data/sluice/internal/spec"
	"github.com/sluice-data/sluice/transforms/internal/join"
)

// lookupSpan is the range condition of a lookup: from <= value < to, or the last from by the value.
type lookupSpan struct {
	value    *expr.Program
	text     string
	from, to lookupPair
	open     bool // as_of: there is no to
}

func (s *lookupSpan) says() string {
	if s.open {
		return s.text + " as of " + s.from.column
	}
	return s.from.column + " <= " + s.text + " < " + s.to.column
}

// span binds between and as_of.
func (b *lookupBinder) span() error {
	between, asOf := b.n.Get("between"), b.n.Get("as_of")
	n := between
	switch {
	case between == nil && asOf == nil:
		return nil
	case between != nil && asOf != nil:
		return asOf.Errorf("a lookup has between or as_of, not both")
	case between == nil:
		n = asOf
	}
	entries, err := n.Map()
	if err != nil {
		return err
	}
	if len(entries) != 1 {
		return n.Errorf("between wants one column or expression: {ts: [valid_from, valid_to]}, and as_of {ts: valid_from}")
	}
	e := entries[0]
	columns := []*spec.Node{e.Value}
	if between != nil {
		if columns, err = e.Value.List(); err != nil || len(columns) != 2 {
			return e.Value.Errorf("between wants the two columns of the table where a row's span begins and ends: {ts: [valid_from, valid_to]}")
		}
	}
	p, err := expr.Compile(e.Key, b.in, b.env.Expr)
	if err != nil {
		return placed(e.At, 0, err)
	}
	pairs := make([]lookupPair, len(columns))
	// Twice: what the second column makes of the value's type, the first has to follow.
	for range 2 {
		for i, c := range columns {
			name, err := c.Str()
			if err != nil {
				return err
			}
			at, err := b.column(c, name)
			if err != nil {
				return err
			}
			b.l.rel.Use(name)
			f := b.l.rel.Schema().Field(at)
			if pairs[i], err = pair(b.env, b.in, p, f); err != nil {
				return e.At.Errorf("lookup %s: %s is of type %s and %s of the table of type %s: %w", b.l.rel.Name(), e.Key, schema.TypeName(p.Field()), name, schema.TypeName(f), err)
			}
			p = pairs[i].prog
		}
	}
	none := array.MakeArrayOfNull(memory.DefaultAllocator, p.Field().Type, 0)
	defer none.Release()
	if _, err := join.Ordinals(none, nil); err != nil {
		return e.At.Errorf("lookup %s: %s is of type %s: %w", b.l.rel.Name(), e.Key, schema.TypeName(p.Field()), err)
	}
	b.l.span = &lookupSpan{value: p, text: strings.TrimSpace(e.Key), from: pairs[0], open: between == nil}
	if between != nil {
		b.l.span.to = pairs[1]
	}
	return nil
}

// load orders the rows of the index by their spans; once says that a value may be in one of a key's only.
func (s *lookupSpan) load(l *lookupStep, pieces [][]arrow.Array, once bool) (*join.Spans, error) {
	from, err := s.from.whole(l.rel, memory.DefaultAllocator)
	if err != nil {
		return nil, err
	}
	defer from.Release()
	var to arrow.Array
	if !s.open {
		if to, err = s.to.whole(l.rel, memory.DefaultAllocator); err != nil {
			return nil, err
		}
		defer to.Release()
	}
	spans, err := join.NewSpans(l.index, from, to)
	if err != nil {
		return nil, fail.Newf(fail.Data, "lookup %s: %w", l.rel.Name(), err)
	}
	if a, b, ok := spans.Twice(); ok && once {
		key := l.keyAt(pieces, a)
		if key != "" {
			key += ": "
		}
		what := "the spans from %s to %s of %s and of %s overlap"
		if s.open {
			return nil, fail.Newf(fail.Data, "lookup %s: %s%s = %s is in %s and in %s: keep one of them, or say duplicates: first", l.rel.Name(), key, s.from.column, cell(from, a), l.rel.Place(a), l.rel.Place(b))
		}
		return nil, fail.Newf(fail.Data, "lookup %s: %s"+what+": keep them apart, or say duplicates: first", l.rel.Name(), key, s.from.column, s.to.column, l.rel.Place(a), l.rel.Place(b))
	}
	return spans, nil
}
