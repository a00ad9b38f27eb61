package objstore

import (
	"context"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sluice-data/sluice/internal/fail"
)

// mostQueued bounds the parts fetched ahead where objects are too small for memory to bound them.
const mostQueued = 512

// train is the requests for objects i, i+1, …, planned in that order, fetched by as many workers as the tuner says, and
// taken in order by one consumer. Memory is reserved when a request is planned: the one that the consumer waits for
// always has its own.
type train struct {
	ctx    context.Context
	cancel context.CancelFunc
	store  Store
	infos  []Info
	heads  map[int][]byte
	onRead func(int)
	now    func() time.Time
	busy   atomic.Bool // a reader is open
	wait   sync.WaitGroup

	mu      sync.Mutex
	tune    *tuner
	mem     arena
	queue   []*part // planned and not taken to the end yet
	obj     int     // of the next request
	off     int64
	end     int // first object that is not this train's
	expect  int // object to be opened next
	workers int
	planned int // requests so far
	ended   bool
}

// part is one request. Its buffers go to full as they are filled; once full is closed, err is set and no buffer is left.
type part struct {
	obj    int
	off, n int64
	asked  int64 // what it might have been, in a larger object
	bufs   [][]byte
	full   chan []byte
	err    error
	ctx    context.Context
	cancel context.CancelFunc
}

// newTrain begins at the byte from of object i.
func (r *Readers) newTrain(ctx context.Context, i int, from int64, tune *tuner) *train {
	t := &train{store: r.store, infos: r.infos, heads: r.heads, onRead: r.opt.OnRead, now: r.opt.now, tune: tune,
		mem: arena{budget: tune.budget, block: tune.least}, obj: i, off: from, end: len(r.infos), expect: i}
	t.ctx, t.cancel = context.WithCancel(context.WithoutCancel(ctx))
	return t
}

// reader is the reader of object i, which takes says may be opened, from its first byte or the byte from behind its head. It
// ends with ctx.
func (t *train) reader(ctx context.Context, i int, from int64, sole bool) io.ReadCloser {
	t.busy.Store(true)
	t.expect = i + 1
	r := &objReader{ctx: ctx, train: t, i: i, sole: sole, wake: context.AfterFunc(ctx, t.cancel)}
	if head := t.heads[i]; from > int64(len(head)) {
		r.read = from
	} else {
		r.head = head
	}
	return r
}

// takes reports whether object i is the one that comes next and nothing has gone wrong.
func (t *train) takes(i int) bool { return i == t.expect && i < t.end && t.ctx.Err() == nil }

// plan is the next request, with its memory, or nil if there is none or no room for one. Callers hold mu.
func (t *train) plan() *part {
	for t.obj < t.end && t.off >= t.infos[t.obj].Size {
		t.obj++
		if t.obj < t.end {
			t.off = int64(len(t.heads[t.obj]))
		}
	}
	if t.ended || t.obj >= t.end || t.workers >= t.tune.conns || len(t.queue) >= mostQueued {
		return nil
	}
	info := t.infos[t.obj]
	if info.Size < 0 || local(t.store, info.Ref) {
		return nil
	}
	size, asked := t.size()
	p := &part{obj: t.obj, off: t.off, asked: asked, n: min(size, info.Size-t.off)}
	for left := p.n; left > 0; {
		buf := t.mem.get(min(left, t.mem.block))
		if buf == nil {
			for _, b := range p.bufs {
				t.mem.put(b)
			}
			return nil
		}
		p.bufs, left = append(p.bufs, buf), left-int64(len(buf))
	}
	p.full = make(chan []byte, len(p.bufs))
	p.ctx, p.cancel = context.WithCancel(t.ctx)
	t.off += p.n
	t.queue = append(t.queue, p)
	t.workers++
	t.planned++
	return p
}

// size is that of the next request, and what tells the tuner whose setting it is of. The first ones to a store with a way to
// it grow from small to whole: of one size they would end together, and so would all that follow them, with the link idle
// for a round trip between.
func (t *train) size() (n, asked int64) {
	if t.tune.rtt < nearby || t.planned >= t.tune.conns {
		return t.tune.part, t.tune.part
	}
	n = t.tune.part * int64(t.planned+1) / int64(t.tune.conns)
	return min((n+t.mem.block-1)/t.mem.block*t.mem.block, t.tune.part), 0
}

// pump starts workers for what may be requested. Callers hold mu.
func (t *train) pump() {
	for p := t.plan(); p != nil; p = t.plan() {
		t.wait.Go(func() { t.work(p) })
	}
}

// work fetches p, and goes on with what may be requested then.
func (t *train) work(p *part) {
	for p != nil {
		begin := t.now()
		left := t.fetch(p, begin)
		t.mu.Lock()
		if p.err == nil {
			t.tune.fetched(p.n, p.asked, since(t.now, begin))
		}
		for _, b := range left {
			t.mem.put(b)
		}
		t.workers--
		next := t.plan()
		t.mu.Unlock()
		// Only now the consumer may see the end: it counts on there being room for the next request then.
		close(p.full)
		p = next
	}
}

// fetch fills p's buffers and returns those that it did not need because of an error.
func (t *train) fetch(p *part, begin time.Time) (left [][]byte) {
	defer p.cancel()
	left = p.bufs
	info := t.infos[p.obj]
	p.err = fail.Guard("read object "+info.Ref.String(), func() error {
		open := func(ctx context.Context, off, n int64) (io.ReadCloser, error) {
			return t.store.ReadRange(ctx, info, off, n)
		}
		body, err := newResuming(p.ctx, info.Ref, open, p.off, p.n, defaultMaxBackoff)
		if err != nil {
			return err
		}
		defer func() { body.Close() }()
		t.answered(since(t.now, begin))
		for len(left) > 0 {
			if _, err := io.ReadFull(body, left[0]); err != nil {
				return err
			}
			if len(left) == 1 {
				if err := atEnd(body, info.Ref, p.off+p.n); err != nil {
					return err
				}
				body.Close()
			}
			p.full <- left[0]
			left = left[1:]
		}
		return nil
	})
	return left
}

// atEnd asks for the end of a body that was read: only there a store says that the object changed meanwhile.
func atEnd(body io.Reader, ref Ref, off int64) error {
	if n, err := body.Read(make([]byte, 1)); err == io.EOF {
		return nil
	} else if err != nil {
		return err
	} else {
		return failf(fail.Internal, ref, "read object: the body does not end at byte %d (%d more)", off, n)
	}
}

// readFull fills buf from off, resuming broken bodies.
func readFull(ctx context.Context, store Store, info Info, buf []byte, off int64) error {
	open := func(ctx context.Context, off, n int64) (io.ReadCloser, error) {
		return store.ReadRange(ctx, info, off, n)
	}
	body, err := newResuming(ctx, info.Ref, open, off, int64(len(buf)), defaultMaxBackoff)
	if err != nil {
		return err
	}
	defer body.Close()
	if _, err := io.ReadFull(body, buf); err != nil {
		return err
	}
	return atEnd(body, info.Ref, off+int64(len(buf)))
}

// next waits for the next buffer of object obj. The caller gives it back.
func (t *train) next(obj int) ([]byte, error) {
	for {
		t.mu.Lock()
		t.pump()
		if len(t.queue) == 0 || t.queue[0].obj != obj {
			t.mu.Unlock()
			if err := cancelled(t.ctx, t.infos[obj].Ref, "read object"); err != nil {
				return nil, err
			}
			return nil, failf(fail.Internal, t.infos[obj].Ref, "read object: nothing is requested before its end")
		}
		p := t.queue[0]
		t.mu.Unlock()
		buf, ok := t.take(p)
		if ok {
			return buf, nil
		}
		if p.err != nil {
			t.cancel()
			return nil, p.err
		}
		t.pop(p)
	}
}

// answered tells the tuner, which may want more requests now.
func (t *train) answered(first time.Duration) {
	t.mu.Lock()
	t.tune.answered(first)
	t.mem.budget = t.tune.budget
	t.pump()
	t.mu.Unlock()
}

// pop takes p, which is at its end, from the queue, where it is first unless the train was stopped meanwhile.
func (t *train) pop(p *part) {
	t.mu.Lock()
	if len(t.queue) > 0 && t.queue[0] == p {
		t.queue = t.queue[1:]
	}
	t.mu.Unlock()
}

// passed takes the requests of obj, all of whose bytes were taken, from the queue.
func (t *train) passed(obj int) {
	t.mu.Lock()
	var last *part
	if len(t.queue) > 0 && t.queue[0].obj == obj {
		last = t.queue[0]
	}
	t.pump()
	t.mu.Unlock()
	if last != nil {
		for buf := range last.full {
			t.giveBack(buf)
		}
		t.pop(last)
	}
}

// take is the next buffer of p, or false at its end.
func (t *train) take(p *part) ([]byte, bool) {
	select {
	case buf, ok := <-p.full:
		return buf, ok
	default:
	}
	begin := t.now()
	buf, ok := <-p.full // a worker that is told to stop closes it soon
	t.mu.Lock()
	t.tune.waits(since(t.now, begin))
	t.mu.Unlock()
	return buf, ok
}

func (t *train) giveBack(buf []byte) {
	t.mu.Lock()
	t.mem.put(buf)
	t.mu.Unlock()
}

// skip gives up what is requested of object obj and was not taken.
func (t *train) skip(obj int) {
	t.mu.Lock()
	var gone []*part
	for len(t.queue) > 0 && t.queue[0].obj == obj {
		gone = append(gone, t.queue[0])
		t.queue = t.queue[1:]
	}
	if t.obj <= obj { // it may be less: the ones between had nothing to request, or were given up too
		t.obj, t.off = obj, t.infos[obj].Size
	}
	t.mu.Unlock()
	t.discard(gone)
}

// discard waits for the ends of requests that nobody wants and takes their buffers back.
func (t *train) discard(parts []*part) {
	for _, p := range parts {
		p.cancel()
	}
	for _, p := range parts {
		for buf := range p.full {
			t.giveBack(buf)
		}
	}
}

// stop ends all requests and waits for their goroutines.
func (t *train) stop() {
	t.cancel()
	t.mu.Lock()
	t.ended = true
	gone := t.queue
	t.queue = nil
	t.mu.Unlock()
	t.discard(gone)
	t.wait.Wait()
	t.mem.close()
}
