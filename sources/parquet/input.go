package parquet

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"runtime/debug"
	"slices"

	"github.com/parquet-go/parquet-go/format"

	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/sources"
)

const (
	// segmentGap is how many unneeded bytes are read rather than asking twice.
	segmentGap = 128 << 10
	// segmentMax bounds a range that holds several column chunks and is read at once.
	segmentMax = 8 << 20
	// groupBudget bounds the bytes of a row group that one lane holds undecoded, or a 16th of the memory limit if that is less.
	groupBudget = 32 << 20
	// textsLeast is what a column of texts may have of a batch at least, if the limit is not smaller.
	textsLeast = 1 << 20
	// blockMin and blockMax bound the pieces that a column chunk is read in when the row group is over the budget.
	blockMin = 64 << 10
	blockMax = 4 << 20
	// aheadBlockMax is blockMax where blocks are fetched ahead: many small ones hide a long way to the store.
	aheadBlockMax = 1 << 20
	// lookMin is what is looked at, at least, of a block that was fetched ahead.
	lookMin = 256 << 10
)

// bounds are how much is read at once. Tests have smaller ones.
type bounds struct {
	segment, group, blockMin int64
	text                     int // bytes of texts of a batch, where it can be split for it
}

// usual are the bounds under the memory limit that is set.
func usual() bounds {
	group, text := int64(groupBudget), softBytes
	if limit := debug.SetMemoryLimit(-1); limit < math.MaxInt64 {
		group, text = min(group, limit/16), int(min(softBytes, limit/64))
	}
	return bounds{min(segmentMax, group), group, blockMin, text}
}

// texts is how many bytes of one of a file's columns of texts make a batch full. With many columns they have more together: batches of few
// rows cost time.
func (b bounds) texts(f *file) int {
	n := 0
	for _, l := range f.leaves {
		if l.phys == format.ByteArray {
			n++
		}
	}
	return max(b.text/max(n, 1), min(b.text, textsLeast))
}

// block is the size of the pieces that each of n column chunks is read in.
func (b bounds) block(n int, most int64) int64 {
	return min(max(b.group/int64(max(n, 1)), b.blockMin), most)
}

// readFull reads [off, off+len(dst)) of the object.
func readFull(ctx context.Context, in *sources.Input, off int64, dst []byte) error {
	return readBy(ctx, in, in.ReadRange, off, dst)
}

// readBy is readFull by the given way to read the object.
func readBy(ctx context.Context, in *sources.Input, open func(context.Context, int64, int64) (io.ReadCloser, error), off int64, dst []byte) error {
	if len(dst) == 0 {
		return nil
	}
	r, err := open(ctx, off, int64(len(dst)))
	if err != nil {
		return fail.Wrap(fail.Input, err)
	}
	_, err = io.ReadFull(r, dst)
	if cerr := r.Close(); err == nil {
		err = cerr
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		var e *fail.Error
		if !errors.As(err, &e) {
			return fail.Newf(fail.Input, "object ends within the %d bytes from here on that its size promises", len(dst)).In(in.URI).At(0, off)
		}
	}
	if err != nil {
		return fail.Wrap(fail.Temporary, err)
	}
	return nil
}

// span is a range of a file.
type span struct{ off, end int64 }

// segment is a range that is read at once, when the first of its chunks is asked for.
type segment struct {
	span
	data []byte
	own  bool // data is of the lane's memory

	ahead   *ahead // that fetches it, or nil; it guards what follows until ready is closed
	in      *sources.Input
	state   fetching
	ready   chan struct{}
	fetched []byte
	err     error
}

// chunkInput gives the bytes of one column chunk in order: from a segment that is held whole, or in blocks.
type chunkInput struct {
	in    *sources.Input
	seg   *segment // nil when read in blocks
	buf   []byte   // bytes [at, at+len(buf)) of the file
	at    int64
	pos   int64 // file offset of the next byte
	end   int64
	block int64
	ahead []*segment // what is fetched ahead of the bytes from pos on, without a gap, when read in blocks
	loads *fetches
}

// fetches is a lane's memory for undecoded bytes, used again for each row group.
type fetches struct {
	free [][]byte
	held int // bytes of free
	out  int // bytes given and not put back
	most int // the most that out has been: free and out together are not more
}

func (f *fetches) get(n int) (b []byte) {
	for i, of := range f.free {
		if cap(of) >= n && cap(of) <= 4*n+blockMin {
			last := len(f.free) - 1
			f.free[i] = f.free[last]
			f.free[last] = nil
			f.free = f.free[:last]
			f.held -= cap(of)
			b = of[:n]
			break
		}
	}
	if b == nil {
		b = make([]byte, n)
	}
	f.out += cap(b)
	f.most = max(f.most, f.out)
	f.trim()
	return b
}

func (f *fetches) put(b []byte) {
	if cap(b) == 0 {
		return
	}
	f.out -= cap(b)
	if cap(b) > segmentMax {
		return // of a large page: there may be none like it
	}
	f.held += cap(b)
	f.free = append(f.free, b[:0])
	f.trim()
}

// trim forgets what was put back first while that is too much.
func (f *fetches) trim() {
	const most = 64 // buffers kept
	n := 0
	for n < len(f.free) && (f.held+f.out > f.most || len(f.free)-n > most) {
		f.held -= cap(f.free[n])
		n++
	}
	if n > 0 {
		left := copy(f.free, f.free[n:])
		clear(f.free[left:])
		f.free = f.free[:left]
	}
}

// planInputs lays out how the given chunks, in file order, are read: by the segments that are fetched ahead where those are
// the same, or blocks of them.
func (b bounds) planInputs(in *sources.Input, chunks []span, loads *fetches, fetched []*segment) []*chunkInput {
	out := make([]*chunkInput, len(chunks))
	var total int64
	for _, c := range chunks {
		total += c.end - c.off
	}
	block := b.block(len(chunks), blockMax)
	var seg *segment
	for i, c := range chunks {
		out[i] = &chunkInput{in: in, pos: c.off, end: c.end, block: block, loads: loads}
		if total > b.group || c.end-c.off > b.segment {
			seg = nil
			continue
		}
		if seg == nil || c.off < seg.off || c.off > seg.end+segmentGap || c.end-seg.off > b.segment {
			seg = &segment{span: c}
		}
		seg.end = max(seg.end, c.end)
		out[i].seg = seg
	}
	fetched = slices.Clone(fetched)
	slices.SortFunc(fetched, func(a, b *segment) int { return cmp.Compare(a.off, b.off) })
	for _, c := range out {
		at := c.pos
		if c.seg != nil {
			at = c.seg.off
		}
		i, found := slices.BinarySearchFunc(fetched, at, func(s *segment, off int64) int { return cmp.Compare(s.off, off) })
		switch {
		case !found:
		case c.seg != nil:
			if fetched[i].span == c.seg.span {
				c.seg = fetched[i]
			}
		default:
			j := i
			for ; j < len(fetched) && fetched[j].end <= c.end; j++ {
			}
			c.ahead = fetched[i:j]
			c.block = min(c.block, lookMin)
		}
	}
	return out
}

// peek returns at least n bytes from pos on, fewer only at the chunk's end. They are valid until the next call.
func (c *chunkInput) peek(ctx context.Context, n int) ([]byte, error) {
	want := min(int64(n), c.end-c.pos)
	if have := c.at + int64(len(c.buf)) - c.pos; have >= want {
		return c.buf[c.pos-c.at:], nil
	}
	if c.seg != nil {
		if c.seg.data == nil {
			if err := c.seg.load(ctx, c.in, c.loads); err != nil {
				return nil, err
			}
		}
		c.at, c.buf = c.pos, c.seg.data[c.pos-c.seg.off:c.end-c.seg.off]
		return c.buf, nil
	}
	var rest []byte
	if c.buf != nil {
		rest = c.buf[c.pos-c.at:]
	}
	size := min(max(want, c.block), c.end-c.pos)
	// the rest moves to the front: into the same memory if that suffices
	var next []byte
	if int64(cap(c.buf)) >= size {
		next = c.buf[:size]
	} else {
		next = c.loads.get(int(size))
	}
	k := copy(next, rest)
	if cap(c.buf) > 0 && cap(c.buf) < int(size) {
		c.loads.put(c.buf)
	}
	c.buf, c.at = next, c.pos
	if err := c.read(ctx, c.pos+int64(k), next[k:]); err != nil {
		return nil, err
	}
	return c.buf, nil
}

// read reads [off, off+len(dst)): what was fetched ahead, each block given up with its last byte, or from the object.
func (c *chunkInput) read(ctx context.Context, off int64, dst []byte) error {
	for len(dst) > 0 && len(c.ahead) > 0 && c.ahead[0].off <= off {
		s := c.ahead[0]
		if s.data == nil {
			if err := s.load(ctx, c.in, c.loads); err != nil {
				return err
			}
		}
		n := copy(dst, s.data[off-s.off:])
		off, dst = off+int64(n), dst[n:]
		if off == s.end {
			s.drop(c.loads)
			c.ahead = c.ahead[1:]
		}
	}
	return readFull(ctx, c.in, off, dst)
}

// drop gives the block's memory back: to the lane's, or for what is fetched next.
func (s *segment) drop(loads *fetches) {
	if s.own {
		loads.put(s.data)
		s.own = false
	} else {
		s.ahead.release([]*segment{s})
	}
	s.data = nil
}

// take returns exactly the next n bytes, valid until the next call of peek or take.
func (c *chunkInput) take(ctx context.Context, n int) ([]byte, error) {
	if int64(n) > c.end-c.pos {
		return nil, fmt.Errorf("page of %d bytes goes %d beyond its column chunk", n, int64(n)-(c.end-c.pos))
	}
	b, err := c.peek(ctx, n)
	if err != nil {
		return nil, err
	}
	c.pos += int64(n)
	return b[:n:n], nil
}

// close gives the memory back. A segment's goes back with the first of its chunks that is closed: call it when the whole
// row group is done.
func (c *chunkInput) close() {
	if c.seg != nil {
		if c.seg.own {
			c.loads.put(c.seg.data)
		}
		c.seg.data, c.seg.own = nil, false
	} else {
		c.loads.put(c.buf)
		for _, s := range c.ahead {
			if s.own {
				c.loads.put(s.data)
			}
			s.data, s.own = nil, false
		}
		c.ahead = nil
	}
	c.buf = nil
}
