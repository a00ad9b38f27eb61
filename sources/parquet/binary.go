package parquet

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"slices"
	"unicode/utf8"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"
	"github.com/parquet-go/parquet-go/format"

	"github.com/sluice-data/sluice/internal/codes"
	"github.com/sluice-data/sluice/internal/recycle"
	"github.com/sluice-data/sluice/sources/parquet/internal/encoding"
)

const (
	// softBytes is how many bytes of string columns make a batch full, where memory is plenty.
	softBytes = 32 << 20
	// hardBytes is how many bytes of one nested string column a batch may hold.
	hardBytes = 1 << 30
	// textBlock is how many strings are decoded between looks at the bytes gathered.
	textBlock = 1024
	// slack is room behind the bytes, so that short strings are moved in two whole words.
	slack = 16
)

// check says what the bytes of a column must be.
type check int

const (
	anyBytes check = iota
	utf8Text
	jsonText
)

// text is the sink of string and binary.
type text struct {
	mem   memory.Allocator
	typ   arrow.DataType
	check check
	soft  int  // bytes that make a batch full
	coded bool // the column carries the codes of its dictionary, if that is small
	// render makes text of fixed-width values (UUID); nil keeps their bytes
	render func(dst, v []byte) []byte

	offBuf, dataBuf *memory.Buffer
	off             []int32 // off[n] is where the next value goes
	data            []byte  // all of dataBuf
	n               int
	last            int // bytes of the batch before

	dictOff  []uint32
	dictData []byte // with slack behind
	dictMax  int    // longest entry
	dictBad  map[uint32]badValue
	idx      []uint32
	fix      []byte
	bad      []badValue

	entries *codes.Entries // of the dictionary; nil if its codes are not carried
	codeBuf *memory.Buffer // of the batch's values
	numbers int            // how many of them it has: all t.n, or no more of this batch
}

func (t *text) forget() {
	t.dictOff, t.dictData, t.dictMax, t.dictBad = t.dictOff[:0], t.dictData[:0], 0, nil
	if cap(t.dictData) > keepDictionary {
		t.dictData = nil
	}
	t.entries = nil
	if t.n > 0 {
		t.numbers = -1 // those to come are of another dictionary
	}
}

func (t *text) begin(n int) {
	t.abandon()
	// room for a batch like the one before, so that it does not move as it grows
	t.offBuf, t.dataBuf = recycle.Undefined(t.mem, 4*(n+1)), recycle.Undefined(t.mem, min(t.last+t.last/16, t.soft)+slack)
	t.off, t.data = sliceOf[int32](t.offBuf.Bytes()), t.dataBuf.Bytes()
	t.n, t.bad, t.numbers = 0, t.bad[:0], 0
	t.off[0] = 0
}

func (t *text) room(n int) {
	if need := 4 * (n + 1); need > t.offBuf.Cap() && t.offBuf.Len() > 0 {
		t.offBuf.Reserve(max(need, 2*t.offBuf.Cap()))
	}
	t.offBuf.ResizeNoShrink(4 * (n + 1))
	t.off = sliceOf[int32](t.offBuf.Bytes())
}

// bytesRoom makes room for n more bytes and the slack.
func (t *text) bytesRoom(n int) error {
	used := int(t.off[t.n])
	need := used + n + slack
	if used+n > hardBytes {
		return fmt.Errorf("nested values of more than %d bytes in one batch are too long", hardBytes)
	}
	if need > len(t.data) {
		t.dataBuf.ResizeNoShrink(max(need, min(2*len(t.data), hardBytes+slack)))
		t.data = t.dataBuf.Bytes()
	}
	return nil
}

// bytes is how many the batch has.
func (t *text) bytes() int { return int(t.off[t.n]) }

func (t *text) abandon() {
	if t.codeBuf != nil {
		t.codeBuf.Release()
		t.codeBuf = nil
	}
	if t.offBuf != nil {
		t.offBuf.Release()
		t.dataBuf.Release()
		t.offBuf, t.dataBuf, t.data, t.off = nil, nil, nil, nil
	}
}

func (t *text) dictionary(p *pageValues, n int) error {
	t.forget()
	t.dictOff = append(resize(t.dictOff, 0), 0)
	if p.phys == format.FixedLenByteArray || p.phys == format.Int96 {
		var err error
		if t.fix, err = p.eachFixed(n, t.fix, func(_ int, v []byte) {
			t.dictData = t.append(t.dictData, v)
			t.dictOff = append(t.dictOff, uint32(len(t.dictData)))
		}); err != nil {
			return err
		}
	} else {
		t.dictData = slices.Grow(t.dictData, len(p.b)+slack)
		for range n {
			v, err := p.next()
			if err != nil {
				return err
			}
			t.dictData = append(t.dictData, v...)
			t.dictOff = append(t.dictOff, uint32(len(t.dictData)))
		}
	}
	for i := range n {
		t.dictMax = max(t.dictMax, int(t.dictOff[i+1]-t.dictOff[i]))
	}
	t.verify(t.dictData, t.dictOff, func(i int, b badValue) {
		if t.dictBad == nil {
			t.dictBad = map[uint32]badValue{}
		}
		t.dictBad[uint32(i)] = b
	})
	if t.dictBad == nil && t.coded {
		t.entries = codes.NewEntries(t.typ, t.dictOff, t.dictData)
	}
	t.dictData = append(t.dictData, make([]byte, slack)...)
	return nil
}

// append adds a fixed-width value in its final form.
func (t *text) append(dst, v []byte) []byte {
	if t.render != nil {
		return t.render(dst, v)
	}
	return append(dst, v...)
}

// next decodes one value of PLAIN BYTE_ARRAY.
func (p *pageValues) next() ([]byte, error) {
	if len(p.b)-p.pos < 4 {
		return nil, errShort
	}
	n := int(binary.LittleEndian.Uint32(p.b[p.pos:]))
	if n > len(p.b)-p.pos-4 {
		return nil, fmt.Errorf("value of %d bytes where the page has %d left", n, len(p.b)-p.pos-4)
	}
	v := p.b[p.pos+4 : p.pos+4+n]
	p.pos += 4 + n
	return v, nil
}

func (t *text) take(p *pageValues, n int, soft bool) (int, error) {
	if t.n+n >= len(t.off) {
		t.room(t.n + n)
	}
	for done := 0; done < n; {
		used := int(t.off[t.n])
		if soft && used >= t.soft {
			return done, nil
		}
		k := min(n-done, textBlock)
		from := t.n
		var err error
		switch {
		case p.dict():
			if t.dictMax > t.soft/textBlock {
				k = min(k, max((t.soft-used)/t.dictMax, 1))
			}
			err = t.takeIndexes(p, k)
		case p.phys != format.ByteArray:
			k = min(k, max(fixedBlock/p.width, 1))
			err = t.takeFixed(p, k)
		case p.enc == format.Plain:
			k, err = t.takePlain(p, k)
		case p.enc == format.DeltaLengthByteArray:
			k, err = t.takeDelta(p, k)
		default: // each value may repeat all of a long one: look after each
			k = 1
			var v []byte
			if v, err = p.prefixed(); err == nil {
				err = t.add(v)
			}
		}
		if err != nil {
			return done, err
		}
		if !p.dict() && t.check != anyBytes {
			t.verify32(from)
		}
		done += k
	}
	return n, nil
}

func (t *text) add(v []byte) error {
	if err := t.bytesRoom(len(v)); err != nil {
		return err
	}
	at := t.off[t.n]
	copy(t.data[at:], v)
	t.n++
	t.off[t.n] = at + int32(len(v))
	return nil
}

func (t *text) takeIndexes(p *pageValues, k int) error {
	t.idx = resize(t.idx, textBlock)
	idx := t.idx[:k]
	if err := p.rle.Uint32s(idx); err != nil {
		return err
	}
	total, offs := 0, t.dictOff
	for _, x := range idx {
		if int(x)+1 >= len(offs) {
			return encoding.IndexError(x, len(offs)-1)
		}
		total += int(offs[x+1] - offs[x])
	}
	if err := t.bytesRoom(total); err != nil {
		return err
	}
	at, dst, src := int(t.off[t.n]), t.data, t.dictData
	out := t.off[t.n+1:][:k]
	t.keepCodes(idx)
	for i, x := range idx {
		from, n := offs[x], int(offs[x+1]-offs[x])
		if n <= slack {
			copy16(dst[at:], src[from:])
		} else {
			copy(dst[at:], src[from:int(from)+n])
		}
		at += n
		out[i] = int32(at)
	}
	if t.dictBad != nil {
		t.bad = refuseIndexes(t.bad, t.dictBad, idx, t.n)
	}
	t.n += k
	return nil
}

// keepCodes notes the codes of the batch's next values, if it has those of all before.
func (t *text) keepCodes(idx []uint32) {
	if t.entries == nil || t.numbers != t.n {
		return
	}
	if t.codeBuf == nil {
		t.codeBuf = recycle.Undefined(t.mem, 4*len(t.off))
	}
	t.codesRoom(t.n + len(idx))
	t.numbers += copy(sliceOf[uint32](t.codeBuf.Bytes())[t.n:], idx)
}

func (t *text) codesRoom(n int) {
	if 4*n > t.codeBuf.Len() {
		t.codeBuf.ResizeNoShrink(4 * max(n, len(t.off)))
	}
}

// copy16 moves 16 bytes; both sides have them.
func copy16(dst, src []byte) {
	_, _ = dst[15], src[15]
	binary.LittleEndian.PutUint64(dst, binary.LittleEndian.Uint64(src))
	binary.LittleEndian.PutUint64(dst[8:], binary.LittleEndian.Uint64(src[8:]))
}

// takePlain takes up to k values: fewer, but one, where they are long.
func (t *text) takePlain(p *pageValues, k int) (int, error) {
	b, q, total := p.b, p.pos, 0
	most := max(t.soft-int(t.off[t.n]), textsLeast)
	for i := range k {
		if len(b)-q < 4 {
			return 0, errShort
		}
		n := int(binary.LittleEndian.Uint32(b[q:]))
		if n > len(b)-q-4 {
			return 0, fmt.Errorf("value of %d bytes where the page has %d left", n, len(b)-q-4)
		}
		q += 4 + n
		if total += n; total > most {
			k = i + 1
			break
		}
	}
	if err := t.bytesRoom(total); err != nil {
		return 0, err
	}
	at, dst, out := int(t.off[t.n]), t.data, t.off[t.n+1:][:k]
	q = p.pos
	for i := range k {
		n := int(binary.LittleEndian.Uint32(b[q:]))
		q += 4
		if n <= slack && q+slack <= len(b) {
			copy16(dst[at:], b[q:])
		} else {
			copy(dst[at:], b[q:q+n])
		}
		q += n
		at += n
		out[i] = int32(at)
	}
	p.pos = q
	t.n += k
	return k, nil
}

// takeDelta takes up to k values: fewer, but one, where they are long.
func (t *text) takeDelta(p *pageValues, k int) (int, error) {
	t.idx = resize(t.idx, textBlock)
	lens, before := t.idx[:k], p.delta
	if err := p.delta.Lengths(lens); err != nil {
		return 0, err
	}
	total := 0
	most := max(t.soft-int(t.off[t.n]), textsLeast)
	for i, n := range lens {
		if total += int(n); total > most && i+1 < k {
			k = i + 1
			lens, p.delta = lens[:k], before
			if err := p.delta.Lengths(lens); err != nil {
				return 0, err
			}
			break
		}
	}
	if total > len(p.b)-p.pos {
		return 0, errShort
	}
	if err := t.bytesRoom(total); err != nil {
		return 0, err
	}
	at := t.off[t.n]
	copy(t.data[at:], p.b[p.pos:p.pos+total])
	p.pos += total
	for i, n := range lens {
		at += int32(n)
		t.off[t.n+1+i] = at
	}
	t.n += k
	return k, nil
}

func (t *text) takeFixed(p *pageValues, k int) error {
	t.fix = resize(t.fix, k*p.width)
	if err := p.fixed(t.fix, k); err != nil {
		return err
	}
	if t.render == nil {
		if err := t.bytesRoom(len(t.fix)); err != nil {
			return err
		}
		at := t.off[t.n]
		copy(t.data[at:], t.fix)
		for i := range k {
			at += int32(p.width)
			t.off[t.n+1+i] = at
		}
		t.n += k
		return nil
	}
	var tmp [64]byte
	for i := range k {
		if err := t.add(t.render(tmp[:0], t.fix[i*p.width:][:p.width])); err != nil {
			return err
		}
	}
	return nil
}

// verify32 checks the values from number from on.
func (t *text) verify32(from int) {
	offs := t.off[from : t.n+1]
	end := offs[len(offs)-1]
	t.verify(t.data[:end], bitCast(offs), func(i int, b badValue) {
		b.at = from + i
		t.bad = append(t.bad, b)
	})
}

// verify calls bad for each value that is not what the column says.
func (t *text) verify(data []byte, offs []uint32, bad func(int, badValue)) {
	if t.check == anyBytes {
		return
	}
	all := data[offs[0]:]
	if t.check == utf8Text && utf8.Valid(all) {
		// valid as a whole, and no value begins within a character: each is valid
		begin := true
		for _, o := range offs[:len(offs)-1] {
			if int(o) < len(data) && !utf8.RuneStart(data[o]) {
				begin = false
				break
			}
		}
		if begin {
			return
		}
	}
	for i := range len(offs) - 1 {
		v := data[offs[i]:offs[i+1]]
		switch {
		case !utf8.Valid(v):
			bad(i, badValue{i, string(v), "not valid UTF-8"})
		case t.check == jsonText && !json.Valid(v):
			bad(i, badValue{i, string(v), "not valid JSON"})
		}
	}
}

func (t *text) finish(slots int, valid *memory.Buffer, nulls int) (arrow.ArrayData, error) {
	if err := checkCount(t.n, slots, nulls, valid); err != nil {
		return nil, err
	}
	end := t.off[t.n]
	t.room(slots)
	if nulls > 0 {
		off, m, bits := t.off, t.n, valid.Bytes()
		off[slots] = end
		for i := slots - 1; i >= 0; i-- {
			if m == i+1 {
				break
			}
			if bits[i>>3]>>(i&7)&1 == 1 {
				m--
				off[i] = off[m]
			} else {
				off[i] = off[i+1]
			}
		}
	}
	t.dataBuf.ResizeNoShrink(int(end))
	t.last = int(end)
	bufs := []*memory.Buffer{validOrNil(valid, nulls), t.offBuf, t.dataBuf}
	var d arrow.ArrayData
	if t.entries != nil && t.n > 0 && t.numbers == t.n {
		t.codesRoom(slots)
		if nulls > 0 {
			spread(sliceOf[uint32](t.codeBuf.Bytes())[:slots], valid.Bytes(), t.n)
		}
		d = codes.Attach(t.typ, slots, bufs, nulls, t.codeBuf, t.entries)
	} else {
		d = array.NewData(t.typ, slots, bufs, nil, nulls, 0)
	}
	if valid != nil {
		valid.Release()
	}
	t.abandon()
	return d, nil
}

func (t *text) refused() []badValue { return t.bad }
