package expr

import (
	"encoding/binary"
	"math"
	"unsafe"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/sluice-data/sluice/internal/recycle"
)

// output copies v out of scratch memory into an array of mem, null where errs says so.
func (r *run) output(v *vector, errs []RowError, mem memory.Allocator) (arrow.Array, error) {
	if v.kind == kNull {
		v = nullOf(simple(kString), r.n)
	}
	if v.kind != kOpaque {
		v = r.spread(v)
	}
	own := false
	for _, e := range errs {
		if v.valid == nil || bit(v.valid, e.Row) {
			if !own { // others may have v, too
				c := *v
				c.owned, own = false, true
				v = &c
			}
			r.setNull(v, e.Row)
		}
	}
	if v.kind == kOpaque {
		return opaqueOutput(v, r.n, mem), nil
	}
	data, err := r.outputData(v, r.n, mem)
	if err != nil {
		return nil, err
	}
	defer data.Release()
	return array.MakeFromData(data), nil
}

// outputData copies the n rows of v; the caller owns the result.
func (r *run) outputData(v *vector, n int, mem memory.Allocator) (arrow.ArrayData, error) {
	bufs := []*memory.Buffer{nil, nil}
	nulls := 0
	if v.valid != nil {
		if nulls = n - countBits(v.valid, n); nulls > 0 {
			bufs[0] = recycle.Undefined(mem, (n+7)/8)
			copyBits(bufs[0].Bytes(), v.valid, n)
		}
	}
	dt := v.arrowType()
	var children []arrow.ArrayData
	switch {
	case v.kind == kList || v.kind == kStruct:
		var err error
		if bufs, children, err = r.outputNested(v, n, bufs[0], mem); err != nil {
			return nil, err
		}
	case v.kind.bytes():
		total := 0
		for i, b := range v.beg {
			total += int(v.end[i] - b)
		}
		if total > math.MaxInt32 {
			if bufs[0] != nil {
				bufs[0].Release()
			}
			r.tooLarge()
			return nil, r.err
		}
		bufs[1] = recycle.Undefined(mem, (n+1)*4)
		bufs = append(bufs, recycle.Undefined(mem, total))
		packStrings(v, bufs[1].Bytes(), bufs[2].Bytes())
	case v.kind == kBool:
		bufs[1] = recycle.Undefined(mem, (n+7)/8)
		copyBits(bufs[1].Bytes(), v.data, n)
	case r.direct != nil && len(v.data) > 0 && &v.data[0] == &r.direct.Bytes()[0]:
		bufs[1], r.direct = r.direct, nil
	default:
		bufs[1] = recycle.Undefined(mem, n*v.kind.width())
		copy(bufs[1].Bytes(), v.data)
	}
	data := array.NewData(dt, n, bufs, children, nulls, 0)
	for _, b := range bufs {
		if b != nil {
			b.Release()
		}
	}
	for _, c := range children {
		c.Release()
	}
	return data, nil
}

// copyBits copies n bits and clears those behind in the last byte, so that equal results are equal bytes.
func copyBits(dst, src []byte, n int) {
	copy(dst[:(n+7)/8], src)
	if n&7 != 0 {
		dst[n>>3] &= 1<<(n&7) - 1
	}
}

// packStrings writes v's ranges one behind the other. Short ones are moved as two words where both sides have the room.
func packStrings(v *vector, offsets, dst []byte) {
	off := unsafe.Slice((*int32)(unsafe.Pointer(&offsets[0])), len(offsets)/4)
	at, src := 0, v.data
	for i, b := range v.beg {
		e := v.end[i]
		off[i] = int32(at)
		n := int(e - b)
		if n <= 16 && at+16 <= len(dst) && int(b)+16 <= len(src) {
			binary.LittleEndian.PutUint64(dst[at:], binary.LittleEndian.Uint64(src[b:]))
			binary.LittleEndian.PutUint64(dst[at+8:], binary.LittleEndian.Uint64(src[b+8:]))
		} else {
			copy(dst[at:], src[b:e])
		}
		at += n
	}
	off[len(v.beg)] = int32(at)
}

// opaqueOutput is an opaque column with the nulls of v: rows in error added.
func opaqueOutput(v *vector, n int, mem memory.Allocator) arrow.Array {
	d := v.opaque.Data()
	if len(d.Buffers()) == 0 || v.valid == nil {
		v.opaque.Retain()
		return v.opaque
	}
	valid := recycle.Undefined(mem, (d.Offset()+n+7)/8)
	clear(valid.Bytes())
	eachBit(v.valid, n, func(i int) { setBit(valid.Bytes(), d.Offset()+i) })
	bufs := append([]*memory.Buffer{valid}, d.Buffers()[1:]...)
	data := array.NewData(d.DataType(), n, bufs, d.Children(), n-countBits(v.valid, n), d.Offset())
	defer data.Release()
	valid.Release()
	return array.MakeFromData(data)
}
