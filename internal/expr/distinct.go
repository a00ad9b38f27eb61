package expr

import (
	"bytes"
	"hash/maphash"
)

// Bounds of evaluating a function on the distinct values of a column: looking one up takes a few ns, so that it pays for
// functions that take long for each, and only where values recur often.
const (
	fewRows     = 256  // of a batch that is not worth the look
	sampleRows  = 1024 // after so many
	sampleMost  = 512  // distinct values it is given up
	maxDistinct = 1024
)

var distinctSeed = maphash.MakeSeed()

// costly marks a call of a function that takes long for each text (a pattern, a digest), so that it is evaluated once for each
// distinct value of a batch where there are few.
func costly(n node) node {
	if f, ok := n.(*function); ok {
		f.costly = true
	}
	return n
}

// overDistinct evaluates f on the distinct values of its only argument that is no constant, a text; nil if there is no such
// argument or its values do not recur.
func (f *function) overDistinct(r *run, sel []byte, args []*vector) *vector {
	at := -1
	for i, a := range args {
		if a.konst {
			continue
		}
		if at >= 0 || !a.kind.bytes() {
			return nil
		}
		at = i
	}
	if f.lenient || at < 0 || r.n < fewRows {
		return nil
	}
	a := args[at]
	of, first := r.distinctOf(a, sel)
	if of == nil {
		return nil
	}
	few := r.gather(a, first)
	few.valid, few.owned = nil, false
	some := append([]*vector(nil), args...)
	some[at] = few
	mark := len(r.errs)
	var v *vector
	r.rows(len(first), func() { v = r.spread(f.run(f, r, nil, some)) })
	if r.err != nil {
		return nullOf(f.t, r.n)
	}
	return r.perRow(v, of, mark)
}

// distinctOf numbers the distinct values of a by their first row: for each row its value's number, -1 for one that is null or
// not selected. nil if there are too many of them.
func (r *run) distinctOf(a *vector, sel []byte) (of, first []int32) {
	table := make([]int32, 4*maxDistinct) // numbers from 1 on
	of, first = r.int32s(r.n), make([]int32, 0, sampleMost)
	last := int32(-1) // the value of the row before
	for i := range of {
		of[i] = -1
		if !active(sel, a.valid, i) {
			continue
		}
		if i == sampleRows && len(first) > sampleMost {
			return nil, nil
		}
		s := a.str(i)
		if last >= 0 && bytes.Equal(s, a.str(int(first[last]))) {
			of[i] = last
			continue
		}
		for slot := maphash.Bytes(distinctSeed, s); ; slot++ {
			k := &table[slot%uint64(len(table))]
			if *k == 0 {
				if len(first) == maxDistinct {
					return nil, nil
				}
				first = append(first, int32(i))
				*k = int32(len(first))
			} else if !bytes.Equal(s, a.str(int(first[*k-1]))) {
				continue
			}
			last = *k - 1
			break
		}
		of[i] = last
	}
	return of, first
}
