package compress

import (
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"
)

func init() { register(codec{name: "gzip", magic: prefix("\x1f\x8b"), open: openGzip}) }

// gunzip reads the members of a gzip file (RFC 1952) one after the other. Zero bytes after the last member are padding, as tape
// drives and block devices leave it; anything else after it is an error.
type gunzip struct {
	src    *source
	z      *gzip.Reader
	member int // 1-based number of the current one
}

func openGzip(src *source, _ Options) (io.ReadCloser, error) {
	g := &gunzip{src: src, z: new(gzip.Reader)}
	return g, g.next()
}

// next begins the member that is next in src.
func (g *gunzip) next() error {
	g.member++
	err := g.z.Reset(g.src.Reader)
	g.z.Multistream(false)
	if errors.Is(err, gzip.ErrHeader) {
		return fmt.Errorf("header of member %d is not valid", g.member)
	}
	return noEOF(err)
}

func (g *gunzip) Read(p []byte) (int, error) {
	for {
		n, err := g.z.Read(p)
		switch {
		case err == io.EOF:
			if err = g.end(); err != nil {
				return n, err
			}
		case errors.Is(err, gzip.ErrChecksum):
			return n, fmt.Errorf("member %d: %w", g.member, errChecksum)
		case err != nil:
			return n, noEOF(err)
		}
		if n > 0 {
			return n, nil
		}
	}
}

// end is called after a member: io.EOF if it was the last, nil if another one has begun.
func (g *gunzip) end() error {
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

func (g *gunzip) Close() error { return nil }
