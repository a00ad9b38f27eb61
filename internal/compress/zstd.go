package compress

import (
	"errors"
	"io"

	"github.com/klauspost/compress/zstd"
)

func init() { register(codec{name: "zstd", magic: prefix("\x28\xb5\x2f\xfd"), open: openZstd}) }

// unzstd reads Zstandard frames (RFC 8878), skippable ones included. The decoder works in the caller's goroutine.
type unzstd struct {
	d    *zstd.Decoder
	most int64
}

func openZstd(src *source, o Options) (io.ReadCloser, error) {
	d, err := zstd.NewReader(src.Reader, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(uint64(max(o.MaxWindow, zstd.MinWindowSize))),
		zstd.WithDecoderMaxMemory(1<<62), zstd.WithDecodeBuffersBelow(0))
	if err != nil {
		return nil, noEOF(err)
	}
	return &unzstd{d: d, most: o.MaxWindow}, nil
}

func (u *unzstd) Read(p []byte) (int, error) {
	n, err := u.d.Read(p)
	switch {
	case errors.Is(err, zstd.ErrCRCMismatch):
		err = errChecksum
	case errors.Is(err, zstd.ErrWindowSizeExceeded):
		err = errWindow{most: u.most}
	case errors.Is(err, zstd.ErrMagicMismatch):
		err = errTrailing
	}
	return n, err
}

func (u *unzstd) Close() error {
	u.d.Close()
	return nil
}
