package agg

import (
	"fmt"
	"math"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/sluice-data/sluice/transforms/internal/col"
)

func init() {
	Register(Func{
		Name: "string_agg",
		Doc: "string_agg(x, ',' ORDER BY y) is the texts that are not null, with a constant text between them, in order: of the input where none is given; null if there are none. " +
			"string_agg(DISTINCT x, ',') has each text once, in ascending order.",
		Example: "string_agg(zone, '/' ORDER BY total)",
		State:   "list of struct: v0 the text, v1 its place",
		Ordered: true,
		bind:    bindStringAgg,
	})
}

func bindStringAgg(c Call) (Bound, error) {
	if len(c.Args) != 2 {
		return Bound{}, fmt.Errorf("string_agg takes a text and what goes between two, as in string_agg(x, ','), not %d arguments", len(c.Args))
	}
	if t := c.Args[0].Type; t.ID() != arrow.STRING && t.ID() != arrow.LARGE_STRING {
		return Bound{}, unfit("string_agg", c.Args[0].Field, "texts (cast it: x::text)")
	}
	sep := ""
	switch s := c.Args[1].Const.(type) {
	case nil:
		return Bound{}, fmt.Errorf("string_agg wants the same text between all: a constant")
	case *array.String:
		if s.IsValid(0) {
			sep = s.Value(0)
		}
	default:
		return Bound{}, unfit("string_agg", c.Args[1].Field, "a text between two values")
	}
	place, err := placeOf("string_agg", c, c.Order)
	if err != nil {
		return Bound{}, err
	}
	return collected(c, column(c.Args[0].Type), []Input{{Arg: 0}, place}, 1, []int{0}, func(c *collect, mem memory.Allocator, off, rows []int32) (arrow.Array, error) {
		return c.join(mem, off, rows, sep)
	}), nil
}

// join puts the texts of each group together.
func (c *collect) join(mem memory.Allocator, off, rows []int32, sep string) (arrow.Array, error) {
	texts := &c.cols[0]
	total, n := 0, len(off)-1
	for _, r := range rows {
		if total += len(texts.bytesOf(int(r))) + len(sep); total > math.MaxInt32 {
			return nil, errHugeGroups
		}
	}
	has := filled(off)
	for _, h := range has {
		total -= int(h) * len(sep)
	}
	ob, ends := col.Make[int32](mem, n+1)
	db, data := col.Make[uint8](mem, total)
	at := 0
	for g := range n {
		for i, r := range rows[off[g]:off[g+1]] {
			if i > 0 {
				at += copy(data[at:], sep)
			}
			at += copy(data[at:], texts.bytesOf(int(r)))
		}
		ends[g+1] = int32(at)
	}
	return col.OfVar(mem, texts.typ, n, ob, db, has), nil
}
