// Package inflate decodes DEFLATE streams (RFC 1951). It takes its input as it comes, checks every code, length and distance, and accepts and
// refuses what compress/flate and zlib do.
package inflate

import (
	"encoding/binary"
	"errors"
	"io"
)

// Faults of a stream.
var (
	ErrBlock    = errors.New("block type or length of a stored block is not valid")
	ErrCode     = errors.New("code lengths of a block are not those of a prefix code")
	ErrSymbol   = errors.New("bits that no code begins with")
	ErrDistance = errors.New("distance reaches back to before the beginning")
)

// Source is what a stream is read from: a *bufio.Reader with a buffer of at least 4 KiB, or what behaves like one.
type Source interface {
	// Peek gives n bytes without taking them, or fewer and an error (io.EOF at the end).
	Peek(n int) ([]byte, error)
	// Discard takes n bytes, of those that Buffered reports.
	Discard(n int) (int, error)
	// Buffered is the number of bytes that Peek gives without reading.
	Buffered() int
}

const (
	history = 32 << 10    // the farthest distance
	segment = 64 << 10    // most bytes decoded in between two moves of the history
	least   = 4 << 10     // bytes decoded at a time, however few are asked for
	direct  = 4 * history // reads of at least so much are decoded in place
	headMax = 1 << 10     // no less than the longest header of a block, of 286+30 code lengths of 14 bits, and a bit buffer
)

// Reader decodes one stream after the other. The zero value is ready for Reset. It allocates nothing but itself (130 KiB).
type Reader struct {
	src   Source
	err   error // what follows win[r:w]
	end   error // what the source ended with
	state state
	final bool   // the block is the last
	left  int    // bytes still to come of a stored block
	bits  uint64 // taken from the source, but not used: fewer than 8, the next one lowest, 0 behind them
	nbits uint64
	buf   []byte          // what is decoded into: win, or what Read was given
	w     int             // buf[:w] is decoded, the history
	full  int             // at most len(buf)-slack: no symbol is begun at w >= full
	r     int             // win[r:w] is not handed out
	fixed bool            // the tables are those of the fixed codes
	first [litFirst]entry // of lit, the literals
	lit   [litSize]entry
	dist  [distSize]entry
	lens  [1 << lensRoot]entry
	win   [history + segment + slack]byte
}

type state uint8

const (
	atHeader state = iota
	inStored
	inCodes
	atEnd
)

// Reset begins a new stream, whose first byte is the next one of src.
func (d *Reader) Reset(src Source) {
	d.src, d.err, d.end, d.state, d.final, d.left, d.bits, d.nbits = src, nil, nil, atHeader, false, 0, 0, 0
	d.buf, d.r, d.w = d.win[:], 0, 0
}

// Read decodes into p. It is io.EOF at the end of the stream, when exactly the stream's bytes are taken from the source, and
// io.ErrUnexpectedEOF if the source ends before. Bytes before a fault are handed out before the fault; an error of the source is
// handed out unchanged. Large reads (128 KiB and more) save copying.
func (d *Reader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if d.r == d.w && d.err == nil {
		if d.w > segment { // all of it is handed out
			copy(d.win[:history], d.win[d.w-history:d.w])
			d.r, d.w = history, history
		}
		if len(p) >= direct {
			return d.direct(p)
		}
		d.full = min(d.w+max(len(p), least), history+segment)
		d.err = d.fill()
	}
	if d.r == d.w {
		return 0, d.err
	}
	n := copy(p, d.win[d.r:d.w])
	d.r += n
	return n, nil
}

// direct decodes most of what it gives in p itself: all but as much as the farthest match behind it may reach back to.
func (d *Reader) direct(p []byte) (int, error) {
	d.full = d.w + history
	d.err = d.fill()
	n := copy(p, d.win[d.r:d.w])
	d.r = d.w
	if d.err != nil {
		if n == 0 {
			return 0, d.err
		}
		return n, nil
	}
	d.buf, d.w, d.full = p, n, len(p)-slack
	d.err = d.fill()
	n = d.w
	copy(d.win[:history], p[n-history:n])
	d.buf, d.r, d.w = d.win[:], history, history
	return n, nil
}

// fill decodes until buf is full or there is an error, io.EOF at the end of the stream.
func (d *Reader) fill() (err error) {
	for d.w < d.full && err == nil {
		switch d.state {
		case atHeader:
			err = d.header()
		case inStored:
			err = d.stored()
		case inCodes:
			err = d.codes()
		default:
			err = io.EOF
		}
	}
	return err
}

// input is at least n bytes of input, or fewer at its end.
func (d *Reader) input(n int) []byte {
	have := d.src.Buffered()
	if have < n && d.end == nil {
		_, d.end = d.src.Peek(n)
		have = d.src.Buffered()
	}
	b, err := d.src.Peek(have) // what is buffered gives no error
	if err != nil {
		d.end = err
	}
	return b
}

// take takes the first n bytes of what input gave.
func (d *Reader) take(n int) {
	if _, err := d.src.Discard(n); err != nil { // they are buffered
		d.end = err
	}
}

// cut is the error of a stream that needs more than there is.
func (d *Reader) cut() error {
	d.take(d.src.Buffered())
	if d.end != nil && d.end != io.EOF {
		return d.end
	}
	return io.ErrUnexpectedEOF
}

// endBlock goes on after a block.
func (d *Reader) endBlock() {
	if d.state = atHeader; d.final {
		d.state = atEnd
		d.bits, d.nbits = 0, 0 // the rest of the last byte means nothing
	}
}

// bitReader takes bits from a header. Behind the input it takes zeros, and short says that it did.
type bitReader struct {
	in   []byte
	at   int
	bits uint64
	n    uint64
}

// peek is the next bits, at least 32 of them.
func (b *bitReader) peek() uint64 {
	for b.n < 32 && b.at < len(b.in) {
		b.bits |= uint64(b.in[b.at]) << b.n
		b.n += 8
		b.at++
	}
	return b.bits
}

func (b *bitReader) skip(n uint64) {
	if n > b.n { // b.n is then past every count of bits, and stays so
		b.at, b.n = len(b.in)+1, 1<<62
	}
	b.bits >>= n
	b.n -= n
}

func (b *bitReader) take(n uint64) uint64 {
	v := b.peek() & (1<<n - 1)
	b.skip(n)
	return v
}

// short reports whether bits were taken that are not there.
func (b *bitReader) short() bool { return b.at > len(b.in) }

// header reads what stands before a block's content (sections 3.2.3, 3.2.4, 3.2.7).
func (d *Reader) header() error {
	b := bitReader{in: d.input(headMax), bits: d.bits, n: d.nbits}
	d.final = b.take(1) == 1
	kind := b.take(2)
	err := error(nil)
	switch kind {
	case 0:
		b.skip(b.n & 7)
		size := uint32(b.take(32))
		if !b.short() && uint16(size) != ^uint16(size>>16) {
			err = ErrBlock
		}
		d.state, d.left = inStored, int(uint16(size))
	case 1:
		d.state = inCodes
		d.fixedCodes()
	case 2:
		d.state = inCodes
		err = d.dynamicCodes(&b)
	default:
		err = ErrBlock
	}
	if b.short() { // what else is wrong comes of the zeros that were read
		return d.cut()
	}
	d.take(b.at - int(b.n/8))
	d.nbits = b.n & 7
	d.bits = b.bits & (1<<d.nbits - 1)
	return err
}

// fixedCodes makes the tables of section 3.2.6.
func (d *Reader) fixedCodes() {
	if d.fixed {
		return
	}
	var lens [numLit + numDist]uint8
	for s := range lens {
		switch {
		case s < 144:
			lens[s] = 8
		case s < 256:
			lens[s] = 9
		case s < 280:
			lens[s] = 7
		case s < numLit:
			lens[s] = 8
		default:
			lens[s] = 5
		}
	}
	build(d.lit[:], litRoot, lens[:numLit], litSymbols[:]) // both are whole codes
	packLiterals(&d.first, &d.lit)
	build(d.dist[:], distRoot, lens[numLit:], distSymbols[:])
	d.fixed = true
}

// lensOrder is the order of the code lengths of the code of code lengths.
var lensOrder = [numLens]uint8{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15}

// dynamicCodes reads the codes of a block and makes their tables. If b comes out short, its error means nothing.
func (d *Reader) dynamicCodes(b *bitReader) error {
	nlit, ndist, nlens := int(b.take(5))+257, int(b.take(5))+1, int(b.take(4))+4
	if nlit > maxLit || ndist > maxDist {
		return ErrCode
	}
	var clens [numLens]uint8
	for _, s := range lensOrder[:nlens] {
		clens[s] = uint8(b.take(3))
	}
	if !build(d.lens[:], lensRoot, clens[:], lensSymbols[:]) {
		return ErrCode
	}
	var lens [maxLit + maxDist]uint8
	for i := 0; i < nlit+ndist; {
		e := d.lens[b.peek()&(1<<lensRoot-1)]
		if e&literalBits == 0 || b.short() {
			return ErrCode
		}
		b.skip(uint64(e & 63))
		var value uint8
		run := 0
		switch s := uint8(e >> 8); s {
		case 16:
			if i == 0 {
				return ErrCode
			}
			value, run = lens[i-1], 3+int(b.take(2))
		case 17:
			run = 3 + int(b.take(3))
		case 18:
			run = 11 + int(b.take(7))
		default:
			value, run = s, 1
		}
		if run > nlit+ndist-i {
			return ErrCode
		}
		for ; run > 0; run-- {
			lens[i] = value
			i++
		}
	}
	if lens[256] == 0 { // a block that cannot end
		return ErrCode
	}
	d.fixed = false
	if !build(d.lit[:], litRoot, lens[:nlit], litSymbols[:]) || !build(d.dist[:], distRoot, lens[nlit:nlit+ndist], distSymbols[:]) {
		return ErrCode
	}
	packLiterals(&d.first, &d.lit)
	return nil
}

// stored copies bytes of a stored block.
func (d *Reader) stored() error {
	for d.left > 0 {
		n := min(d.left, d.full-d.w)
		if n == 0 {
			return nil
		}
		b := d.input(1)
		if len(b) == 0 {
			return d.cut()
		}
		n = copy(d.buf[d.w:d.w+n], b)
		d.take(n)
		d.w += n
		d.left -= n
	}
	d.endBlock()
	return nil
}

// codes decodes symbols until buf is full, the block ends or there is an error.
func (d *Reader) codes() error {
	for d.w < d.full {
		in := d.input(fastInput)
		if len(in) < fastInput {
			return d.tail(in)
		}
		used, v := d.fast(in)
		d.take(used)
		if v != goOn {
			return d.after(v)
		}
	}
	return nil
}

// verdict is why a loop over symbols ended.
type verdict uint8

const (
	goOn        verdict = iota // it may go on once there is more input or more room
	blockEnd                   // the end of the block
	badSymbol                  // bits without a meaning
	badDistance                // a distance to before the beginning
)

// after draws the conclusion from a verdict.
func (d *Reader) after(v verdict) error {
	switch v {
	case blockEnd:
		d.endBlock()
	case badSymbol:
		return ErrSymbol
	case badDistance:
		return ErrDistance
	}
	return nil
}

// tail decodes the last symbols of the input, which are all of in, and takes them.
func (d *Reader) tail(in []byte) error {
	b := bitReader{in: in, bits: d.bits, n: d.nbits}
	// one symbol: a code, extra bits, a code, extra bits
	next := func(table []entry, root uint64) (entry, uint64) {
		e := table[b.peek()&(1<<root-1)]
		if e&(literalBits|special|whichBits) == link {
			b.skip(root)
			e = table[uint64(e>>16)+b.peek()&(1<<(maxCode-root)-1)]
		}
		n := uint64(e & 63)
		was := b.peek()
		if e&(literalBits|special) == special && b.n < maxCode && b.at >= len(in) && e&whichBits == 0 {
			b.skip(maxCode) // it may be the beginning of a code
		} else {
			b.skip(n)
		}
		return e, was & (1<<n - 1)
	}
	v := goOn
	for d.w < d.full && v == goOn {
		e, extra := next(d.lit[:], litRoot)
		switch {
		case b.short():
			return d.cut()
		case e&literalBits != 0:
			n := int(e >> 6 & 3)
			var lits [4]byte
			binary.LittleEndian.PutUint32(lits[:], e>>8)
			d.w += copy(d.buf[d.w:d.w+n], lits[:])
			continue
		case e&(special|whichBits) == endOfBlock:
			v = blockEnd
			continue
		case e&special != 0:
			v = badSymbol
			continue
		}
		length := int(e>>16) + int(extra>>(e>>8&15))
		f, extra := next(d.dist[:], distRoot)
		switch {
		case b.short():
			return d.cut()
		case f&special != 0:
			v = badSymbol
			continue
		}
		distance := int(f>>17) + int(extra>>(f>>8&15))
		if distance > d.w {
			v = badDistance
			continue
		}
		for range length {
			d.buf[d.w] = d.buf[d.w-distance]
			d.w++
		}
	}
	d.take(b.at - int(b.n/8))
	d.nbits = b.n & 7
	d.bits = b.bits & (1<<d.nbits - 1)
	return d.after(v)
}
