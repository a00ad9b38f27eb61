package agg

import (
	"encoding/binary"
	"math"
	"math/bits"
	"slices"

	"github.com/apache/arrow/go/v17/arrow"

	"github.com/sluice-data/sluice/transforms/internal/col"
)

// keyKind is how values become numbers that are ordered as they are: held.key as a word. Decimals that 64 bits hold do, others do not.
type keyKind struct {
	width int
	float bool
	flip  uint64 // the sign
}

func keyKindOf(t arrow.DataType) keyKind {
	k := keyKind{width: col.Width(t)}
	switch t.ID() {
	case arrow.FLOAT32, arrow.FLOAT64:
		k.float = true
	case arrow.UINT8, arrow.UINT16, arrow.UINT32, arrow.UINT64:
	case arrow.DECIMAL128:
		k.flip = 1 << 63
	default:
		if k.width > 0 && k.width <= 8 {
			k.flip = 1 << (8*k.width - 1)
		}
	}
	return k
}

// append appends the keys of v; false, and none of any use, if there is one that a word does not hold.
func appendKeys[T any](k keyKind, dst []uint64, v []T) ([]uint64, bool) {
	at := len(dst)
	dst = slices.Grow(dst, len(v))[:at+len(v)]
	to := dst[at:]
	switch v := any(v).(type) {
	case []uint8:
		integerKeys(to, v, k.flip)
	case []uint16:
		integerKeys(to, v, k.flip)
	case []uint32:
		if !k.float {
			integerKeys(to, v, k.flip)
			break
		}
		for i, x := range v {
			if x&(1<<31-1) > 0xff<<23 { // NaN is the greatest
				x = 1<<31 - 1
			}
			to[i] = uint64(x ^ (uint32(int32(x)>>31) | 1<<31))
		}
	case []uint64:
		if !k.float {
			integerKeys(to, v, k.flip)
			break
		}
		for i, x := range v {
			if x&(1<<63-1) > 0x7ff<<52 {
				x = 1<<63 - 1
			}
			to[i] = x ^ (uint64(int64(x)>>63) | 1<<63)
		}
	case [][2]uint64:
		wide := uint64(0)
		for i, x := range v {
			wide |= x[1] ^ uint64(int64(x[0])>>63)
			to[i] = x[0] ^ k.flip
		}
		return dst, wide == 0
	}
	return dst, true
}

func integerKeys[T uint8 | uint16 | uint32 | uint64](dst []uint64, v []T, flip uint64) {
	dst = dst[:len(v)]
	for i, x := range v {
		dst[i] = uint64(x) ^ flip
	}
}

// bytes appends key as held.key has it.
func (k keyKind) bytes(dst []byte, key uint64) []byte {
	if k.width == 16 {
		v := key ^ k.flip
		return wordKey(dst, [2]uint64{v, uint64(int64(v) >> 63)})
	}
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], key)
	return append(dst, b[8-k.width:]...)
}

// ranker finds values by their place in order; it is scratch.
type ranker struct{ all, keys, sample []uint64 }

func (r *ranker) size() int64 { return 8 * int64(cap(r.all)+cap(r.keys)+cap(r.sample)) }

// keysOfGroup appends the keys of group g.
func keysOfGroup[T any](b *bag[T], g int, kind keyKind, dst []uint64) (_ []uint64, narrow bool) {
	narrow = true
	dst = slices.Grow(dst, b.count(g))
	b.each(g, func(v []T) {
		var ok bool
		dst, ok = appendKeys(kind, dst, v)
		narrow = narrow && ok
	})
	return dst, narrow
}

// sampleFrom is the values from which it pays to look first where about the wanted one lies.
const sampleFrom = 4096

// choose finds the keys of the value of group g at i in order and, if next, of the one behind it; not narrow if a word does not hold all.
func choose[T any](r *ranker, b *bag[T], kind keyKind, g, i int, next bool) (v [2]uint64, narrow bool) {
	if n := b.count(g); n >= sampleFrom {
		low, high, narrow := bounds(r, b, kind, g, i)
		if !narrow {
			return v, false
		}
		below, some := 0, r.all[:0]
		b.each(g, func(piece []T) {
			if len(some) > n/2 || !narrow { // the sample was no good
				return
			}
			r.keys, narrow = appendKeys(kind, r.keys[:0], piece)
			at := len(some)
			some = slices.Grow(some, len(piece))[:at+len(piece)]
			for _, k := range r.keys { // no branch: half of them would be foreseen wrongly
				some[at] = k
				_, less := bits.Sub64(k, low, 0)
				_, beyond := bits.Sub64(high-low, k-low, 0)
				below += int(less)
				at += 1 - int(beyond)
			}
			some = some[:at]
		})
		r.all = some
		if !narrow {
			return v, false
		}
		if k := i - below; len(some) <= n/2 && k >= 0 && k+btoi(next) < len(some) {
			return ranks(some, k, next), true
		}
	}
	if r.all, narrow = keysOfGroup(b, g, kind, r.all[:0]); !narrow {
		return v, false
	}
	return ranks(r.all, i, next), true
}

// bounds are keys between which the value of group g at i lies, most likely: four standard deviations of its place in a sample.
func bounds[T any](r *ranker, b *bag[T], kind keyKind, g, i int) (low, high uint64, narrow bool) {
	n := b.count(g)
	step := n / min(max(n/64, 256), 4096)
	narrow = true
	s, skip := r.sample[:0], 0
	b.each(g, func(v []T) {
		var ok bool
		for ; skip < len(v); skip += step {
			s, ok = appendKeys(kind, s, v[skip:skip+1])
			narrow = narrow && ok
		}
		skip -= len(v)
	})
	slices.Sort(s)
	r.sample = s
	share := float64(i) / float64(n)
	at, off := share*float64(len(s)), 4*math.Sqrt(float64(len(s))*share*(1-share))+2
	low, high = 0, math.MaxUint64
	if k := int(at - off); k > 0 {
		low = s[k]
	}
	if k := int(at+off) + 1; k < len(s) {
		high = s[k]
	}
	return low, high, narrow
}

// ranks is v[k], and v[k+1] if next, were v sorted, whose order it changes.
func ranks(v []uint64, k int, next bool) (out [2]uint64) {
	nthKey(v, k)
	if out[0] = v[k]; next {
		out[1] = slices.Min(v[k+1:])
	}
	return out
}

// nthKey is nth of words, which are moved without branches: half of those would be foreseen wrongly.
func nthKey(v []uint64, k int) {
	for bad := 3 * bits.Len(uint(len(v))); len(v) > 32 && bad > 0; bad-- {
		p := middle(v[len(v)/8], v[len(v)/2], v[len(v)-1-len(v)/8])
		less := front(v, p)
		switch {
		case k < less:
			v = v[:less]
		case less > 0:
			v, k = v[less:], k-less
		case p == math.MaxUint64: // all are p
			return
		default: // nothing is less than p: those that are equal come first
			if less = front(v, p+1); k < less {
				return
			}
			v, k = v[less:], k-less
		}
	}
	slices.Sort(v)
}

// front moves those of v that are less than p to the front, and says how many they are.
func front(v []uint64, p uint64) int {
	n := 0
	for i, x := range v {
		v[i] = v[n]
		v[n] = x
		_, less := bits.Sub64(x, p, 0)
		n += int(less)
	}
	return n
}

func middle(a, b, c uint64) uint64 { return max(min(a, b), min(max(a, b), c)) }
