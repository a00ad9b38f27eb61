package win

import (
	"fmt"
	"slices"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/transforms/internal/col"
	"github.com/sluice-data/sluice/transforms/internal/orderkey"
)

// rankedBytes is about what ranks and different take for each row beside texts.
const rankedBytes = 80

// sorted is the values of a column that are not null, in order.
type sorted struct {
	rows  []int32 // of the column, by the order of their values; of those that are equal the first first
	place []int32 // of each row, nulls aside, where it is in rows
	there []int32 // rows that are not null before each, and before the end
	equal func(i, j int32) bool
}

func sortedValues(arg arrow.Array, plan *orderkey.Plan) (*sorted, error) {
	var keys orderkey.Keys
	if err := plan.NewEncoder().Encode([]arrow.Array{arg}, arg.Len(), &keys); err != nil {
		return nil, fmt.Errorf("window: %w", err)
	}
	less := func(i, j int32) bool { return keys.Less(plan, int(i), int(j)) }
	s := &sorted{there: present(arg), equal: func(i, j int32) bool { return !less(i, j) && !less(j, i) }}
	s.rows = make([]int32, 0, s.there[arg.Len()])
	for i := range int32(arg.Len()) {
		if s.there[i+1] > s.there[i] {
			s.rows = append(s.rows, i)
		}
	}
	slices.SortFunc(s.rows, func(i, j int32) int {
		switch {
		case less(i, j):
			return -1
		case less(j, i):
			return 1
		}
		return int(i - j)
	})
	s.place = make([]int32, len(s.rows))
	for at, row := range s.rows {
		s.place[s.there[row]] = int32(at)
	}
	return s, nil
}

// ranks gives each frame, rows lo[i] … hi[i]-1, the value that the function makes of those at places in the order of the frame's.
func (a aggregate) ranks(lo, hi []int32, args []arrow.Array, mem memory.Allocator) (arrow.Array, error) {
	plan, err := orderkey.New([]orderkey.Column{{Type: args[0].DataType(), Nullable: true}})
	if err != nil {
		return nil, fail.Newf(fail.Internal, "window: %w", err)
	}
	s, err := sortedValues(args[0], plan)
	if err != nil {
		return nil, err
	}
	w := newWavelet(slices.Clone(s.place), int32(len(s.rows)))
	n, at := make([]int, len(lo)), make([][2]int32, len(lo))
	for i := range lo {
		from, to := s.there[lo[i]], s.there[hi[i]]
		n[i], at[i] = int(to-from), [2]int32{-1, -1}
		if from == to || a.Ranked.At == nil {
			continue
		}
		k, next := a.Ranked.At(n[i])
		at[i][0] = s.rows[w.kth(from, to, int32(k))]
		if next {
			at[i][1] = s.rows[w.kth(from, to, int32(k+1))]
		}
	}
	return a.Ranked.Of(mem, args[0], n, at)
}

// different counts the different values of each frame: those that are in it for the first time.
func (a aggregate) different(lo, hi []int32, args []arrow.Array, mem memory.Allocator) (arrow.Array, error) {
	plan, err := orderkey.NewEqual([]orderkey.Column{{Type: args[0].DataType(), Nullable: true}})
	if err != nil {
		return nil, fail.Newf(fail.Internal, "window: %w", err)
	}
	s, err := sortedValues(args[0], plan)
	if err != nil {
		return nil, err
	}
	before := s.place // of each row the place behind the last one of the same value; it has been used
	for at := len(s.rows) - 1; at >= 0; at-- {
		row := s.rows[at]
		before[s.there[row]] = 0
		if at > 0 && s.equal(s.rows[at-1], row) {
			before[s.there[row]] = s.there[s.rows[at-1]] + 1
		}
	}
	w := newWavelet(before, int32(len(s.rows)))
	buf, out := col.Make[int64](mem, len(lo))
	for i := range lo {
		from, to := s.there[lo[i]], s.there[hi[i]]
		out[i] = int64(w.less(from, to, from+1))
	}
	return col.Of(mem, int64s, len(lo), buf, nil), nil
}
