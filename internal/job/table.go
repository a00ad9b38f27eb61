package job

import (
	"context"
	"fmt"
	"io"
	"math"
	"sync"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"
	"golang.org/x/sync/errgroup"

	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/pipeline"
	"github.com/sluice-data/sluice/sources"
)

// table is the rows of a reference, in memory.
type table struct {
	rows    int
	columns map[string]tableColumn
	runs    []rowRun
	of      map[string]int64 // rows of each object
	held    int64
}

// tableColumn is a column without and with one more row, which is null.
type tableColumn struct{ plain, null arrow.Array }

// rowRun is rows of one object that follow each other in the table.
type rowRun struct {
	from  int   // number in the table of its first row
	first int64 // and in the object, from 1
	input string
}

func (t *table) release() {
	for _, c := range t.columns {
		c.plain.Release()
		c.null.Release()
	}
}

func (t *table) place(i int) string {
	run := t.runs[0]
	for _, r := range t.runs {
		if r.from > i {
			break
		}
		run = r
	}
	return fmt.Sprintf("row %d of %s", run.first+int64(i-run.from), run.input)
}

// indexBytes is what a row takes in the index of its key, beside the key itself.
const indexBytes = 32

// tablePart is what one chunk holds.
type tablePart struct {
	recs  []arrow.Record
	rows  int64
	input string
}

// heldBy is what a record takes of the tables' share.
func heldBy(rec arrow.Record) int64 { return pipeline.RecordBytes(rec) + indexBytes*rec.NumRows() }

func releaseParts(parts []*tablePart) {
	for _, p := range parts {
		for _, rec := range p.recs {
			rec.Release()
		}
	}
}

// tableMemory is what tables are made of.
func (j *job) tableMemory() memory.Allocator {
	if j.opt.test.mem != nil {
		return j.opt.test.mem
	}
	return memory.DefaultAllocator
}

// readParts decodes src on lanes; the parts are in the order of the chunks, also beside an error. Each record is charged before it is kept.
func readParts(ctx context.Context, src pipeline.Source, mem memory.Allocator, lanes int, charge func(arrow.Record) error) ([]*tablePart, error) {
	decs := make([]pipeline.Decoder, 0, lanes)
	defer func() {
		for _, d := range decs {
			d.Close()
		}
	}()
	for range lanes {
		d, err := src.NewDecoder(mem)
		if err != nil {
			return nil, err
		}
		decs = append(decs, d)
	}
	var mu sync.Mutex
	var parts []*tablePart
	partOf := map[*pipeline.Chunk]*tablePart{}
	next := func(ctx context.Context) (*pipeline.Chunk, error) {
		c, err := src.Next(ctx)
		if err != nil {
			return nil, err
		}
		mu.Lock()
		defer mu.Unlock()
		p := &tablePart{input: c.Input}
		parts, partOf[c] = append(parts, p), p
		return c, nil
	}
	err := sources.Scan(ctx, lanes, next, func(lane int, c *pipeline.Chunk) error {
		mu.Lock()
		p := partOf[c]
		delete(partOf, c)
		mu.Unlock()
		var rej pipeline.Rejects
		err := decs[lane].Decode(ctx, c, &rej, func(b pipeline.Batch) error {
			if err := charge(b.Rec); err != nil {
				return err
			}
			b.Rec.Retain()
			p.recs, p.rows = append(p.recs, b.Rec), p.rows+b.Rec.NumRows()
			return nil
		})
		switch {
		case err != nil:
			return err
		case rej.Len() > 0:
			return rej.Rows()[0].Err()
		case c.Known.Records > 0 && c.Known.Records != p.rows:
			return fail.Newf(fail.Internal, "a chunk of %d records gave %d rows", c.Known.Records, p.rows).In(c.Input)
		}
		return nil
	})
	if err == io.EOF {
		err = nil
	}
	return parts, err
}

// assemble puts the parts' columns end to end, and lets go of them.
func assemble(mem memory.Allocator, s *arrow.Schema, parts []*tablePart, held int64) (t *table, err error) {
	t = &table{columns: map[string]tableColumn{}, of: map[string]int64{}, held: held}
	pieces := make([][]arrow.Array, s.NumFields())
	defer func() {
		for _, column := range pieces {
			releaseArrays(column)
		}
		if err != nil {
			t.release()
		}
	}()
	for _, p := range parts {
		t.runs = append(t.runs, rowRun{t.rows, t.of[p.input] + 1, p.input})
		t.of[p.input] += p.rows
		t.rows += int(p.rows)
		for _, rec := range p.recs {
			for c := range pieces {
				a := rec.Column(c)
				a.Retain()
				pieces[c] = append(pieces[c], a)
			}
			rec.Release()
		}
		p.recs = nil
	}
	if t.rows >= math.MaxInt32 {
		return nil, fail.Newf(fail.Usage, "%d rows are too many for a table in memory", t.rows)
	}
	// One column beside the other: putting together takes as long as reading.
	var g errgroup.Group
	whole := make([]arrow.Array, len(pieces))
	for c, f := range s.Fields() {
		g.Go(func() error {
			return fail.Guard("put a table together", func() (err error) {
				pieces[c] = append(pieces[c], array.MakeArrayOfNull(mem, f.Type, 1))
				if whole[c], err = array.Concatenate(pieces[c], mem); err != nil {
					return fail.Newf(fail.Usage, "column %q: %w: it has more than a table in memory can hold", f.Name, err)
				}
				releaseArrays(pieces[c])
				pieces[c] = nil
				countNulls(whole[c].Data()) // once, before lanes share them
				return nil
			})
		})
	}
	err = g.Wait()
	for c, f := range s.Fields() {
		if whole[c] == nil {
			continue
		}
		plain := array.NewSlice(whole[c], 0, int64(t.rows))
		countNulls(plain.Data())
		t.columns[f.Name] = tableColumn{plain, whole[c]}
	}
	if err != nil {
		return nil, err
	}
	return t, nil
}

func releaseArrays(as []arrow.Array) {
	for _, a := range as {
		a.Release()
	}
}

// countNulls settles how many nulls d and what it is made of have: it is counted when first asked, which lanes that share d must not do.
func countNulls(d arrow.ArrayData) {
	a := array.MakeFromData(d)
	a.NullN()
	a.Release()
	for _, c := range d.Children() {
		countNulls(c)
	}
}
