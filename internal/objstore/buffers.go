package objstore

import (
	"math/bits"
	"sync"
)

// arena is the memory of one reader: buffers in use and free ones, never more than the budget together. It has no lock.
type arena struct {
	budget, held int64
	block        int64 // the largest buffer
	free         [][]byte
}

// get is a buffer of length n, or nil if the budget has no room for it.
func (a *arena) get(n int64) []byte {
	for i, b := range a.free {
		if c := int64(cap(b)); c >= n && c <= 2*n {
			last := len(a.free) - 1
			a.free[i], a.free[last] = a.free[last], nil
			a.free = a.free[:last]
			return b[:n]
		}
	}
	for a.held+n > a.budget && len(a.free) > 0 {
		a.drop()
	}
	if a.held+n > a.budget {
		return nil
	}
	// Less than a block is rounded up a little, for the next object may be a few bytes larger; blocks must all fit the budget.
	room := n
	if step := int64(1) << max(0, bits.Len64(uint64(n))-4); n < a.block {
		room = min((n+step-1)/step*step, a.block, a.budget-a.held)
	}
	b := readBuffers.get(room, min(2*n, a.budget-a.held))[:n]
	a.held += int64(cap(b))
	return b
}

func (a *arena) put(b []byte) { a.free = append(a.free, b[:cap(b)]) }

// drop lets go of a free buffer.
func (a *arena) drop() {
	last := len(a.free) - 1
	a.held -= int64(cap(a.free[last]))
	readBuffers.put(a.free[last])
	a.free[last] = nil
	a.free = a.free[:last]
}

// close gives the free buffers to the next reader.
func (a *arena) close() {
	for len(a.free) > 0 {
		a.drop()
	}
}

// readBuffers hands buffers from one reader to the next one.
var readBuffers bufferPool

// bufferPool keeps byte slices; the garbage collector may empty it.
type bufferPool struct{ pool sync.Pool }

// get is a slice of length n and a capacity of at most most, with unspecified content.
func (b *bufferPool) get(n, most int64) []byte {
	if p, ok := b.pool.Get().(*[]byte); ok {
		if c := int64(cap(*p)); c >= n && c <= most {
			return (*p)[:n]
		}
	}
	return make([]byte, n)
}

func (b *bufferPool) put(buf []byte) {
	if cap(buf) > 0 {
		buf = buf[:cap(buf)]
		b.pool.Put(&buf)
	}
}
