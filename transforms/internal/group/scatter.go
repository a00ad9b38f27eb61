package group

import (
	"errors"
	"math"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"

	"github.com/sluice-data/sluice/transforms/internal/col"
	"github.com/sluice-data/sluice/transforms/internal/keys"
)

// scatter buffers rows by partition, so that a partition's table and states are visited for many rows at a time and are in the
// cache for all but the first of them. Row j of partition p has slot p*per+j of every column.
type scatter struct {
	l       *Lane
	per     int         // rows buffered per partition
	fill    [fanout]int // rows now buffered
	slots   []uint32    // of the rows of the current window
	rows    keys.Rows   // of the partition being flushed
	w0, w1  []uint64    // packed keys; w1 is nil until one has a second word
	bytes   bool        // keys are byte rows
	hash    []uint64    // their hashes
	keys    varColumn   // the byte rows
	args    []scattered // argument columns
	arrays  []arrow.Array
	size    int64 // accounted for
	rowSize int64 // about the bytes of a buffered row
	varSize int64 // of byte arenas since the last account
}

// scattered is a buffered argument column.
type scattered struct {
	typ   arrow.DataType
	width int // bytes of a value; 0 for text
	data  []byte
	valid []uint8 // nil until a null was seen
	text  varColumn
}

// varColumn is var-length values: an arena per partition, and where each slot's value ends in it.
type varColumn struct {
	arena [][]byte
	ends  []int
}

var errHuge = errors.New("aggregate: more than 2 GiB of text in one column of a batch")

func newScatter(l *Lane) *scatter {
	s := &scatter{l: l, slots: make([]uint32, window)}
	width := 16
	for _, t := range l.f.cfg.Args {
		width += max(col.Width(t), 8)
	}
	s.rowSize = int64(width)
	// A 32nd of the budget for each lane's buffers at most.
	for s.per = perLeast; s.per > 16 && !s.affords(s.per); s.per /= 2 {
	}
	s.alloc()
	return s
}

const (
	// perLeast and perMost are the rows buffered per partition. The more groups a partition has the more rows must share the cost of
	// fetching it into the cache.
	perLeast = 1024
	perMost  = 8192
)

func (s *scatter) affords(per int) bool { return int64(per)*s.rowSize*fanout <= s.l.f.limit/32 }

// alloc makes the columns for s.per rows per partition.
func (s *scatter) alloc() {
	n := fanout * s.per
	s.w0, s.w1, s.hash, s.keys, s.args = nil, nil, nil, varColumn{}, s.args[:0]
	if s.bytes {
		s.hash, s.keys = make([]uint64, n), newVarColumn(n)
	} else {
		s.w0 = make([]uint64, n)
	}
	for _, t := range s.l.f.cfg.Args {
		c := scattered{typ: t, width: col.Width(t)}
		switch {
		case t.ID() == arrow.BOOL:
			c.width = 1
			c.data = make([]byte, n)
		case col.IsVar(t):
			c.width = 0
			c.text = newVarColumn(n)
		case t.ID() != arrow.NULL:
			c.data = make([]byte, n*c.width)
		}
		s.args = append(s.args, c)
	}
	s.account()
}

// widen doubles the buffers while the partitions have more groups than a buffer has rows.
func (s *scatter) widen(groups int) error {
	if groups <= s.per || s.per >= perMost || !s.affords(2*s.per) {
		return nil
	}
	if err := s.flushAll(); err != nil {
		return err
	}
	s.per *= 2
	s.alloc()
	return nil
}

func newVarColumn(n int) varColumn { return varColumn{make([][]byte, fanout), make([]int, n)} }

func (v *varColumn) size() int64 {
	n := int64(len(v.ends)) * 8
	for _, a := range v.arena {
		n += int64(cap(a))
	}
	return n
}

// account tells the budget what the buffers hold.
func (s *scatter) account() {
	size := int64(len(s.w0)+len(s.w1)+len(s.hash))*8 + s.keys.size()
	for i := range s.args {
		c := &s.args[i]
		size += int64(len(c.data)+len(c.valid)) + c.text.size()
	}
	s.l.f.used.Add(size - s.size)
	s.size, s.varSize = size, 0
}

func (s *scatter) close() {
	s.l.f.used.Add(-s.size)
	s.size = 0
}

// add buffers rows and their arguments, folding each partition whose buffer is full.
func (s *scatter) add(r *keys.Rows, args []arrow.Array) error {
	if !r.Packed && !s.bytes {
		if err := s.toBytes(); err != nil {
			return err
		}
	}
	if r.W1 != nil && s.w1 == nil {
		s.w1 = make([]uint64, len(s.w0))
		s.account()
	}
	for i := range args {
		if c := &s.args[i]; c.valid == nil && args[i].NullN() > 0 {
			c.valid = make([]uint8, fanout*s.per)
			for j := range c.valid {
				c.valid[j] = 1
			}
			s.account()
		}
	}
	s.l.stash.watch(r.Hash, s.rowSize)
	grown := 0
	for lo := 0; lo < r.N; {
		hi, full := s.place(r.Hash, lo)
		if err := s.write(r, args, lo, hi); err != nil {
			return err
		}
		if full >= 0 {
			if err := s.flush(full); err != nil {
				return err
			}
			grown = max(grown, s.l.parts[full].tab.Len())
		}
		lo = hi
	}
	if err := s.widen(grown); err != nil {
		return err
	}
	if s.varSize > 1<<20 {
		return s.boundText()
	}
	return nil
}

// boundText folds all buffered rows when their text takes more than the buffers' share.
func (s *scatter) boundText() error {
	s.account()
	if s.size <= max(s.l.f.limit/16, 1<<20) && s.size <= 64<<20 {
		return nil
	}
	if err := s.flushAll(); err != nil {
		return err
	}
	for _, v := range s.varColumns() {
		clear(v.arena)
	}
	s.account()
	return nil
}

func (s *scatter) varColumns() []*varColumn {
	var out []*varColumn
	if s.bytes {
		out = append(out, &s.keys)
	}
	for i := range s.args {
		if col.IsVar(s.args[i].typ) {
			out = append(out, &s.args[i].text)
		}
	}
	return out
}

// place gives slots to rows lo … hi-1; it stops after a row that fills a partition, which is returned, else -1.
func (s *scatter) place(hash []uint64, lo int) (hi, full int) {
	per, slots := s.per, s.slots[:len(hash)]
	for i := lo; i < len(hash); i++ {
		p := hash[i] >> 56
		f := s.fill[p]
		slots[i] = uint32(int(p)*per + f)
		f++
		s.fill[p] = f
		if f == per {
			return i + 1, int(p)
		}
	}
	return len(hash), -1
}

func (s *scatter) write(r *keys.Rows, args []arrow.Array, lo, hi int) error {
	slots := s.slots[lo:hi]
	if s.bytes {
		for i, slot := range slots {
			s.hash[slot] = r.Hash[lo+i]
			s.put(&s.keys, slot, r.Bytes[r.Off[lo+i]:r.Off[lo+i+1]])
		}
	} else {
		spread(s.w0, r.W0[lo:hi], slots)
		if r.W1 != nil {
			spread(s.w1, r.W1[lo:hi], slots)
		} else if s.w1 != nil {
			for _, slot := range slots {
				s.w1[slot] = 0
			}
		}
	}
	for i := range args {
		if err := s.writeArg(&s.args[i], args[i], lo, slots); err != nil {
			return err
		}
	}
	return nil
}

func spread[T any](dst, src []T, slots []uint32) {
	src = src[:len(slots)]
	for i, slot := range slots {
		dst[slot] = src[i]
	}
}

func (s *scatter) put(v *varColumn, slot uint32, b []byte) {
	p := int(slot) / s.per
	v.arena[p] = append(v.arena[p], b...)
	v.ends[slot] = len(v.arena[p])
	s.varSize += int64(len(b))
}

func (s *scatter) writeArg(c *scattered, a arrow.Array, lo int, slots []uint32) error {
	switch {
	case c.typ.ID() == arrow.NULL:
	case c.typ.ID() == arrow.BOOL:
		bits, off := col.Bits(a)
		for i, slot := range slots {
			c.data[slot] = bits[(off+lo+i)>>3] >> uint((off+lo+i)&7) & 1
		}
	case c.width == 0:
		off, data, ok := col.Var(a)
		if !ok {
			return errHuge
		}
		for i, slot := range slots {
			s.put(&c.text, slot, data[off[lo+i]:off[lo+i+1]])
		}
	case c.width == 1:
		spread(c.data, col.Fixed[uint8](a)[lo:], slots)
	case c.width == 2:
		spread(arrow.GetData[uint16](c.data), col.Fixed[uint16](a)[lo:], slots)
	case c.width == 4:
		spread(arrow.GetData[uint32](c.data), col.Fixed[uint32](a)[lo:], slots)
	case c.width == 8:
		spread(arrow.GetData[uint64](c.data), col.Fixed[uint64](a)[lo:], slots)
	case c.width == 16:
		src, dst := col.Words16(a)[2*lo:], arrow.GetData[uint64](c.data)
		for i, slot := range slots {
			dst[2*slot], dst[2*slot+1] = src[2*i], src[2*i+1]
		}
	}
	if c.valid == nil {
		return nil
	}
	bits, off := col.Valid(a)
	for i, slot := range slots {
		c.valid[slot] = 1
		if bits != nil {
			c.valid[slot] = bits[(off+lo+i)>>3] >> uint((off+lo+i)&7) & 1
		}
	}
	return nil
}

// toBytes folds what is buffered as words and goes on with byte rows.
func (s *scatter) toBytes() error {
	if err := s.flushAll(); err != nil {
		return err
	}
	s.bytes = true
	s.alloc()
	return nil
}

func (s *scatter) flushAll() error {
	for p := range s.fill {
		if err := s.flush(p); err != nil {
			return err
		}
	}
	return nil
}

// flush folds the buffered rows of partition p.
func (s *scatter) flush(p int) error {
	n := s.fill[p]
	if n == 0 || s.l.err != nil {
		return s.l.err
	}
	lo := p * s.per
	if s.bytes {
		s.rows.SetBytes(s.keys.arena[p], s.keys.ends[lo:lo+n], s.hash[lo:lo+n])
	} else {
		var w1 []uint64
		if s.w1 != nil {
			w1 = s.w1[lo : lo+n]
		}
		s.rows.SetWords(s.w0[lo:lo+n], w1)
	}
	s.arrays = s.arrays[:0]
	defer func() { release(s.arrays) }()
	for i := range s.args {
		a, err := s.args[i].array(p, lo, n)
		if err != nil {
			return err
		}
		s.arrays = append(s.arrays, a)
	}
	if s.l.stash.on {
		if err := s.l.makeRoom(2 * int64(n) * s.rowSize); err != nil {
			return err
		}
		s.l.stash.keep(p, &s.rows, s.arrays)
		s.emptied(p)
		return nil
	}
	part := s.l.parts[p]
	if err := s.l.stash.fold(p, part); err != nil {
		return err
	}
	// Ask before growing: tables and states grow by doubling.
	if err := s.l.makeRoom(part.size + int64(n)*s.l.f.rowBytes()/4); err != nil {
		return err
	}
	part = s.l.parts[p]
	if cap(s.l.ids) < n {
		s.l.ids = make([]uint32, s.per)
	}
	if err := s.l.f.update(part, &s.rows, s.l.ids[:n], s.arrays); err != nil {
		return err
	}
	s.l.f.account(part)
	s.emptied(p)
	return nil
}

// emptied makes the buffers of partition p ready for the next rows.
func (s *scatter) emptied(p int) {
	s.fill[p] = 0
	for _, v := range s.varColumns() {
		v.arena[p] = v.arena[p][:0]
	}
}

// array is the buffered values of partition p, lent: the buffer is used again afterwards.
func (c *scattered) array(p, lo, n int) (arrow.Array, error) {
	var valid []uint8
	if c.valid != nil {
		valid = c.valid[lo : lo+n]
	}
	switch {
	case c.typ.ID() == arrow.NULL:
		return array.NewNull(n), nil
	case c.typ.ID() == arrow.BOOL:
		return col.NewBool(c.data[lo:lo+n], valid), nil
	case c.width == 0:
		if len(c.text.arena[p]) > math.MaxInt32 {
			return nil, errHuge
		}
		off := make([]int32, n+1)
		for i, e := range c.text.ends[lo : lo+n] {
			off[i+1] = int32(e)
		}
		return col.NewVar(c.typ, off, c.text.arena[p], valid), nil
	}
	return col.NewSized(c.typ, n, c.data[lo*c.width:(lo+n)*c.width], valid), nil
}
