package group

import (
	"bytes"

	"github.com/apache/arrow/go/v17/arrow"

	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/transforms/agg"
	"github.com/sluice-data/sluice/transforms/internal/hll"
	"github.com/sluice-data/sluice/transforms/internal/keys"
	"github.com/sluice-data/sluice/transforms/internal/pack"
	"github.com/sluice-data/sluice/transforms/internal/slab"
)

// stash is rows kept as they are, by partition. While most rows are groups of their own, rows take less memory than tables and
// states do, and a partition that is folded once, in the end, needs no growing and no merging of lanes. Once they are not, a few rows
// wait there until there are enough of them to visit a large partition for.
type stash struct {
	f      *Fold
	pool   slab.Pool
	chunks [fanout][]chunk
	size   [fanout]int64 // as accounted for in the budget
	count  [fanout]int   // rows
	rows   int64         // now kept
	held   int64         // sum of size
	on     bool          // all rows are kept; once it does not pay any more, never again
	seen   *hll.Registers
	total  int64 // rows that seen has seen
	next   int64 // total at which to ask again whether it pays
	group  int64 // about the bytes of a group in table and states
	packer *pack.Packer
	packed *layout // of packer
	folder folder
}

// leastPacked is the rows that the rest of a block must hold to be used, unless there are fewer.
const leastPacked = 128

// chunk is rows of one partition.
type chunk struct {
	lay    *layout
	n      int
	packed bool // rows are batches of package pack, with its slack behind them
	rows   []byte
	block  []byte // of the pool that rows lie in, if they do
	arenas [][]byte
}

// newStash starts from the groups of a single table.
func newStash(f *Fold, p *part) *stash {
	s := &stash{f: f, on: p.tab.Len() > 0 && f.stash, seen: &hll.Registers{}}
	if !s.on {
		return s
	}
	var r keys.Rows
	p.tab.View(&r, 0, p.tab.Len())
	s.seen.AddAll(r.Hashes())
	s.total = p.rows()
	s.group = p.size / int64(p.tab.Len())
	s.next = s.total * 2
	// With one row of ten repeated by now there are at most some five times as many groups: tables hold those soon.
	s.on = s.total*10 < int64(p.tab.Len())*11
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

// defers reports whether n more rows of partition p, which has so many groups, should wait for others.
func (s *stash) defers(p, n, groups int) bool {
	return s.count[p]+n < min(groups, mostRows) && s.held < s.f.limit/32 && s.f.stash
}

// groups is about how many groups a share of the rows seen has.
func (s *stash) groups(rows int) int {
	if s.total == 0 {
		return 0
	}
	return int(float64(rows) * s.seen.Estimate() / float64(s.total) * 1.05)
}

// cost is about the bytes that keep takes.
func (s *stash) cost(p int, lay *layout, n int, arenas [][]byte) int64 {
	if t := s.tail(p, lay); t != nil && cap(t.rows)-len(t.rows) >= n*lay.stride+pack.Slack {
		return 0
	}
	size := int64(max(n*lay.stride, slab.BlockSize)) + 64
	for _, a := range arenas {
		size += int64(len(a)) + 24
	}
	return size
}

// tail is the last chunk of partition p if rows of the layout may be added to it.
func (s *stash) tail(p int, lay *layout) *chunk {
	if n := len(s.chunks[p]); n > 0 && lay.arenas == 0 && s.chunks[p][n-1].lay == lay && s.chunks[p][n-1].packed == s.packs(lay) {
		return &s.chunks[p][n-1]
	}
	return nil
}

// keep copies n rows of partition p; arenas hold their texts.
func (s *stash) keep(p int, lay *layout, n int, rows []byte, arenas [][]byte) error {
	s.count[p] += n
	s.rows += int64(n)
	if s.packs(lay) {
		return s.pack(p, lay, n, rows)
	}
	if t := s.tail(p, lay); t != nil {
		fit := min((cap(t.rows)-len(t.rows))/lay.stride, n)
		t.rows, t.n = append(t.rows, rows[:fit*lay.stride]...), t.n+fit
		if rows, n = rows[fit*lay.stride:], n-fit; n == 0 {
			return nil
		}
	}
	c, size := chunk{lay: lay, n: n}, int64(64)
	pooled := len(rows) <= slab.BlockSize && (lay.arenas == 0 || len(rows) > slab.BlockSize/2)
	if pooled {
		b, err := s.pool.Get()
		if err != nil {
			return fail.Newf(fail.Temporary, "aggregate: %w", err)
		}
		c.rows, c.block = append(b[:0], rows...), b
	} else {
		c.rows = arrow.GetBytes(make([]uint64, len(rows)/8))
		copy(c.rows, rows)
	}
	size += int64(cap(c.rows))
	for _, a := range arenas {
		c.arenas = append(c.arenas, bytes.Clone(a))
		size += int64(len(a)) + 24
	}
	s.chunks[p] = append(s.chunks[p], c)
	s.account(p, size)
	return nil
}

func (s *stash) account(p int, size int64) {
	s.size[p] += size
	s.held += size
	s.f.hold(size)
}

// fold folds the rows kept of partition i into p, with expect more groups than it has.
func (s *stash) fold(i int, p *part) error {
	if len(s.chunks[i]) == 0 {
		return nil
	}
	s.f.reserve(p, s.groups(s.count[i]))
	for j := range s.chunks[i] {
		c := &s.chunks[i][j]
		if err := s.folder.fold(s.f, c, p); err != nil {
			return err
		}
		s.free(c)
	}
	s.drop(i)
	return nil
}

// packs reports whether rows of a layout are kept packed: those that wait for a few more are not worth it, nor are hashes and ends of
// texts. A block holds leastPacked rows of such a layout at least.
func (s *stash) packs(lay *layout) bool {
	return s.on && lay.arenas == 0 && lay.stride <= slab.BlockSize/leastPacked*3/4
}

// pack keeps n rows of partition p in as few bytes as they take.
func (s *stash) pack(p int, lay *layout, n int, rows []byte) error {
	if s.packed != lay {
		s.packer, s.packed = pack.NewPacker(lay.floats), lay
	}
	s.packer.Load(arrow.GetData[uint64](rows), n)
	for lo := 0; lo < n; {
		t := s.tail(p, lay)
		fit := 0
		if t != nil {
			fit = s.packer.Fit(cap(t.rows)-len(t.rows), n-lo)
		}
		if fit < n-lo && fit < leastPacked {
			b, err := s.pool.Get()
			if err != nil {
				return fail.Newf(fail.Temporary, "aggregate: %w", err)
			}
			s.chunks[p] = append(s.chunks[p], chunk{lay: lay, packed: true, rows: b[:0], block: b})
			s.account(p, int64(len(b))+64)
			continue
		}
		t.rows, t.n = s.packer.Append(t.rows, lo, lo+fit), t.n+fit
		lo += fit
	}
	return nil
}

// folder folds chunks of rows into groups, in memory of its own.
type folder struct {
	out unpacker
	in  pack.Reader
	ids []uint32
}

func (x *folder) fold(f *Fold, c *chunk, p *part) error {
	if !c.packed {
		return x.add(f, c.lay, words{rows: c.rows, stride: c.lay.stride}, c.n, c.arenas, p)
	}
	for rest := c.rows; len(rest) > 0; {
		var n int
		n, rest = x.in.Next(rest, c.lay.stride/8)
		if err := x.add(f, c.lay, words{cols: x.in.Cols}, n, nil, p); err != nil {
			return err
		}
	}
	return nil
}

func (x *folder) add(f *Fold, lay *layout, w words, n int, arenas [][]byte, p *part) error {
	if err := x.out.unpack(lay, w, n, arenas); err != nil {
		return err
	}
	defer x.out.release()
	x.ids = resize(x.ids, n)
	return f.update(p, &x.out.rows, x.ids, x.out.arrays)
}

func (s *stash) free(c *chunk) {
	if c.block != nil {
		s.pool.Put(c.block)
	}
	*c = chunk{}
}

// drop forgets the rows of partition i.
func (s *stash) drop(i int) {
	for j := range s.chunks[i] {
		s.free(&s.chunks[i][j])
	}
	s.rows -= int64(s.count[i])
	s.account(i, -s.size[i])
	s.chunks[i], s.count[i] = nil, 0
}

// close releases all rows.
func (s *stash) close() {
	for i := range s.chunks {
		s.drop(i)
	}
	s.pool.Close()
}

// reserve makes room for n more groups in p.
func (f *Fold) reserve(p *part, n int) {
	if n <= 1024 {
		return // small tables grow cheaply
	}
	f.makeFor(p, p.tab.Len()+n)
}

// makeFor makes room for n groups in all.
func (f *Fold) makeFor(p *part, n int) {
	p.tab.Reserve(n)
	for _, a := range p.accs {
		if r, ok := a.(agg.Reserver); ok {
			r.Reserve(n)
		}
	}
}
