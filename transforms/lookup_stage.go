package transforms

import (
	"context"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/sluice-data/sluice/internal/expr"
	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/pipeline"
	"github.com/sluice-data/sluice/transforms/internal/join"
	"github.com/sluice-data/sluice/transforms/internal/take"
)

// lookupStep joins rows with a table.
type lookupStep struct {
	rel     Relation
	keys    []lookupPair
	adds    []addedColumn
	semi    bool
	anti    bool
	missing string // what becomes of a row without a match
	doubles string // of a row with several; "" is fail
	rows    view   // of the incoming record
	schema  *arrow.Schema

	span *lookupSpan // nil if there is none

	index *join.Index // once it is loaded
	spans *join.Spans // likewise, with a span
}

// addedColumn is a column of the table under its new name.
type addedColumn struct {
	field arrow.Field
	from  string
}

func (l *lookupStep) Name() string          { return "lookup" }
func (l *lookupStep) Schema() *arrow.Schema { return l.schema }

// droppingLookup is a lookup that drops rows by intent.
type droppingLookup struct{ *lookupStep }

func (droppingLookup) Drops() pipeline.Cause { return pipeline.Filtered }

// Load indexes the table.
func (l *lookupStep) Load(context.Context) error {
	var pieces [][]arrow.Array
	var err error
	if len(l.keys) > 0 {
		if pieces, err = keyPieces(l.keys, l.rel, memory.DefaultAllocator); err != nil {
			return err
		}
		defer releasePieces(pieces)
	}
	if l.index, err = join.NewIndex(keyTypes(l.keys), pieces, l.rel.Rows()); err != nil {
		return fail.Newf(fail.Data, "lookup %s: %w", l.rel.Name(), err)
	}
	once := !l.semi && !l.anti && l.doubles != "first" && l.doubles != "all"
	if l.span != nil {
		l.spans, err = l.span.load(l, pieces, once)
		return err
	}
	if a, b, ok := l.index.Twice(); ok && once {
		return fail.Newf(fail.Data, "lookup %s: %s is in %s and in %s: keep one of them, or say which counts with duplicates: first or all",
			l.rel.Name(), l.keyAt(pieces, a), l.rel.Place(a), l.rel.Place(b))
	}
	return nil
}

// programs are what is computed of the rows: the keys, then the value of the span.
func (l *lookupStep) programs() []*expr.Program {
	out := make([]*expr.Program, 0, len(l.keys)+1)
	for _, k := range l.keys {
		out = append(out, k.prog)
	}
	if l.span != nil {
		out = append(out, l.span.value)
	}
	return out
}

// first replaces the numbers of keys by the row of the table that counts.
func (l *lookupStep) first(ids []int32) {
	if l.spans == nil { // else they are rows already
		l.index.First(ids)
	}
}

// keyText is the key in row i of its columns: `id = 7`.
func (l *lookupStep) keyText(cols []arrow.Array, i int) string {
	s := ""
	for c, k := range l.keys {
		if c > 0 {
			s += ", "
		}
		v := cell(cols[c], i)
		if cols[c].IsNull(i) {
			v = "null"
		}
		s += k.column + " = " + v
	}
	return s
}

// keyAt is the key in row i of the table.
func (l *lookupStep) keyAt(pieces [][]arrow.Array, i int) string {
	for _, p := range pieces {
		n := p[0].Len()
		if i < n {
			return l.keyText(p, i)
		}
		i -= n
	}
	return ""
}

func (l *lookupStep) NewStage(mem memory.Allocator) (pipeline.Stage, error) {
	if l.index == nil {
		return nil, fail.Newf(fail.Internal, "lookup %s was not loaded", l.rel.Name())
	}
	s := &lookupStage{l: l, mem: mem, probe: l.index.NewProbe()}
	names := make([]string, len(l.adds))
	for i, a := range l.adds {
		names[i] = a.from
	}
	var err error
	if s.added, err = l.rel.Columns(names, false); err == nil && l.missing == "null" {
		s.padded, err = l.rel.Columns(names, true)
	}
	if err != nil {
		return nil, err
	}
	if _, _, several := l.index.Twice(); several && l.spans == nil && l.doubles == "all" {
		return &expandingLookup{lookupStage: s}, nil
	}
	return s, nil
}

// lookupStage is one lane's lookup that gives each row once at most.
type lookupStage struct {
	l      *lookupStep
	mem    memory.Allocator
	probe  *join.Probe
	added  []arrow.Array // the table's columns to add, lent
	padded []arrow.Array // they with a null row behind the last, where rows may have no match
	ids    []int32       // of the batch's rows: the key's number in the index, then the table's row
	value  []int64       // of the span
	idx    []int32       // rows that go on
	from   []int32       // rows of the table beside them
}

func (s *lookupStage) Close() {}

// find sets s.ids to the numbers of the keys of b's rows, and gives b, or what is left of it where a key could not be computed; the caller owns that.
func (s *lookupStage) find(b pipeline.Batch, rej *pipeline.Rejects) (pipeline.Batch, error) {
	cols := make([]arrow.Array, 0, len(s.l.keys)+1)
	defer func() {
		for _, c := range cols {
			c.Release()
		}
	}()
	var bad refusals
	for _, p := range s.l.programs() {
		c, errs, err := p.Eval(b.Rec, s.mem)
		if err != nil {
			return b, err
		}
		cols = append(cols, c)
		bad.add("", errs)
	}
	n := int(b.Rec.NumRows())
	left := bad.reject(b, n, rej)
	if left != nil {
		n = len(left)
		if err := takeAll(cols, left, s.mem); err != nil {
			return b, err
		}
	}
	s.ids = resized(s.ids, n)
	keys := cols[:len(s.l.keys)]
	if err := s.probe.Find(keys, s.ids); err != nil {
		return b, err
	}
	if s.l.spans != nil {
		var err error
		value := cols[len(keys)]
		if s.value, err = join.Ordinals(value, s.value); err != nil {
			return b, err
		}
		s.l.spans.Match(s.ids, s.value, value)
	}
	if err := s.refuse(b, left, cols, rej); err != nil {
		return b, err
	}
	if left == nil {
		return pass(b), nil
	}
	return keep(b, b.Rec, left, s.mem)
}

// refuse is for rows that must have a match: the first without one is an error, or each of them is rejected, and then counts as found nowhere.
func (s *lookupStage) refuse(b pipeline.Batch, left []int32, cols []arrow.Array, rej *pipeline.Rejects) error {
	if s.l.missing != "fail" && s.l.missing != "quarantine" {
		return nil
	}
	value := func(i int) string { return cell(cols[0], i) }
	if s.l.span != nil {
		value = func(i int) string { return cell(cols[len(s.l.keys)], i) }
	}
	for i, id := range s.ids {
		if id >= 0 {
			continue
		}
		row := i
		if left != nil {
			row = int(left[i])
		}
		column, reason := s.l.missed(cols, i)
		if s.l.missing == "quarantine" {
			rej.Add(b, row, column, value(i), reason)
			continue
		}
		r := pipeline.Reject{Origin: b.Origin(row), Column: column, Value: value(i), Reason: reason + `; missing: "null", drop or quarantine says what to do then`}
		return r.Err()
	}
	return nil
}

// missed is the column to blame for row i of the keys, and why.
func (l *lookupStep) missed(cols []arrow.Array, i int) (column, reason string) {
	reason = "table " + l.rel.Name() + " has no row with " + l.keyText(cols, i)
	if l.span == nil {
		return l.keys[0].text, reason
	}
	if len(l.keys) > 0 {
		reason += " and "
	}
	reason += l.span.from.column + " <= " + l.span.text
	if !l.span.open {
		reason += " < " + l.span.to.column
	}
	value := cols[len(l.keys)]
	if value.IsNull(i) {
		return l.span.text, reason + " for null"
	}
	return l.span.text, reason + " for " + cell(value, i)
}

func resized(s []int32, n int) []int32 {
	if cap(s) < n {
		return make([]int32, n)
	}
	return s[:n]
}

func (s *lookupStage) Apply(_ context.Context, b pipeline.Batch, rej *pipeline.Rejects) (pipeline.Batch, error) {
	b, err := s.find(b, rej)
	if err != nil {
		return pipeline.Batch{}, err
	}
	defer b.Release()
	l := s.l
	s.idx = s.idx[:0]
	misses := false
	switch {
	case l.anti:
		for i, id := range s.ids {
			if id < 0 {
				s.idx = append(s.idx, int32(i))
			}
		}
	case l.missing == "null":
		l.first(s.ids)
		none := int32(l.rel.Rows())
		for i, id := range s.ids {
			if id < 0 {
				s.ids[i], misses = none, true
			}
		}
		return s.joined(b, s.ids, misses)
	default:
		k := 0
		for i, id := range s.ids {
			if id >= 0 {
				s.idx = append(s.idx, int32(i))
				s.ids[k] = id
				k++
			}
		}
		s.ids = s.ids[:k]
	}
	rec := l.rows.of(b.Rec)
	defer rec.Release()
	kept, err := keep(b, rec, s.idx, s.mem)
	if err != nil || len(l.adds) == 0 {
		return kept, err
	}
	defer kept.Release()
	l.first(s.ids)
	return s.beside(kept, s.ids, false)
}

// joined is b's columns that are to stay, and beside them rows from of the table.
func (s *lookupStage) joined(b pipeline.Batch, from []int32, null bool) (pipeline.Batch, error) {
	rec := s.l.rows.of(b.Rec)
	defer rec.Release()
	return s.beside(with(b, rec), from, null)
}

// beside is b (borrowed) with the columns to add of rows from of the table; null says that some of them are the row behind the last.
func (s *lookupStage) beside(b pipeline.Batch, from []int32, null bool) (pipeline.Batch, error) {
	cols := make([]arrow.Array, 0, s.l.schema.NumFields())
	cols = append(cols, b.Rec.Columns()...)
	own := len(cols)
	defer func() {
		for _, c := range cols[own:] {
			c.Release()
		}
	}()
	added := s.added
	if null {
		added = s.padded
	}
	for _, a := range added {
		c, err := take.Plain(a, from, s.mem)
		if err != nil {
			return pipeline.Batch{}, err
		}
		cols = append(cols, c)
	}
	return with(b, array.NewRecord(s.l.schema, cols, int64(len(from)))), nil
}

// expandingLookup gives a row once for each match.
type expandingLookup struct{ *lookupStage }

func (s *expandingLookup) Apply(ctx context.Context, b pipeline.Batch, rej *pipeline.Rejects) (pipeline.Batch, error) {
	return expandOnly{}.Apply(ctx, b, rej)
}

func (s *expandingLookup) Expand(_ context.Context, b pipeline.Batch, rej *pipeline.Rejects, emit func(pipeline.Batch) error) (added int64, err error) {
	b, err = s.find(b, rej)
	if err != nil {
		return 0, err
	}
	defer b.Release()
	rec := s.l.rows.of(b.Rec)
	defer rec.Release()
	s.idx, s.from = s.idx[:0], s.from[:0]
	most := pieceRows(int(rec.NumRows()), rec.Columns())
	misses := false
	flush := func() error {
		if len(s.idx) == 0 {
			return nil
		}
		out, err := take.Record(rec, s.idx, s.mem)
		if err != nil {
			return err
		}
		defer out.Release()
		piece, err := s.beside(pipeline.Batch{Rec: out, Rows: b.Rows, Sel: placesOf(b, s.idx)}, s.from, misses)
		if err != nil {
			return err
		}
		defer piece.Release()
		err = emit(piece)
		s.idx, s.from, misses = s.idx[:0], s.from[:0], false
		return err
	}
	none := int32(s.l.rel.Rows())
	var one [1]int32
	for i, id := range s.ids {
		matches := s.l.index.Rows(id, &one)
		if len(matches) == 0 {
			if s.l.missing != "null" {
				continue
			}
			one[0], misses = none, true
			matches = one[:]
		}
		added += int64(len(matches) - 1)
		for len(matches) > 0 {
			k := min(len(matches), most-len(s.idx))
			for range k {
				s.idx = append(s.idx, int32(i))
			}
			s.from = append(s.from, matches[:k]...)
			if matches = matches[k:]; len(s.idx) == most {
				if err := flush(); err != nil {
					return added, err
				}
			}
		}
	}
	return added, flush()
}
