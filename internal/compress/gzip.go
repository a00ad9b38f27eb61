package compress

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"sync"

	"github.com/sluice-data/sluice/internal/compress/inflate"
)

func init() { register(codec{name: "gzip", magic: prefix("\x1f\x8b"), open: openGzip}) }

// gunzip reads the members of a gzip file (RFC 1952) one after the other. Zero bytes after the last member are padding, as tape
// drives and block devices leave it; anything else after it is an error.
type gunzip struct {
	src    *source
	z      inflate.Reader
	crc    uint32 // of the member so far
	size   uint32 // of the member so far, modulo 1<<32
	member int    // 1-based number of the current one
	buf    [gzipTextMax]byte
}

func openGzip(src *source, _ Options) (io.ReadCloser, error) {
	if size, _, err := peekBlock(ahead{src}); err == nil && size > 0 {
		return newBlocks(src), nil
	}
	g := gunzips.Get().(*gunzip)
	g.src, g.member = src, 0
	return g, g.next()
}

// gunzips are those of closed streams: each holds a window and tables of 130 KiB.
var gunzips = sync.Pool{New: func() any { return new(gunzip) }}

// ahead is a source that may be looked into beyond a member's end: that does not count as asking for more.
type ahead struct{ *source }

func (a ahead) Peek(n int) ([]byte, error) {
	a.looking = true
	b, err := a.source.Peek(n)
	a.looking = false
	return b, err
}

// next begins the member that is next in src.
func (g *gunzip) next() error {
	g.member++
	if err := g.header(); errors.Is(err, errGzipHeader) {
		return fmt.Errorf("%w of member %d is not valid", err, g.member)
	} else if err != nil {
		return err
	}
	g.crc, g.size = 0, 0
	g.z.Reset(ahead{g.src})
	return nil
}

func (g *gunzip) Read(p []byte) (int, error) {
	for {
		n, err := g.z.Read(p)
		g.crc = crc32.Update(g.crc, crc32.IEEETable, p[:n])
		g.size += uint32(n)
		switch {
		case n > 0 || err == nil:
			return n, nil // an error comes again
		case err != io.EOF:
			return 0, err
		}
		if err = g.end(); err != nil {
			return 0, err
		}
	}
}

// end is called after a member's content: io.EOF if it was the last member, nil if another one has begun.
func (g *gunzip) end() error {
	tail := g.buf[:gzipTail]
	if _, err := io.ReadFull(g.src, tail); err != nil {
		return noEOF(err)
	}
	if binary.LittleEndian.Uint32(tail) != g.crc || binary.LittleEndian.Uint32(tail[4:]) != g.size {
		return fmt.Errorf("member %d: %w", g.member, errChecksum)
	}
	return g.after()
}

// after is called after a whole member, with the results of end.
func (g *gunzip) after() error {
	zeros := false
	for {
		b, err := g.src.Peek(1)
		switch {
		case len(b) == 0:
			return err // io.EOF
		case b[0] == 0:
			zeros = true
			if _, err := g.src.Discard(1); err != nil {
				return err
			}
		case zeros || b[0] != 0x1f:
			return errTrailing
		default:
			return g.next()
		}
	}
}

func (g *gunzip) Close() error {
	g.src = nil
	g.z.Reset(nil)
	gunzips.Put(g)
	return nil
}

var errGzipHeader = errors.New("header")

// Flags of a member's header, RFC 1952 section 2.3.1.
const (
	gzipHeaderCRC = 1 << 1
	gzipExtra     = 1 << 2
	gzipName      = 1 << 3
	gzipComment   = 1 << 4
	gzipReserved  = 7 << 5 // section 2.3.1.2: an error where set
)

// gzipTextMax bounds a name or comment, its final zero included.
const gzipTextMax = 512

// gzipTail is the size of what follows a member's content: CRC-32 and size of it.
const gzipTail = 8

// header reads a member's header.
func (g *gunzip) header() error {
	var crc uint32
	read := func(n int) ([]byte, error) {
		b := g.buf[:n]
		_, err := io.ReadFull(g.src, b)
		crc = crc32.Update(crc, crc32.IEEETable, b)
		return b, noEOF(err)
	}
	h, err := read(10)
	if err != nil {
		return err
	}
	flags := h[3]
	if h[0] != 0x1f || h[1] != 0x8b || h[2] != 8 || flags&gzipReserved != 0 {
		return errGzipHeader
	}
	if flags&gzipExtra != 0 {
		if h, err = read(2); err != nil {
			return err
		}
		for left := int(binary.LittleEndian.Uint16(h)); left > 0; left -= len(h) {
			if h, err = read(min(left, len(g.buf))); err != nil {
				return err
			}
		}
	}
	for _, text := range []byte{gzipName, gzipComment} {
		if flags&text == 0 {
			continue
		}
		for n := 0; ; n++ {
			if n == gzipTextMax {
				return errGzipHeader
			}
			if h, err = read(1); err != nil {
				return err
			}
			if h[0] == 0 {
				break
			}
		}
	}
	if flags&gzipHeaderCRC != 0 {
		want := uint16(crc)
		if h, err = read(2); err != nil {
			return err
		}
		if binary.LittleEndian.Uint16(h) != want {
			return errGzipHeader
		}
	}
	return nil
}
