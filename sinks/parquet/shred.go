package parquet

import (
	"math"
	"slices"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/bitutil"

	"github.com/sluice-data/sluice/internal/fail"
)

// shredder computes the repetition and definition levels of nested columns (Melnik et al., Dremel, 2010) a level at a time
// over offsets and validity: at each node there is one slot for each value or end of a path so far.
type shredder struct {
	def, rep []uint8
	// idx is the place of the slot's value in the node's array, or -1 where a null or an empty list ended the path.
	idx []int32
	// the next level's slots are written here, then the two swap
	def2, rep2 []uint8
	idx2       []int32
	offs       []int32
	sel        []int32
}

// shred walks from column arr down to the leaf. It leaves the levels in s.def and s.rep and returns the leaf's array (lent)
// and the places of its values in it, in slot order.
func (s *shredder) shred(l *leaf, arr arrow.Array) (arrow.Array, []int32, error) {
	n := arr.Len()
	s.def = slices.Grow(s.def[:0], n)[:n]
	clear(s.def)
	s.rep = s.rep[:0]
	if l.maxRep > 0 {
		s.rep = slices.Grow(s.rep, n)[:n]
		clear(s.rep)
	}
	s.idx = slices.Grow(s.idx[:0], n)[:n]
	for i := range s.idx {
		s.idx[i] = int32(i)
	}
	for _, st := range l.steps {
		var err error
		switch st.op {
		case opNull:
			s.optional(arr)
		case opNotNull:
			err = s.required(l, arr)
		case opField:
			arr = arr.(*array.Struct).Field(st.n)
		case opList:
			arr, err = s.list(l, arr, uint8(st.n))
		case opDictionary:
			arr, err = s.dictionary(l, st, arr.(*array.Dictionary))
		}
		if err != nil {
			return nil, nil, err
		}
	}
	s.sel = slices.Grow(s.sel[:0], len(s.idx))[:len(s.idx)]
	k := 0
	for _, i := range s.idx {
		s.sel[k] = i
		if i >= 0 {
			k++
		}
	}
	s.sel = s.sel[:k]
	return arr, s.sel, nil
}

// validity is arr's bitmap and the bit of its first value; nil if all are valid.
func validity(arr arrow.Array) ([]byte, int) {
	b, off := arr.NullBitmapBytes(), arr.Data().Offset()
	if len(b) == 0 || bitutil.CountSetBits(b, off, arr.Len()) == arr.Len() {
		return nil, off
	}
	return b, off
}

// optional raises the definition level of what is not null. It does not branch on it.
func (s *shredder) optional(arr arrow.Array) {
	def := s.def[:len(s.idx)]
	valid, off := validity(arr)
	if valid == nil {
		for j, i := range s.idx {
			def[j] += uint8(uint32(^i) >> 31)
		}
		return
	}
	for j, i := range s.idx {
		at := off + int(i&^(i>>31)) // 0 for a path that has ended
		there := valid[at>>3] >> (at & 7) & uint8(uint32(^i)>>31)
		def[j] += there
		s.idx[j] = i | (int32(there) - 1) // -1 where it is null
	}
}

func (s *shredder) required(l *leaf, arr arrow.Array) error {
	valid, off := validity(arr)
	if valid == nil {
		return nil
	}
	for _, i := range s.idx {
		if i >= 0 && !bitutil.BitIsSet(valid, off+int(i)) {
			return errNull(l)
		}
	}
	return nil
}

func errNull(l *leaf) error {
	return fail.Newf(fail.Data, "null in a column that is declared not null").Of(l.name, "")
}

// list replaces each live slot by one for each element of its list; those after the first get repetition level rep.
func (s *shredder) list(l *leaf, arr arrow.Array, rep uint8) (arrow.Array, error) {
	offs, err := s.offsets(l, arr)
	if err != nil {
		return nil, err
	}
	n := len(s.idx)
	for _, i := range s.idx {
		if i >= 0 {
			n += int(max(offs[i+1]-offs[i], 1) - 1)
		}
	}
	def, reps, idx := slices.Grow(s.def2[:0], n)[:n], slices.Grow(s.rep2[:0], n)[:n], slices.Grow(s.idx2[:0], n)[:n]
	k := 0
	for j, i := range s.idx {
		d, r := s.def[j], s.rep[j]
		if i < 0 || offs[i] == offs[i+1] {
			def[k], reps[k], idx[k] = d, r, -1
			k++
			continue
		}
		first := k
		for e := offs[i]; e < offs[i+1]; e++ {
			def[k], reps[k], idx[k] = d+1, rep, e
			k++
		}
		reps[first] = r
	}
	s.def, s.def2 = def, s.def
	s.rep, s.rep2 = reps, s.rep
	s.idx, s.idx2 = idx, s.idx
	return arr.(array.ListLike).ListValues(), nil
}

// offsets are the list offsets of arr: element list i is [offs[i], offs[i+1]) of its values.
func (s *shredder) offsets(l *leaf, arr arrow.Array) ([]int32, error) {
	n, off := arr.Len(), arr.Data().Offset()
	s.offs = s.offs[:0]
	if n == 0 {
		return append(s.offs, 0), nil
	}
	switch a := arr.(type) {
	case *array.List:
		return a.Offsets()[off : off+n+1], nil
	case *array.Map:
		return a.Offsets()[off : off+n+1], nil
	case *array.LargeList:
		for _, o := range a.Offsets()[off : off+n+1] {
			if o > math.MaxInt32 {
				return nil, errTooLarge(l)
			}
			s.offs = append(s.offs, int32(o))
		}
	case *array.FixedSizeList:
		w := int64(a.DataType().(*arrow.FixedSizeListType).Len())
		if w*int64(off+n) > math.MaxInt32 {
			return nil, errTooLarge(l)
		}
		for i := off; i <= off+n; i++ {
			s.offs = append(s.offs, int32(int64(i)*w))
		}
	default:
		return nil, fail.Newf(fail.Internal, "encode parquet: %s is not a list", arr.DataType()).Of(l.name, "")
	}
	return s.offs, nil
}

func errTooLarge(l *leaf) error {
	return fail.Newf(fail.Data, "more than 2 GiB in one column of a row group: use smaller row groups").Of(l.name, "")
}

// dictionary replaces places of indices by places in the dictionary, which may hold nulls itself.
func (s *shredder) dictionary(l *leaf, st step, arr *array.Dictionary) (arrow.Array, error) {
	if arr.Len() == 0 {
		// without rows there may be no dictionary at all; the indices hold no values either
		return arr.Indices(), nil
	}
	values := arr.Dictionary()
	valid, off := validity(values)
	n := values.Len()
	for j, i := range s.idx {
		if i < 0 {
			continue
		}
		v := arr.GetValueIndex(int(i))
		if v < 0 || v >= n {
			return nil, fail.Newf(fail.Internal, "encode parquet: dictionary index %d of %d", v, n).Of(l.name, "")
		}
		if valid != nil && !bitutil.BitIsSet(valid, off+v) {
			if !st.null {
				return nil, errNull(l)
			}
			s.def[j], s.idx[j] = st.def, -1
			continue
		}
		s.idx[j] = int32(v)
	}
	return values, nil
}
