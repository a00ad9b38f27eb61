package parquet

import (
	"sync"
	"sync/atomic"

	"github.com/parquet-go/parquet-go/format"
)

// block is an encoded row group: files.Block. It is a handle of its own for each row group, so that a second Release
// cannot touch buffers that are in use again.
type block struct {
	rows int64
	body *blockBody
	pool *blockPool
	done atomic.Bool
}

// blockBody is the buffers of a block, reused from row group to row group.
type blockBody struct {
	buf    []byte // the column chunks, one after the other, then the bloom filters of some
	index  []byte // their serialized column indexes, one after the other
	chunks []chunk
}

// chunk is what the file's metadata says of one column chunk; offsets count from the start of the block.
type chunk struct {
	start, end   int
	dictEnd      int // end of the dictionary page; start when there is none
	codec        format.CompressionCodec
	encoding     format.Encoding // of the data pages
	uncompressed int64           // bytes of headers and pages before compression
	slots        int64
	nulls        int64
	bounds       bounds // nil where left out; own memory
	cut          bool   // they were left out for their length; the page index has short ones
	pages        []pageAt
	filter       int // bytes of its bloom filter; 0 without one
	indexEnd     int // end of its column index in blockBody.index
}

// pageAt is where a data page lies.
type pageAt struct {
	start    int // in the block
	size     int32
	firstRow int64
}

func (b *block) Rows() int64 { return b.rows }

// Size is that of the chunks and of what the file's end says of them.
func (b *block) Size() int64 { return int64(len(b.body.buf)) + b.tail() }

// tail is about how many bytes of page index and footer the row group takes.
func (b *block) tail() int64 {
	const chunk, page = 130, 12 // of what is the same for all
	n := int64(len(b.body.index))
	for i := range b.body.chunks {
		ch := &b.body.chunks[i]
		n += chunk + page*int64(len(ch.pages)) + int64(len(ch.bounds.min)+len(ch.bounds.max))
	}
	return n
}

func (b *block) Release() {
	if b.done.CompareAndSwap(false, true) {
		b.pool.put(b.body)
	}
}

func (b *blockBody) memory() int64 { return int64(cap(b.buf) + cap(b.index)) }

// blockPool keeps the buffers of released blocks. There are never more than were in flight at once.
type blockPool struct {
	mu   sync.Mutex
	free []*blockBody
	// held is the bytes of all buffers, as of when each was last put back or finished.
	held atomic.Int64
}

func (p *blockPool) get() *blockBody {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := len(p.free); n > 0 {
		b := p.free[n-1]
		p.free = p.free[:n-1]
		b.buf, b.index, b.chunks = b.buf[:0], b.index[:0], b.chunks[:0]
		return b
	}
	return &blockBody{}
}

func (p *blockPool) put(b *blockBody) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.free = append(p.free, b)
}

// grown accounts for a body that had before bytes when it was taken out.
func (p *blockPool) grown(b *blockBody, before int64) { p.held.Add(b.memory() - before) }
