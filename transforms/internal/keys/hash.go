package keys

import (
	"encoding/binary"
	"math/bits"
)

// Constants with about as many ones as zeros; the construction is that of wyhash: multiply to 128 bits and fold.
const (
	k0 = 0x9E3779B97F4A7C15
	k1 = 0xD6E8FEB86659FD93
	k2 = 0xA0761D6478BD642F
	k3 = 0xE7037ED1A0B428DB
)

func fold(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a, b)
	return hi ^ lo
}

// HashWord is the hash of a tuple that is one integer, without its sign bits above the type's width.
func HashWord(w uint64) uint64 { return hashWord(w) }

func hashWord(w0 uint64) uint64      { return fold(fold(w0^k0, k1)^k2, k3) }
func hashWords(w0, w1 uint64) uint64 { return fold(fold(w0^k0, k1)^w1^k2, k3) }

// hashAll hashes the words of a batch; w1 may be nil, which is all zero.
func hashAll(dst, w0, w1 []uint64) {
	dst = dst[:len(w0)]
	if w1 == nil {
		for i, w := range w0 {
			dst[i] = hashWord(w)
		}
		return
	}
	w1 = w1[:len(w0)]
	for i, w := range w0 {
		dst[i] = hashWords(w, w1[i])
	}
}

// HashBytes is a hash of p that never changes.
func HashBytes(p []byte) uint64 { return hashBytes(p) }

func hashBytes(p []byte) uint64 {
	n := uint64(len(p))
	seed := n ^ k0
	for len(p) > 16 {
		seed = fold(binary.LittleEndian.Uint64(p)^k1, binary.LittleEndian.Uint64(p[8:])^seed)
		p = p[16:]
	}
	var a, b uint64
	switch m := len(p); {
	case m >= 8:
		a, b = binary.LittleEndian.Uint64(p), binary.LittleEndian.Uint64(p[m-8:])
	case m >= 4:
		a, b = uint64(binary.LittleEndian.Uint32(p)), uint64(binary.LittleEndian.Uint32(p[m-4:]))
	case m > 0:
		a = uint64(p[0])<<16 | uint64(p[m>>1])<<8 | uint64(p[m-1])
	}
	return fold(k2^n, fold(a^k1, b^seed))
}
