package parquet

import (
	"fmt"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/bitutil"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/sluice-data/sluice/internal/recycle"
	"github.com/sluice-data/sluice/sources/parquet/internal/encoding"
)

// sink builds one leaf's Arrow array from the dense (non-null) values of pages.
type sink interface {
	// forget drops the dictionary: a new column chunk begins.
	forget()
	// begin starts a batch of about n slots. What an unfinished batch held is released.
	begin(n int)
	// dictionary takes over the n values of a dictionary page; it copies them.
	dictionary(p *pageValues, n int) error
	// take appends the page's next n values. With soft it may take fewer when it holds enough for a batch, but at least one
	// of the batch.
	take(p *pageValues, n int, soft bool) (int, error)
	// finish makes the array of slots values, of which nulls are null; valid has their bits and is taken over (nil: none is
	// null). The caller owns the result.
	finish(slots int, valid *memory.Buffer, nulls int) (arrow.ArrayData, error)
	// refused are the values of the batch that do not fit the type, by number among the dense values.
	refused() []badValue
	// abandon releases what an unfinished batch holds.
	abandon()
}

// badValue is a value that cannot be kept exactly; its row is rejected.
type badValue struct {
	at     int // number among the batch's dense values; in a finished column its row
	value  string
	reason string
}

// conversion is the room that converting needs, and where it refuses values.
type conversion struct {
	u32  []uint32
	u64  []uint64
	fix  []byte
	bad  []badValue
	base int // of the slice being converted among the batch's dense values
}

func (c *conversion) refuse(i int, value, reason string) {
	c.bad = append(c.bad, badValue{c.base + i, value, reason})
}

func resize[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n, n+n/4)
	}
	return s[:n]
}

// keepDictionary is how many bytes a sink keeps of its dictionary's memory for the next one.
const keepDictionary = 4 << 20

// valueBlock is how many values are decoded and converted at a time: they stay in the first-level caches.
const valueBlock = 2048

// fixed is the sink of a fixed-width type whose Arrow representation is T.
type fixed[T any] struct {
	mem     memory.Allocator
	typ     arrow.DataType
	read    func(p *pageValues, dst []T, c *conversion) error // decodes and converts len(dst) values
	buf     *memory.Buffer
	out     []T
	n       int // dense values in out
	dict    []T
	dictBad map[uint32]badValue
	idx     []uint32
	conv    conversion
}

func (f *fixed[T]) forget() {
	f.dict, f.dictBad = f.dict[:0], nil
	if len(bytesOf(f.dict[:cap(f.dict)])) > keepDictionary {
		f.dict = nil
	}
}

func (f *fixed[T]) begin(n int) {
	f.abandon()
	var t [1]T
	f.buf = recycle.Undefined(f.mem, n*len(bytesOf(t[:]))) // finish has written all of it
	f.out = sliceOf[T](f.buf.Bytes())
	f.n, f.conv.bad = 0, f.conv.bad[:0]
}

// room makes out n values long.
func (f *fixed[T]) room(n int) {
	var t [1]T
	size := len(bytesOf(t[:]))
	if need := n * size; need > f.buf.Cap() && f.buf.Len() > 0 {
		f.buf.Reserve(max(need, 2*f.buf.Cap()))
	}
	f.buf.ResizeNoShrink(n * size)
	f.out = sliceOf[T](f.buf.Bytes())
}

func (f *fixed[T]) dictionary(p *pageValues, n int) error {
	f.dict, f.dictBad = resize(f.dict, n), nil
	saved := f.conv.bad
	f.conv.bad, f.conv.base = nil, 0
	err := f.read(p, f.dict, &f.conv)
	for _, b := range f.conv.bad {
		if f.dictBad == nil {
			f.dictBad = map[uint32]badValue{}
		}
		f.dictBad[uint32(b.at)] = b
	}
	f.conv.bad = saved
	return err
}

func (f *fixed[T]) take(p *pageValues, n int, _ bool) (int, error) {
	if f.n+n > len(f.out) {
		f.room(f.n + n)
	}
	for done := 0; done < n; {
		k := min(n-done, valueBlock)
		dst := f.out[f.n : f.n+k]
		switch {
		case p.dict() && f.dictBad != nil:
			f.idx = resize(f.idx, valueBlock)
			idx, again := f.idx[:k], p.rle
			if err := again.Uint32s(idx); err != nil {
				return done, err
			}
			f.conv.bad = refuseIndexes(f.conv.bad, f.dictBad, idx, f.n)
			fallthrough
		case p.dict():
			if err := encoding.Gather(&p.rle, dst, f.dict); err != nil {
				return done, err
			}
		default:
			f.conv.base = f.n
			if err := f.read(p, dst, &f.conv); err != nil {
				return done, err
			}
		}
		f.n += k
		done += k
	}
	return n, nil
}

func refuseIndexes(bad []badValue, dict map[uint32]badValue, idx []uint32, base int) []badValue {
	for i, x := range idx {
		if b, ok := dict[x]; ok {
			b.at = base + i
			bad = append(bad, b)
		}
	}
	return bad
}

func (f *fixed[T]) finish(slots int, valid *memory.Buffer, nulls int) (arrow.ArrayData, error) {
	if err := checkCount(f.n, slots, nulls, valid); err != nil {
		return nil, err
	}
	f.room(slots)
	if nulls > 0 {
		spread(f.out, valid.Bytes(), f.n)
	}
	d := array.NewData(f.typ, slots, []*memory.Buffer{validOrNil(valid, nulls), f.buf}, nil, nulls, 0)
	f.release(valid)
	return d, nil
}

// release drops the sink's and the caller's hold on a finished batch.
func (f *fixed[T]) release(valid *memory.Buffer) {
	f.buf.Release()
	f.buf, f.out = nil, nil
	if valid != nil {
		valid.Release()
	}
}

func (f *fixed[T]) refused() []badValue { return f.conv.bad }

func (f *fixed[T]) abandon() {
	if f.buf != nil {
		f.buf.Release()
		f.buf, f.out = nil, nil
	}
}

func validOrNil(valid *memory.Buffer, nulls int) *memory.Buffer {
	if nulls == 0 {
		return nil
	}
	return valid
}

// checkCount finds a mistake of ours before Arrow would read beyond a buffer.
func checkCount(dense, slots, nulls int, valid *memory.Buffer) error {
	if dense+nulls == slots {
		return nil
	}
	if valid != nil {
		valid.Release()
	}
	return fmt.Errorf("%d values and %d nulls for %d slots", dense, nulls, slots)
}

// spread moves n dense values at the start of out to the slots whose bit is set and zeroes the others.
func spread[T any](out []T, valid []byte, n int) {
	var zero T
	for i := len(out) - 1; i >= 0; i-- {
		if n == i+1 {
			return // all that remain are valid
		}
		if valid[i>>3]>>(i&7)&1 == 1 {
			n--
			out[i] = out[n]
		} else {
			out[i] = zero
		}
	}
}

// booleans is the sink of bool: bytes while it gathers, bits at the end.
type booleans struct{ fixed[uint8] }

func (b *booleans) finish(slots int, valid *memory.Buffer, nulls int) (arrow.ArrayData, error) {
	if err := checkCount(b.n, slots, nulls, valid); err != nil {
		return nil, err
	}
	b.room(slots)
	if nulls > 0 {
		spread(b.out, valid.Bytes(), b.n)
	}
	bits := memory.NewResizableBuffer(b.mem)
	bits.Resize(int(bitutil.BytesForBits(int64(slots))))
	dst := bits.Bytes()
	clear(dst)
	for i, v := range b.out {
		dst[i>>3] |= v << (i & 7)
	}
	d := array.NewData(b.typ, slots, []*memory.Buffer{validOrNil(valid, nulls), bits}, nil, nulls, 0)
	bits.Release()
	b.release(valid)
	return d, nil
}

// nothing is the sink of a column that the file types as null: it may hold no value.
type nothing struct {
	mem memory.Allocator
	typ arrow.DataType
}

func (*nothing) forget()                           {}
func (*nothing) begin(int)                         {}
func (*nothing) dictionary(*pageValues, int) error { return nil }
func (*nothing) refused() []badValue               { return nil }
func (*nothing) abandon()                          {}

func (*nothing) take(_ *pageValues, n int, _ bool) (int, error) {
	if n > 0 {
		return 0, fmt.Errorf("%d values in a column of type null", n)
	}
	return 0, nil
}

func (s *nothing) finish(slots int, valid *memory.Buffer, _ int) (arrow.ArrayData, error) {
	if valid != nil {
		valid.Release()
	}
	return nullData(s.mem, s.typ, slots), nil
}

// nullData is n nulls of a type; the caller owns it.
func nullData(mem memory.Allocator, typ arrow.DataType, n int) arrow.ArrayData {
	a := array.MakeArrayOfNull(mem, typ, n)
	defer a.Release()
	d := a.Data()
	d.Retain()
	return d
}

// newBitmap is a zeroed bitmap of n bits.
func newBitmap(mem memory.Allocator, n int) *memory.Buffer {
	b := recycle.Undefined(mem, int(bitutil.BytesForBits(int64(n))))
	clear(b.Buf())
	return b
}

var errShort = encoding.ErrShort
