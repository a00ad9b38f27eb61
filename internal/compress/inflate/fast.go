package inflate

import (
	"encoding/binary"
	"unsafe"
)

const (
	fastInput = 64  // fewer bytes than these are left to tail
	inMargin  = 24  // what a turn of the loop may read behind where it begins
	slack     = 512 // what it may write behind where it begins
)

// loop is what decodes symbols while there is room for a whole turn on both sides. Fields in upper half are what a loop changes.
//
// Why it stays within bounds. Input: a turn begins at at <= last = len(in)-inMargin and refills at most three times; each time it reads 8 bytes from at and moves at
// by at most 7, so it reads up to at+21 < len(in). Window: a turn begins at w < full <= len(d.buf)-slack, writes at most four entries of literals (4
// bytes each, of which it keeps up to 3) and a match of up to 258 bytes in steps that write up to 31 too many: 12+4+258+31 < slack. It reads from
// w-distance, distance <= w. Tables: an index into a first table has as many bits as it, and build made the second ones that links lead to.
type loop struct {
	src, win unsafe.Pointer
	first    *[litFirst]entry // of lit, the literals
	lit      *[litSize]entry
	dist     *[distSize]entry
	at, last int
	w, full  int
	bits, n  uint64 // of n, bits 0 to 5 count
	verdict  verdict
}

// fast decodes symbols from in, which has at least fastInput bytes, until few are left, d.buf is full or the block ends, and says how
// many bytes it used. Bits left over are in d.bits.
func (d *Reader) fast(in []byte) (int, verdict) {
	if len(in) < inMargin {
		return 0, goOn
	}
	l := loop{src: unsafe.Pointer(unsafe.SliceData(in)), win: unsafe.Pointer(unsafe.SliceData(d.buf)), first: &d.first, lit: &d.lit, dist: &d.dist, last: len(in) - inMargin,
		w: d.w, full: d.full, bits: d.bits, n: d.nbits}
	if hasAssembly {
		l.assembly()
	} else {
		l.portable()
	}
	l.n &= 63
	l.at -= int(l.n >> 3) // whole bytes that were not used go back
	d.nbits = l.n & 7
	d.bits = l.bits & (1<<d.nbits - 1)
	d.w = l.w
	return l.at, l.verdict
}

func (l *loop) portable() {
	src, win, first, lit, dist := l.src, l.win, l.first, l.lit, l.dist
	at, w, bits, n := l.at, l.w, l.bits, l.n
	v := goOn
	for at <= l.last && w < l.full {
		bits |= binary.LittleEndian.Uint64((*[8]byte)(unsafe.Add(src, at))[:]) << (n & 63)
		at += int(7 - n>>3&7)
		n |= 56
		e := first[bits&(litFirst-1)]
		bits >>= e & 63 // of a length, none and no bits
		n -= uint64(e)
		*(*uint32)(unsafe.Add(win, w)) = e >> 8
		w += int(e >> 6 & 3)
		e = lit[bits&(litFirst-1)]
		if e&literalBits != 0 {
			bits >>= e & 63
			n -= uint64(e)
			*(*uint32)(unsafe.Add(win, w)) = e >> 8
			w += int(e >> 6 & 3)
			e = lit[bits&(litFirst-1)]
			if e&literalBits != 0 {
				bits >>= e & 63
				n -= uint64(e)
				*(*uint32)(unsafe.Add(win, w)) = e >> 8
				w += int(e >> 6 & 3)
				continue
			}
			bits |= binary.LittleEndian.Uint64((*[8]byte)(unsafe.Add(src, at))[:]) << (n & 63)
			at += int(7 - n>>3&7)
			n |= 56
		}
		// at least 46 bits are there, of which a length takes at most 15+5, and a distance that needs no second table 10+13
		if e&special != 0 {
			if e&whichBits == linkWhich {
				bits >>= litRoot
				n -= litRoot
				e = lit[e>>16+entry(bits&(litSecond-1))]
				if e&literalBits != 0 {
					bits >>= e & 63
					n -= uint64(e)
					*(*byte)(unsafe.Add(win, w)) = byte(e >> 8)
					w++
					continue
				}
			}
			if e&special != 0 {
				bits >>= e & 63
				n -= uint64(e)
				if v = badSymbol; e&whichBits == endWhich {
					v = blockEnd
				}
				break
			}
		}
		extra := bits & (1<<(e&63) - 1)
		bits >>= e & 63
		n -= uint64(e)
		length := int(e>>16) + int(extra>>(e>>8&15))
		f := dist[bits&(distFirst-1)]
		if f&special != 0 {
			if f&whichBits == linkWhich {
				bits |= binary.LittleEndian.Uint64((*[8]byte)(unsafe.Add(src, at))[:]) << (n & 63)
				at += int(7 - n>>3&7)
				n |= 56
				bits >>= distRoot
				n -= distRoot
				f = dist[f>>16+entry(bits&(distSecond-1))]
			}
			if f&special != 0 {
				v = badSymbol
				break
			}
		}
		extra = bits & (1<<(f&63) - 1)
		bits >>= f & 63
		n -= uint64(f)
		distance := int(f>>17) + int(extra>>(f>>8&15))
		if distance > w {
			v = badDistance
			break
		}
		to := unsafe.Add(win, w)
		w += length
		if distance < 16 {
			repeat(to, distance, length)
			continue
		}
		from := unsafe.Add(to, -distance)
		*(*[16]byte)(to) = *(*[16]byte)(from)
		for length > 16 {
			to, from = unsafe.Add(to, 16), unsafe.Add(from, 16)
			length -= 16
			*(*[16]byte)(to) = *(*[16]byte)(from)
		}
	}
	l.at, l.w, l.bits, l.n, l.verdict = at, w, bits, n, v
}

// repeat writes length bytes at to, each the one distance (1 to 15) before it. It writes up to 15 bytes more.
func repeat(to unsafe.Pointer, distance, length int) {
	from := unsafe.Add(to, -distance)
	done := 0
	for ; distance < 16 && done < length; distance *= 2 { // what was written is a longer repetition
		*(*[16]byte)(unsafe.Add(to, done)) = *(*[16]byte)(from)
		done += distance
	}
	for ; done < length; done += 16 {
		*(*[16]byte)(unsafe.Add(to, done)) = *(*[16]byte)(unsafe.Add(to, done-distance))
	}
}
