package objstore

import (
	"context"
	"io"
	"sync"
	"time"

	"github.com/sluice-data/sluice/internal/fail"
)

// Readers reads objects one after the other as NewReader does each, and fetches ahead across their borders: while one is
// read, the next ones are on their way, so that many small objects cost no round trip each. It learns from one object how
// to read the next. Open is safe for concurrent use, though only one reader at a time has the others fetched ahead.
type Readers struct {
	store Store
	infos []Info
	opt   ReaderOptions

	mu     sync.Mutex
	tune   *tuner // the train's, while there is one
	train  *train
	heads  map[int][]byte
	open   map[*directReader]struct{}
	narrow bool // one connection was too little for a store nearby
}

// NewReaders makes the readers of infos; nothing is requested before the first Read.
func NewReaders(store Store, infos []Info, opt ReaderOptions) *Readers {
	opt = opt.withDefaults()
	tune := newTuner(opt.PartSize*int64(opt.Parts), opt.PartSize, opt.now)
	tune.far = opt.far
	return &Readers{store: store, infos: infos, opt: opt, heads: map[int][]byte{}, open: map[*directReader]struct{}{},
		tune: tune}
}

// SetHead says what the first bytes of object i are, read already in the version of its info: they are not asked for
// again. It keeps head. Call it before the first Open.
func (r *Readers) SetHead(i int, head []byte) { r.heads[i] = head }

// Open is a reader of object i. If it follows the one opened before, what was fetched ahead of it is used. Closed before
// its end, it gives up the rest of its object alone.
func (r *Readers) Open(ctx context.Context, i int) io.ReadCloser {
	info := r.infos[i]
	if local(r.store, info.Ref) {
		return &streamReader{ctx: ctx, store: r.store, info: info, onRead: r.opt.OnRead}
	}
	if info.Size < 0 {
		return &streamReader{err: failf(fail.Internal, info.Ref, "read object: negative size %d", info.Size)}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	from := int64(len(r.heads[i]))
	if d := distance(r.store, info.Ref); d > 0 && d < nearby && !r.narrow && r.train == nil && info.Size-from >= r.opt.PartSize {
		return r.direct(ctx, i)
	}
	return r.board(ctx, i, from)
}

// board is a reader of object i from the byte from on, by the train that comes there or a new one. Callers hold mu.
func (r *Readers) board(ctx context.Context, i int, from int64) io.ReadCloser {
	switch {
	case r.train == nil:
		r.tune.narrow = r.narrow
		if d := distance(r.store, r.infos[i].Ref); d > 0 && r.tune.asked == 0 {
			r.tune.answered(d)
		}
		r.train = r.newTrain(ctx, i, from, r.tune)
	case r.train.busy.Load():
		sole := newTuner(r.opt.PartSize*int64(r.opt.Parts), r.opt.PartSize, r.opt.now)
		t := r.newTrain(ctx, i, from, sole)
		t.end = i + 1
		return t.reader(ctx, i, from, true)
	case !r.train.takes(i) || from > int64(len(r.heads[i])):
		r.train.stop()
		r.train = r.newTrain(ctx, i, from, r.tune)
	}
	return r.train.reader(ctx, i, from, false)
}

// Close stops what is being fetched ahead and returns when no goroutine is left. Readers that are open end in an error.
func (r *Readers) Close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for d := range r.open {
		d.cancel()
	}
	if r.train != nil {
		r.train.stop()
		r.train = nil
	}
}

// StatHead is Stat, with the first n bytes of the object (fewer if it has no more) where the store gives them in the same
// request; nil else. The bytes are of the version that the Info describes.
func StatHead(ctx context.Context, store Store, ref Ref, pin Pin, n int64) (Info, []byte, error) {
	at := store
	if r, ok := at.(*router); ok {
		s, err := r.pick(ref)
		if err != nil {
			return Info{}, nil, err
		}
		at = s
	}
	if s, ok := at.(*s3Store); ok && ref.Key != "" && n > 0 {
		return s.statHead(ctx, ref, pin, n)
	}
	info, err := store.Stat(ctx, ref, pin)
	return info, nil, err
}

// objReader hands out one object of a train.
type objReader struct {
	ctx   context.Context
	train *train
	i     int
	sole  bool   // the train is for this object alone
	head  []byte // known bytes that were not handed out yet
	whole []byte // the current buffer, nil if there is none
	rest  []byte // of whole, not handed out yet
	read  int64
	wake  func() bool // undoes the watch on ctx
	err   error
}

func (r *objReader) info() Info { return r.train.infos[r.i] }

func (r *objReader) Read(p []byte) (int, error) {
	if len(p) == 0 && r.err == nil {
		return 0, nil
	}
	for r.err == nil && len(r.rest) == 0 && len(r.head) == 0 {
		r.err = r.next()
	}
	if r.err != nil {
		return 0, r.err
	}
	from := &r.rest
	if len(r.head) > 0 {
		from = &r.head
	}
	n := copy(p, *from)
	*from = (*from)[n:]
	r.read += int64(n)
	r.train.onRead(n)
	return n, nil
}

// next gives the spent buffer back and takes the next one.
func (r *objReader) next() error {
	if r.whole != nil {
		r.train.giveBack(r.whole)
		r.whole = nil
	}
	if r.read == r.info().Size {
		r.train.passed(r.i)
		return io.EOF
	}
	buf, err := r.train.next(r.i)
	if stop := cancelled(r.ctx, r.info().Ref, "read object"); stop != nil {
		if err == nil {
			r.train.giveBack(buf)
		}
		return stop
	}
	if err != nil {
		return err
	}
	r.whole, r.rest = buf, buf
	return nil
}

// Close gives up what is left of the object.
func (r *objReader) Close() error {
	if r.wake == nil {
		return nil
	}
	if !r.wake() {
		r.train.cancel() // ctx has ended, and what ends the train with it may still be on its way: nobody may board it now
	}
	r.wake = nil
	if r.whole != nil {
		r.train.giveBack(r.whole)
		r.whole, r.rest = nil, nil
	}
	if r.err != io.EOF {
		r.train.skip(r.i)
	}
	if r.err == nil || r.err == io.EOF {
		r.err = errClosed(r.info().Ref)
	}
	r.head = nil
	r.train.busy.Store(false)
	if r.sole {
		r.train.stop()
	}
	return nil
}

// since is how long ago t was; a reader's clock may be a test's.
func since(now func() time.Time, t time.Time) time.Duration { return now().Sub(t) }
