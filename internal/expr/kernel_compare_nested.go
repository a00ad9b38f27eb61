package expr

import "bytes"

// comparable reports whether values of a list or struct type can be told equal: not with json or opaque values inside.
func (t typ) comparable() bool {
	switch t.kind {
	case kList:
		return t.elem().comparable()
	case kStruct:
		for i := range t.fieldCount() {
			if !t.field(i).comparable() {
				return false
			}
		}
		return true
	}
	return t.kind.printable() && !t.json
}

// compareNested fills dst with a = b for lists or structs of one type. Inside of them null equals null, as in PostgreSQL's arrays
// and composite values.
func compareNested(dst []byte, a, b *vector, n int) {
	clear(dst[:(n+7)/8])
	equal := equality(a, b)
	for i := range n {
		if equal(i, i) {
			setBit(dst, i)
		}
	}
}

// equality compares row i of a with row j of b, both not null.
func equality(a, b *vector) func(i, j int) bool {
	ma, mb := a.mask(), b.mask()
	switch a.kind {
	case kList:
		elem := orNull(a.elem, b.elem)
		return func(i, j int) bool {
			from, n := a.beg[i&ma], a.end[i&ma]-a.beg[i&ma]
			to := b.beg[j&mb]
			if b.end[j&mb]-to != n {
				return false
			}
			for k := range n {
				if !elem(int(from+k), int(to+k)) {
					return false
				}
			}
			return true
		}
	case kStruct:
		fields := make([]func(i, j int) bool, len(a.fields))
		for k := range fields {
			fields[k] = orNull(a.fields[k], b.fields[k])
		}
		return func(i, j int) bool {
			for _, equal := range fields {
				if !equal(i, j) {
					return false
				}
			}
			return true
		}
	case kBool:
		return func(i, j int) bool { return bit(a.data, i&ma) == bit(b.data, j&mb) }
	case kString, kBinary:
		return func(i, j int) bool { return bytes.Equal(a.str(i&ma), b.str(j&mb)) }
	case kFloat32:
		return floatEquality[float32](a, b)
	case kFloat64:
		return floatEquality[float64](a, b)
	}
	switch a.kind.width() {
	case 1:
		return fixedEquality[uint8](a, b)
	case 2:
		return fixedEquality[uint16](a, b)
	case 4:
		return fixedEquality[uint32](a, b)
	case 8:
		return fixedEquality[uint64](a, b)
	}
	return fixedEquality[dec](a, b)
}

func orNull(a, b *vector) func(i, j int) bool {
	equal := equality(a, b)
	return func(i, j int) bool {
		if x, y := a.isNull(i), b.isNull(j); x || y {
			return x && y
		}
		return equal(i, j)
	}
}

func fixedEquality[T comparable](a, b *vector) func(i, j int) bool {
	x, y, ma, mb := values[T](a), values[T](b), a.mask(), b.mask()
	return func(i, j int) bool { return x[i&ma] == y[j&mb] }
}

// floatEquality: NaN equals NaN, 0 equals -0.
func floatEquality[T float](a, b *vector) func(i, j int) bool {
	x, y, ma, mb := values[T](a), values[T](b), a.mask(), b.mask()
	return func(i, j int) bool { return x[i&ma] == y[j&mb] || x[i&ma] != x[i&ma] && y[j&mb] != y[j&mb] }
}
