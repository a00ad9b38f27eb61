package group

import (
	"errors"

	"github.com/apache/arrow/go/v17/arrow"

	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/transforms/internal/col"
	"github.com/sluice-data/sluice/transforms/internal/keys"
	"github.com/sluice-data/sluice/transforms/internal/slab"
)

// scatter buffers rows by partition, so that a partition's table and states are visited for many rows at a time and are in the
// cache for all but the first of them. Row j of partition p is row p*per+j of the buffer.
type scatter struct {
	l       *Lane
	lay     *layout
	per     int         // rows buffered per partition
	fill    [fanout]int // rows now buffered
	buf     []byte
	at      [block]uint32 // first words of the rows being written
	part    [block]uint8  // their partitions
	arenas  [][][]byte    // texts, by partition
	size    int64         // accounted for
	varSize int64         // of arenas since the last account
	out     unpacker
}

var errHuge = errors.New("aggregate: more than 2 GiB of text in one column of a batch")

const (
	// block is the rows written at a time: they stay in the first cache while one column after the other is put to them.
	block = 512
	// bufferBytes is what a partition's buffer takes; for half of the rows at least its states are in the cache then.
	bufferBytes = 32 << 10
	// mostRows is the rows kept beside the buffer before they are folded into the groups of a large partition.
	mostRows = 8192
)

func newScatter(l *Lane) *scatter {
	return &scatter{l: l, lay: newLayout(l.f.cfg.Args, false, false, false)}
}

// alloc makes the buffer for rows of a layout: a twelfth of the budget at most, and a sixth for the buffers of all lanes.
func (s *scatter) alloc(lay *layout) (err error) {
	s.lay = lay
	slab.Unmap(s.buf)
	most := s.l.f.share(12)
	for s.per = 1024; s.per > 16 && (s.per*lay.stride > bufferBytes || int64(s.per*lay.stride*fanout) > most); s.per /= 2 {
	}
	if s.buf, err = slab.Map(fanout * s.per * lay.stride); err != nil {
		return fail.Newf(fail.Temporary, "aggregate: %w", err)
	}
	s.arenas = make([][][]byte, lay.arenas)
	for i := range s.arenas {
		s.arenas[i] = make([][]byte, fanout)
	}
	s.account()
	return nil
}

// account tells the budget what the buffers hold.
func (s *scatter) account() {
	size := int64(len(s.buf))
	for _, a := range s.arenas {
		for _, b := range a {
			size += int64(cap(b))
		}
	}
	s.l.f.hold(size - s.size)
	s.size, s.varSize = size, 0
}

func (s *scatter) close() {
	slab.Unmap(s.buf)
	s.l.f.hold(-s.size)
	s.size, s.buf, s.arenas = 0, nil, nil
}

// add buffers rows and their arguments, folding or keeping those of each partition whose buffer is full.
func (s *scatter) add(r *keys.Rows, args []arrow.Array) error {
	if err := s.suit(r, args); err != nil {
		return err
	}
	s.l.stash.watch(r.Hashes(), int64(s.lay.stride))
	for lo := 0; lo < r.N; {
		hi, full := s.place(r.Hashes(), lo)
		if err := s.write(r, args, lo, hi); err != nil {
			return err
		}
		if full >= 0 {
			if err := s.flush(full, true); err != nil {
				return err
			}
		}
		lo = hi
	}
	if s.varSize > 1<<20 {
		return s.boundText()
	}
	return nil
}

// suit changes the layout when the rows need what it has not.
func (s *scatter) suit(r *keys.Rows, args []arrow.Array) error {
	bytes := s.lay.bytes || !r.Packed
	w1 := s.lay.w1 || r.W1 != nil
	nulls := s.lay.nulls
	for _, a := range args {
		nulls = nulls || a.NullN() > 0
	}
	if s.buf != nil && bytes == s.lay.bytes && w1 == s.lay.w1 && nulls == s.lay.nulls {
		return nil
	}
	if err := s.flushAll(true); err != nil {
		return err
	}
	return s.alloc(newLayout(s.lay.types, w1, bytes, nulls))
}

// boundText empties all buffers when their text takes more than their share.
func (s *scatter) boundText() error {
	s.account()
	if s.size <= max(s.l.f.share(8), 1<<20) && s.size <= 64<<20 {
		return nil
	}
	if err := s.flushAll(true); err != nil {
		return err
	}
	for _, a := range s.arenas {
		clear(a)
	}
	s.account()
	return nil
}

// place gives places to rows lo … hi-1; it stops at the end of a block or after a row that fills a partition, which is returned, else -1.
func (s *scatter) place(hash []uint64, lo int) (hi, full int) {
	per, words := s.per, s.lay.stride/8
	hash = hash[lo:min(lo+block, len(hash))]
	for i, h := range hash {
		p := h >> 56
		f := s.fill[p]
		s.at[i&(block-1)], s.part[i&(block-1)] = uint32((int(p)*per+f)*words), uint8(p)
		f++
		s.fill[p] = f
		if f == per {
			return lo + i + 1, int(p)
		}
	}
	return lo + len(hash), -1
}

func (s *scatter) write(r *keys.Rows, args []arrow.Array, lo, hi int) error {
	at := s.at[:hi-lo]
	w := arrow.GetData[uint64](s.buf)
	if s.lay.bytes {
		spread(w, r.Hashes()[lo:hi], at, 1, 0)
		ends := arrow.GetData[uint32](s.buf)
		for i, x := range at {
			ends[2*int(x)+s.lay.end/4] = uint32(s.put(0, s.part[i], r.Bytes[r.Off[lo+i]:r.Off[lo+i+1]]))
		}
	} else {
		spread(w, r.W0[lo:hi], at, 1, 0)
		switch {
		case r.W1 != nil:
			spread(w, r.W1[lo:hi], at, 1, 1)
		case s.lay.w1:
			for _, x := range at {
				w[x+1] = 0
			}
		}
	}
	for i := range args {
		if err := s.writeArg(i, args[i], lo, at); err != nil {
			return err
		}
	}
	return nil
}

// spread writes a value to each row: items of the buffer that come n to a word, the k-th of the row.
func spread[T any](dst, src []T, at []uint32, n, k int) {
	src = src[:len(at)]
	for i, x := range at {
		dst[int(x)*n+k] = src[i]
	}
}

// put appends b to partition p of an arena and gives where it ends.
func (s *scatter) put(arena int, p uint8, b []byte) int {
	a := &s.arenas[arena][p]
	*a = append(*a, b...)
	s.varSize += int64(len(b))
	return len(*a)
}

func (s *scatter) writeArg(c int, a arrow.Array, lo int, at []uint32) error {
	lay := s.lay
	width := lay.width[c]
	if width == 0 {
		return nil
	}
	k := lay.at[c] / width
	switch width {
	case 1:
		if lay.types[c].ID() == arrow.BOOL {
			bits, off := col.Bits(a)
			for i, x := range at {
				s.buf[int(x)*8+k] = bits[(off+lo+i)>>3] >> uint((off+lo+i)&7) & 1
			}
		} else {
			spread(s.buf, col.Fixed[uint8](a)[lo:], at, 8, k)
		}
	case 2:
		spread(arrow.GetData[uint16](s.buf), col.Fixed[uint16](a)[lo:], at, 4, k)
	case 4:
		if lay.text[c] < 0 {
			spread(arrow.GetData[uint32](s.buf), col.Fixed[uint32](a)[lo:], at, 2, k)
			break
		}
		off, data, ok := col.Var(a)
		if !ok {
			return errHuge
		}
		ends := arrow.GetData[uint32](s.buf)
		for i, x := range at {
			ends[2*int(x)+k] = uint32(s.put(lay.text[c], s.part[i], data[off[lo+i]:off[lo+i+1]]))
		}
	case 8:
		spread(arrow.GetData[uint64](s.buf), col.Fixed[uint64](a)[lo:], at, 1, k)
	case 16:
		src, dst, k := col.Words16(a)[2*lo:], arrow.GetData[uint64](s.buf), lay.at[c]/8
		for i, x := range at {
			dst[int(x)+k], dst[int(x)+k+1] = src[2*i], src[2*i+1]
		}
	}
	if !lay.nulls {
		return nil
	}
	bits, off := col.Valid(a)
	for i, x := range at {
		v := uint8(1)
		if bits != nil {
			v = bits[(off+lo+i)>>3] >> uint((off+lo+i)&7) & 1
		}
		s.buf[int(x)*8+lay.null+c] = v
	}
	return nil
}

func (s *scatter) flushAll(mayKeep bool) error {
	for p := range s.fill {
		if err := s.flush(p, mayKeep); err != nil {
			return err
		}
	}
	return nil
}

// texts are the arenas of partition p.
func (s *scatter) texts(p int) [][]byte {
	out := make([][]byte, len(s.arenas))
	for i := range out {
		out[i] = s.arenas[i][p]
	}
	return out
}

// flush keeps the buffered rows of partition p as they are or folds them.
func (s *scatter) flush(p int, mayKeep bool) error {
	n := s.fill[p]
	if n == 0 || s.l.err != nil {
		return s.l.err
	}
	rows := s.buf[p*s.per*s.lay.stride:][:n*s.lay.stride]
	stash := s.l.stash
	if mayKeep && (stash.on || stash.defers(p, n, s.l.parts[p].tab.Len())) {
		if err := s.l.makeRoom(stash.cost(p, s.lay, n, s.texts(p))); err != nil {
			return err
		}
		if err := stash.keep(p, s.lay, n, rows, s.texts(p)); err != nil {
			return err
		}
		s.emptied(p)
		return nil
	}
	if err := stash.fold(p, s.l.parts[p]); err != nil {
		return err
	}
	// Ask before growing: tables and states grow by doubling.
	if err := s.l.makeRoom(s.l.parts[p].size + int64(n)*s.l.f.rowBytes()/4); err != nil {
		return err
	}
	part := s.l.parts[p] // another one if the room came from it
	err := s.out.unpack(s.lay, words{rows: rows, stride: s.lay.stride}, n, s.texts(p))
	if err != nil {
		return err
	}
	defer s.out.release()
	s.l.ids = resize(s.l.ids, max(n, window))
	if err := s.l.f.update(part, &s.out.rows, s.l.ids[:n], s.out.arrays); err != nil {
		return err
	}
	s.l.f.account(part)
	s.emptied(p)
	if s.l.f.outgrows(part) {
		return s.l.spillPart(p)
	}
	return nil
}

// emptied makes the buffer of partition p ready for the next rows.
func (s *scatter) emptied(p int) {
	s.fill[p] = 0
	for _, a := range s.arenas {
		a[p] = a[p][:0]
	}
}
