package csv

import (
	"encoding/binary"
	"unsafe"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/bitutil"
	"github.com/apache/arrow/go/v17/arrow/memory"
)

// column is one column of the batch being built, in Arrow's layout but for validity: a byte a row, packed when the batch is
// done (truth values likewise).
type column struct {
	plan  *plan
	nulls *nullTexts
	slow  bool // a null text could be taken for a value: look for it first
	width int  // bytes of a value; 0 for strings
	read  func(c *column, r *run)

	mem    memory.Allocator
	vals   *memory.Buffer // values; for strings their bytes
	offs   *memory.Buffer // for strings
	used   int            // bytes of vals that strings took
	perRow int            // of the batch before, to reserve by
	valid  []byte         // 1 = there is a value
	none   int            // nulls
	text   []byte         // scratch for doubled quotes
}

// run is a run of indexed rows on its way into the columns.
type run struct {
	b      []byte
	x      *index
	d      *dialect
	fields int // of a record
	from   int // first row in x
	n      int
	at     int // first row in the batch
	field  int // of the column at work, -1 = the input lacks it
	bad    []badCell
}

// badCell is a value that its column refused.
type badCell struct {
	row    int // in the run
	column string
	value  string
	reason string // of a misfit: the inferred type
	misfit bool
}

// cells are the run's fields in one column: that of row i starts at lo[i*step]+add and ends at hi[i*r.fields].
func (r *run) cells() (lo, hi []uint32, step int, add uint32) {
	x, n := r.x, r.fields
	hi = x.ends[r.from*n+r.field:]
	if r.field == 0 {
		return x.starts[r.from:], hi, 1, 0
	}
	return x.ends[r.from*n+r.field-1:], hi, n, 1
}

// values are the n values of a buffer from at on.
func values[T any](buf *memory.Buffer, at, n int) []T {
	b := buf.Bytes()
	if len(b) == 0 {
		return nil
	}
	var t T
	all := unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(b))), len(b)/int(unsafe.Sizeof(t)))
	return all[at : at+n]
}

// reserve starts a batch of about rows rows, of records of so many bytes in all.
func (c *column) reserve(mem memory.Allocator, rows, bytes int) {
	c.drop()
	c.mem = mem
	c.vals = memory.NewResizableBuffer(mem)
	if c.width == 0 {
		c.offs = memory.NewResizableBuffer(mem)
		c.vals.Resize(min(max(c.perRow, 8)*rows, bytes) + 64)
	}
	c.grow(rows)
	if c.width == 0 {
		values[int32](c.offs, 0, 1)[0] = 0
	}
}

// grow makes room for rows rows in all.
func (c *column) grow(rows int) {
	if rows <= len(c.valid) {
		return
	}
	if cap(c.valid) < rows {
		rows = max(rows, len(c.valid)*5/4)
		c.valid = append(make([]byte, 0, rows), c.valid...)
	}
	c.valid = c.valid[:rows]
	if c.width == 0 {
		if need := 4 * (rows + 1); c.offs.Len() < need {
			c.offs.Resize(need)
		}
	} else if need := c.width * rows; c.vals.Len() < need {
		c.vals.Resize(need)
	}
}

// drop gives up the batch being built.
func (c *column) drop() {
	if c.vals != nil {
		c.vals.Release()
		c.vals = nil
	}
	if c.offs != nil {
		c.offs.Release()
		c.offs = nil
	}
	c.used, c.none, c.valid = 0, 0, c.valid[:0]
}

// allNull fills the run's rows of a column that the input lacks.
func (c *column) allNull(r *run) {
	clear(c.valid[r.at : r.at+r.n])
	c.none += r.n
	if c.width > 0 {
		clear(c.vals.Bytes()[r.at*c.width : (r.at+r.n)*c.width])
		return
	}
	offs := values[int32](c.offs, r.at+1, r.n)
	for i := range offs {
		offs[i] = int32(c.used)
	}
}

// remove takes the rows drop, which count from at, out of the n rows just read.
func (c *column) remove(at, n int, drop []int) {
	for _, row := range drop {
		if c.valid[at+row] == 0 {
			c.none--
		}
	}
	compact(c.valid[:at+n], at, n, drop)
	if c.width > 0 {
		b := c.vals.Bytes()
		w := c.width
		to := (at + drop[0]) * w
		for k, row := range drop {
			end := n
			if k+1 < len(drop) {
				end = drop[k+1]
			}
			to += copy(b[to:], b[(at+row+1)*w:(at+end)*w])
		}
		return
	}
	c.removeStrings(at, n, drop)
}

func (c *column) removeStrings(at, n int, drop []int) {
	offs := values[int32](c.offs, at, n+1)
	b := c.vals.Bytes()
	to, w, from := 0, offs[0], offs[0]
	for i := range n {
		next := offs[i+1]
		if len(drop) > 0 && drop[0] == i {
			drop = drop[1:]
		} else {
			w += int32(copy(b[w:], b[from:next]))
			to++
			offs[to] = w
		}
		from = next
	}
	c.used = int(w)
}

// finish gives the batch's first n rows as an array, owned by the caller, and is ready for the next reserve.
func (c *column) finish(n int) arrow.Array {
	var validity *memory.Buffer
	if c.none > 0 {
		validity = c.packed(c.valid[:n])
		defer validity.Release()
	}
	var bufs []*memory.Buffer
	switch {
	case c.width == 0:
		c.perRow = c.used/n + c.used/n/8 + 1
		c.offs.ResizeNoShrink(4 * (n + 1))
		c.vals.ResizeNoShrink(c.used)
		bufs = []*memory.Buffer{validity, c.offs, c.vals}
	case c.plan.field.Type.ID() == arrow.BOOL:
		bits := c.packed(c.vals.Bytes()[:n])
		defer bits.Release()
		bufs = []*memory.Buffer{validity, bits}
	default:
		c.vals.ResizeNoShrink(n * c.width)
		bufs = []*memory.Buffer{validity, c.vals}
	}
	data := array.NewData(c.plan.field.Type, n, bufs, nil, c.none, 0)
	defer data.Release()
	arr := array.MakeFromData(data)
	c.drop()
	return arr
}

// packed turns bytes of 0 and 1 into bits.
func (c *column) packed(from []byte) *memory.Buffer {
	buf := memory.NewResizableBuffer(c.mem)
	buf.Resize(int(bitutil.BytesForBits(int64(len(from)))))
	dst := buf.Bytes()
	i := 0
	for ; i+8 <= len(from); i += 8 {
		// bit i of the product's top byte is byte i
		dst[i>>3] = byte(binary.LittleEndian.Uint64(from[i:]) * 0x0102040810204080 >> 56)
	}
	if i < len(from) {
		var last byte
		for k, v := range from[i:] {
			last |= v << k
		}
		dst[i>>3] = last
	}
	return buf
}
