package expr

import (
	"encoding/binary"
	"math/bits"
	"sync"
	"unsafe"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/decimal128"
	"github.com/apache/arrow/go/v17/arrow/memory"
)

// vector is the value of a (sub-)expression for the rows of one record batch. It lives in a run's scratch memory or points
// into the record's buffers; it is never written once returned.
type vector struct {
	typ
	n     int
	konst bool // one value stands for every row
	null  bool // konst only: that value is NULL
	valid []byte
	// data holds fixed-width values, or a bitmap for booleans, or the bytes that beg and end point into for strings.
	data     []byte
	beg, end []int32
	ascii    int8 // of strings: 1 all of data is ASCII, -1 it is not, 0 not looked yet
	// array is the column itself, borrowed, if v is one unchanged.
	array  arrow.Array
	opaque arrow.Array // of an opaque column, borrowed; valid holds the nulls of the structs around it too
	owned  bool        // valid is scratch of this vector and may be written
	// elem holds the elements that beg and end of a list point into; fields those of a struct, as many rows as it.
	elem   *vector
	fields []*vector
}

// values are v's fixed-width values.
func values[T any](v *vector) []T {
	var t T
	if len(v.data) == 0 {
		return nil
	}
	return unsafe.Slice((*T)(unsafe.Pointer(&v.data[0])), len(v.data)/int(unsafe.Sizeof(t)))
}

// mask is ANDed to a row number to index v's values: 0 for a constant.
func (v *vector) mask() int {
	if v.konst {
		return 0
	}
	return -1
}

func (v *vector) str(i int) []byte { return v.data[v.beg[i]:v.end[i]] }

func (v *vector) isNull(i int) bool {
	if v.konst {
		return v.null
	}
	return v.valid != nil && !bit(v.valid, i)
}

// isASCII reports whether all bytes under v are below 0x80, so that bytes are characters.
func (v *vector) isASCII() bool {
	if v.ascii == 0 {
		v.ascii = 1
		lo, hi := 0, len(v.data)
		if n := len(v.beg); n > 0 && v.array != nil { // a column's rows are in order
			lo, hi = int(v.beg[0]), int(v.end[n-1])
		}
		if !asciiOnly(v.data[lo:hi]) {
			v.ascii = -1
		}
	}
	return v.ascii > 0
}

func asciiOnly(b []byte) bool {
	var or uint64
	for len(b) >= 32 {
		or |= binary.LittleEndian.Uint64(b) | binary.LittleEndian.Uint64(b[8:]) | binary.LittleEndian.Uint64(b[16:]) | binary.LittleEndian.Uint64(b[24:])
		b = b[32:]
	}
	for len(b) >= 8 {
		or |= binary.LittleEndian.Uint64(b)
		b = b[8:]
	}
	for _, c := range b {
		or |= uint64(c)
	}
	return or&0x8080808080808080 == 0
}

// rowError is an error of row before the run's errors are sorted and made unique.
type rowError struct {
	row           int
	value, reason string
}

// run is the state of one Eval: scratch memory, errors so far.
type run struct {
	rec    arrow.Record
	n      int
	errs   []rowError
	err    error // what no row is to blame for
	slots  []*vector
	kept   []*keptVector // of onceNodes, by slot
	blocks [][]byte
	block  int // the block in use
	used   int // bytes of it in use
	// direct is the output buffer that root, if it is a kernel of fixed-width values, writes to without a detour by scratch
	// memory; into is its bytes while that kernel runs.
	root   node
	direct *memory.Buffer
	into   []byte
	dicts  []*dictionary // of columns of texts, by index of the column
	stored bool          // in kept or dicts, since the program began
	// entries are what dictNode's column is while its expression is computed for them instead of the rows.
	entries *vector
}

var runs = sync.Pool{New: func() any { return new(run) }}

const (
	blockSize = 256 << 10
	keepBytes = 32 << 20 // a pooled run keeps at most this much
)

func (r *run) reset() {
	total := 0
	for _, b := range r.blocks {
		total += len(b)
	}
	if total > keepBytes {
		r.blocks = nil
	}
	clear(r.slots)
	clear(r.kept)
	clear(r.dicts)
	r.between()
	r.rec, r.n, r.err, r.slots, r.kept, r.dicts, r.block, r.used = nil, 0, nil, r.slots[:0], r.kept[:0], r.dicts[:0], 0, 0
}

// between readies r for another program.
func (r *run) between() {
	clear(r.errs)
	if r.direct != nil {
		r.direct.Release()
	}
	r.root, r.direct, r.into, r.errs, r.stored = nil, nil, nil, r.errs[:0], false
}

// bytes gives n bytes of scratch memory, aligned to 64, content undefined, with 16 spare bytes behind.
func (r *run) bytes(n int) []byte {
	need := (n + 16 + 63) &^ 63
	for r.block < len(r.blocks) {
		if b := r.blocks[r.block]; r.used+need <= len(b) {
			out := b[r.used : r.used+n : r.used+need]
			r.used += need
			return out
		}
		r.block++
		r.used = 0
	}
	b := make([]byte, max(need, blockSize))
	r.blocks = append(r.blocks, b)
	r.used = need
	return b[:n:need]
}

// bitmap gives an undefined bitmap of r.n bits, rounded up to whole words.
func (r *run) bitmap() []byte { return r.bytes(bitmapLen(r.n)) }

func (r *run) zeroBitmap() []byte {
	b := r.bitmap()
	clear(b)
	return b
}

func (r *run) oneBitmap() []byte {
	b := r.bitmap()
	for i := range b {
		b[i] = 0xff
	}
	return b
}

func (r *run) int32s(n int) []int32 {
	if n == 0 {
		return nil
	}
	return unsafe.Slice((*int32)(unsafe.Pointer(&r.bytes(n * 4)[0])), n)
}

// fixed makes a vector of r.n undefined values of a fixed-width type or booleans, with no nulls.
func (r *run) fixed(t typ) *vector {
	v := &vector{typ: t, n: r.n}
	size := r.n * t.kind.width()
	switch {
	case t.kind == kBool:
		v.data = r.bitmap()
	case r.into != nil && len(r.into) == size:
		v.data, r.into = r.into, nil
	default:
		v.data = r.bytes(size)
	}
	return v
}

// strings makes a vector of r.n undefined ranges of data.
func (r *run) strings(t typ, data []byte) *vector {
	return &vector{typ: t, n: r.n, data: data, beg: r.int32s(r.n), end: r.int32s(r.n)}
}

// nullOf is the constant NULL of type t.
func nullOf(t typ, n int) *vector {
	v := &vector{typ: t, n: n, konst: true, null: true, data: make([]byte, 16)}
	switch {
	case t.kind.bytes():
		v.beg, v.end = []int32{0}, []int32{0}
	case t.kind == kList:
		v.beg, v.end, v.elem = []int32{0}, []int32{0}, &vector{typ: t.elem()}
	case t.kind == kStruct:
		v.fields = nullFields(t, n)
	}
	return v
}

// strictValid is where all of args are not null: nil for everywhere. It is not for writing.
func (r *run) strictValid(args ...*vector) []byte {
	var out []byte
	scratch := false
	for _, a := range args {
		if a.konst || a.valid == nil {
			continue
		}
		if out == nil {
			out = a.valid
			continue
		}
		dst := out
		if !scratch {
			dst, scratch = r.bitmap(), true
		}
		bitAnd(dst, out, a.valid, r.n)
		out = dst
	}
	return out
}

// setNull makes row i of v null.
func (r *run) setNull(v *vector, i int) {
	if !v.owned {
		b := r.oneBitmap()
		if v.valid != nil {
			copy(b, v.valid[:(r.n+7)/8])
		}
		v.valid, v.owned = b, true
	}
	v.valid[i>>3] &^= 1 << (i & 7)
}

// fail records an error of row i of out and makes the value null.
func (r *run) fail(out *vector, i int, value, reason string) {
	r.errs = append(r.errs, rowError{i, value, reason})
	r.setNull(out, i)
}

// dropErrors removes the errors recorded from mark to end (exclusive) in the rows set in where.
func (r *run) dropErrors(mark, end int, where []byte) {
	out := r.errs[:mark]
	for i, e := range r.errs[mark:] {
		if mark+i < end && bit(where, e.row) {
			continue
		}
		out = append(out, e)
	}
	r.errs = out
}

// spread makes r.n rows of a constant.
func (r *run) spread(v *vector) *vector {
	if !v.konst {
		return v
	}
	var out *vector
	switch {
	case v.kind.bytes() || v.kind == kList:
		out = r.strings(v.typ, v.data)
		out.elem = v.elem
		for i := range out.beg {
			out.beg[i], out.end[i] = v.beg[0], v.end[0]
		}
	case v.kind == kStruct:
		out = &vector{typ: v.typ, n: r.n}
		for _, f := range v.fields {
			out.fields = append(out.fields, r.spread(f))
		}
	case v.kind == kBool:
		out = r.fixed(v.typ)
		fill := byte(0)
		if v.data[0]&1 != 0 {
			fill = 0xff
		}
		for i := range out.data {
			out.data[i] = fill
		}
	default:
		out = r.fixed(v.typ)
		w := v.kind.width()
		for i := 0; i < len(out.data); i += w {
			copy(out.data[i:i+w], v.data)
		}
	}
	if v.null {
		out.valid, out.owned = r.zeroBitmap(), true
	}
	return out
}

func bitmapLen(n int) int { return (n + 63) / 64 * 8 }

func bit(b []byte, i int) bool { return b[i>>3]>>(i&7)&1 != 0 }

func setBit(b []byte, i int) { b[i>>3] |= 1 << (i & 7) }

func b2u(b bool) byte {
	if b {
		return 1
	}
	return 0
}

// active reports whether row i is both selected and valid; nil bitmaps are all ones.
func active(sel, valid []byte, i int) bool {
	return (sel == nil || bit(sel, i)) && (valid == nil || bit(valid, i))
}

// bitAnd and its kin work on the first n bits, whole bytes at a time; bits behind are undefined.
func bitAnd(dst, a, b []byte, n int) {
	nb := (n + 7) / 8
	dst, a, b = dst[:nb], a[:nb], b[:nb]
	i := 0
	for ; i+8 <= nb; i += 8 {
		binary.LittleEndian.PutUint64(dst[i:], binary.LittleEndian.Uint64(a[i:])&binary.LittleEndian.Uint64(b[i:]))
	}
	for ; i < nb; i++ {
		dst[i] = a[i] & b[i]
	}
}

func bitAndNot(dst, a, b []byte, n int) {
	nb := (n + 7) / 8
	dst, a, b = dst[:nb], a[:nb], b[:nb]
	i := 0
	for ; i+8 <= nb; i += 8 {
		binary.LittleEndian.PutUint64(dst[i:], binary.LittleEndian.Uint64(a[i:])&^binary.LittleEndian.Uint64(b[i:]))
	}
	for ; i < nb; i++ {
		dst[i] = a[i] &^ b[i]
	}
}

func bitOr(dst, a, b []byte, n int) {
	nb := (n + 7) / 8
	dst, a, b = dst[:nb], a[:nb], b[:nb]
	i := 0
	for ; i+8 <= nb; i += 8 {
		binary.LittleEndian.PutUint64(dst[i:], binary.LittleEndian.Uint64(a[i:])|binary.LittleEndian.Uint64(b[i:]))
	}
	for ; i < nb; i++ {
		dst[i] = a[i] | b[i]
	}
}

func bitNot(dst, a []byte, n int) {
	nb := (n + 7) / 8
	dst, a = dst[:nb], a[:nb]
	i := 0
	for ; i+8 <= nb; i += 8 {
		binary.LittleEndian.PutUint64(dst[i:], ^binary.LittleEndian.Uint64(a[i:]))
	}
	for ; i < nb; i++ {
		dst[i] = ^a[i]
	}
}

// countBits counts the ones among the first n bits.
func countBits(b []byte, n int) int {
	c, i := 0, 0
	for ; i+64 <= n; i += 64 {
		c += bits.OnesCount64(binary.LittleEndian.Uint64(b[i>>3:]))
	}
	for ; i+8 <= n; i += 8 {
		c += bits.OnesCount8(b[i>>3])
	}
	for ; i < n; i++ {
		c += int(b[i>>3] >> (i & 7) & 1)
	}
	return c
}

// eachBit calls f for every one among the first n bits.
func eachBit(b []byte, n int, f func(i int)) {
	for at := 0; at < n; at += 8 {
		for w := b[at>>3]; w != 0; w &= w - 1 {
			if i := at + bits.TrailingZeros8(w); i < n {
				f(i)
			}
		}
	}
}

// alignBitmap gives n bits of buf from bit off on as a bitmap that begins at bit 0.
func (r *run) alignBitmap(buf []byte, off, n int) []byte {
	if off&7 == 0 {
		return buf[off>>3 : (off+n+7)>>3]
	}
	out := r.bytes((n + 7) / 8)
	src, sh := buf[off>>3:], off&7
	for i := range out {
		w := src[i] >> sh
		if i+1 < len(src) {
			w |= src[i+1] << (8 - sh)
		}
		out[i] = w
	}
	return out
}

// dec is the in-memory form of a decimal128.
type dec = decimal128.Num
