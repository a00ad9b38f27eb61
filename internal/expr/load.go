package expr

import (
	"math"
	"strconv"
	"unsafe"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"

	"github.com/sluice-data/sluice/internal/fail"
)

// load makes a vector over a column: its own buffers where the layout allows, converted copies of other time units,
// dictionaries and half floats.
func (r *run) load(c *columnNode, sel []byte) *vector {
	if r.entries != nil {
		v := *r.entries
		return &v
	}
	arr := r.rec.Column(c.index)
	v := &vector{typ: c.t, n: r.n}
	valid := r.validity(arr)
	for _, i := range c.path {
		arr = arr.(*array.Struct).Field(i)
		inner := r.validity(arr)
		switch {
		case valid == nil:
			valid = inner
		case inner != nil:
			both := r.bitmap()
			bitAnd(both, valid, inner, r.n)
			valid = both
		}
	}
	v.valid = valid
	if len(c.path) == 0 {
		v.array = arr
	}
	d := arr.Data()
	switch dt := arr.DataType().(type) {
	case *arrow.BooleanType:
		if r.n > 0 {
			v.data = r.alignBitmap(d.Buffers()[1].Bytes(), d.Offset(), r.n)
		}
	case *arrow.StringType, *arrow.BinaryType:
		loadStrings(v, d)
	case *arrow.LargeStringType, *arrow.LargeBinaryType:
		r.loadLarge(v, d)
	case *arrow.FixedSizeBinaryType:
		if r.n > 0 {
			v.data = d.Buffers()[1].Bytes()[d.Offset()*dt.ByteWidth:]
		}
		v.beg, v.end = r.int32s(r.n), r.int32s(r.n)
		for i := range v.beg {
			v.beg[i], v.end[i] = int32(i*dt.ByteWidth), int32((i+1)*dt.ByteWidth)
		}
	case *arrow.ListType, *arrow.StructType:
		if c.t.kind == kOpaque {
			v.opaque = arr
			return v
		}
		r.loadNested(v, arr)
	case *arrow.DictionaryType:
		r.loadDictionary(v, arr.(*array.Dictionary))
	case *arrow.TimestampType:
		r.loadTicks(c, v, d, sel, microsPer(dt.Unit))
	case *arrow.Time32Type:
		r.loadTicks32(v, d, microsPer(dt.Unit).num)
	case *arrow.Time64Type:
		r.loadTicks(c, v, d, sel, microsPer(dt.Unit))
	case *arrow.Date64Type:
		r.loadDate64(c, v, d, sel)
	case *arrow.Float16Type:
		v.data = r.bytes(r.n * 4)
		out := values[float32](v)
		for i, h := range arr.(*array.Float16).Values() {
			out[i] = h.Float32()
		}
	default:
		if c.t.kind == kOpaque {
			v.opaque = arr
			return v
		}
		v.data = fixedBytes(d, c.t.kind.width(), r.n)
	}
	return v
}

func (r *run) validity(arr arrow.Array) []byte {
	d := arr.Data()
	if arr.NullN() == 0 || len(d.Buffers()) == 0 || d.Buffers()[0] == nil || d.Buffers()[0].Len() == 0 {
		if arr.DataType().ID() == arrow.NULL {
			return r.zeroBitmap()
		}
		return nil
	}
	return r.alignBitmap(d.Buffers()[0].Bytes(), d.Offset(), arr.Len())
}

func fixedBytes(d arrow.ArrayData, width, n int) []byte {
	if n == 0 {
		return nil
	}
	return d.Buffers()[1].Bytes()[d.Offset()*width : (d.Offset()+n)*width]
}

func loadStrings(v *vector, d arrow.ArrayData) {
	if v.n == 0 {
		return
	}
	b := d.Buffers()
	off := unsafe.Slice((*int32)(unsafe.Pointer(&b[1].Bytes()[0])), b[1].Len()/4)[d.Offset() : d.Offset()+v.n+1]
	v.beg, v.end = off[:v.n], off[1:]
	if b[2] != nil {
		v.data = b[2].Bytes()
	}
}

func (r *run) loadLarge(v *vector, d arrow.ArrayData) {
	if v.n == 0 {
		return
	}
	b := d.Buffers()
	off := unsafe.Slice((*int64)(unsafe.Pointer(&b[1].Bytes()[0])), b[1].Len()/8)[d.Offset() : d.Offset()+v.n+1]
	first, last := off[0], off[v.n]
	if last-first > math.MaxInt32 {
		r.tooLarge()
		first, last = 0, 0
	}
	v.beg, v.end = r.int32s(v.n), r.int32s(v.n)
	for i := range v.beg {
		v.beg[i], v.end[i] = int32(off[i]-first), int32(off[i+1]-first)
	}
	if b[2] != nil {
		v.data = b[2].Bytes()[first:last]
	}
}

func (r *run) tooLarge() {
	r.err = fail.Newf(fail.Data, "evaluate expression: the strings of one batch are longer than 2 GiB")
}

// loadDictionary makes each row point at its entry of the dictionary.
func (r *run) loadDictionary(v *vector, a *array.Dictionary) {
	v.array = nil
	entry := func(i int) string { return "" }
	switch d := a.Dictionary().(type) {
	case *array.String:
		entry = d.Value
	case *array.LargeString:
		entry = d.Value
	}
	n := a.Dictionary().Len()
	beg := make([]int32, n+1)
	for i := range n {
		if a.Dictionary().IsNull(i) {
			r.err = fail.Newf(fail.Data, "evaluate expression: a dictionary with NULL entries is not supported")
			return
		}
		v.data = append(v.data, entry(i)...)
		if len(v.data) > math.MaxInt32 {
			r.tooLarge()
			return
		}
		beg[i+1] = int32(len(v.data))
	}
	v.beg, v.end = r.int32s(r.n), r.int32s(r.n)
	for i := range r.n {
		if v.valid != nil && !bit(v.valid, i) {
			v.beg[i], v.end[i] = 0, 0
			continue
		}
		k := a.GetValueIndex(i)
		v.beg[i], v.end[i] = beg[k], beg[k+1]
	}
}

// ticks converts units: µs = value * num / den.
type ticks struct{ num, den int64 }

func microsPer(u arrow.TimeUnit) ticks {
	switch u {
	case arrow.Second:
		return ticks{1e6, 1}
	case arrow.Millisecond:
		return ticks{1e3, 1}
	case arrow.Nanosecond:
		return ticks{1, 1e3}
	}
	return ticks{1, 1}
}

// loadTicks reads 64-bit times of any unit as µs; what µs cannot hold is an error of its row.
func (r *run) loadTicks(c *columnNode, v *vector, d arrow.ArrayData, sel []byte, t ticks) {
	v.data = fixedBytes(d, 8, r.n)
	if t == (ticks{1, 1}) {
		return
	}
	in := values[int64](v)
	v.data, v.array = r.bytes(r.n*8), nil
	out := values[int64](v)
	for i, x := range in {
		out[i] = x / t.den * t.num
		if (x%t.den != 0 || out[i]/t.num != x/t.den) && active(sel, v.valid, i) {
			r.fail(v, i, strconv.FormatInt(x, 10), "time of column "+c.field.Name+" does not fit microseconds")
		}
	}
}

func (r *run) loadTicks32(v *vector, d arrow.ArrayData, num int64) {
	v.data = fixedBytes(d, 4, r.n)
	in := values[int32](v)
	v.data, v.array = r.bytes(r.n*8), nil
	out := values[int64](v)
	for i, x := range in {
		out[i] = int64(x) * num
	}
}

func (r *run) loadDate64(c *columnNode, v *vector, d arrow.ArrayData, sel []byte) {
	const day = 86400e3
	v.data = fixedBytes(d, 8, r.n)
	in := values[int64](v)
	v.data, v.array = r.bytes(r.n*4), nil
	out := values[int32](v)
	for i, x := range in {
		days := x / day
		out[i] = int32(days)
		if (x%day != 0 || int64(out[i]) != days) && active(sel, v.valid, i) {
			r.fail(v, i, strconv.FormatInt(x, 10), "date of column "+c.field.Name+" is not a whole day")
		}
	}
}
