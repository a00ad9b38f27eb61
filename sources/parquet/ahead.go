package parquet

import (
	"cmp"
	"context"
	"math"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/sources"
)

const (
	// farAway is how long the store takes to answer if it pays to fetch ahead.
	farAway = 10 * time.Millisecond
	// aheadBytes is what may be fetched ahead and not decoded yet, or a 32nd of the memory limit if that is less.
	aheadBytes = 24 << 20
	// aheadRequests are under way at the same time: for small segments.
	aheadRequests = 32
	// aheadChunks is how many chunks Next plans before they are asked for.
	aheadChunks = 256
)

// ahead fetches the segments of the row groups to come while lanes decode those before, so that a far store's round trips
// pass beside each other. A lane that comes to a segment whose turn has not come fetches it itself.
type ahead struct {
	ctx    context.Context
	cancel context.CancelFunc
	wait   sync.WaitGroup

	group int64 // what a lane may hold of a row group

	mu    sync.Mutex
	room  int64
	under int
	queue []*segment // to be fetched, in order
	sum   int64      // bytes of queue
	free  fetches
}

// newAhead fetches with what ctx knows. Its requests end with stop, not with ctx.
func newAhead(ctx context.Context) *ahead {
	a := &ahead{room: aheadBytes, group: usual().group}
	if limit := debug.SetMemoryLimit(-1); limit < math.MaxInt64 {
		a.room = min(a.room, limit/32)
	}
	a.ctx, a.cancel = context.WithCancel(context.WithoutCancel(ctx))
	return a
}

// fetching is how far a segment that is fetched ahead has come.
type fetching int

const (
	notAhead fetching = iota // the lane fetches it
	queued
	underWay
	arrived   // also with an error
	abandoned // nobody wants it, and it is under way
)

// size is the segment's number of bytes.
func (s *segment) size() int64 { return s.end - s.off }

// add queues the segments behind those that are there.
func (a *ahead) add(in *sources.Input, segs []*segment) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, s := range segs {
		s.ahead, s.in, s.state, s.ready = a, in, queued, make(chan struct{})
		a.sum += s.size()
	}
	a.queue = append(a.queue, segs...)
	a.pump()
}

// wants reports whether there is room for more than what is queued.
func (a *ahead) wants() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.sum < a.room
}

// pump begins requests while there is room. Callers hold mu.
func (a *ahead) pump() {
	for len(a.queue) > 0 && a.under < aheadRequests && a.queue[0].size() <= a.room && a.ctx.Err() == nil {
		s := a.queue[0]
		a.queue = a.queue[1:]
		a.sum -= s.size()
		a.room -= s.size()
		a.under++
		s.state = underWay
		s.fetched = a.free.get(int(s.size()))
		a.wait.Go(func() { a.fetch(s) })
	}
}

func (a *ahead) fetch(s *segment) {
	err := fail.Guard("fetch ahead", func() error { return readBy(a.ctx, s.in, s.in.ReadAhead, s.off, s.fetched) })
	a.mu.Lock()
	defer a.mu.Unlock()
	a.under--
	s.err = err
	if s.state == abandoned {
		a.giveBack(s)
	} else {
		s.state = arrived
	}
	close(s.ready)
	a.pump()
}

// giveBack ends the segment's claim to memory. Callers hold mu.
func (a *ahead) giveBack(s *segment) {
	s.state = notAhead
	a.room += s.size()
	a.free.put(s.fetched)
	s.fetched = nil
}

// claim takes the segment from the queue, so that the lane fetches it; no if it is under way or here.
func (a *ahead) claim(s *segment) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if s.state == queued {
		i := slices.Index(a.queue, s)
		a.queue = slices.Delete(a.queue, i, i+1)
		a.sum -= s.size()
		s.state = notAhead
	}
	return s.state == notAhead
}

// release gives up the segments, whatever has become of them. Nobody reads their bytes any more.
func (a *ahead) release(segs []*segment) {
	if len(segs) == 0 {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, s := range segs {
		switch s.state {
		case queued:
			i := slices.Index(a.queue, s)
			a.queue = slices.Delete(a.queue, i, i+1)
			a.sum -= s.size()
			s.state = notAhead
		case underWay:
			s.state = abandoned
		case arrived:
			a.giveBack(s)
		}
	}
	a.pump()
}

// begin is when a lane comes to a part whose segments are segs, of which blocks bytes are in blocks: those may take memory
// that the lane would hold, and take turns with what other lanes wait for. end is to be called when the part is done.
func (a *ahead) begin(segs []*segment, blocks int64) (end func()) {
	if blocks == 0 {
		return func() { a.release(segs) }
	}
	extra := min(blocks, a.group)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.room += extra
	mine := make(map[*segment]bool, len(segs))
	var first []*segment
	for _, s := range segs {
		if s.state == queued {
			mine[s] = true
			first = append(first, s)
		}
	}
	others := slices.DeleteFunc(a.queue, func(s *segment) bool { return mine[s] })
	a.queue = make([]*segment, 0, len(first)+len(others))
	for len(first) > 0 || len(others) > 0 {
		if len(first) > 0 {
			a.queue, first = append(a.queue, first[0]), first[1:]
		}
		if len(others) > 0 {
			a.queue, others = append(a.queue, others[0]), others[1:]
		}
	}
	a.pump()
	return func() {
		a.mu.Lock()
		a.room -= extra
		a.mu.Unlock()
		a.release(segs)
	}
}

// stop ends all requests and waits for their goroutines.
func (a *ahead) stop() {
	a.cancel()
	a.wait.Wait()
}

// load gives the segment its data: what was fetched ahead, or bytes that it reads into memory of loads.
func (s *segment) load(ctx context.Context, in *sources.Input, loads *fetches) error {
	if s.ahead == nil || s.ahead.claim(s) {
		s.data, s.own = loads.get(int(s.size())), true
		return readFull(ctx, in, s.off, s.data)
	}
	select {
	case <-s.ready:
	default:
		begin := time.Now()
		select {
		case <-s.ready:
		case <-ctx.Done():
			return fail.Wrap(fail.Temporary, context.Cause(ctx))
		}
		if in.Waited != nil {
			in.Waited(time.Since(begin))
		}
	}
	if s.err != nil {
		return s.err
	}
	s.data = s.fetched
	return nil
}

// plan queues what the chunk's lane will ask for.
func (s *source) plan(f *file, p *part) {
	g := &f.groups[p.group]
	var spans []span
	for i := range f.leaves {
		if p.pages == nil {
			spans = append(spans, chunkSpan(&g.chunks[i]))
			continue
		}
		spans = append(spans, p.pages[i].spans(p.from, p.to)...)
	}
	slices.SortFunc(spans, func(a, b span) int { return int(min(max(a.off-b.off, -1), 1)) })
	size := s.bounds.block(len(spans), aheadBlockMax)
	type block struct {
		seg *segment
		at  float64 // how far into its chunk: chunks are read beside each other
	}
	var blocks []block
	for _, in := range s.bounds.planInputs(f.in, spans, nil, nil) {
		if in.seg == nil {
			for off := in.pos; off < in.end; off += size {
				b := &segment{span: span{off, min(off+size, in.end)}}
				blocks = append(blocks, block{b, float64(off-in.pos) / float64(in.end-in.pos)})
				p.blocks += b.size()
			}
			continue
		}
		if n := len(p.ahead); in.seg.size() > 0 && (n == 0 || p.ahead[n-1] != in.seg) {
			p.ahead = append(p.ahead, in.seg)
		}
	}
	slices.SortStableFunc(blocks, func(a, b block) int { return cmp.Compare(a.at, b.at) })
	for _, b := range blocks {
		p.ahead = append(p.ahead, b.seg)
	}
	s.ahead.add(f.in, p.ahead)
}

// spans are where the pages of rows [from, to) and their dictionary are.
func (p *pages) spans(from, to int64) []span {
	i, j := p.overlapping(from, to)
	data := span{p.locs[i].Off, p.locs[j-1].Off + int64(p.locs[j-1].Size)}
	switch {
	case p.dict.off == p.dict.end:
		return []span{data}
	case p.dict.end == data.off:
		return []span{{p.dict.off, data.end}}
	}
	return []span{p.dict, data}
}
