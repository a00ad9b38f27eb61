package compress

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"hash/crc64"
	"io"

	"github.com/ulikunitz/xz/lzma"
)

const (
	xzMagic  = "\xfd7zXZ\x00"
	xzFooter = "YZ"
	lzma2ID  = 0x21
)

func init() { register(codec{name: "xz", magic: prefix(xzMagic), open: openXZ}) }

// unxz reads xz streams (The .xz File Format, version 1.1.0). It reads the container itself: the library takes a stream that is cut
// before a block for complete and gives a dictionary any size it asks for.
type unxz struct {
	src   *source
	most  int64
	check byte // check type of the stream
	block *xzBlock
	// The stream's blocks so far: how many, how many in a row gave nothing, and a hash of unpadded and uncompressed sizes (as xz keeps them: there may be a
	// block for every few bytes).
	blocks, idle uint64
	index        hash.Hash
}

type xzBlock struct {
	r       *lzma.Reader2
	in      *countReader
	sum     hash.Hash // nil = none
	header  int64
	out     uint64
	wantIn  int64 // -1 = not given
	wantOut int64
}

// countReader counts what passes, by the byte too, as the range decoder reads.
type countReader struct {
	src *source
	n   int64
}

func (c *countReader) Read(p []byte) (int, error) {
	n, err := c.src.Reader.Read(p)
	c.n += int64(n)
	return n, err
}

func (c *countReader) ReadByte() (byte, error) {
	b, err := c.src.Reader.ReadByte()
	if err == nil {
		c.n++
	}
	return b, err
}

var (
	errXZ    = errors.New("header, index or footer is not valid")
	errIndex = errors.New("the index does not name the blocks there are")
)

func openXZ(src *source, o Options) (io.ReadCloser, error) {
	u := &unxz{src: src, most: o.MaxWindow}
	return u, u.startStream()
}

// startStream reads a stream header (section 2.1.1).
func (u *unxz) startStream() error {
	var h [12]byte
	if _, err := io.ReadFull(u.src, h[:]); err != nil {
		return noEOF(err)
	}
	if string(h[:6]) != xzMagic || h[6] != 0 || h[7]&0xf0 != 0 {
		return errXZ
	}
	if crc32.ChecksumIEEE(h[6:8]) != binary.LittleEndian.Uint32(h[8:]) {
		return fmt.Errorf("stream header: %w", errChecksum)
	}
	u.check, u.blocks, u.idle, u.index = h[7], 0, 0, sha256.New()
	if u.check != 0 && u.check != 1 && u.check != 4 && u.check != 10 {
		return fmt.Errorf("check type %d is not supported", u.check)
	}
	return nil
}

func (u *unxz) Read(p []byte) (int, error) {
	for {
		if u.block == nil {
			if err := u.next(); err != nil {
				return 0, err
			}
			continue // next has begun a block or a stream
		}
		b := u.block
		n, err := b.r.Read(p)
		if b.sum != nil {
			b.sum.Write(p[:n])
		}
		b.out += uint64(n)
		if err == io.EOF && b.r.EOS() {
			u.block, err = nil, u.endBlock(b)
		}
		if n > 0 || err != nil {
			return n, noEOF(err)
		}
	}
}

// next begins a block, or ends the stream and begins the next one, or is io.EOF.
func (u *unxz) next() error {
	size, err := u.src.ReadByte()
	if err != nil {
		return noEOF(err) // a stream ends with its footer, not here
	}
	if size == 0 {
		if err := u.endStream(); err != nil {
			return noEOF(err)
		}
		return u.afterStream()
	}
	return noEOF(u.startBlock(size))
}

// afterStream skips padding, four zero bytes at a time (section 2.2).
func (u *unxz) afterStream() error {
	for {
		b, err := u.src.Peek(4)
		switch {
		case len(b) == 0:
			return err
		case bytes.HasPrefix([]byte(xzMagic[:4]), b):
			return u.startStream()
		case !bytes.HasPrefix(make([]byte, 4), b):
			return errTrailing
		case len(b) < 4:
			_, _ = u.src.Discard(len(b))
			return io.ErrUnexpectedEOF
		}
		if _, err := u.src.Discard(4); err != nil {
			return err
		}
	}
}

// startBlock reads a block header (section 3.1), whose first byte is size.
func (u *unxz) startBlock(size byte) error {
	h := make([]byte, (int(size)+1)*4)
	h[0] = size
	if _, err := io.ReadFull(u.src, h[1:]); err != nil {
		return noEOF(err)
	}
	body := h[:len(h)-4]
	if crc32.ChecksumIEEE(body) != le32(h[len(body):]) {
		return fmt.Errorf("block header: %w", errChecksum)
	}
	b := &xzBlock{in: &countReader{src: u.src}, header: int64(len(h)), wantIn: -1, wantOut: -1}
	flags, rest := body[1], body[2:]
	if flags&0x3c != 0 {
		return errXZ
	}
	if flags&3 != 0 {
		return errors.New("filters other than LZMA2 are not supported: compress it anew without BCJ or delta filters")
	}
	for bit, dst := range []*int64{&b.wantIn, &b.wantOut} {
		if flags&(0x40<<bit) != 0 {
			v, n := binary.Uvarint(rest)
			if n <= 0 || v >= 1<<63 {
				return errXZ
			}
			*dst, rest = int64(v), rest[n:]
		}
	}
	if len(rest) < 3 || rest[0] != lzma2ID || rest[1] != 1 || rest[2] > 40 || len(bytes.Trim(rest[3:], "\x00")) != 0 {
		return errors.New("filters other than LZMA2 are not supported: compress it anew without BCJ or delta filters")
	}
	dict := int64(1)<<32 - 1
	if d := rest[2]; d < 40 { // section 5.3.1
		dict = int64(2|d&1) << (d/2 + 11)
	}
	if b.wantOut >= 0 && dict > b.wantOut {
		dict = max(b.wantOut, lzma.MinDictCap) // no match reaches further back
	}
	if dict > u.most {
		return errWindow{want: dict, most: u.most}
	}
	switch u.check {
	case 1:
		b.sum = crc32.NewIEEE()
	case 4:
		b.sum = crc64.New(crc64.MakeTable(crc64.ECMA))
	case 10:
		b.sum = sha256.New()
	}
	var err error
	b.r, err = lzma.Reader2Config{DictCap: int(dict)}.NewReader2(b.in)
	if err != nil && err != io.EOF {
		return err
	}
	u.block = b
	return nil
}

// endBlock reads padding and check, and compares sizes (sections 3.3 and 3.4).
func (u *unxz) endBlock(b *xzBlock) error {
	if b.wantIn >= 0 && b.in.n != b.wantIn || b.wantOut >= 0 && b.out != uint64(b.wantOut) {
		return errors.New("a block's size is not what its header says")
	}
	for pad := -b.in.n & 3; pad > 0; pad-- {
		c, err := u.src.ReadByte()
		if err != nil {
			return noEOF(err)
		}
		if c != 0 {
			return errXZ
		}
	}
	sumLen := 0
	if b.sum != nil {
		sum := b.sum.Sum(nil)
		if u.check != 10 { // Go's hashes print CRCs big-endian
			for i, j := 0, len(sum)-1; i < j; i, j = i+1, j-1 {
				sum[i], sum[j] = sum[j], sum[i]
			}
		}
		want := make([]byte, len(sum))
		if _, err := io.ReadFull(u.src, want); err != nil {
			return noEOF(err)
		}
		if sumLen = len(sum); !bytes.Equal(sum, want) {
			return errChecksum
		}
	}
	if u.idle++; b.out > 0 {
		u.idle = 0
	}
	if u.idle > mostIdle {
		return fmt.Errorf("%d blocks in a row have no data", u.idle)
	}
	u.blocks++
	hashRecord(u.index, uint64(b.header+b.in.n+int64(sumLen)), b.out)
	return nil
}

// mostIdle is the empty blocks in a row that are let through: each costs a dictionary.
const mostIdle = 100

// hashRecord adds a record of the index to h.
func hashRecord(h hash.Hash, unpadded, uncompressed uint64) {
	var b [16]byte
	binary.LittleEndian.PutUint64(b[:], unpadded)
	binary.LittleEndian.PutUint64(b[8:], uncompressed)
	h.Write(b[:])
}

// endStream reads the index, whose indicator byte has been read, and the footer (sections 4 and 2.1.2).
func (u *unxz) endStream() error {
	crc := crc32.NewIEEE()
	in := &countReader{src: u.src, n: 1}
	crc.Write([]byte{0})
	tee := byteTee{in, crc}
	n, err := binary.ReadUvarint(tee)
	if err != nil {
		return err
	}
	if n != u.blocks {
		return errIndex
	}
	said := sha256.New()
	for range n {
		unpadded, err := binary.ReadUvarint(tee)
		if err != nil {
			return err
		}
		uncompressed, err := binary.ReadUvarint(tee)
		if err != nil {
			return err
		}
		hashRecord(said, unpadded, uncompressed)
	}
	if !bytes.Equal(said.Sum(nil), u.index.Sum(nil)) {
		return errIndex
	}
	for in.n&3 != 0 {
		c, err := tee.ReadByte()
		if err != nil {
			return err
		}
		if c != 0 {
			return errXZ
		}
	}
	var tail [16]byte // CRC of the index, then the footer
	if _, err := io.ReadFull(in, tail[:]); err != nil {
		return err
	}
	f := tail[4:]
	if crc.Sum32() != le32(tail[:]) || crc32.ChecksumIEEE(f[4:10]) != le32(f) {
		return fmt.Errorf("index or footer: %w", errChecksum)
	}
	if string(f[10:]) != xzFooter || f[8] != 0 || f[9] != u.check || (int64(le32(f[4:]))+1)*4 != in.n-12 {
		return errXZ
	}
	return nil
}

// byteTee hashes the bytes it reads.
type byteTee struct {
	r io.ByteReader
	h hash.Hash32
}

func (t byteTee) ReadByte() (byte, error) {
	b, err := t.r.ReadByte()
	if err == nil {
		t.h.Write([]byte{b})
	}
	return b, err
}

func (u *unxz) Close() error {
	u.block = nil
	return nil
}
