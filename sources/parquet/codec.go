package parquet

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
	"github.com/parquet-go/parquet-go/format"
	"github.com/pierrec/lz4/v4"
)

const (
	// maxPage bounds a page's bytes, as stored and decompressed.
	maxPage = 512 << 20
	// trusted is how many decompressed bytes are allocated on the word of a page header alone. Beyond it the claim must be
	// within reach of the compressed bytes, or the page is decompressed piece by piece.
	trusted = 4 << 20
)

// decompressor holds a lane's codec state.
type decompressor struct {
	zstd   *zstd.Decoder
	gzip   *gzip.Reader
	brotli *brotli.Reader
	src    bytes.Reader
}

func (d *decompressor) close() {
	if d.zstd != nil {
		d.zstd.Close()
		d.zstd = nil
	}
}

// scratchSize is how much memory is made for n bytes: pages are of about the same size, and large ones are few.
func scratchSize(n int) int64 {
	if n > trusted {
		return int64(n)
	}
	return int64(n + n/4)
}

// grow returns b with length n, in new memory if need be; old contents are lost.
func grow(b []byte, n int) []byte {
	if cap(b) < n {
		return make([]byte, n, scratchSize(n))
	}
	return b[:n]
}

// decompress decodes src, which holds exactly size bytes decompressed, into buf (or more room) and returns it. Without
// compression it returns src itself.
func (d *decompressor) decompress(codec format.CompressionCodec, src []byte, size int, buf []byte) ([]byte, error) {
	if size > maxPage {
		return nil, fmt.Errorf("page claims %d bytes, more than the limit of %d", size, maxPage)
	}
	if size == 0 && len(src) == 0 {
		return buf[:0], nil
	}
	var err error
	switch codec {
	case format.Uncompressed:
		if len(src) != size {
			return nil, sizeError(size, len(src))
		}
		return src, nil
	case format.Snappy:
		n, err := s2.DecodedLen(src)
		if err != nil || n != size {
			return nil, fmt.Errorf("decompress snappy: page header gives %d bytes, the data %d", size, n)
		}
		if err := plausible(size, len(src), 64); err != nil {
			return nil, err
		}
		if buf, err = s2.Decode(grow(buf, size), src); err != nil {
			return nil, fmt.Errorf("decompress snappy: %w", err)
		}
	case format.Zstd:
		if buf, err = d.unzstd(src, size, buf); err != nil {
			return nil, fmt.Errorf("decompress zstd: %w", err)
		}
	case format.Gzip:
		d.src.Reset(src)
		if d.gzip == nil {
			d.gzip, err = gzip.NewReader(&d.src)
		} else {
			err = d.gzip.Reset(&d.src)
		}
		if err == nil {
			buf, err = readSized(d.gzip, size, len(src), buf)
		} else {
			d.gzip = nil
		}
		if err != nil {
			return nil, fmt.Errorf("decompress gzip: %w", unexpected(err))
		}
	case format.Brotli:
		d.src.Reset(src)
		if d.brotli == nil {
			d.brotli = brotli.NewReader(&d.src)
		} else if err := d.brotli.Reset(&d.src); err != nil {
			return nil, fmt.Errorf("decompress brotli: %w", err)
		}
		if buf, err = readSized(d.brotli, size, len(src), buf); err != nil {
			return nil, fmt.Errorf("decompress brotli: %w", unexpected(err))
		}
	case format.Lz4Raw:
		if buf, err = unlz4(src, size, buf); err != nil {
			return nil, fmt.Errorf("decompress lz4_raw: %w", err)
		}
	case lz4Hadoop:
		if buf, err = unlz4Hadoop(src, size, buf); err != nil {
			return nil, fmt.Errorf("decompress lz4: %w", err)
		}
	default:
		return nil, fmt.Errorf("codec %s is not supported", codecName(codec))
	}
	if len(buf) != size {
		return nil, sizeError(size, len(buf))
	}
	return buf, nil
}

// lz4Hadoop is the deprecated codec 5, LZ4 blocks in Hadoop's framing.
const lz4Hadoop = format.CompressionCodec(5)

func codecName(c format.CompressionCodec) string {
	switch c {
	case 3:
		return "LZO"
	case lz4Hadoop:
		return "LZ4"
	}
	if c < 0 || c > format.Lz4Raw {
		return fmt.Sprint("number ", int(c))
	}
	return c.String()
}

func sizeError(want, got int) error {
	return fmt.Errorf("page header gives %d bytes, the data are %d", want, got)
}

// plausible refuses a size that a codec of at most ratio:1 cannot have made of n bytes.
func plausible(size, n, ratio int) error {
	if size > trusted && size/ratio > n+64 {
		return fmt.Errorf("page header gives %d bytes, which %d compressed bytes cannot hold", size, n)
	}
	return nil
}

func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// readSized reads exactly size bytes and finds the end there.
func readSized(r io.Reader, size, compressed int, buf []byte) ([]byte, error) {
	have := size
	if size > trusted && size/64 > compressed {
		have = trusted
	}
	buf = grow(buf, have)
	n := 0
	for {
		k, err := io.ReadFull(r, buf[n:])
		n += k
		switch {
		case err == io.EOF || errors.Is(err, io.ErrUnexpectedEOF):
			return nil, sizeError(size, n)
		case err != nil:
			return nil, err
		}
		if n == size {
			break
		}
		next := make([]byte, min(size, 2*n))
		copy(next, buf)
		buf = next
	}
	var one [1]byte
	switch k, err := io.ReadFull(r, one[:]); {
	case k > 0:
		return nil, fmt.Errorf("page header gives %d bytes, the data are more", size)
	case err != io.EOF:
		return nil, err
	}
	return buf, nil
}

func (d *decompressor) unzstd(src []byte, size int, buf []byte) ([]byte, error) {
	if size > trusted && size/256 > len(src) {
		r, err := zstd.NewReader(bytes.NewReader(src), zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(64<<20))
		if err != nil {
			return nil, err
		}
		defer r.Close()
		return readSized(r, size, len(src), buf)
	}
	if d.zstd == nil {
		z, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxPage), zstd.WithDecodeAllCapLimit(true))
		if err != nil {
			return nil, err
		}
		d.zstd = z
	}
	return d.zstd.DecodeAll(src, grow(buf, size)[:0:size])
}

func unlz4(src []byte, size int, buf []byte) ([]byte, error) {
	if err := plausible(size, len(src), 255); err != nil {
		return nil, err
	}
	buf = grow(buf, size)
	n, err := lz4.UncompressBlock(src, buf)
	if err != nil {
		return nil, err
	}
	return buf[:n], nil
}

// unlz4Hadoop decodes blocks that are each preceded by their decompressed and compressed size (big endian, 4 bytes each).
// Early Arrow C++ wrote bare blocks or LZ4 frames under the same codec number.
func unlz4Hadoop(src []byte, size int, buf []byte) ([]byte, error) {
	if err := plausible(size, len(src), 255); err != nil {
		return nil, err
	}
	if len(src) >= 4 && binary.LittleEndian.Uint32(src) == 0x184D2204 {
		return readSized(lz4.NewReader(bytes.NewReader(src)), size, len(src), buf)
	}
	buf = grow(buf, size)
	n, rest := 0, src
	for len(rest) >= 8 {
		plain, packed := binary.BigEndian.Uint32(rest), binary.BigEndian.Uint32(rest[4:])
		if uint64(packed) > uint64(len(rest)-8) || uint64(plain) > uint64(size-n) {
			break
		}
		k, err := lz4.UncompressBlock(rest[8:8+packed], buf[n:n+int(plain)])
		if err != nil || k != int(plain) {
			break
		}
		n, rest = n+k, rest[8+packed:]
	}
	if n == size && len(rest) == 0 {
		return buf, nil
	}
	return unlz4(src, size, buf)
}
