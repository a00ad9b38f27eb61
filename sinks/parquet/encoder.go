package parquet

import (
	"bytes"
	"context"
	"encoding/binary"
	"hash/crc32"
	"math"
	"slices"
	"sync/atomic"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"

	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/sinks/files"
)

// encoder turns records into the column chunks of a row group. One lane owns it. The bytes it makes depend on the records
// alone, not on what it encoded before.
type encoder struct {
	leaves []leaf
	codec  *compressor
	pool   *blockPool
	held   *atomic.Int64 // bytes of the buffers of all encoders
	mine   int64         // this one's share of it

	shred shredder
	col   column
	dict  dictionary
	pages []page
	raw   []byte // page bodies before compression: the dictionary's, then the data pages'
	index columnIndex

	filters []byte // of the chunks so far, one after the other
	hashes  []uint64

	header bytes.Buffer
	proto  thrift.CompactProtocol
	thrift *thrift.Encoder
}

// page is a data page of the chunk in the making.
type page struct {
	row, rows          int // in the row group
	slot, slots        int
	value, values      int
	bodyStart, bodyEnd int // in encoder.raw
	head               int // bytes of the body before the values
}

func newEncoder(leaves []leaf, set settings, pool *blockPool, held *atomic.Int64) (*encoder, error) {
	codec, err := newCompressor(set.codec, set.level)
	if err != nil {
		return nil, err
	}
	e := &encoder{leaves: leaves, codec: codec, pool: pool, held: held}
	e.thrift = thrift.NewEncoder(e.proto.NewWriter(&e.header))
	return e, nil
}

// Encode makes one row group of the records, which it borrows. Errors are of kind Data when a value cannot be held
// exactly by the column's Parquet type.
func (e *encoder) Encode(ctx context.Context, recs []arrow.Record) (files.Block, error) {
	rows := int64(0)
	for _, rec := range recs {
		rows += rec.NumRows()
	}
	if rows > math.MaxInt32 {
		return nil, fail.Newf(fail.Internal, "encode parquet: %d rows in one row group", rows)
	}
	body := e.pool.get()
	before := body.memory()
	b := &block{rows: rows, body: body, pool: e.pool}
	e.filters = e.filters[:0]
	for i := range e.leaves {
		if rows == 0 {
			break
		}
		err := ctx.Err()
		if err != nil {
			err = fail.Newf(fail.Temporary, "encode parquet: %w", err)
		} else if err = e.col.load(&e.leaves[i], recs, &e.shred); err == nil {
			err = e.chunk(body)
		}
		if err != nil {
			e.pool.grown(body, before)
			b.Release()
			return nil, err
		}
	}
	body.buf = append(body.buf, e.filters...)
	e.col.values = values{} // what they aliased is not ours any more
	e.pool.grown(body, before)
	now := e.memory()
	e.held.Add(now - e.mine)
	e.mine = now
	return b, nil
}

// Close gives the encoder's buffers up.
func (e *encoder) Close() {
	e.codec.close()
	e.held.Add(-e.mine)
	e.mine = 0
}

func (e *encoder) memory() int64 {
	s := &e.shred
	return int64(cap(s.def)+cap(s.rep)+cap(s.def2)+cap(s.rep2)+4*(cap(s.idx)+cap(s.idx2)+cap(s.offs)+cap(s.sel))+
		cap(e.raw)+cap(e.filters)+8*cap(e.hashes)) + e.codec.memory() + e.col.memory() + e.dict.memory()
}

// chunk appends the loaded column to body as a column chunk.
func (e *encoder) chunk(body *blockBody) error {
	c := &e.col
	k := e.dict.build(c)
	width := 0
	encoding := format.Plain
	e.raw = e.raw[:0]
	if k > 0 {
		width, encoding = bitWidth(k-1), format.RLEDictionary
		e.raw = e.dict.page(e.raw, c.leaf, k)
	}
	dictEnd := len(e.raw)
	if err := e.layOut(k, width, dictEnd, maxPageRows, maxPageBytes); err != nil {
		return err
	}
	how, pages := e.effort(k, dictEnd)
	if how.searches() && e.codec.codec == format.Zstd && e.long() && !e.sorted(k) {
		if err := e.layOut(k, width, dictEnd, c.rows, longPageBytes); err != nil {
			return err
		}
	}
	ch := chunk{start: len(body.buf), encoding: encoding, slots: int64(c.slots), nulls: int64(c.nulls)}
	if err := e.emit(body, &ch, k, dictEnd, how, pages); err != nil {
		return err
	}
	if c.leaf.filter {
		before := len(e.filters)
		var err error
		if e.filters, err = e.filter(e.filters, k); err != nil {
			return err
		}
		ch.filter = len(e.filters) - before
	}
	return e.describe(body, &ch, k)
}

// layOut makes pages of so many rows and bytes, and their bodies behind the dictionary's.
func (e *encoder) layOut(k, width, dictEnd, rows, size int) error {
	e.cut(rows, size, width)
	e.raw = e.raw[:dictEnd]
	e.codec.forget()
	return e.bodies(k, width)
}

// bodies appends the pages' bodies to e.raw: indices of width bits where the dictionary has k entries, PLAIN values without one.
func (e *encoder) bodies(k, width int) error {
	c := &e.col
	for i := range e.pages {
		p := &e.pages[i]
		p.bodyStart = len(e.raw)
		e.levels(p)
		if k > 0 {
			e.raw = append(e.raw, byte(width))
			p.head = len(e.raw) - p.bodyStart
			e.raw = appendHybrid(e.raw, e.dict.idx[p.value:p.value+p.values], width)
		} else {
			p.head = len(e.raw) - p.bodyStart
			e.raw = appendPlain(e.raw, c, p.value, p.value+p.values)
		}
		p.bodyEnd = len(e.raw)
		if p.bodyEnd-p.bodyStart > math.MaxInt32 {
			return errTooLarge(c.leaf)
		}
	}
	return nil
}

// effort is what the data pages are worth, and how they are laid out. A page in the middle stands for all: where a
// dictionary begins, its indices are unlike the rest.
func (e *encoder) effort(k, dictEnd int) (effort, layout) {
	mid := &e.pages[len(e.pages)/2]
	l := layout{head: mid.head, lists: e.col.leaf.maxRep > 0, indices: k > 0}
	if k == 0 {
		l.stride = e.col.stride(mid)
	}
	return e.codec.choose(e.raw[dictEnd:], mid.bodyStart-dictEnd, mid.bodyEnd-dictEnd, l), l
}

// long says whether the column has enough for a search to find more in it than in one of its pages.
func (e *encoder) long() bool {
	mid := &e.pages[len(e.pages)/2]
	return len(e.pages) > 1 && mid.bodyEnd-mid.bodyStart-mid.head >= leastSample
}

// sorted says whether most neighbouring pages have bounds that do not overlap, so that a reader may skip pages by them. Nobody
// looks for rows by what is in their lists.
func (e *encoder) sorted(k int) bool {
	l := e.col.leaf
	if l.maxRep > 0 {
		return false
	}
	var before bounds
	pairs, apart := 0, 0
	for i := range e.pages {
		b := e.pageBounds(&e.pages[i], k)
		if b.min == nil {
			continue
		}
		if before.min != nil {
			pairs++
			if l.order.compare(before.max, b.min) <= 0 || l.order.compare(b.max, before.min) <= 0 {
				apart++
			} else if 2*(pairs-apart) >= len(e.pages)-1 {
				return false // whatever the other pages are
			}
		}
		before = b
	}
	return 2*apart > pairs
}

// pageBounds are the bounds of a page's values, which may be none.
func (e *encoder) pageBounds(p *page, k int) bounds {
	l := e.col.leaf
	switch byEntry := k > 0 && l.kind == kindBytes && l.order != orderFloat16; {
	case p.values == 0:
		return bounds{}
	case byEntry:
		return e.dict.bounds(l, e.dict.idx[p.value:p.value+p.values], k)
	}
	return e.col.bounds(p.value, p.value+p.values)
}

// cut divides the column into pages at row borders: at most so many rows, and about so many bytes of encoded values (width
// bits each when they are dictionary indices).
func (e *encoder) cut(rows, size, width int) {
	c := &e.col
	e.pages = e.pages[:0]
	at := page{}
	try := rows
	for at.row < c.rows {
		var p page
		for {
			p = e.span(at, min(try, c.rows-at.row))
			if p.rows == 1 || c.size(p, width) <= size+size/4 {
				break
			}
			try = max(1, p.rows/2)
		}
		e.pages = append(e.pages, p)
		at = page{row: p.row + p.rows, slot: p.slot + p.slots, value: p.value + p.values}
		try = min(2*try, rows)
	}
}

// span is the page of n rows that begins where at says.
func (e *encoder) span(at page, n int) page {
	c := &e.col
	p := page{row: at.row, rows: n, slot: at.slot, value: at.value}
	if c.leaf.flat {
		p.slots, p.values = n, n
		if c.nulls > 0 {
			p.values = c.valid.count(at.slot, at.slot+n)
		}
		return p
	}
	if c.leaf.maxRep == 0 {
		p.slots = n
	} else {
		// A row begins at each slot of repetition level 0.
		p.slots = holding(c.rep[at.slot:], 0, n)
	}
	p.values = bytes.Count(c.def[at.slot:at.slot+p.slots], []byte{c.leaf.maxDef})
	return p
}

// holding is how many bytes of v hold x n times, with all that come before the next x.
func holding(v []uint8, x uint8, n int) int {
	const piece = 512
	at := 0
	for at+piece <= len(v) {
		k := bytes.Count(v[at:at+piece], []byte{x})
		if k > n {
			break
		}
		n -= k
		at += piece
	}
	for ; at < len(v); at++ {
		if v[at] == x {
			if n--; n < 0 {
				break
			}
		}
	}
	return at
}

// size is about how many bytes page p takes.
func (c *column) size(p page, width int) int {
	levels := p.slots / 4
	switch {
	case width > 0:
		return levels + p.values*width/8
	case c.leaf.kind == kindBool:
		return levels + p.values/8
	case c.leaf.kind == kind32:
		return levels + 4*p.values
	case c.leaf.kind == kind64:
		return levels + 8*p.values
	}
	return levels + 4*p.values + int(c.off[p.value+p.values]-c.off[p.value])
}

// levels appends the page's repetition and definition levels.
func (e *encoder) levels(p *page) {
	c, l := &e.col, e.col.leaf
	if l.maxRep > 0 {
		e.raw = appendLevels(e.raw, c.rep[p.slot:p.slot+p.slots], l.maxRep)
	}
	switch {
	case l.maxDef == 0:
	case l.flat:
		e.raw = appendValidity(e.raw, c.valid, p.slot, p.slot+p.slots, p.slots-p.values)
	default:
		e.raw = appendLevels(e.raw, c.def[p.slot:p.slot+p.slots], l.maxDef)
	}
}

// appendPlain appends values [from, to) in PLAIN encoding.
func appendPlain(dst []byte, c *column, from, to int) []byte {
	switch c.leaf.kind {
	case kind32:
		return append(dst, raw(c.w32[from:to])...)
	case kind64:
		return append(dst, raw(c.w64[from:to])...)
	case kindBool:
		v := c.bools[from:to]
		at := len(dst)
		dst = slices.Grow(dst, (len(v)+7)/8)[:at+(len(v)+7)/8]
		clear(dst[at:])
		for i, x := range v {
			dst[at+i/8] |= x << (i % 8)
		}
		return dst
	}
	return appendByteArrays(dst, c.leaf, c.off[from:to+1], c.data)
}

// appendByteArrays appends byte arrays, each with its length before it unless that is fixed.
func appendByteArrays(dst []byte, l *leaf, off []int32, data []byte) []byte {
	if len(off) < 2 {
		return dst
	}
	data = data[off[0]:off[len(off)-1]]
	if l.width > 0 {
		return append(dst, data...)
	}
	at, size := len(dst), len(data)+4*(len(off)-1)
	dst = slices.Grow(dst, size+16)[:at+size]
	out := dst[at : at+size+16]
	base := off[0]
	k := 0
	for i, end := range off[1:] {
		from := int(off[i] - base)
		n := int(end-base) - from
		binary.LittleEndian.PutUint32(out[k:], uint32(n))
		k += 4
		if n <= 16 && from+16 <= len(data) {
			copy(out[k:k+16], data[from:from+16]) // what is too much is written over
		} else {
			copy(out[k:], data[from:from+n])
		}
		k += n
	}
	return dst
}

// emit compresses the pages in e.raw into body.
func (e *encoder) emit(body *blockBody, ch *chunk, k, dictEnd int, how effort, pages layout) error {
	ch.codec = e.chooseCodec(e.col.leaf)
	ch.dictEnd = ch.start
	if k > 0 {
		entries := layout{stride: e.dict.stride(e.col.leaf)}
		h := format.PageHeader{Type: format.DictionaryPage}
		h.DictionaryPageHeader.Set(format.DictionaryPageHeader{NumValues: int32(k), Encoding: format.Plain})
		effort := effortQuick
		if dictEnd > smallDict || entries.stride > 0 && dictEnd <= smallChunk {
			effort = e.codec.choose(e.raw[:dictEnd], 0, dictEnd, entries)
		}
		if err := e.page(body, ch, &h, e.raw[:dictEnd], entries, effort); err != nil {
			return err
		}
		ch.dictEnd = len(body.buf)
	}
	ch.pages = make([]pageAt, 0, len(e.pages))
	for _, p := range e.pages {
		h := format.PageHeader{Type: format.DataPage}
		h.DataPageHeader.Set(format.DataPageHeader{NumValues: int32(p.slots), Encoding: ch.encoding,
			DefinitionLevelEncoding: format.RLE, RepetitionLevelEncoding: format.RLE})
		at := len(body.buf)
		pages.head = p.head
		if err := e.page(body, ch, &h, e.raw[p.bodyStart:p.bodyEnd], pages, how); err != nil {
			return err
		}
		ch.pages = append(ch.pages, pageAt{start: at, size: int32(len(body.buf) - at), firstRow: int64(p.row)})
	}
	ch.end = len(body.buf)
	return nil
}

// chooseCodec says with which codec the chunks of a leaf are stored. The format leaves that to each chunk, but parquet-go
// reads a whole column with the codec of its first row group, so the choice must not depend on the values.
func (e *encoder) chooseCodec(*leaf) format.CompressionCodec { return e.codec.codec }

// page appends a page: its header, then its body in the chunk's codec.
func (e *encoder) page(body *blockBody, ch *chunk, h *format.PageHeader, content []byte, l layout, how effort) error {
	stored := content
	if ch.codec != format.Uncompressed {
		var err error
		if stored, err = e.codec.compress(content, l, how); err != nil {
			return err
		}
	}
	h.UncompressedPageSize, h.CompressedPageSize = int32(len(content)), int32(len(stored))
	h.CRC = int32(crc32.ChecksumIEEE(stored))
	e.header.Reset()
	if err := e.thrift.Encode(h); err != nil {
		return fail.Newf(fail.Internal, "encode page header: %w", err)
	}
	body.buf = append(body.buf, e.header.Bytes()...)
	body.buf = append(body.buf, stored...)
	ch.uncompressed += int64(e.header.Len() + len(content))
	return nil
}

// describe adds the chunk's statistics and page index, and the chunk itself to body.
func (e *encoder) describe(body *blockBody, ch *chunk, k int) error {
	l := e.col.leaf
	e.index.reset(l.order)
	var whole bounds
	nan := false
	for _, p := range e.pages {
		b := e.pageBounds(&p, k)
		whole.widen(b, l.order)
		nan = nan || b.min == nil && p.values > 0
		e.index.page(b, p.slots-p.values, p.values == 0)
	}
	if nan { // or a type without an order
		whole = bounds{}
	}
	e.index.finish()
	if ch.cut = len(whole.min) > chunkBytes || len(whole.max) > chunkBytes; !ch.cut && whole.min != nil {
		ch.bounds = bounds{append([]byte{}, whole.min...), append([]byte{}, whole.max...)}
	}
	e.header.Reset()
	if err := e.thrift.Encode(&e.index.ColumnIndex); err != nil {
		return fail.Newf(fail.Internal, "encode column index: %w", err)
	}
	body.index = append(body.index, e.header.Bytes()...)
	ch.indexEnd = len(body.index)
	body.chunks = append(body.chunks, *ch)
	return nil
}
