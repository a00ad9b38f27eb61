package expr

import "slices"

// constSet is the constant part of an IN list, for types whose equality is that of their bytes.
type constSet struct {
	t       typ
	strings map[string]struct{}
	numbers map[int64]struct{}
}

// newConstSet is nil for types that are compared in other ways (floats, decimals, mixed kinds).
func newConstSet(t typ) *constSet {
	switch {
	case t.kind == kString && !t.json:
		return &constSet{t: t, strings: map[string]struct{}{}}
	case t.kind == kInt32 || t.kind == kInt64 || t.kind == kDate || t.kind == kTimestamp || t.kind == kTimestamptz:
		return &constSet{t: t, numbers: map[int64]struct{}{}}
	}
	return nil
}

func (s *constSet) size() int { return len(s.strings) + len(s.numbers) }

// add takes y if it is a constant that is a value of the set's type.
func (s *constSet) add(b *binder, y node, at span) bool {
	c, ok := y.(*constNode)
	if !ok || c.v.null {
		return false
	}
	if !c.v.typ.same(s.t) {
		if !c.untyped && !(c.number && c.v.kind == kInt32 && s.t.kind == kInt64) {
			return false
		}
		cast, err := b.cast(c, s.t, at)
		if err != nil {
			return false // compare reports it
		}
		if c, ok = cast.(*constNode); !ok {
			return false
		}
	}
	switch {
	case s.strings != nil:
		s.strings[string(c.v.str(0))] = struct{}{}
	case s.t.kind.width() == 4:
		s.numbers[int64(values[int32](c.v)[0])] = struct{}{}
	default:
		s.numbers[values[int64](c.v)[0]] = struct{}{}
	}
	return true
}

// few is up to how many constants comparing each beats hashing.
const few = 8

func (s *constSet) kernel() kernel {
	switch {
	case s.strings != nil:
		return s.stringKernel()
	case s.t.kind.width() == 4:
		return numberSet[int32](s.numbers)
	}
	return numberSet[int64](s.numbers)
}

func (s *constSet) stringKernel() kernel {
	var lengths [64]bool // most strings of another length need no look-up
	long := false
	for k := range s.strings {
		if len(k) < len(lengths) {
			lengths[len(k)] = true
		} else {
			long = true
		}
	}
	return func(f *function, r *run, _ []byte, args []*vector) *vector {
		a := args[0]
		out := &vector{typ: f.t, n: r.n, valid: r.strictValid(a), data: r.zeroBitmap()}
		for i := range r.n {
			x := a.str(i)
			if len(x) < len(lengths) && !lengths[len(x)] || len(x) >= len(lengths) && !long {
				continue
			}
			if _, ok := s.strings[string(x)]; ok {
				setBit(out.data, i)
			}
		}
		return out
	}
}

func numberSet[T int32 | int64](set map[int64]struct{}) kernel {
	var list []T
	for v := range set {
		list = append(list, T(v))
	}
	lo, hi := slices.Min(list), slices.Max(list)
	var table []byte // a bit for each value from lo to hi, if they are close together
	if span := uint64(hi) - uint64(lo); span < 1<<16 {
		table = make([]byte, span/8+1)
		for _, v := range list {
			setBit(table, int(v-lo))
		}
	}
	return func(f *function, r *run, _ []byte, args []*vector) *vector {
		a := args[0]
		out := &vector{typ: f.t, n: r.n, valid: r.strictValid(a), data: r.zeroBitmap()}
		src := values[T](a)
		if len(list) <= few {
			one := r.bitmap()
			for _, v := range list {
				equalTo(one, src, v)
				bitOr(out.data, out.data, one, r.n)
			}
			return out
		}
		if table != nil {
			for i, x := range src {
				if x >= lo && x <= hi && bit(table, int(x-lo)) {
					setBit(out.data, i)
				}
			}
			return out
		}
		for i, x := range src {
			if _, ok := set[int64(x)]; ok {
				setBit(out.data, i)
			}
		}
		return out
	}
}
