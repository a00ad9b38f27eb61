package agg

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/sluice-data/sluice/transforms/internal/col"
)

// Part is a function computed over each session.
type Part struct {
	Bound Bound
	Args  []int // its inputs, of the session's columns
	Where int   // 1 + the column with the condition of its FILTER; 0 is none
}

// Sessions binds the sessions of each group: column 0 is a time in microseconds, and a row whose time is less than gap after the one
// before it is in the same session. The result is a list of structs: the session's start, its end (gap after its last row), and the
// parts. Every row is kept until the end: the state is a list of structs of the columns.
func Sessions(columns []arrow.DataType, gap int64, parts []Part) Bound {
	c := Call{}
	var inputs []Input
	for i, t := range columns {
		c.Args = append(c.Args, Arg{Field: arrow.Field{Type: t}})
		inputs = append(inputs, Input{Arg: i})
	}
	fields := []arrow.Field{{Name: "start", Type: columns[0]}, {Name: "end", Type: columns[0]}}
	for i, p := range parts {
		f := p.Bound.Result
		f.Name = fmt.Sprint("m", i)
		fields = append(fields, f)
	}
	list := arrow.ListOfField(arrow.Field{Name: "element", Type: arrow.StructOf(fields...)})
	return collected(c, arrow.Field{Type: list}, inputs, -1, nil, func(c *collect, mem memory.Allocator, off, rows []int32) (arrow.Array, error) {
		return c.sessions(mem, list, gap, parts, off, rows)
	})
}

func (c *collect) sessions(mem memory.Allocator, list *arrow.ListType, gap int64, parts []Part, off, rows []int32) (_ arrow.Array, err error) {
	times := arrow.GetData[int64](c.cols[0].data)
	var order byTime
	for g := range c.n {
		order.sort(rows[off[g]:off[g+1]], times)
	}
	ids := make([]uint32, len(rows)) // of the session of each row
	ends := make([]int32, len(off))  // the sessions up to each group
	var from, to []int64
	for g := range c.n {
		for i := off[g]; i < off[g+1]; i++ {
			t := times[rows[i]]
			end := t + gap
			if end < t {
				end = math.MaxInt64
			}
			if i == off[g] || t >= to[len(to)-1] {
				from, to = append(from, t), append(to, end)
			}
			to[len(to)-1] = end
			ids[i] = uint32(len(to) - 1)
		}
		ends[g+1] = int32(len(to))
	}
	columns := make([]arrow.Array, len(c.cols)) // those that parts ask for
	defer func() {
		for _, a := range columns {
			if a != nil {
				a.Release()
			}
		}
	}()
	c.groups = nil // Result ends its work: what is done for need not wait for Release
	for i := range c.cols {
		if asked(parts, i) {
			if columns[i], err = c.cols[i].take(memory.DefaultAllocator, rows); err != nil {
				return nil, err
			}
		}
		c.cols[i].drop()
	}
	t := c.cols[0].typ
	out := []arrow.Array{col.Copy(mem, t, from, nil), col.Copy(mem, t, to, nil)}
	defer func() {
		if err != nil {
			releaseAll(out)
		}
	}()
	for _, p := range parts {
		a, err := p.over(mem, columns, ids, len(to))
		var ge *GroupError
		if errors.As(err, &ge) {
			of, _ := slices.BinarySearch(ends, int32(ge.Group)+1)
			err = &GroupError{of - 1, ge.Reason}
		}
		if err != nil {
			return nil, err
		}
		out = append(out, a)
	}
	return listOf(list, ends, nil, out...), nil
}

// asked reports whether a part takes column i.
func asked(parts []Part, i int) bool {
	return slices.ContainsFunc(parts, func(p Part) bool { return p.Where == i+1 || slices.Contains(p.Args, i) })
}

// over computes the part for n sessions.
func (p Part) over(mem memory.Allocator, columns []arrow.Array, ids []uint32, n int) (arrow.Array, error) {
	acc := p.Bound.New(mem)
	defer acc.Release()
	args := make([]arrow.Array, len(p.Args))
	for i, a := range p.Args {
		args[i] = columns[a]
	}
	var err error
	if p.Where > 0 {
		err = UpdateWhere(acc, columns[p.Where-1], ids, n, args)
	} else {
		err = acc.Update(ids, n, args)
	}
	if err != nil {
		return nil, err
	}
	return acc.Result(mem)
}

// byTime sorts rows by their times, those of one time as they came. Rows come nearly sorted, in a run for each piece of the input: runs are merged.
type byTime struct {
	from, to []timedRow
	ends     []int // of runs
}

type timedRow struct {
	t int64
	r int32
}

func (b *byTime) sort(rows []int32, times []int64) {
	b.from, b.ends = slices.Grow(b.from[:0], len(rows))[:len(rows)], b.ends[:0]
	for i, r := range rows {
		if b.from[i] = (timedRow{times[r], r}); i > 0 && b.from[i].t < b.from[i-1].t {
			b.ends = append(b.ends, i)
		}
	}
	if len(b.ends) == 0 {
		return
	}
	b.ends = append(b.ends, len(rows))
	b.to = slices.Grow(b.to[:0], len(rows))[:len(rows)]
	for len(b.ends) > 1 {
		ends, lo := b.ends[:0], 0
		for k := 0; k < len(b.ends); k += 2 { // two runs become one
			mid := b.ends[k]
			hi := mid
			if k+1 < len(b.ends) {
				hi = b.ends[k+1]
			}
			mergeTimes(b.to[lo:hi], b.from[lo:mid], b.from[mid:hi])
			ends, lo = append(ends, hi), hi
		}
		b.from, b.to, b.ends = b.to, b.from, ends
	}
	for i := range rows {
		rows[i] = b.from[i].r
	}
}

// mergeTimes puts x and y, each sorted, into dst; of one time those of x come first.
func mergeTimes(dst, x, y []timedRow) {
	for len(x) > 0 && len(y) > 0 {
		if y[0].t < x[0].t {
			dst[0], y = y[0], y[1:]
		} else {
			dst[0], x = x[0], x[1:]
		}
		dst = dst[1:]
	}
	copy(dst[copy(dst, x):], y)
}
