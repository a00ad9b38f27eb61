// Package pack keeps rows of 64-bit words in few bytes, and gives them back bit for bit. Of each column of a batch of rows it stores the
// bits that are not the same in all rows; columns of floats that are decimal numbers of a few digits (12.34) it stores as integers.
//
// A batch is self-contained: the number of rows, a head for each column, then column after column with a fixed number of bytes a row.
package pack

import (
	"encoding/binary"
	"math"
	"math/bits"
)

const (
	headBytes   = 4  // rows
	columnBytes = 18 // base, mask, width, scale
	// Slack is the bytes behind a batch that packing overwrites and unpacking reads: words are moved eight bytes at a time.
	Slack = 8
	// retry is the batches after which a column of floats that were no decimals is looked at again.
	retry = 16
)

// powers are those that decimals are multiplied by; scale s is powers[s-1].
var powers = [...]float64{1, 10, 100, 1000, 10_000, 100_000, 1_000_000}

// column is how one column of a batch is stored: its words XOR base, of which only the bits under mask are kept. With a scale it is of
// floats, which are integers divided by the power; what is kept is the integers less base.
type column struct {
	base, mask uint64
	width      int // bytes kept of a word
	scale      int // 0 is none
}

// Packer packs batches of rows of one kind. It is used by one goroutine at a time.
type Packer struct {
	words  int
	floats []bool
	rows   []uint64 // the batch, borrowed
	cols   []column
	ints   [][]uint64 // of columns with a scale
	scale  []int      // that served the column last
	skip   []int      // batches of the column still not to be looked at for decimals
	row    int        // bytes of a row
}

// NewPacker packs rows of len(floats) words, of which those marked are float64s.
func NewPacker(floats []bool) *Packer {
	w := len(floats)
	return &Packer{words: w, floats: floats, cols: make([]column, w), ints: make([][]uint64, w), scale: make([]int, w), skip: make([]int, w)}
}

// Load takes n rows, one after the other, to be packed by Append; it borrows them until then.
func (p *Packer) Load(rows []uint64, n int) {
	p.rows, p.row = rows[:n*p.words], 0
	for k := range p.cols {
		if !p.floats[k] || !p.decimals(k) {
			p.cols[k] = p.plan(k)
		}
		p.row += p.cols[k].width
	}
}

// plan finds the bits in which the words of a column differ.
func (p *Packer) plan(k int) (c column) {
	if k >= len(p.rows) {
		return c
	}
	c.base = p.rows[k]
	for i := k; i < len(p.rows); i += p.words {
		c.mask |= p.rows[i] ^ c.base
	}
	if !gathers && c.mask != 0 { // all from the least bit to the greatest
		c.mask = math.MaxUint64 >> bits.LeadingZeros64(c.mask) &^ (1<<bits.TrailingZeros64(c.mask) - 1)
	}
	c.width = (bits.OnesCount64(c.mask) + 7) / 8
	return c
}

// decimals plans column k as decimals, if it can be.
func (p *Packer) decimals(k int) bool {
	if p.skip[k] > 0 {
		p.skip[k]--
		return false
	}
	p.ints[k] = resize(p.ints[k], len(p.rows)/p.words)
	for i := range len(powers) + 1 {
		scale := i
		if i == 0 {
			scale = p.scale[k] // the one that served last comes first
		}
		if scale == 0 {
			continue
		}
		least, most, ok := toInts(p.ints[k], p.rows, k, p.words, powers[scale-1])
		if !ok {
			continue
		}
		p.scale[k] = scale
		p.cols[k] = column{base: uint64(least), mask: math.MaxUint64, width: (bits.Len64(uint64(most-least)) + 7) / 8, scale: scale}
		return true
	}
	p.skip[k] = retry
	return false
}

// toInts multiplies the floats of column k of rows by a power of ten and gives the least and the greatest result; false if the results,
// rounded and divided again, are not the same floats bit for bit.
func toInts(dst, rows []uint64, k, words int, power float64) (least, most int64, ok bool) {
	// A float below 2^51 added to round has no bits left for a fraction, and the whole number in its low bits. Of greater ones, of
	// infinities and NaNs the sum is so far away from round that the difference of the bits is out of bounds.
	const round, bound = 3 << 51, 1 << 51
	least, most = bound, -bound
	at := k
	for i := range dst {
		x := rows[at]
		at += words
		sum := math.Float64frombits(x)*power + round
		if math.Float64bits((sum-round)/power) != x {
			return 0, 0, false
		}
		n := int64(math.Float64bits(sum) - 0x4338000000000000)
		dst[i] = uint64(n)
		least, most = min(least, n), max(most, n)
	}
	return least, most, len(dst) > 0 && least > -bound && most < bound
}

// Fit is how many of n loaded rows a batch in space bytes can hold.
func (p *Packer) Fit(space, n int) int {
	space -= headBytes + columnBytes*p.words + Slack
	if space < 0 {
		return 0
	}
	if p.row == 0 {
		return n
	}
	return min(n, space/p.row)
}

// Append packs loaded rows lo … hi-1 as a batch behind dst, which must have the room that Fit was told.
func (p *Packer) Append(dst []byte, lo, hi int) []byte {
	n := hi - lo
	dst = binary.LittleEndian.AppendUint32(dst, uint32(n))
	for _, c := range p.cols {
		dst = binary.LittleEndian.AppendUint64(dst, c.base)
		dst = binary.LittleEndian.AppendUint64(dst, c.mask)
		dst = append(dst, uint8(c.width), uint8(c.scale))
	}
	for k, c := range p.cols {
		at := len(dst)
		dst = dst[:at+n*c.width]
		if c.width > 0 && n > 0 {
			p.put(dst[at:at+n*c.width+Slack], k, lo, hi)
		}
	}
	return dst
}

func (p *Packer) put(dst []byte, k, lo, hi int) {
	c := p.cols[k]
	if c.scale > 0 {
		at := 0
		for _, x := range p.ints[k][lo:hi] {
			binary.LittleEndian.PutUint64(dst[at:], x-c.base)
			at += c.width
		}
		return
	}
	rows := p.rows[lo*p.words+k : (hi-1)*p.words+k+1]
	if gathers {
		pextWords(&dst[0], &rows[0], hi-lo, p.words, c.width, c.base, c.mask)
		return
	}
	shift := bits.TrailingZeros64(c.mask)
	for i := range hi - lo {
		binary.LittleEndian.PutUint64(dst[i*c.width:], (rows[i*p.words]^c.base)&c.mask>>shift)
	}
}

// Reader unpacks batches into memory of its own.
type Reader struct {
	// Cols are the columns of the batch last read, until the next one is.
	Cols [][]uint64
}

// Next reads the batch of words columns that b begins with and gives its rows and what follows it; b has Slack bytes of room behind it.
func (r *Reader) Next(b []byte, words int) (n int, rest []byte) {
	n = int(binary.LittleEndian.Uint32(b))
	head := b[headBytes:]
	at := headBytes + words*columnBytes
	for len(r.Cols) < words {
		r.Cols = append(r.Cols, nil)
	}
	r.Cols = r.Cols[:words]
	for k := range words {
		h := head[k*columnBytes:]
		c := column{base: binary.LittleEndian.Uint64(h), mask: binary.LittleEndian.Uint64(h[8:]), width: int(h[16]), scale: int(h[17])}
		r.Cols[k] = resize(r.Cols[k], n)
		if n > 0 {
			get(r.Cols[k], b[at:at+n*c.width+Slack], c)
		}
		at += n * c.width
	}
	return n, b[at:]
}

func get(dst []uint64, b []byte, c column) {
	if c.scale > 0 {
		power, mask, at := powers[c.scale-1], uint64(1)<<(8*c.width)-1, 0 // at most 7 bytes
		for i := range dst {
			dst[i] = math.Float64bits(float64(int64(binary.LittleEndian.Uint64(b[at:])&mask+c.base)) / power)
			at += c.width
		}
		return
	}
	if c.width == 0 {
		for i := range dst {
			dst[i] = c.base
		}
		return
	}
	if gathers {
		pdepWords(&dst[0], &b[0], len(dst), c.width, c.base, c.mask)
		return
	}
	shift := bits.TrailingZeros64(c.mask)
	for i := range dst {
		dst[i] = binary.LittleEndian.Uint64(b[i*c.width:])<<shift&c.mask ^ c.base
	}
}

func resize(s []uint64, n int) []uint64 {
	if cap(s) < n {
		return make([]uint64, n, n+n/4)
	}
	return s[:n]
}
