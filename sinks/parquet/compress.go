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
	quick *zstd.Encoder // a faster one beside zstd, for chunks where it does as well; nil if zstd is that fast itself
	fast  bool          // the chunk in the making goes to quick
	gzip  *gzip.Writer
	lz4   lz4.Compressor
	out   []byte
}

// memory is about how many bytes it holds: klauspost's zstd tables and history are some MiB an encoder.
func (c *compressor) memory() int64 {
	n := int64(cap(c.out))
	if c.zstd != nil {
		n += 3 << 20
	}
	if c.quick != nil {
		n += 2 << 20
	}
	return n
}

func newCompressor(codec format.CompressionCodec, level int) (*compressor, error) {
	c := &compressor{codec: codec}
	var err error
	switch codec {
	case format.Zstd:
		// Pages carry a CRC of their own, and none is longer than the window.
		options := []zstd.EOption{zstd.WithEncoderConcurrency(1), zstd.WithEncoderCRC(false), zstd.WithWindowSize(maxPageBytes), zstd.WithZeroFrames(true)}
		l := zstd.EncoderLevelFromZstd(level)
		if c.zstd, err = zstd.NewWriter(nil, append(options, zstd.WithEncoderLevel(l))...); err == nil && l == zstd.SpeedDefault {
			c.quick, err = zstd.NewWriter(nil, append(options, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithAllLitEntropyCompression(true))...)
		}
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
		if c.fast {
			c.out = c.quick.EncodeAll(src, c.out[:0])
		} else {
			c.out = c.zstd.EncodeAll(src, c.out[:0])
		}
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

// sample settles how the pages of a chunk are compressed, by the start of its first data page. At zstd's default level the
// matches of numbers and keys are often not worth their search, and literals alone come out smaller.
func (c *compressor) sample(first []byte) {
	if c.quick == nil {
		return
	}
	c.fast = false
	const least, most = 4 << 10, 64 << 10 // less says little and costs little; more says no more
	if len(first) < least {
		return
	}
	first = first[:min(len(first), most)]
	c.out = c.zstd.EncodeAll(first, c.out[:0])
	full := len(c.out)
	c.out = c.quick.EncodeAll(first, c.out[:0])
	quick := len(c.out)
	switch {
	case quick < full-full/32:
		c.fast = true
	case full > len(first)-len(first)/32:
		// Nothing is won, and the full search gives up sooner.
	default:
		c.fast = quick <= full+full/32
	}
}

// room returns the output buffer with length n at least.
func (c *compressor) room(n int) []byte {
	if cap(c.out) < n {
		c.out = make([]byte, n)
	}
	return c.out[:cap(c.out)]
}

func (c *compressor) close() {
	for _, z := range []*zstd.Encoder{c.zstd, c.quick} {
		if z != nil {
			_ = z.Close() // it writes to nothing: closing only lets its state go
		}
	}
}
