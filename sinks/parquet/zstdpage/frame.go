// Package zstdpage makes zstd frames (RFC 8878) of Parquet pages at a fraction of a general compressor's cost. It knows
// what such a compressor has to search for: a page holds values of one width, so a value is compared with the one before
// it and nothing else, and what differs may be Huffman coded. Every zstd decoder reads the frames.
package zstdpage

import (
	"encoding/binary"

	"github.com/klauspost/compress/huff0"
)

// Method says how much is done to a page.
type Method uint8

const (
	Stored  Method = iota // raw blocks
	Matched               // bytes that the value before has in the same place are left out
	Coded                 // what remains is Huffman coded too
)

// maxBlock is the most a block may hold (RFC 8878, section 3.1.1.2.4).
const maxBlock = 128 << 10

// Encoder holds the buffers. It may be used by one goroutine at a time; no frame depends on the one before.
type Encoder struct {
	huff  huff0.Scratch
	lits  []byte
	seqs  []sequence
	block []byte
	trial []byte // frames made for their size
	// how lengths of literals, offsets and lengths of matches are coded
	ll, of, ml fseTable
	// weighs says that what Huffman codes would save is added up in saves.
	weighs bool
	saves  int
	// repeats says that a block of this frame has made the stride the most recent offset.
	repeats bool
}

// Memory is the bytes of the buffers, about.
func (e *Encoder) Memory() int64 {
	return int64(cap(e.lits)+8*cap(e.seqs)+cap(e.block)+cap(e.trial)) + 64<<10
}

// Append appends a frame whose content is src to dst. Values of stride bytes each begin head bytes into src; stride 0 says
// that they have no common width.
func (e *Encoder) Append(dst, src []byte, head, stride int, m Method) []byte {
	dst = appendHeader(dst, len(src))
	head = min(head, len(src))
	plain := m == Stored || m == Matched && stride == 0
	if plain && head <= longHead || len(src) < 32 {
		return appendStored(dst, src)
	}
	e.repeats = false
	if stride < 1 || stride > maxBlock/4 || stride > len(src)-head {
		stride = 0
	}
	at := 0
	if head > longHead {
		// levels are blocks of their own, which codes make shorter whatever the values are
		dst = e.appendBlocks(dst, src, 0, head, 0, Coded)
		at = head
	}
	if plain {
		return appendStored(dst, src[at:])
	}
	if values := (len(src) - head) / max(stride, 1); stride > 0 && values > 3*openingValues {
		end := head + values*stride // beyond it nothing is known to be the same
		if r := constant(src[head:end], stride); r.n > 0 && stride-r.n < 16 && r.n < 32+minMatch {
			// The opening makes the stride the most recent offset; what follows begins where the run ends.
			open := head + openingValues*stride + r.next
			dst = e.appendBlocks(dst, src, at, open, stride, m)
			at = open
			if e.repeats {
				at += (end - open) / stride * stride
				dst = e.appendUniform(dst, src[open:at], stride, r, m)
			}
		}
	}
	dst = e.appendBlocks(dst, src, at, len(src), stride, m)
	return lastBlock(dst)
}

// longHead is the length from which on levels are worth a block.
const longHead = 1 << 10

// openingValues are enough for their block to be shorter than they are.
const openingValues = 64

// appendBlocks appends src[from:to) as blocks, none of them the last.
func (e *Encoder) appendBlocks(dst, src []byte, from, to, stride int, m Method) []byte {
	for from < to {
		end := min(to, from+maxBlock)
		e.lits, e.seqs = e.lits[:0], e.seqs[:0]
		if stride > 0 {
			e.match(src, from, end, stride)
		} else {
			e.lits = append(e.lits, src[from:end]...)
		}
		if len(e.seqs) == 0 && allSame(src[from:end]) {
			dst = append(appendBlockHeader(dst, blockRLE, end-from), src[from])
		} else {
			dst = e.appendBlock(dst, src[from:end], m, func(b []byte) []byte { return e.appendSequences(b, stride) })
		}
		from = end
	}
	return dst
}

// appendHeader appends the frame's magic number and header: a single segment of n bytes without checksum.
func appendHeader(dst []byte, n int) []byte {
	dst = append(dst, 0x28, 0xB5, 0x2F, 0xFD)
	const single = 1 << 5
	switch {
	case n < 256:
		return append(dst, single, byte(n))
	case n < 256+1<<16:
		return binary.LittleEndian.AppendUint16(append(dst, 1<<6|single), uint16(n-256))
	case n < 1<<32-1:
		return binary.LittleEndian.AppendUint32(append(dst, 2<<6|single), uint32(n))
	}
	return binary.LittleEndian.AppendUint64(append(dst, 3<<6|single), uint64(n))
}

// Kinds of blocks.
const (
	blockRaw        = 0
	blockRLE        = 1
	blockCompressed = 2
)

func appendBlockHeader(dst []byte, kind, n int) []byte {
	h := n<<3 | kind<<1
	return append(dst, byte(h), byte(h>>8), byte(h>>16))
}

func appendStored(dst, src []byte) []byte {
	for len(src) > maxBlock {
		dst = append(appendBlockHeader(dst, blockRaw, maxBlock), src[:maxBlock]...)
		src = src[maxBlock:]
	}
	dst = appendBlockHeader(dst, blockRaw, len(src))
	dst[len(dst)-3] |= 1
	return append(dst, src...)
}

// lastBlock appends an empty block that ends the frame.
func lastBlock(dst []byte) []byte { return append(dst, blockRaw<<1|1, 0, 0) }

// appendBlock appends the block of src, whose literals are e.lits, or src itself where that is no longer.
func (e *Encoder) appendBlock(dst, src []byte, m Method, sequences func([]byte) []byte) []byte {
	if e.weighs && len(e.lits) >= leastCoded {
		e.saves += len(e.lits) - Entropy(e.lits)
	}
	b := sequences(e.appendLiterals(e.block[:0], m))
	e.block = b
	if len(b) >= len(src) {
		return append(appendBlockHeader(dst, blockRaw, len(src)), src...)
	}
	e.repeats = e.repeats || len(e.seqs) > 0
	return append(appendBlockHeader(dst, blockCompressed, len(b)), b...)
}

func allSame(b []byte) bool {
	for _, x := range b {
		if x != b[0] {
			return false
		}
	}
	return true
}

// oneStream is the number of literals from which on they are coded as four streams.
const oneStream = 1 << 10

// appendLiterals appends the literals section (RFC 8878, section 3.1.1.3.1).
func (e *Encoder) appendLiterals(dst []byte, m Method) []byte {
	n := len(e.lits)
	if m == Coded {
		if out := e.huffman(); out != nil {
			const compressed = 2
			switch size := len(out); {
			case n < oneStream:
				h := compressed | n<<4 | size<<14
				dst = append(dst, byte(h), byte(h>>8), byte(h>>16))
			case n < 1<<14:
				dst = binary.LittleEndian.AppendUint32(dst, uint32(compressed|2<<2|n<<4|size<<18))
			default:
				h := uint64(compressed | 3<<2 | n<<4 | size<<22)
				dst = binary.LittleEndian.AppendUint32(dst, uint32(h))
				dst = append(dst, byte(h>>32))
			}
			return append(dst, out...)
		}
	}
	switch {
	case n < 1<<5:
		dst = append(dst, byte(n<<3))
	case n < 1<<12:
		dst = append(dst, byte(1<<2|n<<4), byte(n>>4))
	default:
		dst = append(dst, byte(3<<2|n<<4), byte(n>>4), byte(n>>12))
	}
	return append(dst, e.lits...)
}
