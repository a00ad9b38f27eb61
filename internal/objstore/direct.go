package objstore

import (
	"context"
	"io"
	"slices"
	"time"
)

const (
	// nearby is a time to the first byte that only a store on the same machine or beside it takes.
	nearby = 3 * time.Millisecond
	// narrow is what a connection to a store nearby gives, in bytes a second, if something caps it: then several are used.
	narrow = 125e6
	// lookTime is the shortest time over which that is judged.
	lookTime = 10 * time.Millisecond
	// evenLooks that are slow in a row, the fastest no more than even times the slowest, are a cap: a store on the same
	// machine that wants for a processor gives its bytes in gusts.
	evenLooks = 4
	even      = 1.5
	// slowLooks in a row are no accident, even or not.
	slowLooks = 24
)

// distant is a store that knows how long its way is.
type distant interface {
	// distance is the shortest time that an answer took to begin; 0 before the first one.
	distance() time.Duration
}

// distance is that of the store of ref; 0 where it is not known.
func distance(store Store, ref Ref) time.Duration {
	if r, ok := store.(*router); ok {
		s, err := r.pick(ref)
		if err != nil {
			return 0
		}
		store = s
	}
	if d, ok := store.(distant); ok {
		return d.distance()
	}
	return 0
}

// directReader reads one object of a store nearby in one request, straight into the caller's buffer: with no way to hide,
// parts fetched ahead cost a copy and cold memory and bring nothing. If one connection is too little, it goes on with a train.
type directReader struct {
	readers *Readers
	ctx     context.Context
	cancel  context.CancelFunc
	i       int
	head    []byte // known bytes that were not handed out yet
	off     int64
	body    io.ReadCloser
	train   io.ReadCloser // what it went on with
	err     error

	begin  time.Time // of the look
	bytes  int64     // read in it
	waited time.Duration
	slowly int                // slow looks in a row
	rates  [evenLooks]float64 // of the last ones
}

// direct is a reader of object i; callers hold mu.
func (r *Readers) direct(ctx context.Context, i int) io.ReadCloser {
	d := &directReader{readers: r, i: i, head: r.heads[i]}
	d.ctx, d.cancel = context.WithCancel(ctx)
	r.open[d] = struct{}{}
	return d
}

func (d *directReader) info() Info { return d.readers.infos[d.i] }

func (d *directReader) Read(p []byte) (int, error) {
	if d.train != nil {
		return d.train.Read(p)
	}
	if d.err != nil || len(p) == 0 {
		return 0, d.err
	}
	if len(d.head) > 0 {
		n := copy(p, d.head)
		d.head = d.head[n:]
		return d.took(n), nil
	}
	if d.slow() {
		d.body.Close()
		d.body = nil
		if d.train, d.err = d.readers.goOn(d.ctx, d.i, d.off); d.err != nil {
			return 0, d.err
		}
		return d.train.Read(p)
	}
	begin := d.readers.opt.now()
	if d.body == nil {
		d.begin = begin
		d.body, d.err = d.readers.store.ReadRange(d.ctx, d.info(), d.off, d.info().Size-d.off)
		if d.err != nil {
			return 0, d.err
		}
	}
	n, err := d.body.Read(p)
	d.waited += since(d.readers.opt.now, begin)
	d.bytes += int64(n)
	d.err = err
	return d.took(n), err
}

func (d *directReader) took(n int) int {
	d.off += int64(n)
	d.readers.opt.OnRead(n)
	return n
}

// slow judges the look, if that is at its end: has the caller waited most of the time for too little, again and again?
func (d *directReader) slow() bool {
	if d.body == nil || d.info().Size-d.off < d.readers.opt.PartSize {
		return false
	}
	now := d.readers.opt.now()
	elapsed := now.Sub(d.begin)
	if elapsed < lookTime {
		return false
	}
	rate := float64(d.bytes) / d.waited.Seconds()
	slow := d.waited > elapsed/2 && rate < narrow
	d.begin, d.bytes, d.waited = now, 0, 0
	if !slow {
		d.slowly = 0
		return false
	}
	d.rates[d.slowly%evenLooks] = rate
	d.slowly++
	return d.slowly >= slowLooks || d.slowly >= evenLooks && slices.Max(d.rates[:]) <= even*slices.Min(d.rates[:])
}

// Close gives up what is left of the object.
func (d *directReader) Close() error {
	defer d.cancel()
	d.readers.mu.Lock()
	delete(d.readers.open, d)
	d.readers.mu.Unlock()
	if d.train != nil {
		return d.train.Close()
	}
	if d.err == nil || d.err == io.EOF {
		d.err = errClosed(d.info().Ref)
	}
	d.head = nil
	if d.body == nil {
		return nil
	}
	body := d.body
	d.body = nil
	return body.Close()
}

// goOn is a reader of the rest of object i from off, and of what follows it, by a train; not after Close, which has ended ctx: nobody
// would stop that train.
func (r *Readers) goOn(ctx context.Context, i int, off int64) (io.ReadCloser, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	r.narrow = true
	return r.board(ctx, i, off), nil
}
