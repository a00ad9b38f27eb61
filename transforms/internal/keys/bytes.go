package keys

import (
	"encoding/binary"
)

// widen turns packed rows into byte rows, in fresh memory. The hashes stay.
func (p *Plan) widen(r *Rows) {
	r.Hashes()
	off := make([]int, r.N+1)
	var out []byte
	for i := range r.N {
		var b uint64
		if r.W1 != nil {
			b = r.W1[i]
		}
		out = p.appendRow(out, r.W0[i], b)
		off[i+1] = len(out)
	}
	r.Packed, r.W0, r.W1, r.Off, r.Bytes = false, nil, nil, off, out
}

// appendRow appends the byte row of a packed tuple.
func (p *Plan) appendRow(dst []byte, w0, w1 uint64) []byte {
	from := len(dst)
	for range p.fixed {
		dst = append(dst, 0)
	}
	w := [2]uint64{w0, w1}
	for ci := range p.cols {
		c := &p.cols[ci]
		if c.kind == varlen {
			s, null := p.text(c, w0, w1)
			if null {
				dst[from+ci/8] |= 1 << (ci % 8)
			}
			dst = binary.LittleEndian.AppendUint32(dst, uint32(len(s.b[:s.n])))
			dst = append(dst, s.b[:s.n]...)
			continue
		}
		if w[c.nullWord]>>c.nullShift&1 != 0 {
			dst[from+ci/8] |= 1 << (ci % 8)
		} else if c.bytes > 0 {
			v := w[c.word] >> c.shift
			if c.kind == bool1 {
				v &= 1
			}
			putWord(dst[from+c.at:][:c.bytes], [2]uint64{v})
		}
	}
	return dst
}

// short is a string of up to 15 bytes taken out of words.
type short struct {
	b [16]byte
	n int
}

// text unpacks the string column c of a packed tuple.
func (p *Plan) text(c *column, w0, w1 uint64) (s short, null bool) {
	if p.lone && w1 != 0 {
		binary.LittleEndian.PutUint64(s.b[:], w0)
		binary.LittleEndian.PutUint64(s.b[8:], w1&(1<<56-1))
		s.n = int(w1 >> 56)
		return s, false
	}
	w := w0
	if c.word == 1 {
		w = w1
	}
	if w>>56 == nullLen {
		return s, true
	}
	binary.LittleEndian.PutUint64(s.b[:], w&(1<<56-1))
	s.n = int(w >> 56)
	return s, false
}

// hashByteRows hashes byte rows as their packed form hashes, where they have one.
func (p *Plan) hashByteRows(r *Rows) {
	hash := r.room(r.N)
	for i := range r.N {
		row := r.Bytes[r.Off[i]:r.Off[i+1]]
		if w0, w1, ok := p.packRow(row); ok {
			hash[i] = hashWords(w0, w1)
		} else {
			hash[i] = hashBytes(row)
		}
	}
}

// packRow packs a byte row into words; ok is false where it does not fit.
func (p *Plan) packRow(row []byte) (w0, w1 uint64, ok bool) {
	if !p.words {
		return 0, 0, false
	}
	var w [2]uint64
	at := p.fixed
	for ci := range p.cols {
		c := &p.cols[ci]
		null := row[ci/8]>>(ci%8)&1 != 0
		if c.kind != varlen {
			if null {
				w[c.nullWord] |= 1 << c.nullShift
			} else if c.bytes > 0 {
				w[c.word] |= getWord(row[c.at:][:c.bytes])[0] << c.shift
			}
			continue
		}
		n := int(binary.LittleEndian.Uint32(row[at:]))
		var t [16]byte
		switch {
		case null:
			w[c.word] = nullLen << 56
		case n > 15 || n > 7 && !p.lone:
			return 0, 0, false
		default:
			copy(t[:], row[at+4:at+4+n])
			a, b := binary.LittleEndian.Uint64(t[:]), binary.LittleEndian.Uint64(t[8:])
			if n < 8 {
				w[c.word] = a | uint64(n)<<56
			} else {
				w[0], w[1] = a, b|uint64(n)<<56
			}
		}
		at += 4 + n
	}
	return w[0], w[1], true
}
