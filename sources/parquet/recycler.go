package parquet

import (
	"math/bits"
	"sync"

	"github.com/apache/arrow/go/v17/arrow/memory"
)

// recycledBytes bounds what a decoder keeps of the memory of batches that were released.
const recycledBytes = 8 << 20

// recycler is a lane's allocator: it hands the memory of released batches out again, so that a batch is decoded into pages
// that are mapped and into caches that are warm. Batches may be released on any goroutine, and after the decoder.
type recycler struct {
	mem memory.Allocator

	mu     sync.Mutex
	free   [64][][]byte // by size class
	held   int
	closed bool
}

// class is the size class of n bytes, a power of two or one and a half times one, and the bytes of its members.
func class(n int) (int, int) {
	if n <= 1024 {
		return 0, 1024
	}
	top := bits.Len(uint(n - 1)) // n <= 1<<top
	if mid := 3 << (top - 2); n <= mid {
		return 2*(top-10) - 1, mid
	}
	return 2 * (top - 10), 1 << top
}

// Allocate returns n bytes of any content.
func (r *recycler) Allocate(n int) []byte {
	if pooledSize(n) == 0 {
		return r.mem.Allocate(n)
	}
	c, size := class(n)
	r.mu.Lock()
	if list := r.free[c]; len(list) > 0 {
		b := list[len(list)-1]
		r.free[c] = list[:len(list)-1]
		r.held -= size
		r.mu.Unlock()
		return b[:n]
	}
	r.mu.Unlock()
	return r.mem.Allocate(size)[:n]
}

// Reallocate keeps the contents.
func (r *recycler) Reallocate(n int, b []byte) []byte {
	if size := pooledSize(len(b)); size > 0 && size == pooledSize(n) {
		return b[:n]
	}
	next := r.Allocate(n)
	copy(next, b)
	r.Free(b)
	return next
}

// pooledSize is how many bytes an allocation of n really has if it is one to keep, else 0.
func pooledSize(n int) int {
	if n == 0 || n > recycledBytes/2 {
		return 0
	}
	_, size := class(n)
	return size
}

// Free takes b back; with no room to keep it, it goes to the allocator below.
func (r *recycler) Free(b []byte) {
	size := pooledSize(len(b))
	if size == 0 {
		r.mem.Free(b)
		return
	}
	b = b[:size]
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed || r.held+size > recycledBytes {
		r.mem.Free(b)
		return
	}
	c, _ := class(size)
	r.free[c] = append(r.free[c], b)
	r.held += size
}

// close gives everything back; what is released later goes straight to the allocator below.
func (r *recycler) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	for c, list := range r.free {
		for _, b := range list {
			r.mem.Free(b)
		}
		r.free[c] = nil
	}
	r.held = 0
}
