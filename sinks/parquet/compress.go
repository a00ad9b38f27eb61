package parquet

import (
	"bytes"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
	"github.com/parquet-go/parquet-go/format"
	"github.com/pierrec/lz4/v4"

	"github.com/sluice-data/sluice/internal/fail"
)

// compressor compresses pages with one codec. One lane owns it; its state is reused from page to page and no page depends
// on the one before.
type compressor struct {
	codec format.CompressionCodec
	zstd  *zstd.Encoder
	gzip  *gzip.Writer
	lz4   lz4.Compressor
	out   []byte
}

func newCompressor(codec format.CompressionCodec, level int) (*compressor, error) {
	c := &compressor{codec: codec}
	var err error
	switch codec {
	case format.Zstd:
		// Pages carry a CRC of their own, and none is longer than the window.
		c.zstd, err = zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.EncoderLevelFromZstd(level)), zstd.WithEncoderConcurrency(1),
			zstd.WithEncoderCRC(false), zstd.WithWindowSize(maxPageBytes), zstd.WithZeroFrames(true))
	case format.Gzip:
		c.gzip, err = gzip.NewWriterLevel(nil, level)
	}
	if err != nil {
		return nil, fail.Newf(fail.Internal, "start %s encoder: %w", codec, err)
	}
	return c, nil
}

// compress returns src compressed, in a buffer that is good until the next call.
func (c *compressor) compress(src []byte) ([]byte, error) {
	switch c.codec {
	case format.Zstd:
		c.out = c.zstd.EncodeAll(src, c.out[:0])
	case format.Snappy:
		c.out = s2.EncodeSnappy(c.room(s2.MaxEncodedLen(len(src))), src)
	case format.Gzip:
		w := bytes.NewBuffer(c.out[:0])
		c.gzip.Reset(w)
		if _, err := c.gzip.Write(src); err != nil {
			return nil, fail.Newf(fail.Internal, "compress page: %w", err)
		}
		if err := c.gzip.Close(); err != nil {
			return nil, fail.Newf(fail.Internal, "compress page: %w", err)
		}
		c.out = w.Bytes()
	case format.Lz4Raw:
		dst := c.room(lz4.CompressBlockBound(len(src)))
		n, err := c.lz4.CompressBlock(src, dst)
		if err != nil || n == 0 && len(src) > 0 {
			return nil, fail.Newf(fail.Internal, "compress page of %d bytes with lz4: wrote %d: %w", len(src), n, err)
		}
		c.out = dst[:n]
	default:
		return src, nil
	}
	return c.out, nil
}

// room returns the output buffer with length n at least.
func (c *compressor) room(n int) []byte {
	if cap(c.out) < n {
		c.out = make([]byte, n)
	}
	return c.out[:cap(c.out)]
}

func (c *compressor) close() {
	if c.zstd != nil {
		// It writes to nothing: closing only lets its state go.
		_ = c.zstd.Close()
	}
}
