package sources

import (
	"bytes"
	"context"
	"errors"
	"io"
	"sync/atomic"
	"time"

	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/pipeline"
)

const (
	headBytes = 256 << 10 // what Begin sees at least
	minBuffer = 16        // a buffer of less could not grow by doubling
	idleReads = 100       // reads of nothing in a row before a stream counts as stuck
)

// ChunkerOptions say how a format cuts its inputs. Every function is called by the goroutine that calls Next; those left
// nil mean lines that end in "\n", nothing to skip, bytes taken as they are.
type ChunkerOptions struct {
	// ChunkBytes is the size aimed at, MaxRecord the longest record read (never less than ChunkBytes), Buffers how many chunks
	// may be outstanding before Next waits for one to be released (at least 2).
	ChunkBytes, MaxRecord, Buffers int
	// Begin is called once per input with its first bytes, all of them if eof, else at least 256 KiB. It returns how many bytes
	// to skip (byte order mark, header) and how many lines they were, or a negative skip to be called again with twice the head
	// (up to MaxRecord). Its error ends the source.
	Begin func(ctx context.Context, i int, head []byte, eof bool) (skip int, lines int64, err error)
	// Wrap turns input i's bytes into UTF-8. Offsets and lines then count in what it gives.
	Wrap func(i int, r io.Reader) (io.Reader, error)
	// Cut is the length of the longest prefix of b that is whole records, 0 if there is none. b starts at a record. It is not
	// asked about an input's end: what is left there is handed out as it is.
	Cut func(b []byte, eof bool) int
	// CountLines is the number of line ends in b.
	CountLines func(b []byte) int64
	// Consumed is told the number of bytes (decompressed, as read from the stream before Wrap) as they are read.
	Consumed func(n int64)
	// Waited is told how long Next stood waiting for a chunk to be released.
	Waited func(d time.Duration)
}

// Chunker is the sequential part of a format made of records in a row: it reads the inputs one after the other and cuts them
// at record ends. It is not safe for concurrent use, except for the release of its chunks.
type Chunker struct {
	o      ChunkerOptions
	inputs []Input
	next   int // input to open next

	uri    string
	stream io.ReadCloser // nil between inputs
	r      io.Reader
	eof    bool
	rest   []byte // read, but not handed out yet; a slice of keep
	keep   []byte
	offset int64
	line   int64

	free chan []byte
	done atomic.Bool // all inputs were read: buffers are let go, another source may follow in a union
	made int
	err  error // sticky
}

// NewChunker makes a chunker over inputs; nothing is opened before the first Next.
func NewChunker(inputs []Input, o ChunkerOptions) *Chunker {
	o.ChunkBytes = max(o.ChunkBytes, 1)
	o.MaxRecord = max(o.MaxRecord, o.ChunkBytes)
	o.Buffers = max(o.Buffers, 2)
	if o.Cut == nil {
		o.Cut = func(b []byte, _ bool) int { return bytes.LastIndexByte(b, '\n') + 1 }
	}
	if o.CountLines == nil {
		o.CountLines = func(b []byte) int64 { return int64(bytes.Count(b, []byte{'\n'})) }
	}
	return &Chunker{o: o, inputs: inputs, free: make(chan []byte, o.Buffers)}
}

// Next returns the next run of whole records, owned by the caller until its Release, or io.EOF after the last. It waits for
// ctx or a released chunk when all buffers are out. Data errors are *fail.Error with their place; errors of a stream come as
// they are.
func (c *Chunker) Next(ctx context.Context) (*pipeline.Chunk, error) {
	if c.err != nil {
		return nil, c.err
	}
	chunk, err := c.cut(ctx)
	c.err = err // sticky, also when cancelled: what was read on the way to the error is gone
	return chunk, err
}

func (c *Chunker) cut(ctx context.Context) (*pipeline.Chunk, error) {
	for {
		if c.stream == nil {
			if c.next == len(c.inputs) {
				c.done.Store(true)
				for range len(c.free) {
					<-c.free
				}
				return nil, io.EOF
			}
			if err := c.open(ctx); err != nil {
				return nil, err
			}
		}
		if c.eof && len(c.rest) == 0 {
			c.closeStream()
			continue
		}
		buf, err := c.buffer(ctx)
		if err != nil {
			return nil, err
		}
		data, buf, err := c.fill(ctx, buf)
		if err != nil || len(data) == 0 {
			c.giveBack(buf)
			if err != nil {
				return nil, err
			}
			continue
		}
		chunk := &pipeline.Chunk{Input: c.uri, Data: data, Offset: c.offset, Line: c.line, Row: -1}
		chunk.OnRelease(func() { c.giveBack(buf) })
		c.offset += int64(len(data))
		c.line += c.o.CountLines(data)
		return chunk, nil
	}
}

// fill reads whole records into buf, which it may replace by a larger one, and keeps what follows them in c.rest.
func (c *Chunker) fill(ctx context.Context, buf []byte) (data, _ []byte, err error) {
	n, limit := 0, c.o.ChunkBytes
	for {
		k := copy(buf[n:limit], c.rest)
		c.rest = c.rest[k:]
		n += k
		for n < limit && !c.eof {
			k, err := c.read(ctx, buf[n:limit])
			if err != nil {
				return nil, buf, err
			}
			n += k
		}
		end := n
		if last := c.eof && len(c.rest) == 0; !last {
			end = c.o.Cut(buf[:n], false)
		}
		if end > 0 || n == 0 {
			c.keepRest(buf[end:n])
			return buf[:end], buf, nil
		}
		if limit >= c.o.MaxRecord {
			c.keepRest(buf[:n])
			return nil, buf, fail.Newf(fail.Data, "a record starts here that does not end within %d bytes: look for a quote that is never closed, or raise --memory-limit, which the longest record follows", c.o.MaxRecord).
				In(c.uri).At(c.line, c.offset)
		}
		limit = min(max(2*limit, minBuffer), c.o.MaxRecord)
		if limit > len(buf) {
			grown := make([]byte, limit)
			copy(grown, buf[:n])
			buf = grown
		}
	}
}

// keepRest puts b, which lies in a buffer about to be handed out, in front of what is already kept.
func (c *Chunker) keepRest(b []byte) {
	if len(c.rest) == 0 {
		c.keep = append(c.keep[:0], b...)
		c.rest = c.keep
		return
	}
	// c.rest is the tail of c.keep, and b is a copy of what stands right before it
	c.rest = c.keep[len(c.keep)-len(c.rest)-len(b):]
}

// open starts the next input and lets Begin see its head.
func (c *Chunker) open(ctx context.Context) error {
	i := c.next
	c.uri, c.offset, c.line, c.eof = c.inputs[i].URI, 0, 1, false
	stream, err := c.inputs[i].Stream(ctx)
	if err != nil {
		return err
	}
	c.next++
	c.stream, c.r = stream, stream
	if c.o.Consumed != nil {
		c.r = &counting{r: stream, told: c.o.Consumed}
	}
	if c.o.Wrap != nil {
		if c.r, err = c.o.Wrap(i, c.r); err != nil {
			return err
		}
	}
	c.keep, c.rest = c.keep[:0], nil
	if c.o.Begin == nil {
		return nil
	}
	for want := headBytes; ; want *= 2 {
		if err := c.readHead(ctx, want); err != nil {
			return err
		}
		skip, lines, err := c.o.Begin(ctx, i, c.keep, c.eof)
		if err != nil {
			return err
		}
		if skip >= 0 {
			c.rest = c.keep[skip:]
			c.offset, c.line = int64(skip), 1+lines
			return nil
		}
		if c.eof || want >= max(c.o.MaxRecord, headBytes) {
			return fail.Newf(fail.Data, "the header does not end within %d bytes: look for a quote that is never closed", len(c.keep)).In(c.uri).At(1, 0)
		}
	}
}

// readHead reads on until c.keep holds want bytes or the input ends.
func (c *Chunker) readHead(ctx context.Context, want int) error {
	if cap(c.keep) < want {
		c.keep = append(make([]byte, 0, want), c.keep...)
	}
	for len(c.keep) < want && !c.eof {
		k, err := c.read(ctx, c.keep[len(c.keep):want])
		if err != nil {
			return err
		}
		c.keep = c.keep[:len(c.keep)+k]
	}
	return nil
}

// ReadHead reads the first n bytes of in, through wrap if it is not nil; eof says that there are no more.
func ReadHead(ctx context.Context, in Input, n int, wrap func(r io.Reader) (io.Reader, error)) (head []byte, eof bool, err error) {
	var o ChunkerOptions
	if wrap != nil {
		o.Wrap = func(_ int, r io.Reader) (io.Reader, error) { return wrap(r) }
	}
	c := NewChunker([]Input{in}, o)
	defer c.Close()
	if err := c.open(ctx); err != nil {
		return nil, false, err
	}
	if err := c.readHead(ctx, n); err != nil {
		return nil, false, err
	}
	return c.keep, c.eof, nil
}

// read is one read of at least a byte, or the end (c.eof).
func (c *Chunker) read(ctx context.Context, p []byte) (int, error) {
	for range idleReads {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		n, err := c.r.Read(p)
		if err == io.EOF {
			c.eof = true
			return n, nil
		}
		if err != nil {
			return n, err
		}
		if n > 0 {
			return n, nil
		}
	}
	return 0, fail.Newf(fail.Temporary, "read input: %w", io.ErrNoProgress).In(c.uri)
}

// buffer takes a free buffer, makes one, or waits.
func (c *Chunker) buffer(ctx context.Context) ([]byte, error) {
	select {
	case b := <-c.free:
		return c.sized(b), nil
	default:
	}
	if c.made < c.o.Buffers {
		c.made++
		return c.sized(nil), nil
	}
	if c.o.Waited != nil {
		defer func(start time.Time) { c.o.Waited(time.Since(start)) }(time.Now())
	}
	select {
	case b := <-c.free:
		return c.sized(b), nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (c *Chunker) sized(b []byte) []byte {
	if b == nil {
		b = make([]byte, max(c.o.ChunkBytes, minBuffer))
	}
	return b
}

// giveBack makes room for another chunk. A buffer that grew for a long record is let go, so that one such record does not
// raise the memory of the rest of the run. It never blocks: there are no more buffers than places.
func (c *Chunker) giveBack(b []byte) {
	if len(b) > 2*c.o.ChunkBytes+minBuffer || c.done.Load() {
		b = nil
	}
	c.free <- b
}

func (c *Chunker) closeStream() {
	// the end was reached, or the run is over: an error here says nothing about the data
	_ = c.stream.Close()
	c.stream, c.r, c.rest = nil, nil, nil
}

// Close stops reading. Chunks still out stay valid.
func (c *Chunker) Close() error {
	if c.stream != nil {
		c.closeStream()
	}
	if c.err == nil {
		c.err = errors.New("chunker is closed")
	}
	c.keep = nil
	for { // the source may live on while what was read is sorted or grouped
		select {
		case <-c.free:
			continue
		default:
		}
		return nil
	}
}

// counting tells how much was read through it.
type counting struct {
	r    io.Reader
	told func(int64)
}

func (c *counting) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	if n > 0 {
		c.told(int64(n))
	}
	return n, err
}
