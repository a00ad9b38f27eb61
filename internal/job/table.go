package job

import (
	"context"
	"fmt"
	"io"
	"math"
	"runtime"
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
	rows   int
	schema *arrow.Schema
	mem    memory.Allocator
	runs   []rowRun
	of     map[string]int64 // rows of each object
	held   int64
	spent  bool // what a step needs that is loaded again was let go

	mu     sync.Mutex
	pieces [][]arrow.Array // of each column, as they were read; nil once they were let go
	whole  []tableColumn   // of each column, once it was put together
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
	for i := range t.pieces {
		t.drop(i)
		if c := t.whole[i]; c.null != nil {
			c.plain.Release()
			c.null.Release()
		}
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
	cols  [][]arrow.Array // of each record
	rows  int64
	input string
}

// heldBy is what a record takes of the tables' share.
func heldBy(rec arrow.Record) int64 { return pipeline.RecordBytes(rec) + indexBytes*rec.NumRows() }

func releaseParts(parts []*tablePart) {
	for _, p := range parts {
		for _, cols := range p.cols {
			releaseArrays(cols)
		}
	}
}

// add keeps a record's columns. Texts of columns that are only added to rows are kept as numbers where they have them: a fifth of the memory, and of
// what a look-up touches.
func (p *tablePart) add(rec arrow.Record, only func(name string) bool, mem memory.Allocator) {
	cols := make([]arrow.Array, rec.NumCols())
	for i, c := range rec.Columns() {
		if only(rec.ColumnName(i)) {
			if cols[i] = numbered(c, mem); cols[i] != nil {
				continue
			}
		}
		c.Retain()
		cols[i] = c
	}
	p.cols, p.rows = append(p.cols, cols), p.rows+rec.NumRows()
}

// tableMemory is what tables are made of.
func (j *job) tableMemory() memory.Allocator {
	if j.opt.test.mem != nil {
		return j.opt.test.mem
	}
	return memory.DefaultAllocator
}

// readParts decodes src on lanes; the parts are in the order of the chunks, also beside an error. keep puts a record into its part, or says why not.
func readParts(ctx context.Context, src pipeline.Source, mem memory.Allocator, lanes int, keep func(*tablePart, arrow.Record) error) ([]*tablePart, error) {
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
			return keep(p, b.Rec)
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

// assemble makes a table of the parts, and lets go of them.
func assemble(mem memory.Allocator, s *arrow.Schema, parts []*tablePart, held int64) (*table, error) {
	t := &table{schema: s, mem: mem, of: map[string]int64{}, held: held, pieces: make([][]arrow.Array, s.NumFields()), whole: make([]tableColumn, s.NumFields())}
	for _, p := range parts {
		t.runs = append(t.runs, rowRun{t.rows, t.of[p.input] + 1, p.input})
		t.of[p.input] += p.rows
		t.rows += int(p.rows)
		for _, cols := range p.cols {
			for i, a := range cols {
				countNulls(a.Data()) // once, before lanes share them
				t.pieces[i] = append(t.pieces[i], a)
			}
		}
		p.cols = nil
	}
	if t.rows >= math.MaxInt32 {
		t.release()
		return nil, fail.Newf(fail.Usage, "%d rows are too many for a table in memory", t.rows)
	}
	return t, nil
}

// rowPieces are the pieces of columns, each an array a column.
func (t *table) rowPieces(names []string) [][]arrow.Array {
	var out [][]arrow.Array
	for i, name := range names {
		for k, a := range t.pieces[t.schema.FieldIndices(name)[0]] {
			if i == 0 {
				out = append(out, make([]arrow.Array, 0, len(names)))
			}
			out[k] = append(out[k], a)
		}
	}
	return out
}

// columns puts columns together that are not yet, and lets go of their pieces unless keep says that they are to be read again.
func (t *table) columns(names []string, null bool, keep func(name string) bool) ([]arrow.Array, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	out := make([]arrow.Array, len(names))
	var g errgroup.Group // one column beside the other
	asked := map[int]bool{}
	for _, name := range names {
		i := t.schema.FieldIndices(name)[0]
		if t.whole[i].null != nil || asked[i] {
			continue
		}
		asked[i] = true
		g.Go(func() error {
			return fail.Guard("put a table together", func() error {
				whole, err := joined(t.pieces[i], t.schema.Field(i).Type, t.mem)
				if err != nil {
					return fail.Newf(fail.Usage, "column %q: %w: it has more than a table in memory can hold", name, err)
				}
				countNulls(whole.Data())
				plain := array.NewSlice(whole, 0, int64(t.rows))
				countNulls(plain.Data())
				t.whole[i] = tableColumn{plain, whole}
				if !keep(name) {
					t.drop(i)
				}
				return nil
			})
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	for k, name := range names {
		c := t.whole[t.schema.FieldIndices(name)[0]]
		if out[k] = c.plain; null {
			out[k] = c.null
		}
	}
	return out, nil
}

// drop lets go of a column's pieces.
func (t *table) drop(i int) {
	releaseArrays(t.pieces[i])
	t.pieces[i] = nil
}

// largeTable is the bytes from which on it pays to have the collector look for what was let go of at once: memory that is used again costs no page faults.
const largeTable = 32 << 20

// loaded says that all steps were: columns that are not added to rows go.
func (t *table) loaded(added map[string]bool) {
	for i, f := range t.schema.Fields() {
		if !added[f.Name] {
			t.drop(i)
		}
	}
	t.spent = true
	if t.held >= largeTable {
		runtime.GC()
	}
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
