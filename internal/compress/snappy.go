package compress

import (
	"errors"
	"io"

	"github.com/klauspost/compress/s2"
)

func init() {
	register(codec{name: "snappy", magic: prefix("\xff\x06\x00\x00sNaPpY"), open: openSnappy})
}

// unsnappy reads the snappy framing format. It has no end mark: a cut between two chunks leaves a whole stream.
type unsnappy struct{ r *s2.Reader }

func openSnappy(src *source, _ Options) (io.ReadCloser, error) {
	return unsnappy{s2.NewReader(src.Reader)}, nil
}

func (u unsnappy) Read(p []byte) (int, error) {
	n, err := u.r.Read(p)
	if errors.Is(err, s2.ErrCRC) {
		err = errChecksum
	}
	return n, err
}

func (unsnappy) Close() error { return nil }
