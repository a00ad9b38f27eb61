// Package join finds the rows of a reference table that belong to the rows of a batch: by equal keys, and within a key by order.
package join

import (
	"fmt"
	"math"
	"runtime"
	"slices"
	"sync/atomic"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/bitutil"
	"golang.org/x/sync/errgroup"

	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/transforms/internal/col"
	"github.com/sluice-data/sluice/transforms/internal/keys"
)

// Index is the keys of a reference table, numbered, and the rows of each. It is immutable: lanes share it.
type Index struct {
	table *keys.Table     // nil beside a directory
	dir   *keys.Directory // of a large table of short texts: a key has the number of its first row
	start []int32         // the rows of key k are rows[start[k]:start[k+1]], ascending; nil where key k is row k alone
	rows  []int32
	twice [2]int // rows of one key, if any key has several
}

// buildFrom is the rows from which on a table is built by all processors; tests lower it.
var buildFrom = 1 << 16

// NewIndex indexes the rows of a table by their key columns of the given types: pieces are those of its rows, in their order, each an array a column, which it borrows.
// n is how many rows they have together. Rows with a null in a key are not in the index: null equals nothing. Without columns all rows have one key.
// The error names a type that cannot be compared.
func NewIndex(types []arrow.DataType, pieces [][]arrow.Array, n int) (*Index, error) {
	if n >= math.MaxInt32 {
		return nil, fmt.Errorf("%d rows are too many for a table in memory", n)
	}
	plan, err := keys.NewPlan(types)
	if err != nil {
		return nil, err
	}
	ix, built := &Index{}, false
	cut := cutUp(pieces, n)
	if n >= buildFrom {
		built, err = ix.build(plan, cut, n)
	}
	if err == nil && !built {
		err = ix.intern(plan, cut, n)
	}
	if err != nil {
		return nil, err
	}
	return ix, nil
}

// piece is rows of a table from one on, n of them, in pieces of the caller.
type piece struct {
	of      []arrow.Array
	from, n int // of the arrays
	row     int // of the table
}

// cutUp cuts pieces into ones of few rows. A table without key columns has no pieces, but rows.
func cutUp(pieces [][]arrow.Array, n int) (out []piece) {
	row := 0
	for _, of := range pieces {
		if len(of) == 0 {
			continue
		}
		for from, all := 0, of[0].Len(); from < all; from += keys.PieceRows {
			k := min(keys.PieceRows, all-from)
			out = append(out, piece{of, from, k, row})
			row += k
		}
	}
	for ; row < n; row += keys.PieceRows {
		out = append(out, piece{n: min(keys.PieceRows, n-row), row: row})
	}
	return out
}

// encode calls f with the piece's columns and their tuples.
func (p piece) encode(enc *keys.Encoder, f func(cols []arrow.Array, r *keys.Rows)) error {
	cols := make([]arrow.Array, len(p.of))
	for i, c := range p.of {
		cols[i] = array.NewSlice(c, int64(p.from), int64(p.from+p.n))
	}
	defer func() {
		for _, c := range cols {
			c.Release()
		}
	}()
	r, err := enc.Encode(cols, p.n)
	if err == nil {
		f(cols, r)
	}
	return err
}

// build makes the directory of all rows on all processors. It is false where the keys are such that they have to be interned one after the other.
func (ix *Index) build(plan *keys.Plan, pieces []piece, n int) (bool, error) {
	b := plan.NewDirectory(n, len(pieces))
	if b == nil {
		return false, nil
	}
	workers := runtime.GOMAXPROCS(0)
	var unfit atomic.Bool
	// twice over the rows: to hold the words in between would take as much memory again
	err := each(workers, pieces, plan, func(k int, p piece, r *keys.Rows, skip []bool) bool {
		if !b.Count(k, r, skip) {
			unfit.Store(true)
		}
		return !unfit.Load()
	})
	if err != nil || unfit.Load() {
		return false, err
	}
	b.Counted()
	err = each(workers, pieces, plan, func(k int, p piece, r *keys.Rows, skip []bool) bool {
		b.Lay(k, p.row, r, skip)
		return true
	})
	if err != nil {
		return false, err
	}
	var next atomic.Int32
	err = beside(workers, func(int) error {
		var scratch []uint64
		for part := int(next.Add(1)) - 1; part < b.Parts(); part = int(next.Add(1)) - 1 {
			scratch = b.Order(part, scratch)
		}
		return nil
	})
	if err != nil {
		return false, err
	}
	var again []keys.Again
	if ix.dir, again = b.Directory(); len(again) > 0 {
		ids := make([]int32, n) // that nobody finds the rows with nulls is enough
		for i := range ids {
			ids[i] = int32(i)
		}
		for _, a := range again {
			ids[a.Row] = a.First
		}
		ix.group(ids, n)
	}
	return true, nil
}

// each calls f with all pieces on workers goroutines, and ends early where f is false. skip are the rows that have a null; nil is none.
func each(workers int, pieces []piece, plan *keys.Plan, f func(k int, p piece, r *keys.Rows, skip []bool) bool) error {
	var next atomic.Int32
	return beside(workers, func(int) error {
		enc, null, going := plan.NewEncoder(), []bool(nil), true
		for k := int(next.Add(1)) - 1; k < len(pieces) && going; k = int(next.Add(1)) - 1 {
			err := pieces[k].encode(enc, func(cols []arrow.Array, r *keys.Rows) {
				var skip []bool
				for _, c := range cols {
					valid, off := col.Valid(c)
					if valid == nil {
						continue
					}
					if skip == nil {
						null = slices.Grow(null[:0], r.N)[:r.N]
						skip = null
						clear(skip)
					}
					for i := range skip {
						skip[i] = skip[i] || bitutil.BitIsNotSet(valid, off+i)
					}
				}
				going = f(k, pieces[k], r, skip)
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// beside calls f n times at a time, and ends when all have.
func beside(n int, f func(k int) error) error {
	var g errgroup.Group
	for k := range n {
		g.Go(func() error { return fail.Guard("index table", func() error { return f(k) }) })
	}
	return g.Wait()
}

// intern numbers the keys of all rows, one after the other.
func (ix *Index) intern(plan *keys.Plan, pieces []piece, n int) error {
	ix.table = plan.NewTable()
	ix.table.Reserve(n) // nearly all keys of a reference table are distinct
	enc, numbers, ids := plan.NewEncoder(), make([]uint32, keys.PieceRows), make([]int32, n)
	for _, p := range pieces {
		err := p.encode(enc, func(cols []arrow.Array, r *keys.Rows) {
			ix.table.Intern(r, numbers)
			own := ids[p.row : p.row+p.n]
			for i, k := range numbers[:p.n] {
				own[i] = int32(k)
			}
			for _, c := range cols {
				noNulls(c, own)
			}
		})
		if err != nil {
			return err
		}
	}
	ix.table.Settle()
	ix.group(ids, ix.table.Len())
	return nil
}

// noNulls takes the rows in which a is null out of ids.
func noNulls(a arrow.Array, ids []int32) {
	valid, off := col.Valid(a)
	if valid == nil {
		return
	}
	for i := range ids {
		if bitutil.BitIsNotSet(valid, off+i) {
			ids[i] = -1
		}
	}
}

// group finds the rows of each of n keys.
func (ix *Index) group(ids []int32, n int) {
	identity := n == len(ids)
	for row, k := range ids {
		if int(k) != row {
			identity = false
			break
		}
	}
	if identity {
		return
	}
	ix.start = make([]int32, n+1)
	for _, k := range ids {
		if k >= 0 {
			ix.start[k+1]++
		}
	}
	for k := range n {
		ix.start[k+1] += ix.start[k]
	}
	ix.rows = make([]int32, ix.start[n])
	next := make([]int32, n)
	for row, k := range ids {
		if k < 0 {
			continue
		}
		if next[k] == 1 && ix.twice[1] == 0 {
			ix.twice = [2]int{int(ix.rows[ix.start[k]]), row}
		}
		ix.rows[ix.start[k]+next[k]] = int32(row)
		next[k]++
	}
}

// Twice gives two rows that have the same key, if there are any.
func (ix *Index) Twice() (a, b int, ok bool) { return ix.twice[0], ix.twice[1], ix.twice[1] > 0 }

// First replaces key numbers by the first row of each; -1 stays.
func (ix *Index) First(ids []int32) {
	if ix.start == nil {
		return
	}
	for i, k := range ids {
		if k >= 0 {
			ids[i] = ix.rows[ix.start[k]]
		}
	}
}

// Rows are the rows of key k in the order of the table; none of -1.
func (ix *Index) Rows(k int32, one *[1]int32) []int32 {
	switch {
	case k < 0:
		return nil
	case ix.start == nil:
		one[0] = k
		return one[:]
	}
	return ix.rows[ix.start[k]:ix.start[k+1]]
}

// Probe looks keys up in an index; one lane owns it.
type Probe struct {
	ix   *Index
	find *keys.Encoder
}

// NewProbe makes a probe.
func (ix *Index) NewProbe() *Probe {
	if ix.dir != nil {
		return &Probe{ix, ix.dir.NewFinder()}
	}
	return &Probe{ix, ix.table.NewFinder()}
}

// Find gives the key number of each row of cols, which it borrows, in ids; -1 where the table has no such key, or one of its values is null.
// The columns are of the types that the index was made of.
func (p *Probe) Find(cols []arrow.Array, ids []int32) error {
	rows, err := p.find.Encode(cols, len(ids))
	if err != nil {
		return err
	}
	if p.ix.dir != nil {
		p.ix.dir.Find(rows, ids)
	} else {
		p.ix.table.Find(rows, ids)
	}
	for _, c := range cols {
		noNulls(c, ids)
	}
	return nil
}
