package parquet

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math/bits"

	"github.com/apache/arrow/go/v17/arrow/memory"
	"github.com/parquet-go/parquet-go/format"

	"github.com/sluice-data/sluice/sources/parquet/internal/encoding"
	"github.com/sluice-data/sluice/sources/parquet/internal/meta"
)

const (
	// maxHeader bounds a page header; it may hold statistics with long values.
	maxHeader = 16 << 20
)

// levelReader decodes one kind of levels of a page, in either of their encodings.
type levelReader struct {
	rle    encoding.RLE
	packed encoding.BitPackedLevels
	legacy bool
	max    uint8
}

func (l *levelReader) read(dst []uint8) error {
	if l.max == 0 {
		clear(dst)
		return nil
	}
	if l.legacy {
		return l.packed.Levels(dst, l.max)
	}
	return l.rle.Levels(dst, l.max)
}

// columnReader reads one leaf column of one row group: pages, levels, values. Its values go to a sink.
type columnReader struct {
	leaf     *leaf
	sink     sink
	in       *chunkInput
	next     *chunkInput // what follows in: the data pages, where only some are read
	d        *decompressor
	lease    *lease
	most     int64 // bytes of the chunk's pages, decompressed, as the footer has it
	heldPage int64 // of the lease, for a page
	heldDict int64 // and for the sink's dictionary
	codec    format.CompressionCodec
	perEntry float64 // bytes, on average
	left     int64   // levels of the column chunk that are not in the current page or before
	page     int     // levels left in the current page
	nonNull  int     // data page v2: non-null values the page must still give; else -1
	scratch  []byte  // decompressed page, used again
	vals     pageValues
	def      levelReader
	rep      levelReader

	// nested columns: levels of the batch, then (from taken on) those decoded ahead, of the current page
	defs, reps []uint8
	taken      int

	// where only some of the pages are read
	pages *pages // nil: all are read
	at    int    // number of the next data page
	skip  int64  // rows of the first one that are not wanted
	extra int64  // rows of the last one that are not wanted
	flats bool   // rows are read by flat
}

// open starts on a column chunk; its bytes are given to in.
func (c *columnReader) open(chunk *meta.Column) {
	c.in, c.next, c.codec, c.left = nil, nil, chunk.Codec, chunk.NumValues
	c.pages, c.skip, c.extra = nil, 0, 0
	c.page, c.nonNull, c.taken = 0, -1, 0
	c.most, c.heldPage, c.heldDict = chunk.Uncompressed, 0, 0
	c.perEntry = float64(chunk.Uncompressed) / float64(max(chunk.NumValues, 1))
	c.defs, c.reps = c.defs[:0], c.reps[:0]
	c.vals = pageValues{phys: c.leaf.phys, width: c.leaf.width, last: c.vals.last[:0]}
	c.def.max, c.rep.max = c.leaf.maxDef, c.leaf.maxRep
	c.sink.forget()
}

// only reduces an opened chunk to rows [from, to), and gives where their pages and their dictionary are.
func (c *columnReader) only(p *pages, from, to int64) (dict, data span) {
	i, j := p.overlapping(from, to)
	last := p.locs[j-1]
	c.pages, c.at = p, i
	c.left = p.first(j) - p.first(i)
	c.skip, c.extra = from-p.first(i), p.first(j)-to
	return p.dict, span{p.locs[i].Off, last.Off + int64(last.Size)}
}

// discard decodes and drops the rows before those that are wanted.
func (c *columnReader) discard(ctx context.Context) error {
	for c.skip > 0 {
		n, got := int(min(c.skip, batchRows)), 0
		c.sink.begin(n)
		var err error
		if c.flats {
			v := validity{mem: memory.DefaultAllocator, rows: n}
			got, _, err = c.flat(ctx, n, &v)
		} else {
			c.startNested()
			got, err = c.nested(ctx, n, true)
		}
		c.sink.abandon()
		if err == nil && got == 0 {
			err = errors.New("column chunk has fewer rows than its row group")
		}
		if err != nil {
			return errorAt{c.leaf.path, err}
		}
		c.skip -= int64(got)
	}
	return nil
}

// nextPage goes to the next data page with levels in it; the current one must be used up.
func (c *columnReader) nextPage(ctx context.Context) error {
	if c.nonNull > 0 {
		return fmt.Errorf("page header says there are %d more values than its levels do", c.nonNull)
	}
	for {
		if c.left == 0 {
			return errors.New("column chunk has fewer rows than its row group")
		}
		if c.in.pos >= c.in.end && c.next != nil {
			c.in, c.next = c.next, nil
		}
		if c.in.pos >= c.in.end {
			return fmt.Errorf("column chunk ends %d values short of what the footer says", c.left)
		}
		h, err := c.header(ctx)
		if err != nil {
			return err
		}
		if err := c.room(ctx, &h); err != nil {
			return err
		}
		raw, err := c.in.take(ctx, h.Compressed)
		if err != nil {
			return err
		}
		if h.HasCRC && crc32.ChecksumIEEE(raw) != h.CRC {
			return errors.New("page checksum does not match: the page is damaged")
		}
		switch h.Type {
		case format.DictionaryPage:
			err = c.dictionary(&h, raw)
		case format.DataPage, format.DataPageV2:
			if int64(h.NumValues) > c.left {
				return fmt.Errorf("page of %d values where the footer leaves %d", h.NumValues, c.left)
			}
			if err := c.expected(&h); err != nil {
				return err
			}
			c.left -= int64(h.NumValues)
			c.page = h.NumValues
			if h.Type == format.DataPage {
				err = c.dataV1(&h, raw)
			} else {
				err = c.dataV2(&h, raw)
			}
			if err == nil && c.page > 0 {
				return nil
			}
		}
		if err != nil {
			return err
		}
	}
}

// room asks for the memory that a page takes beside those of the lane's other columns, and lets go of a scratch that is too small for it.
func (c *columnReader) room(ctx context.Context, h *meta.Page) error {
	page, dict := int64(0), c.heldDict
	if c.codec != format.Uncompressed && h.IsCompressed {
		page = scratchSize(h.Uncompressed)
		if h.Uncompressed > cap(c.scratch) {
			c.letGo(false)
		}
	}
	if c.in.seg == nil && int64(h.Compressed) > c.in.block {
		page += int64(h.Compressed)
	}
	if h.Type == format.DictionaryPage {
		dict = max(dict, int64(h.Uncompressed))
	}
	page = max(page, c.heldPage)
	more := page - c.heldPage + dict - c.heldDict
	if more == 0 {
		return nil
	}
	if err := c.lease.more(ctx, more, h.Uncompressed); err != nil {
		if errors.As(err, new(errNoRoom)) && int64(h.Uncompressed) > c.most {
			return fmt.Errorf("page of %d bytes decompressed in a column chunk that the footer says has %d", h.Uncompressed, c.most)
		}
		return err
	}
	c.heldPage, c.heldDict = page, dict
	return nil
}

// letGo drops what refers to the page before, which is used up, and the memory it was in unless keep.
func (c *columnReader) letGo(keep bool) {
	c.vals = pageValues{phys: c.leaf.phys, width: c.leaf.width, last: c.vals.last[:0]}
	c.def.rle, c.rep.rle, c.def.packed, c.rep.packed = encoding.RLE{}, encoding.RLE{}, encoding.BitPackedLevels{}, encoding.BitPackedLevels{}
	if !keep {
		c.scratch = nil
	}
}

// expected holds a data page to what the offset index says of it: rows would be told wrongly otherwise.
func (c *columnReader) expected(h *meta.Page) error {
	if c.pages == nil || h.NumValues == 0 {
		return nil
	}
	if want := c.pages.first(c.at+1) - c.pages.first(c.at); int64(h.NumValues) != want {
		return fmt.Errorf("page of %d rows where the offset index says %d", h.NumValues, want)
	}
	c.at++
	return nil
}

func (c *columnReader) header(ctx context.Context) (meta.Page, error) {
	for n := 256; ; n *= 4 {
		b, err := c.in.peek(ctx, n)
		if err != nil {
			return meta.Page{}, err
		}
		h, used, err := meta.ParsePage(b)
		if err == nil {
			if h.Compressed > maxPage || h.Uncompressed > maxPage {
				return h, fmt.Errorf("page of %d bytes, %d decompressed, is over the limit of %d", h.Compressed, h.Uncompressed, maxPage)
			}
			c.in.pos += int64(used)
			return h, nil
		}
		if !errors.Is(err, meta.ErrShort) || int64(len(b)) >= c.in.end-c.in.pos || n > maxHeader {
			return h, fmt.Errorf("read page header: %w", err)
		}
	}
}

func (c *columnReader) dictionary(h *meta.Page, raw []byte) error {
	if h.Encoding != format.Plain && h.Encoding != format.PlainDictionary {
		return fmt.Errorf("dictionary in encoding %s", h.Encoding)
	}
	b, err := c.d.decompress(c.codec, raw, h.Uncompressed, c.scratch)
	if err != nil {
		return fmt.Errorf("dictionary page: %w", err)
	}
	c.keep(b)
	if least := max(c.leaf.width, 1); h.NumValues > len(b)/least {
		return fmt.Errorf("dictionary of %d values of at least %d bytes in %d bytes", h.NumValues, least, len(b))
	}
	p := pageValues{phys: c.leaf.phys, width: c.leaf.width}
	if err := p.reset(format.Plain, b); err != nil {
		return err
	}
	if err := c.sink.dictionary(&p, h.NumValues); err != nil {
		return fmt.Errorf("dictionary page: %w", err)
	}
	return nil
}

// keep remembers the memory that decompressing may have allocated.
func (c *columnReader) keep(b []byte) {
	if c.codec != format.Uncompressed && cap(b) > cap(c.scratch) {
		c.scratch = b
	}
}

func (c *columnReader) dataV1(h *meta.Page, raw []byte) error {
	b, err := c.d.decompress(c.codec, raw, h.Uncompressed, c.scratch)
	if err != nil {
		return err
	}
	c.keep(b)
	c.nonNull = -1
	if b, err = c.rep.startV1(b, h.RepEncoding, h.NumValues); err != nil {
		return fmt.Errorf("repetition levels: %w", err)
	}
	if b, err = c.def.startV1(b, h.DefEncoding, h.NumValues); err != nil {
		return fmt.Errorf("definition levels: %w", err)
	}
	return c.vals.reset(h.Encoding, b)
}

func (l *levelReader) startV1(b []byte, enc format.Encoding, n int) ([]byte, error) {
	if l.max == 0 {
		return b, nil
	}
	width := uint(bits.Len8(l.max))
	switch enc {
	case format.BitPacked:
		size := (uint64(n)*uint64(width) + 7) / 8
		if size > uint64(len(b)) {
			return nil, encoding.ErrShort
		}
		l.legacy = true
		l.packed.Reset(b[:size], width)
		return b[size:], nil
	case format.RLE:
		if len(b) < 4 {
			return nil, encoding.ErrShort
		}
		size := binary.LittleEndian.Uint32(b)
		if uint64(size) > uint64(len(b)-4) {
			return nil, fmt.Errorf("%d bytes in a page of %d", size, len(b))
		}
		l.legacy = false
		return b[4+size:], l.rle.Reset(b[4:4+size], width)
	}
	return nil, fmt.Errorf("encoding %s is not one for levels", enc)
}

func (c *columnReader) dataV2(h *meta.Page, raw []byte) error {
	levels := h.RepBytes + h.DefBytes
	c.rep.legacy, c.def.legacy = false, false
	if err := c.rep.rle.Reset(raw[:h.RepBytes], uint(bits.Len8(c.rep.max))); err != nil {
		return err
	}
	if err := c.def.rle.Reset(raw[h.RepBytes:levels], uint(bits.Len8(c.def.max))); err != nil {
		return err
	}
	c.nonNull = h.NumValues - h.NumNulls
	b := raw[levels:]
	if h.IsCompressed && c.codec != format.Uncompressed {
		var err error
		if b, err = c.d.decompress(c.codec, b, h.Uncompressed-levels, c.scratch); err != nil {
			return err
		}
		c.keep(b)
	}
	return c.vals.reset(h.Encoding, b)
}

// values hands the next n non-null values to the sink, which may take fewer.
func (c *columnReader) values(n int, soft bool) (int, error) {
	k, err := c.sink.take(&c.vals, n, soft)
	if c.nonNull >= 0 {
		if c.nonNull -= k; c.nonNull < 0 && err == nil {
			err = errors.New("page has more values than its header says")
		}
	}
	return k, err
}

// validity is the bitmap of a batch, made when the first null comes.
type validity struct {
	mem  memory.Allocator
	rows int // of the batch at most
	buf  *memory.Buffer
	bits []byte
}

// begin makes the bitmap if there is none; the first n rows are valid.
func (v *validity) begin(n int) {
	if v.buf == nil {
		v.buf = newBitmap(v.mem, v.rows)
		v.bits = v.buf.Bytes()
		encoding.SetBits(v.bits, 0, n)
	}
}

// flat reads up to n rows of a column without repetition and with at most one level of definition. valid gets their bits.
// It returns the rows and nulls read; rows is less than n only when the sink has enough.
func (c *columnReader) flat(ctx context.Context, n int, valid *validity) (rows, nulls int, err error) {
	for rows < n {
		if c.page == 0 {
			if err := c.nextPage(ctx); err != nil {
				return rows, nulls, err
			}
		}
		k := min(n-rows, c.page)
		some := k
		before := c.def
		if c.leaf.maxDef > 0 {
			if some, err = c.present(valid, rows, k); err != nil {
				return rows, nulls, err
			}
		}
		got, err := c.values(some, true)
		if err != nil {
			return rows, nulls, err
		}
		if got < some { // the sink is full: give back what was read ahead
			fit := got
			if c.leaf.maxDef > 0 {
				if valid.bits != nil {
					fit = rankOf(valid.bits, rows, k, got)
					clearBits(valid.bits, rows+fit, k-fit)
				}
				c.def = before
				if err := c.skipLevels(fit); err != nil {
					return rows, nulls, err
				}
			}
			c.page -= fit
			return rows + fit, nulls + fit - got, nil
		}
		c.page -= k
		rows += k
		nulls += k - some
	}
	return rows, nulls, nil
}

// present reads the definition levels of rows at to at+n of a batch and returns how many have a value.
func (c *columnReader) present(v *validity, at, n int) (ones int, err error) {
	if !c.def.legacy {
		if v.buf == nil {
			if ones, err = c.def.rle.Ones(n); err != nil || ones == n {
				return ones, err
			}
		}
		v.begin(at + ones)
		more, err := c.def.rle.Bits(v.bits, at+ones, n-ones)
		return ones + more, err
	}
	v.begin(at)
	valid := v.bits
	var tmp [256]uint8
	for n > 0 {
		k := min(n, len(tmp))
		if err := c.def.packed.Levels(tmp[:k], 1); err != nil {
			return ones, err
		}
		for i, v := range tmp[:k] {
			valid[(at+i)>>3] |= v << ((at + i) & 7)
			ones += int(v)
		}
		at, n = at+k, n-k
	}
	return ones, nil
}

func (c *columnReader) skipLevels(n int) error {
	var tmp [256]uint8
	for n > 0 {
		k := min(n, len(tmp))
		if err := c.def.read(tmp[:k]); err != nil {
			return err
		}
		n -= k
	}
	return nil
}

// rankOf is the number of bits from at on, of n, before the one that follows the k-th set bit.
func rankOf(b []byte, at, n, k int) int {
	for i := range n {
		if b[(at+i)>>3]>>((at+i)&7)&1 == 1 {
			if k == 0 {
				return i
			}
			k--
		}
	}
	return n
}

func clearBits(b []byte, at, n int) {
	for i := at; i < at+n; i++ {
		b[i>>3] &^= 1 << (i & 7)
	}
}

// end checks that the column chunk held no more rows than were read.
func (c *columnReader) end() error {
	if c.extra > 0 {
		if rest := c.left + int64(c.page) + int64(len(c.defs)-c.taken); rest != c.extra {
			return fmt.Errorf("%d rows are left of the last page, want %d", rest, c.extra)
		}
		return nil
	}
	if c.left > 0 || c.page > 0 || c.taken < len(c.defs) {
		return errors.New("column chunk has more rows than its row group")
	}
	if c.nonNull > 0 {
		return fmt.Errorf("page header says there are %d more values than its levels do", c.nonNull)
	}
	return nil
}
