// Package md5many computes the MD5 (RFC 1321) of several texts at a time: the steps of one wait for each other and leave most of a
// processor idle, those of different texts do not.
package md5many

import (
	"crypto/md5"
	"encoding"
	"encoding/binary"
)

// Most is how many texts Sums takes together.
const Most = lanes

const (
	lanes = 8
	worth = 3 // texts from which on eight lanes beat one after the other
)

// state is A, B, C and D (section 3.3) of each text.
type state [4][lanes]uint32

var start = [4]uint32{0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476}

// table is T of section 3.4.
var table = [64]uint32{
	0xd76aa478, 0xe8c7b756, 0x242070db, 0xc1bdceee, 0xf57c0faf, 0x4787c62a, 0xa8304613, 0xfd469501,
	0x698098d8, 0x8b44f7af, 0xffff5bb1, 0x895cd7be, 0x6b901122, 0xfd987193, 0xa679438e, 0x49b40821,
	0xf61e2562, 0xc040b340, 0x265e5a51, 0xe9b6c7aa, 0xd62f105d, 0x02441453, 0xd8a1e681, 0xe7d3fbc8,
	0x21e1cde6, 0xc33707d6, 0xf4d50d87, 0x455a14ed, 0xa9e3e905, 0xfcefa3f8, 0x676f02d9, 0x8d2a4c8a,
	0xfffa3942, 0x8771f681, 0x6d9d6122, 0xfde5380c, 0xa4beea44, 0x4bdecfa9, 0xf6bb4b60, 0xbebfbc70,
	0x289b7ec6, 0xeaa127fa, 0xd4ef3085, 0x04881d05, 0xd9d4d039, 0xe6db99e5, 0x1fa27cf8, 0xc4ac5665,
	0xf4292244, 0x432aff97, 0xab9423a7, 0xfc93a039, 0x655b59c3, 0x8f0ccc92, 0xffeff47d, 0x85845dd1,
	0x6fa87e4f, 0xfe2ce6e0, 0xa3014314, 0x4e0811a1, 0xf7537e82, 0xbd3af235, 0x2ad7d2bb, 0xeb86d391,
}

// Sums appends the MD5 of each text to sums, in their order. It is fastest with Most texts of about the same length.
func Sums(sums [][md5.Size]byte, texts ...[]byte) [][md5.Size]byte {
	for ; len(texts) > lanes; texts = texts[lanes:] {
		sums = sumLanes(sums, texts[:lanes])
	}
	return sumLanes(sums, texts)
}

func sumLanes(sums [][md5.Size]byte, texts [][]byte) [][md5.Size]byte {
	s := begin()
	var done [lanes]int // bytes of each text
	for hasLanes {
		var open []int // texts with a whole block to do
		blocks := 0    // of each of them
		for l, b := range texts {
			if n := (len(b) - done[l]) / md5.BlockSize; n > 0 {
				if open = append(open, l); len(open) == 1 || n < blocks {
					blocks = n
				}
			}
		}
		if len(open) < worth {
			break
		}
		var p [lanes]*byte
		for l := range p { // a lane with nothing to do does another's work
			p[l] = &texts[open[0]][done[open[0]]]
		}
		for _, l := range open {
			p[l] = &texts[l][done[l]]
		}
		next := s
		blocksOf(&next, &p, blocks)
		for _, l := range open {
			done[l] += blocks * md5.BlockSize
			for i := range s {
				s[i][l] = next[i][l]
			}
		}
	}
	for l, b := range texts {
		sums = append(sums, finish(b, done[l], [4]uint32{s[0][l], s[1][l], s[2][l], s[3][l]}))
	}
	return sums
}

// finish is the MD5 of text, of which the whole blocks up to done gave s.
func finish(text []byte, done int, s [4]uint32) (sum [md5.Size]byte) {
	h := md5.New()
	at := append(make([]byte, 0, 92), "md5\x01"...) // the hash after so many bytes, as it marshals itself
	for _, v := range s {
		at = binary.BigEndian.AppendUint32(at, v)
	}
	at = binary.BigEndian.AppendUint64(append(at, make([]byte, md5.BlockSize)...), uint64(done))
	if u, ok := h.(encoding.BinaryUnmarshaler); done == 0 || !ok || u.UnmarshalBinary(at) != nil {
		return md5.Sum(text)
	}
	h.Write(text[done:])
	h.Sum(sum[:0])
	return sum
}
