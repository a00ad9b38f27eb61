package keys

import (
	"encoding/binary"
	"errors"
	"math"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/bitutil"

	"github.com/sluice-data/sluice/transforms/internal/col"
)

// Rows is a run of encoded tuples: words if Packed, else byte rows. It is valid until its encoder is used again.
type Rows struct {
	N      int
	Packed bool
	W0, W1 []uint64 // W1 is nil while every second word is zero
	hash   []uint64
	hashed bool     // hash is theirs
	own    []uint64 // memory for hash, which may be lent
	Off    []int    // byte row i is Bytes[Off[i]:Off[i+1]]
	Bytes  []byte
}

// Hashes are the tuples' hashes. Those of words are made when they are first asked for: a table may do without.
func (r *Rows) Hashes() []uint64 {
	if !r.hashed {
		hashAll(r.room(r.N), r.W0, r.W1)
	}
	return r.hash
}

// room makes place for n hashes, which the caller writes.
func (r *Rows) room(n int) []uint64 {
	r.own = resize(r.own, n)
	r.hash, r.hashed = r.own, true
	return r.hash
}

// SetWords makes r the packed tuples w0, w1 (nil is all zero), which it lends from the caller.
func (r *Rows) SetWords(w0, w1 []uint64) {
	r.N, r.Packed, r.W0, r.W1, r.hashed = len(w0), true, w0, w1, false
}

// SetBytes makes r the byte rows with the given ends in b and their hashes, all lent from the caller.
func (r *Rows) SetBytes(b []byte, ends []int, hash []uint64) {
	r.N, r.Packed, r.W0, r.W1 = len(ends), false, nil, nil
	r.Off, r.Bytes, r.hash, r.hashed = append(append(r.Off[:0], 0), ends...), b, hash, true
}

// Take makes r the rows idx of src.
func (r *Rows) Take(src *Rows, idx []int32) {
	n := len(idx)
	r.N, r.Packed, r.hashed = n, src.Packed, src.hashed
	if src.hashed {
		hash := r.room(n)
		for i, x := range idx {
			hash[i] = src.hash[x]
		}
	}
	if !src.Packed {
		r.W0, r.W1, r.Bytes, r.Off = nil, nil, r.Bytes[:0], append(r.Off[:0], 0)
		for _, x := range idx {
			r.Bytes = append(r.Bytes, src.Bytes[src.Off[x]:src.Off[x+1]]...)
			r.Off = append(r.Off, len(r.Bytes))
		}
		return
	}
	r.W0 = make([]uint64, n)
	for i, x := range idx {
		r.W0[i] = src.W0[x]
	}
	r.W1 = nil
	if src.W1 != nil {
		r.W1 = make([]uint64, n)
		for i, x := range idx {
			r.W1[i] = src.W1[x]
		}
	}
}

// Encoder encodes batches; one lane owns it.
type Encoder struct {
	plan   *Plan
	rows   Rows
	w0, w1 []uint64
	long   []uint8 // rows that do not fit words
	cur    []int
	wide   bool // byte rows from now on
}

// NewEncoder makes an encoder.
func (p *Plan) NewEncoder() *Encoder { return &Encoder{plan: p, wide: !p.words} }

const nullLen = 0xFF // length byte of a null string in a word

// Encode encodes n rows of cols. Once a row did not fit words all later batches are byte rows.
func (e *Encoder) Encode(cols []arrow.Array, n int) (*Rows, error) {
	r := &e.rows
	r.N, r.hashed = n, false
	anyLong := false
	if e.plan.words {
		var w1 []uint64
		var err error
		if w1, anyLong, err = e.packWords(cols, n); err != nil {
			return nil, err
		}
		r.Packed, r.W0, r.W1 = true, e.w0, w1
		if !anyLong && !e.wide {
			return r, nil
		}
		e.wide = true
		r.Hashes()
	} else {
		r.room(n)
	}
	r.Packed, r.W0, r.W1 = false, nil, nil
	if err := e.byteRows(cols, n); err != nil {
		return nil, err
	}
	for i := range r.hash {
		if !e.plan.words || anyLong && e.long[i] != 0 {
			r.hash[i] = hashBytes(r.Bytes[r.Off[i]:r.Off[i+1]])
		}
	}
	return r, nil
}

func resize[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n, n+n/4)
	}
	return s[:n]
}

// packWords fills e.w0 and, where used, e.w1, and marks the rows in e.long that do not fit.
func (e *Encoder) packWords(cols []arrow.Array, n int) (w1 []uint64, anyLong bool, err error) {
	e.w0 = resize(e.w0, n)
	clear(e.w0)
	need := e.plan.w1
	for i := range e.plan.cols {
		c := &e.plan.cols[i]
		need = need || c.kind != varlen && c.nullWord == 1 && cols[i].NullN() > 0
	}
	if need {
		e.w1 = resize(e.w1, n)
		clear(e.w1)
		w1 = e.w1
	}
	for i := range e.plan.cols {
		c, a := &e.plan.cols[i], cols[i]
		if c.kind == varlen {
			off, data, ok := col.Var(a)
			if !ok {
				return nil, false, errHuge
			}
			e.long = resize(e.long, n)
			if !anyLong {
				clear(e.long)
			}
			valid, vo := col.Valid(a)
			var long bool
			if e.plan.lone {
				long = packLone(e.w0, w1, off, data, valid, vo, e.long)
			} else {
				dst := e.w0
				if c.word == 1 {
					dst = w1
				}
				long = packShort(dst, off, data, valid, vo, e.long)
			}
			anyLong = anyLong || long
			continue
		}
		e.packFixed(c, a, w1)
	}
	if e.plan.lone {
		var any uint64
		for _, w := range w1 {
			any |= w
		}
		if any == 0 {
			w1 = nil
		}
	}
	return w1, anyLong, nil
}

var errHuge = errors.New("encode group keys: more than 2 GiB of text in one batch")

func (e *Encoder) packFixed(c *column, a arrow.Array, w1 []uint64) {
	dst := e.w0
	if c.word == 1 {
		dst = w1
	}
	switch c.kind {
	case bool1:
		bits, off := col.Bits(a)
		for i := range dst {
			if bitutil.BitIsSet(bits, off+i) {
				dst[i] |= 1 << c.shift
			}
		}
	case float32s:
		for i, v := range col.Fixed[float32](a) {
			dst[i] |= uint64(float32Bits(v)) << c.shift
		}
	case float64s:
		for i, v := range col.Fixed[float64](a) {
			dst[i] |= float64Bits(v)
		}
	case fixed:
		switch c.bytes {
		case 1:
			orInto(dst, col.Fixed[uint8](a), c.shift)
		case 2:
			orInto(dst, col.Fixed[uint16](a), c.shift)
		case 4:
			orInto(dst, col.Fixed[uint32](a), c.shift)
		case 8:
			copy(dst, col.Fixed[uint64](a)) // a whole word: nothing else is in it yet
		}
	}
	valid, off := col.Valid(a)
	if valid == nil {
		return
	}
	mark := e.w0
	if c.nullWord == 1 {
		mark = w1
	}
	mask := ^((uint64(1)<<c.bits - 1) << c.shift) // what lies under a null is arbitrary
	if c.bits == 64 {
		mask = 0
	}
	for i := range dst {
		if bitutil.BitIsNotSet(valid, off+i) {
			dst[i] &= mask
			mark[i] |= 1 << c.nullShift
		}
	}
}

func orInto[T uint8 | uint16 | uint32](dst []uint64, v []T, shift uint) {
	v = v[:len(dst)]
	if shift == 0 {
		for i, x := range v {
			dst[i] |= uint64(x)
		}
		return
	}
	for i, x := range v {
		dst[i] |= uint64(x) << (shift & 63)
	}
}

func float64Bits(v float64) uint64 {
	switch {
	case v == 0:
		return 0
	case v != v:
		return math.Float64bits(math.NaN())
	}
	return math.Float64bits(v)
}

func float32Bits(v float32) uint32 {
	switch {
	case v == 0:
		return 0
	case v != v:
		return 0x7FC00000
	}
	return math.Float32bits(v)
}

// packLone packs a string column into both words: up to 7 bytes and the length in the first word, the second zero; 8 to 15
// bytes in both, the length on top of the second (so never zero).
func packLone(w0, w1 []uint64, off []int32, data []byte, valid []byte, vo int, long []uint8) (any bool) {
	off = off[:len(w0)+1]
	for i := range w0 {
		from, n := int(off[i]), int(off[i+1]-off[i])
		if valid != nil && bitutil.BitIsNotSet(valid, vo+i) {
			w0[i] = nullLen << 56
			continue
		}
		if n > 15 {
			long[i], any = 1, true
			continue
		}
		var a, b uint64
		if from+16 <= len(data) {
			a = binary.LittleEndian.Uint64(data[from:])
			b = binary.LittleEndian.Uint64(data[from+8:])
		} else {
			var t [16]byte
			copy(t[:], data[from:from+n])
			a, b = binary.LittleEndian.Uint64(t[:]), binary.LittleEndian.Uint64(t[8:])
		}
		if n < 8 {
			w0[i] = a&(1<<(uint(n)*8)-1) | uint64(n)<<56
		} else {
			w0[i] = a
			w1[i] = b&(1<<(uint(n-8)*8)-1) | uint64(n)<<56
		}
	}
	return any
}

// packShort packs a string column of up to 7 bytes a value into a word, the length on top.
func packShort(dst []uint64, off []int32, data []byte, valid []byte, vo int, long []uint8) (any bool) {
	off = off[:len(dst)+1]
	for i := range dst {
		from, n := int(off[i]), int(off[i+1]-off[i])
		if valid != nil && bitutil.BitIsNotSet(valid, vo+i) {
			dst[i] = nullLen << 56
			continue
		}
		if n > 7 {
			long[i], any = 1, true
			continue
		}
		var a uint64
		if from+8 <= len(data) {
			a = binary.LittleEndian.Uint64(data[from:])
		} else {
			var t [8]byte
			copy(t[:], data[from:from+n])
			a = binary.LittleEndian.Uint64(t[:])
		}
		dst[i] = a&(1<<(uint(n)*8)-1) | uint64(n)<<56
	}
	return any
}

// byteRows writes rows as: null bitmap, fixed values (zero where null), var-length values each with a 4-byte length.
func (e *Encoder) byteRows(cols []arrow.Array, n int) error {
	p, r := e.plan, &e.rows
	r.Off, e.cur = resize(r.Off, n+1), resize(e.cur, n)
	for i := range e.cur {
		e.cur[i] = p.fixed + 4*p.nvar
	}
	for ci := range p.cols {
		if p.cols[ci].kind != varlen {
			continue
		}
		off, _, ok := col.Var(cols[ci])
		if !ok {
			return errHuge
		}
		valid, vo := col.Valid(cols[ci])
		for i := range e.cur {
			if valid == nil || bitutil.BitIsSet(valid, vo+i) {
				e.cur[i] += int(off[i+1] - off[i])
			}
		}
	}
	total := 0
	for i, size := range e.cur {
		r.Off[i], e.cur[i] = total, total+p.fixed
		total += size
	}
	r.Off[n] = total
	r.Bytes = resize(r.Bytes, total)
	clear(r.Bytes)
	for ci := range p.cols {
		e.writeColumn(ci, cols[ci])
	}
	return nil
}

func (e *Encoder) writeColumn(ci int, a arrow.Array) {
	c, r := &e.plan.cols[ci], &e.rows
	valid, vo := col.Valid(a)
	has := func(i int) bool { return valid == nil || bitutil.BitIsSet(valid, vo+i) }
	var words [2]uint64
	var read func(i int)
	switch c.kind {
	case varlen:
		off, data, _ := col.Var(a)
		for i := range e.cur {
			at := e.cur[i]
			n := 0
			if has(i) {
				n = copy(r.Bytes[at+4:], data[off[i]:off[i+1]])
			} else {
				r.Bytes[r.Off[i]+ci/8] |= 1 << (ci % 8)
			}
			binary.LittleEndian.PutUint32(r.Bytes[at:], uint32(n))
			e.cur[i] = at + 4 + n
		}
		return
	case bool1:
		bits, off := col.Bits(a)
		read = func(i int) {
			words[0] = 0
			if bitutil.BitIsSet(bits, off+i) {
				words[0] = 1
			}
		}
	case float32s:
		v := col.Fixed[float32](a)
		read = func(i int) { words[0] = uint64(float32Bits(v[i])) }
	case float64s:
		v := col.Fixed[float64](a)
		read = func(i int) { words[0] = float64Bits(v[i]) }
	case fixed:
		switch c.bytes {
		case 1:
			v := col.Fixed[uint8](a)
			read = func(i int) { words[0] = uint64(v[i]) }
		case 2:
			v := col.Fixed[uint16](a)
			read = func(i int) { words[0] = uint64(v[i]) }
		case 4:
			v := col.Fixed[uint32](a)
			read = func(i int) { words[0] = uint64(v[i]) }
		case 8:
			v := col.Fixed[uint64](a)
			read = func(i int) { words[0] = v[i] }
		case 16:
			b := wide16(a)
			read = func(i int) {
				words[0] = binary.LittleEndian.Uint64(b[i*16:])
				words[1] = binary.LittleEndian.Uint64(b[i*16+8:])
			}
		}
	}
	for i := range r.N {
		if !has(i) {
			r.Bytes[r.Off[i]+ci/8] |= 1 << (ci % 8)
			continue
		}
		if c.kind == null0 {
			continue
		}
		read(i)
		putWord(r.Bytes[r.Off[i]+c.at:][:c.bytes], words)
	}
}

// wide16 is the value bytes of an array of 16-byte values, zeros where it has no buffer.
func wide16(a arrow.Array) []byte {
	d := a.Data()
	if b := d.Buffers()[1]; b != nil && b.Len() > 0 {
		return b.Bytes()[d.Offset()*16:]
	}
	return make([]byte, a.Len()*16)
}

func putWord(dst []byte, w [2]uint64) {
	switch len(dst) {
	case 1:
		dst[0] = byte(w[0])
	case 2:
		binary.LittleEndian.PutUint16(dst, uint16(w[0]))
	case 4:
		binary.LittleEndian.PutUint32(dst, uint32(w[0]))
	case 8:
		binary.LittleEndian.PutUint64(dst, w[0])
	case 16:
		binary.LittleEndian.PutUint64(dst, w[0])
		binary.LittleEndian.PutUint64(dst[8:], w[1])
	}
}

func getWord(src []byte) (w [2]uint64) {
	switch len(src) {
	case 1:
		w[0] = uint64(src[0])
	case 2:
		w[0] = uint64(binary.LittleEndian.Uint16(src))
	case 4:
		w[0] = uint64(binary.LittleEndian.Uint32(src))
	case 8:
		w[0] = binary.LittleEndian.Uint64(src)
	case 16:
		w[0], w[1] = binary.LittleEndian.Uint64(src), binary.LittleEndian.Uint64(src[8:])
	}
	return w
}
