// Package join finds the rows of a reference table that belong to the rows of a batch: by equal keys, and within a key by order.
package join

import (
	"fmt"
	"math"
	"runtime"
	"sync/atomic"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/bitutil"
	"golang.org/x/sync/errgroup"

	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/transforms/internal/col"
	"github.com/sluice-data/sluice/transforms/internal/keys"
)

// Index is the keys of a reference table, numbered 0, 1, 2 …, and the rows of each. It is immutable: lanes share it.
type Index struct {
	table *keys.Table
	start []int32 // the rows of key k are rows[start[k]:start[k+1]], ascending; nil where key k is row k alone
	rows  []int32
	twice [2]int // rows of one key, if any key has several
}

// buildFrom is the rows from which on a table is built by all processors; tests lower it.
var buildFrom = 1 << 16

// NewIndex indexes n rows by their key columns, which it borrows. Rows with a null in a key are not in the index: null equals nothing.
// Without columns all rows have one key. The error names a type that cannot be compared.
func NewIndex(cols []arrow.Array, n int) (*Index, error) {
	if n >= math.MaxInt32 {
		return nil, fmt.Errorf("%d rows are too many for a table in memory", n)
	}
	types := make([]arrow.DataType, len(cols))
	for i, c := range cols {
		types[i] = c.DataType()
	}
	plan, err := keys.NewPlan(types)
	if err != nil {
		return nil, err
	}
	ix, ids, keyed := &Index{}, make([]int32, n), n
	built := false
	if n >= buildFrom {
		built, err = ix.build(plan, cols, ids)
	}
	if err == nil && !built {
		keyed, err = ix.intern(plan, cols, ids)
	}
	if err != nil {
		return nil, err
	}
	for _, c := range cols {
		noNulls(c, ids)
	}
	ix.group(ids, keyed)
	return ix, nil
}

// build numbers the keys of all rows on all processors: a key has the number of its first row. It is false where the keys are such
// that they have to be interned one after the other.
func (ix *Index) build(plan *keys.Plan, cols []arrow.Array, ids []int32) (bool, error) {
	b := plan.NewBuild(len(ids))
	if b == nil {
		return false, nil
	}
	workers := runtime.GOMAXPROCS(0)
	var unfit atomic.Bool
	err := beside(workers, func(w int) error {
		enc := plan.NewEncoder()
		for k := w; k < b.Pieces() && !unfit.Load(); k += workers {
			lo := k * keys.BuildPiece
			hi := min(lo+keys.BuildPiece, len(ids))
			fits := false
			err := sliced(cols, lo, hi, func(piece []arrow.Array) (err error) {
				fits, err = b.Encode(enc, k, piece, hi-lo)
				return err
			})
			if err != nil {
				return err
			}
			if !fits {
				unfit.Store(true)
			}
		}
		return nil
	})
	if err != nil || unfit.Load() {
		return false, err
	}
	over := make([][]int32, workers)
	err = beside(workers, func(w int) error {
		over[w] = b.Fill(w, workers, ids)
		return nil
	})
	if err != nil {
		return false, err
	}
	ix.table = b.Table(over, ids)
	return true, nil
}

// beside calls f n times at a time, and ends when all have.
func beside(n int, f func(k int) error) error {
	var g errgroup.Group
	for k := range n {
		g.Go(func() error { return fail.Guard("index table", func() error { return f(k) }) })
	}
	return g.Wait()
}

// sliced calls f with rows lo … hi-1 of the columns.
func sliced(cols []arrow.Array, lo, hi int, f func(piece []arrow.Array) error) error {
	piece := make([]arrow.Array, len(cols))
	for i, c := range cols {
		piece[i] = array.NewSlice(c, int64(lo), int64(hi))
	}
	defer func() {
		for _, c := range piece {
			c.Release()
		}
	}()
	return f(piece)
}

// intern numbers the keys of all rows in ids, one after the other, and says how many there are.
func (ix *Index) intern(plan *keys.Plan, cols []arrow.Array, ids []int32) (int, error) {
	ix.table = plan.NewTable()
	ix.table.Reserve(len(ids)) // nearly all keys of a reference table are distinct
	enc, numbers := plan.NewEncoder(), make([]uint32, keys.BuildPiece)
	for lo := 0; lo < len(ids); lo += keys.BuildPiece {
		hi := min(lo+keys.BuildPiece, len(ids))
		err := sliced(cols, lo, hi, func(piece []arrow.Array) error {
			rows, err := enc.Encode(piece, hi-lo)
			if err == nil {
				ix.table.Intern(rows, numbers)
			}
			return err
		})
		if err != nil {
			return 0, err
		}
		for i, k := range numbers[:hi-lo] {
			ids[lo+i] = int32(k)
		}
	}
	ix.table.Settle()
	return ix.table.Len(), nil
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
	return &Probe{ix: ix, find: ix.table.NewFinder()}
}

// Find gives the key number of each row of cols, which it borrows, in ids; -1 where the table has no such key, or one of its values is null.
// The columns are of the types that the index was made of.
func (p *Probe) Find(cols []arrow.Array, ids []int32) error {
	rows, err := p.find.Encode(cols, len(ids))
	if err != nil {
		return err
	}
	p.ix.table.Find(rows, ids)
	for _, c := range cols {
		noNulls(c, ids)
	}
	return nil
}
