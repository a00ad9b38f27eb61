package encoding

import (
	"encoding/binary"
	"fmt"
)

// unpack reads len(dst) values of width bits from bit on; the caller has checked that b holds them. Eight values are taken
// from one, two or four words, whichever hold them whole.
func unpack(dst []uint32, b []byte, bit int, width uint) {
	if width == 0 {
		clear(dst)
		return
	}
	i, w, mask := 0, int(width), uint64(1)<<width-1
	for ; i < len(dst) && bit&7 != 0; i++ {
		dst[i] = uint32(tail64(b, bit>>3) >> (bit & 7) & mask)
		bit += w
	}
	at := bit >> 3
	switch {
	case width <= 8:
		s := width & 63
		for ; i+8 <= len(dst) && at+8 <= len(b); i += 8 {
			d := dst[i : i+8 : i+8]
			x := binary.LittleEndian.Uint64(b[at:])
			d[0] = uint32(x & mask)
			d[1] = uint32(x >> s & mask)
			d[2] = uint32(x >> (2 * s & 63) & mask)
			d[3] = uint32(x >> (3 * s & 63) & mask)
			d[4] = uint32(x >> (4 * s & 63) & mask)
			d[5] = uint32(x >> (5 * s & 63) & mask)
			d[6] = uint32(x >> (6 * s & 63) & mask)
			d[7] = uint32(x >> (7 * s & 63) & mask)
			at += w
		}
	case width <= 16:
		s, half, odd := width&63, w/2, 4*width&7
		for ; i+8 <= len(dst) && at+half+8 <= len(b); i += 8 {
			d := dst[i : i+8 : i+8]
			x, y := binary.LittleEndian.Uint64(b[at:]), binary.LittleEndian.Uint64(b[at+half:])>>odd
			d[0] = uint32(x & mask)
			d[1] = uint32(x >> s & mask)
			d[2] = uint32(x >> (2 * s & 63) & mask)
			d[3] = uint32(x >> (3 * s & 63) & mask)
			d[4] = uint32(y & mask)
			d[5] = uint32(y >> s & mask)
			d[6] = uint32(y >> (2 * s & 63) & mask)
			d[7] = uint32(y >> (3 * s & 63) & mask)
			at += w
		}
	case width <= 28:
		s := width & 63
		for ; i+8 <= len(dst) && at+w+8 <= len(b); i += 8 {
			d, p := dst[i:i+8:i+8], b[at:at+w+8]
			for k := range 4 {
				pair := 2 * k * w
				x := binary.LittleEndian.Uint64(p[pair>>3:]) >> (pair & 7)
				d[2*k] = uint32(x & mask)
				d[2*k+1] = uint32(x >> s & mask)
			}
			at += w
		}
	}
	bit = at << 3
	for ; i < len(dst); i++ {
		at := bit >> 3
		var x uint64
		if at+8 <= len(b) {
			x = binary.LittleEndian.Uint64(b[at:])
		} else {
			x = tail64(b, at)
		}
		dst[i] = uint32(x >> (bit & 7) & mask)
		bit += w
	}
}

// fill sets all of dst to v.
func fill(dst []uint8, v uint8) {
	if v == 0 || len(dst) == 0 {
		clear(dst)
		return
	}
	dst[0] = v
	for n := 1; n < len(dst); n *= 2 {
		copy(dst[n:], dst[:n])
	}
}

// Gather fills dst with the values of dict that the next indexes of r name. An index beyond dict is an error.
func Gather[T any](r *RLE, dst, dict []T) error {
	for len(dst) > 0 {
		if r.left == 0 {
			if err := r.run(); err != nil {
				return err
			}
			continue
		}
		n := min(r.left, len(dst))
		if r.packed {
			if err := gatherRun(dst[:n], dict, r.b, r.bit, r.width); err != nil {
				return err
			}
			r.bit += n * int(r.width)
		} else {
			if uint(r.value) >= uint(len(dict)) {
				return IndexError(r.value, len(dict))
			}
			v := dict[r.value]
			for i := range dst[:n] {
				dst[i] = v
			}
		}
		r.left -= n
		dst = dst[n:]
	}
	return nil
}

// gatherRun looks up the packed indexes from bit on.
func gatherRun[T any](dst, dict []T, b []byte, bit int, width uint) error {
	var tmp [64]uint32
	for len(dst) > 0 {
		k := gatherWords(dst, dict, b, bit, width)
		if dst = dst[k:]; len(dst) == 0 {
			return nil
		}
		bit += k * int(width)
		// up to where whole words begin, or what is behind them
		lead := len(tmp)
		if bit&7 != 0 {
			for lead = 1; (bit+lead*int(width))&7 != 0; lead++ { // runs begin at a byte: so do their eighth values
			}
		}
		idx := tmp[:min(len(dst), lead)]
		unpack(idx, b, bit, width)
		for j, x := range idx {
			if uint(x) >= uint(len(dict)) {
				return IndexError(x, len(dict))
			}
			dst[j] = dict[x]
		}
		bit += len(idx) * int(width)
		dst = dst[len(idx):]
	}
	return nil
}

// IndexError is the error for index x into a dictionary of n values.
func IndexError(x uint32, n int) error {
	return fmt.Errorf("dictionary index %d in a dictionary of %d values", x, n)
}

// gatherWords looks up packed indexes as long as they lie in whole words from bit on and in dict, and returns how many.
func gatherWords[T any](dst, dict []T, b []byte, bit int, width uint) int {
	i, w, s, mask, n := 0, int(width), width&63, uint64(1)<<width-1, uint64(len(dict))
	if bit&7 != 0 || width == 0 {
		return 0
	}
	at := bit >> 3
	switch {
	case width <= 8:
		for ; i+8 <= len(dst) && at+8 <= len(b); i += 8 {
			d := dst[i : i+8 : i+8]
			x := binary.LittleEndian.Uint64(b[at:])
			x0, x1, x2, x3 := x&mask, x>>s&mask, x>>(2*s&63)&mask, x>>(3*s&63)&mask
			x4, x5, x6, x7 := x>>(4*s&63)&mask, x>>(5*s&63)&mask, x>>(6*s&63)&mask, x>>(7*s&63)&mask
			if x0 >= n || x1 >= n || x2 >= n || x3 >= n || x4 >= n || x5 >= n || x6 >= n || x7 >= n {
				return i
			}
			d[0], d[1], d[2], d[3] = dict[x0], dict[x1], dict[x2], dict[x3]
			d[4], d[5], d[6], d[7] = dict[x4], dict[x5], dict[x6], dict[x7]
			at += w
		}
	case width <= 16:
		half, odd := w/2, 4*width&7
		for ; i+8 <= len(dst) && at+half+8 <= len(b); i += 8 {
			d := dst[i : i+8 : i+8]
			x, y := binary.LittleEndian.Uint64(b[at:]), binary.LittleEndian.Uint64(b[at+half:])>>odd
			x0, x1, x2, x3 := x&mask, x>>s&mask, x>>(2*s&63)&mask, x>>(3*s&63)&mask
			x4, x5, x6, x7 := y&mask, y>>s&mask, y>>(2*s&63)&mask, y>>(3*s&63)&mask
			if x0 >= n || x1 >= n || x2 >= n || x3 >= n || x4 >= n || x5 >= n || x6 >= n || x7 >= n {
				return i
			}
			d[0], d[1], d[2], d[3] = dict[x0], dict[x1], dict[x2], dict[x3]
			d[4], d[5], d[6], d[7] = dict[x4], dict[x5], dict[x6], dict[x7]
			at += w
		}
	}
	return i
}
