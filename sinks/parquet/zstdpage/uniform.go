package zstdpage

import (
	"encoding/binary"
	"slices"
)

// maxStride is the longest value that is looked at for bytes that never change.
const maxStride = 64

// run is a stretch of bytes that are the same in all values. It may go on from the end of a value into the next one.
type run struct {
	n    int // how many
	next int // the byte of a value that follows the last of them
}

// constant finds the longest run of the values of src; one without bytes if there is none that is worth a match, or another
// one beside it that is, too, or a byte next to it that is nearly always the same.
func constant(src []byte, stride int) run {
	var differs [maxStride]bool
	switch {
	case stride == 4:
		var x uint64
		i := 4
		for ; i+8 <= len(src); i += 8 {
			x |= differ(src, i, 4)
		}
		for ; i < len(src); i++ { // one value, if there is an even number of them
			x |= uint64(src[i]^src[i-4]) << (i % 4 * 8)
		}
		x |= x >> 32
		for k := range 4 {
			differs[k] = x>>(8*k)&0xFF != 0
		}
	case stride >= 8 && stride <= maxStride:
		for at := 0; at < stride; at += 8 {
			at := min(at, stride-8)
			x := differences(src[at:], stride)
			for k := range 8 {
				differs[at+k] = x>>(8*k)&0xFF != 0
			}
		}
	default:
		return run{}
	}
	var best run
	same := 0
	for first := range stride {
		if !differs[first] {
			same++
		}
		n := 0
		for n < stride && !differs[(first+n)%stride] {
			n++
		}
		if n > best.n {
			best = run{n, (first + n) % stride}
		}
	}
	if best.n < minMatch || best.n == stride || same-best.n >= minMatch {
		return run{}
	}
	before := best.next - best.n - 1
	if rare(src, stride, best.next) || rare(src, stride, (before+stride)%stride) {
		return run{} // a match of each length takes less than that byte of every value
	}
	return best
}

// rare says whether byte k changes in few of a thousand values that are spread over src, as the upper bytes of a slow clock do.
func rare(src []byte, stride, k int) bool {
	values := len(src) / stride
	step := max(1, values/1000)
	changes, n := 0, 0
	for v := step; v < values; v += step {
		at := v*stride + k
		if src[at] != src[at-stride] {
			changes++
		}
		n++
	}
	return changes < n/8
}

// differences is where the first eight bytes of values ever differ from those of the value before.
func differences(src []byte, stride int) uint64 {
	var x uint64
	for i := stride; i+8 <= len(src); {
		for stop := min(i+256*stride, len(src)-7); i < stop; i += stride {
			x |= differ(src, i, stride)
		}
		if zeroBytes(x) == 0 {
			break // they all do
		}
	}
	return x
}

// appendUniform appends src, which follows a run and is whole values, as blocks in which each value is its bytes outside of
// the run and a match of the run: their lengths and offsets take no bits at all.
func (e *Encoder) appendUniform(dst, src []byte, stride int, r run, m Method) []byte {
	lit := stride - r.n
	for len(src) > 0 {
		n := min(len(src), maxBlock/stride*stride)
		e.lits = gather(e.lits[:0], src[:n], stride, lit)
		dst = e.appendBlock(dst, src[:n], m, func(b []byte) []byte {
			b = appendCount(b, n/stride)
			return append(b, modeRLE<<6|modeRLE<<4|modeRLE<<2, byte(lit), 0, byte(r.n-minMatch), 1)
		})
		src = src[n:]
	}
	return dst
}

// gather appends the first n bytes of each value.
func gather(dst, src []byte, stride, n int) []byte {
	values := len(src) / stride
	at := len(dst)
	dst = slices.Grow(dst, values*n+16)
	out := dst[at : at+values*n+16]
	k := 0
	i := 0
	if n <= 8 {
		for ; i+8 <= len(src); i += stride {
			binary.LittleEndian.PutUint64(out[k:], binary.LittleEndian.Uint64(src[i:]))
			k += n
		}
	} else {
		for ; i+16 <= len(src); i += stride {
			binary.LittleEndian.PutUint64(out[k:], binary.LittleEndian.Uint64(src[i:]))
			binary.LittleEndian.PutUint64(out[k+8:], binary.LittleEndian.Uint64(src[i+8:]))
			k += n
		}
	}
	for ; i < len(src); i += stride {
		k += copy(out[k:], src[i:i+n])
	}
	return dst[:at+k]
}
