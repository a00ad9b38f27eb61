package group

import (
	"bytes"
	"slices"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/sluice-data/sluice/transforms/agg"
	"github.com/sluice-data/sluice/transforms/internal/hll"
	"github.com/sluice-data/sluice/transforms/internal/keys"
)

// stash is rows kept as they are, by partition. While most rows are groups of their own, rows take less memory than tables and
// states do, and a partition that is folded once, in the end, needs no growing and no merging of lanes.
type stash struct {
	f      *Fold
	chunks [fanout][]chunk
	size   [fanout]int64 // as accounted for in the budget
	rows   int64         // now kept
	on     bool          // rows are kept; once it does not pay any more, never again
	seen   *hll.Registers
	total  int64 // rows that seen has seen
	next   int64 // total at which to ask again whether it pays
	group  int64 // about the bytes of a group in table and states
}

// chunk is rows of one partition.
type chunk struct {
	n      int
	w0, w1 []uint64 // packed keys
	hash   []uint64 // byte rows: their hashes, ends and bytes
	ends   []int
	bytes  []byte
	args   []arrow.Array
}

// newStash starts from the groups of a single table.
func newStash(f *Fold, p *part) *stash {
	s := &stash{f: f, on: p.tab.Len() > 0 && f.stash, seen: &hll.Registers{}}
	if !s.on {
		return s
	}
	var r keys.Rows
	p.tab.View(&r, 0, p.tab.Len())
	s.seen.AddAll(r.Hash)
	s.total = p.rows()
	s.group = p.size / int64(p.tab.Len())
	s.next = s.total * 2
	return s
}

// watch sees the hashes of rows about to be buffered and decides whether keeping rows pays: they must take less room than their
// groups would.
func (s *stash) watch(hash []uint64, rowSize int64) {
	if !s.on {
		return
	}
	s.seen.AddAll(hash)
	if s.total += int64(len(hash)); s.total < s.next {
		return
	}
	s.next = s.total + s.total/16
	groups := int64(s.seen.Estimate())
	s.on = s.total*rowSize < groups*s.group && s.total < 4*groups
}

// groups is about how many groups a share of the rows seen has.
func (s *stash) groups(rows int) int {
	if s.total == 0 {
		return 0
	}
	return int(float64(rows) * s.seen.Estimate() / float64(s.total) * 1.05)
}

// keep copies rows of partition p.
func (s *stash) keep(p int, r *keys.Rows, args []arrow.Array) {
	c := chunk{n: r.N}
	size := int64(64)
	if r.Packed {
		c.w0, c.w1 = slices.Clone(r.W0), slices.Clone(r.W1)
		size += int64(len(c.w0)+len(c.w1)) * 8
	} else {
		c.hash, c.ends, c.bytes = slices.Clone(r.Hash), slices.Clone(r.Off[1:]), bytes.Clone(r.Bytes)
		size += int64(len(c.hash)+len(c.ends))*8 + int64(len(c.bytes))
	}
	for _, a := range args {
		d := a.Data()
		bufs := make([]*memory.Buffer, len(d.Buffers()))
		for i, b := range d.Buffers() {
			if b != nil {
				bufs[i] = memory.NewBufferBytes(bytes.Clone(b.Bytes()))
				size += int64(b.Len()) + 256
			}
		}
		own := array.NewData(a.DataType(), a.Len(), bufs, nil, a.NullN(), d.Offset())
		c.args = append(c.args, array.MakeFromData(own))
		own.Release()
	}
	s.chunks[p] = append(s.chunks[p], c)
	s.size[p] += size
	s.rows += int64(c.n)
	s.f.used.Add(size)
}

// fold folds the rows kept of partition i into p, with expect more groups than it has.
func (s *stash) fold(i int, p *part) error {
	if len(s.chunks[i]) == 0 {
		return nil
	}
	rows := 0
	for _, c := range s.chunks[i] {
		rows += c.n
	}
	s.f.reserve(p, s.groups(rows))
	var r keys.Rows
	var ids []uint32
	for j := range s.chunks[i] {
		c := &s.chunks[i][j]
		if c.ends == nil {
			r.SetWords(c.w0, c.w1)
		} else {
			r.SetBytes(c.bytes, c.ends, c.hash)
		}
		ids = slices.Grow(ids[:0], c.n)[:c.n]
		if err := s.f.update(p, &r, ids, c.args); err != nil {
			return err
		}
		release(c.args)
		*c = chunk{}
	}
	s.drop(i, rows)
	return nil
}

func (s *stash) drop(i, rows int) {
	s.chunks[i] = nil
	s.rows -= int64(rows)
	s.f.used.Add(-s.size[i])
	s.size[i] = 0
}

// close releases all rows.
func (s *stash) close() {
	for i := range s.chunks {
		for _, c := range s.chunks[i] {
			release(c.args)
			s.rows -= int64(c.n)
		}
		s.drop(i, 0)
	}
}

// reserve makes room for n more groups in p.
func (f *Fold) reserve(p *part, n int) {
	if n <= 1024 {
		return // small tables grow cheaply
	}
	n += p.tab.Len()
	p.tab.Reserve(n)
	for _, a := range p.accs {
		if r, ok := a.(agg.Reserver); ok {
			r.Reserve(n)
		}
	}
}
