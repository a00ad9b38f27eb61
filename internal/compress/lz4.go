package compress

import (
	"errors"
	"io"

	"github.com/pierrec/lz4/v4"
)

func init() { register(codec{name: "lz4", magic: lz4Magic, open: openLZ4}) }

// lz4Magic is that of a frame or of the legacy format.
func lz4Magic(head []byte) bool {
	return prefix("\x04\x22\x4d\x18")(head) || prefix("\x02\x21\x4c\x18")(head)
}

// unlz4 reads lz4 frames, skippable ones included.
type unlz4 struct{ r *lz4.Reader }

func openLZ4(src *source, _ Options) (io.ReadCloser, error) {
	r := lz4.NewReader(src.Reader)
	if err := r.Apply(lz4.ConcurrencyOption(1)); err != nil {
		return nil, err
	}
	return unlz4{r}, nil
}

func (u unlz4) Read(p []byte) (int, error) {
	n, err := u.r.Read(p)
	switch {
	case errors.Is(err, lz4.ErrInvalidBlockChecksum), errors.Is(err, lz4.ErrInvalidFrameChecksum), errors.Is(err, lz4.ErrInvalidHeaderChecksum):
		err = errChecksum
	case errors.Is(err, lz4.ErrInvalidFrame):
		err = errTrailing
	}
	return n, err
}

func (u unlz4) Close() error {
	u.r.Reset(nil)
	return nil
}
