package files

import (
	"context"
	"fmt"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"

	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/internal/hive"
	"github.com/sluice-data/sluice/pipeline"
)

// encoder takes the partition columns, if there are any, off the records and gives their values to the block.
type encoder struct {
	format string
	schema *arrow.Schema // of the records
	parts  *partitioning // nil without partitions
	target int64         // size of a file
	least  int64         // of a block
	to     Encoder
}

// block is a format's blocks, mostly one, and, where there are partitions, the one they are of.
type block struct {
	pieces []Block // not yet written
	rows   int64
	folder string
	values []hive.Value
}

func (b *block) Rows() int64 { return b.rows }

func (b *block) Release() {
	for _, p := range b.pieces {
		p.Release()
	}
	b.pieces = nil
}

func (e *encoder) Close() { e.to.Close() }

func (e *encoder) Encode(ctx context.Context, recs []arrow.Record) (pipeline.Block, error) {
	for _, rec := range recs {
		if err := e.check(rec.Schema()); err != nil {
			return nil, err
		}
	}
	out := &block{}
	if e.parts != nil {
		inner, err := e.divide(recs, out)
		defer func() {
			for _, r := range inner {
				r.Release()
			}
		}()
		if err != nil {
			return nil, err
		}
		recs = inner
	}
	whole, err := e.to.Encode(ctx, recs)
	if err != nil {
		return nil, err
	}
	out.rows, out.pieces = whole.Rows(), []Block{whole}
	n := e.pieces(whole)
	if n < 2 {
		return out, nil
	}
	out.Release()
	if err := e.split(ctx, recs, n, out); err != nil {
		out.Release()
		return nil, err
	}
	return out, nil
}

// pieces is into how many a block is cut so that files of the target size can be made of them: at most half of one is as near as a file
// of two comes.
func (e *encoder) pieces(b Block) int64 {
	size := b.Size()
	if size <= e.target/2 {
		return 1
	}
	return min(size/max(1, e.target/4)+1, size/e.least, b.Rows())
}

// split encodes the records anew as n blocks of about as many rows.
func (e *encoder) split(ctx context.Context, recs []arrow.Record, n int64, out *block) error {
	done := int64(0)
	for i := range n {
		from, to, at := done, out.rows*(i+1)/n, int64(0)
		done = to
		var some []arrow.Record
		for _, rec := range recs {
			lo, hi := max(from-at, 0), min(to-at, rec.NumRows())
			at += rec.NumRows()
			if lo < hi {
				some = append(some, rec.NewSlice(lo, hi))
			}
		}
		b, err := e.to.Encode(ctx, some)
		for _, rec := range some {
			rec.Release()
		}
		if err != nil {
			return err
		}
		out.pieces = append(out.pieces, b)
	}
	return nil
}

// divide is the records without their partition columns, for the caller to release, also beside an error. It says in out what partition
// they are of.
func (e *encoder) divide(recs []arrow.Record, out *block) (inner []arrow.Record, err error) {
	for _, rec := range recs {
		if rec.NumRows() == 0 {
			continue
		}
		path, values, err := e.parts.folder(rec)
		if err != nil {
			return inner, err
		}
		if out.values != nil && path != out.folder {
			return inner, fail.Newf(fail.Internal, "write %s: a block has rows of %s and of %s", e.format, out.folder, path)
		}
		out.folder, out.values = path, values
		cols := make([]arrow.Array, len(e.parts.rest))
		for i, c := range e.parts.rest {
			cols[i] = rec.Column(c)
		}
		inner = append(inner, array.NewRecord(e.parts.files, cols, rec.NumRows()))
	}
	return inner, nil
}

// check reports where a record's schema is not the sink's.
func (e *encoder) check(have *arrow.Schema) error {
	want := e.schema
	if want == have {
		return nil
	}
	if want.NumFields() != have.NumFields() {
		return fail.Newf(fail.Internal, "encode %s: record has %d columns, the sink %d", e.format, have.NumFields(), want.NumFields())
	}
	for i, f := range want.Fields() {
		if g := have.Field(i); g.Name != f.Name || !arrow.TypeEqual(f.Type, g.Type) {
			return fail.Newf(fail.Internal, "encode %s: column %d of the record is %s, the sink's is %s", e.format, i, describe(g), describe(f))
		}
	}
	return nil
}

func describe(f arrow.Field) string { return fmt.Sprintf("%q (%s)", f.Name, f.Type) }
