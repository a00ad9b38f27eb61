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
	return collected(c, arrow.Field{Type: list}, inputs, 0, nil, func(c *collect, mem memory.Allocator, off, rows []int32) (arrow.Array, error) {
		return c.sessions(mem, list, gap, parts, off, rows)
	})
}

func (c *collect) sessions(mem memory.Allocator, list *arrow.ListType, gap int64, parts []Part, off, rows []int32) (_ arrow.Array, err error) {
	times := arrow.GetData[int64](c.cols[0].data)
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
	columns := make([]arrow.Array, 0, len(c.cols))
	defer func() { releaseAll(columns) }()
	for i := range c.cols {
		a, err := c.cols[i].take(memory.DefaultAllocator, rows)
		if err != nil {
			return nil, err
		}
		columns = append(columns, a)
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
