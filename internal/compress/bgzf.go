package compress

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"runtime"
	"sync"

	"github.com/sluice-data/sluice/internal/compress/inflate"
	"github.com/sluice-data/sluice/internal/fail"
)

// BGZF ("Sequence Alignment/Map Format Specification", section 4.1; written by bgzip) is gzip whose members say in a subfield of their header's
// extra field how long they are, and hold at most 64 KiB each: they can be decoded beside each other. One core reads them in the same way, so that a run refuses the
// same files wherever it is.
const (
	bgzfContent = 64 << 10
	bgzfHead    = 18 // the header that bgzip writes

	batchBlocks = 8 // members decoded in a row: enough to make the handing over cheap
	maxDecoders = 8
)

var errBlockSize = errors.New("the block is not as long as its header says")

// peekBlock returns the size of the member that comes next, compressed and not, if it is a BGZF block that is there as a whole; else zeros,
// or the error of the source.
func peekBlock(src ahead) (size, content int, err error) {
	h, err := src.Peek(bgzfHead)
	if len(h) < bgzfHead {
		return 0, 0, err
	}
	if string(h[:4]) != "\x1f\x8b\x08\x04" || string(h[10:16]) != "\x06\x00BC\x02\x00" { // an extra field of this subfield, nothing else
		return 0, 0, nil
	}
	size = int(binary.LittleEndian.Uint16(h[16:])) + 1
	if size < bgzfHead+gzipTail {
		return 0, 0, nil
	}
	b, err := src.Peek(size)
	if len(b) < size {
		return 0, 0, err
	}
	if n := binary.LittleEndian.Uint32(b[size-4:]); n <= bgzfContent {
		return size, int(n), nil
	}
	return 0, 0, nil
}

// blocks reads BGZF: one goroutine reads batches of members ahead, a few decode them. From the first member on that is no whole block of it,
// gunzip goes on, which knows what is wrong with it.
type blocks struct {
	src   *source
	rest  *gunzip // what goes on, nil before
	cur   *batch
	out   []byte // of cur, what is not handed out yet
	count int    // members handed out

	free, work, order chan *batch // each has room for all of them; order are those being decoded, as they come
	stop              chan struct{}
	stopped           sync.Once
	running           sync.WaitGroup
	readErr           error // of the reading goroutine, once order is closed
}

// batch is some members.
type batch struct {
	in      []byte
	sizes   []int // of the members in it
	content int   // sum of what they say they hold
	at      int64 // where it begins in the object
	member  int   // number of members before it
	out     []byte
	err     error // what follows out
	done    chan struct{}
}

func newBlocks(src *source) *blocks {
	decoders := min(runtime.GOMAXPROCS(0), maxDecoders)
	n := decoders + 2 // one being read, one being handed out
	b := &blocks{src: src, free: make(chan *batch, n), work: make(chan *batch, n), order: make(chan *batch, n), stop: make(chan struct{})}
	for range n {
		b.free <- &batch{done: make(chan struct{}, 1)}
	}
	b.running.Add(1 + decoders)
	go func() {
		defer b.running.Done()
		defer close(b.order)
		defer close(b.work)
		b.readErr = fail.Guard("read ahead", b.read)
	}()
	for range decoders {
		go func() {
			defer b.running.Done()
			var d blockDecoder
			var x *batch
			decode := func() error { return d.decode(x) }
			for x = range b.work {
				x.err = fail.Guard("decompress", decode)
				x.done <- struct{}{}
			}
		}()
	}
	return b
}

// read reads batches until there is something else than a whole block, or the reader is closed.
func (b *blocks) read() error {
	at, member := b.src.consumed(), 0
	for {
		var x *batch
		select {
		case x = <-b.free:
		case <-b.stop:
			return nil
		}
		x.in, x.sizes, x.content, x.at, x.member = x.in[:0], x.sizes[:0], 0, at, member
		size, content := 1, 0
		for len(x.sizes) < batchBlocks {
			if size, content, _ = peekBlock(ahead{b.src}); size == 0 {
				break // an error of the source comes again to who goes on
			}
			block, err := b.src.Peek(size)
			if err != nil {
				return err
			}
			x.in = append(x.in, block...)
			x.sizes = append(x.sizes, size)
			x.content += content
			if _, err := b.src.Discard(size); err != nil {
				return err
			}
		}
		at += int64(len(x.in))
		member += len(x.sizes)
		b.order <- x
		b.work <- x
		if size == 0 {
			return nil
		}
	}
}

func (b *blocks) Read(p []byte) (int, error) {
	for b.rest == nil {
		if len(b.out) > 0 {
			n := copy(p, b.out)
			b.out = b.out[n:]
			return n, nil
		}
		if x := b.cur; x != nil {
			if x.err != nil {
				b.end() // the source is at rest when its state is looked at
				return 0, x.err
			}
			b.count += len(x.sizes)
			b.cur = nil
			b.free <- x
		}
		x, ok := <-b.order
		if !ok {
			if b.readErr != nil {
				return 0, b.readErr
			}
			b.rest = &gunzip{src: b.src, member: b.count}
			if err := b.rest.after(); err != nil {
				return 0, err
			}
			break
		}
		<-x.done
		b.cur, b.out = x, x.out
	}
	return b.rest.Read(p)
}

// end stops the goroutines and waits for them, as long as a read of the source takes.
func (b *blocks) end() {
	b.stopped.Do(func() { close(b.stop) })
	b.running.Wait()
}

func (b *blocks) Close() error {
	b.end()
	return nil
}

// blockDecoder decodes members that lie in memory.
type blockDecoder struct {
	z    inflate.Reader
	src  memory
	more [1]byte // what is behind the last byte that there should be
}

// decode fills x.out with the content of the members of x.in; its error is what is wrong behind that.
func (d *blockDecoder) decode(x *batch) error {
	if cap(x.out) < x.content {
		x.out = make([]byte, max(x.content, batchBlocks*bgzfContent))
	}
	x.out = x.out[:0]
	in := x.in
	for i, size := range x.sizes {
		d.src = memory{in[:size]}
		in = in[size:]
		content := int(le32(d.src.b[size-4:]))
		n, err := d.member(x.out[len(x.out):][:content])
		x.out = x.out[:len(x.out)+n]
		if err != nil {
			return errAt{fmt.Errorf("member %d: %w", x.member+i+1, err), x.at + int64(len(x.in)-len(in)-len(d.src.b))}
		}
	}
	return nil
}

// member decodes the member in d.src into out, which is as long as the member says that its content is.
func (d *blockDecoder) member(out []byte) (int, error) {
	d.src.b = d.src.b[bgzfHead:] // peekBlock has looked at it
	d.z.Reset(&d.src)
	n := 0
	for err := error(nil); err == nil; {
		var k int
		if n < len(out) {
			k, err = d.z.Read(out[n:])
			n += k
		} else if k, err = d.z.Read(d.more[:]); k > 0 {
			break // CRC and size would not match
		}
		switch {
		case err == nil:
		case err == io.ErrUnexpectedEOF, err == io.EOF && len(d.src.b) != gzipTail:
			return n, errBlockSize
		case err != io.EOF:
			return n, err
		case n == len(out) && le32(d.src.b) == crc32.ChecksumIEEE(out):
			return n, nil
		}
	}
	d.src.b = nil
	return n, errChecksum
}

// memory is a source of bytes that are there.
type memory struct{ b []byte }

func (m *memory) Buffered() int { return len(m.b) }

func (m *memory) Peek(n int) ([]byte, error) {
	if n > len(m.b) {
		return m.b, io.EOF
	}
	return m.b[:n], nil
}

func (m *memory) Discard(n int) (int, error) {
	m.b = m.b[n:]
	return n, nil
}
