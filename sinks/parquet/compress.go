package parquet

import (
	"bytes"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
	"github.com/parquet-go/parquet-go/format"
	"github.com/pierrec/lz4/v4"

	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/sinks/parquet/zstdpage"
)

// compressor compresses pages with one codec. One lane owns it; its state is reused from page to page and no page depends
// on the one before.
type compressor struct {
	codec  format.CompressionCodec
	pages  zstdpage.Encoder
	quick  *zstd.Encoder // klauspost's fastest
	asked  *zstd.Encoder // the level asked for; quick itself if that is as low
	slack  int           // pages may be one slack-th larger than asked would make them
	gzip   *gzip.Writer
	lz4    lz4.Compressor
	out    []byte
	seen   []uint32 // where bytes were seen
	kept   []byte   // the frame of keptOf with effortQuick
	keptOf []byte
}

// longFrame is more than a frame of one segment should hold: readers may keep as much.
const longFrame = 8 << 20

// memory is about how many bytes it holds: klauspost's zstd tables and history are some MiB an encoder.
func (c *compressor) memory() int64 {
	n := int64(cap(c.out)) + c.pages.Memory()
	n += int64(4*cap(c.seen) + cap(c.kept))
	if c.quick != nil {
		n += 3 << 20
	}
	if c.asked != c.quick {
		n += 3 << 20
	}
	return n
}

func newCompressor(codec format.CompressionCodec, level int) (*compressor, error) {
	c := &compressor{codec: codec}
	var err error
	switch codec {
	case format.Zstd:
		// Pages carry a CRC of their own, and few are longer than the window.
		options := []zstd.EOption{zstd.WithEncoderConcurrency(1), zstd.WithEncoderCRC(false), zstd.WithWindowSize(maxPageBytes), zstd.WithZeroFrames(true)}
		c.quick, err = zstd.NewWriter(nil, append(options, zstd.WithWindowSize(longPageBytes), zstd.WithLowerEncoderMem(true), zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithAllLitEntropyCompression(true))...)
		c.asked, c.slack = c.quick, 4
		if l := zstd.EncoderLevelFromZstd(level); err == nil && l != zstd.SpeedFastest {
			c.slack = 24
			if l > zstd.SpeedDefault {
				c.slack = 64
			}
			c.asked, err = zstd.NewWriter(nil, append(options, zstd.WithEncoderLevel(l))...)
		}
	case format.Gzip:
		c.gzip, err = gzip.NewWriterLevel(nil, level)
	}
	if err != nil {
		return nil, fail.Newf(fail.Internal, "start %s encoder: %w", codec, err)
	}
	return c, nil
}

// compress returns src compressed, in a buffer that is good until the next call. Only zstd has efforts.
func (c *compressor) compress(src []byte, l layout, e effort) ([]byte, error) {
	switch c.codec {
	case format.Zstd:
		c.out = c.frame(src, l, e)
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

// frame is src as a zstd frame.
func (c *compressor) frame(src []byte, l layout, e effort) []byte {
	switch {
	case e == effortAsked || len(src) > longFrame:
		return c.asked.EncodeAll(src, c.out[:0])
	case e == effortQuick && len(src) > 0 && len(src) == len(c.keptOf) && &src[0] == &c.keptOf[0]:
		return append(c.out[:0], c.kept...)
	case e == effortQuick:
		return c.quick.EncodeAll(src, c.out[:0])
	}
	return c.pages.Append(c.out[:0], src, l.head, l.stride, [...]zstdpage.Method{zstdpage.Stored, zstdpage.Matched, zstdpage.Coded}[e])
}

// room returns the output buffer with length n at least.
func (c *compressor) room(n int) []byte {
	if cap(c.out) < n {
		c.out = make([]byte, n)
	}
	return c.out[:cap(c.out)]
}

func (c *compressor) close() {
	for _, z := range []*zstd.Encoder{c.asked, c.quick} {
		if z != nil {
			_ = z.Close() // it writes to nothing: closing only lets its state go
		}
	}
}
