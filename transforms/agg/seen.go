package agg

import (
	"bytes"

	"github.com/sluice-data/sluice/transforms/internal/col"
)

// seen marks the groups that have a value. Once all have one, batches without nulls need not look.
type seen struct {
	has   []uint8 // 1 where the group has a value
	empty int     // groups that have none
	first int     // no group before it is empty
	marks []uint8 // of all: zeros
}

func (s *seen) grow(n int) {
	if n > len(s.has) {
		if s.empty == 0 {
			s.first = len(s.has)
		}
		s.empty += n - len(s.has)
		s.has = col.Grow(s.has, n)
	}
}

// all marks the groups of a batch without nulls.
func (s *seen) all(groups []uint32) {
	if s.empty == 0 {
		return
	}
	rest := s.has[s.first:]
	if before := uint32(s.first) - 1; s.first > 0 && len(rest) <= 2*len(groups) {
		// Nobody can foresee which rows are of new groups: all are marked, those of old ones in a place that nobody looks at.
		s.marks = col.Grow(s.marks, len(rest)+1)
		marks := s.marks
		for _, g := range groups {
			marks[max(g, before)-before] = 1
		}
		for i, m := range marks[1 : len(rest)+1] {
			rest[i] |= m
		}
		clear(marks[:len(rest)+1])
	} else {
		has, first := s.has, uint32(s.first)
		for _, g := range groups {
			if g >= first { // few are
				has[g] = 1
			}
		}
	}
	if s.empty = len(rest) - bytes.Count(rest, yes); s.empty > 0 {
		s.first += bytes.IndexByte(rest, 0)
	}
}

var yes = []byte{1}

func (s *seen) one(g uint32) {
	s.empty -= int(1 - s.has[g])
	s.has[g] = 1
}

func (s *seen) reset() { s.has, s.empty, s.first = reset(s.has), 0, 0 }

// reset is s without items, its memory zeroed for those to come.
func reset[T any](s []T) []T {
	clear(s)
	return s[:0]
}

// Reserve makes room for n groups.
func (s *seen) Reserve(n int) { s.has = col.Reserve(s.has, n) }
