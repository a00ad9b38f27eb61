// Package recycle is an Arrow allocator that uses released buffers again: fresh memory costs a page fault every 4 KiB, and a
// collector that has to find the garbage first lets the heap grow to twice of what is in use.
package recycle

import (
	"math/bits"
	"sync"
	"unsafe"

	"github.com/apache/arrow/go/v17/arrow/memory"
)

const (
	alignment = 64      // of every buffer, as Arrow recommends
	smallest  = 1 << 10 // what is smaller is left to the runtime, which is good at it
	largest   = 64 << 20
	steps     = 4 // size classes from one power of two to the next: at most a fifth of a buffer is unused
	minShift  = 10
	classes   = (26-minShift)*steps + 1
)

// poison, set to anything by the linker (-X), overwrites buffers as they are released, so that a test shows who still reads them.
var poison string

// Allocator is a memory.Allocator whose Allocate gives zeroed buffers, and whose Free keeps them for the next. It may be used from
// any goroutine.
type Allocator struct {
	mu   sync.Mutex
	free [classes][][]byte
	held int64 // bytes in free
	most int64 // of held
}

// New makes an allocator that keeps at most so many bytes of buffers that nobody uses.
func New(most int64) *Allocator { return &Allocator{most: most} }

var _ memory.Allocator = (*Allocator)(nil)

// Allocate returns size zeroed bytes that begin at a multiple of 64.
func (a *Allocator) Allocate(size int) []byte {
	if size < smallest || size > largest {
		return aligned(size, size)
	}
	b, used := a.undefined(size)
	if used {
		clear(b)
	}
	return b
}

// undefined returns size bytes, from smallest to largest; used ones are not cleared.
func (a *Allocator) undefined(size int) (b []byte, used bool) {
	class := classOf(size)
	if b := a.take(class); b != nil {
		return b[:size], true
	}
	return aligned(size, sizeOf(class)), false
}

// Undefined makes a buffer of size bytes for a caller who writes all of them: of an Allocator they are not cleared, which would
// take a third of the time that writing does. The caller owns it; it goes back to mem.
func Undefined(mem memory.Allocator, size int) *memory.Buffer {
	a, ok := mem.(*Allocator)
	whole := (size + alignment - 1) &^ (alignment - 1)
	if !ok || whole < smallest || whole > largest {
		b := memory.NewResizableBuffer(mem)
		b.Resize(size)
		return b
	}
	data, _ := a.undefined(whole)
	b := memory.NewBufferWithAllocator(data, mem)
	b.ResizeNoShrink(size)
	return b
}

// Reallocate returns b with size bytes: longer or shorter in place, or moved. What is added is zero where the buffer is moved.
func (a *Allocator) Reallocate(size int, b []byte) []byte {
	if size <= cap(b) {
		return b[:size]
	}
	grown := a.Allocate(size)
	copy(grown, b)
	a.Free(b)
	return grown
}

// Free keeps b for an Allocate to come, or leaves it to the collector.
func (a *Allocator) Free(b []byte) {
	n := cap(b)
	if poison != "" {
		for i := range b[:n] {
			b[:n][i] = 0xdb
		}
	}
	if n < smallest || n > largest {
		return
	}
	class := classOf(n)
	if sizeOf(class) != n {
		return // not one of ours
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.held+int64(n) > a.most {
		return
	}
	a.held += int64(n)
	a.free[class] = append(a.free[class], b[:n])
}

// take is a kept buffer of the class, or nil.
func (a *Allocator) take(class int) []byte {
	a.mu.Lock()
	defer a.mu.Unlock()
	last := len(a.free[class]) - 1
	if last < 0 {
		return nil
	}
	b := a.free[class][last]
	a.free[class][last] = nil
	a.free[class] = a.free[class][:last]
	a.held -= int64(cap(b))
	return b
}

// classOf is the smallest class whose buffers hold n bytes; n is from smallest to largest.
func classOf(n int) int {
	shift := bits.Len(uint(n-1)) - 1 // n is in (2^shift, 2^(shift+1)]
	if n == smallest {
		return 0
	}
	step := 1 << shift / steps
	return (shift-minShift)*steps + (n-1<<shift+step-1)/step
}

// sizeOf is the size of a class's buffers.
func sizeOf(class int) int {
	shift, step := minShift+class/steps, class%steps
	return 1<<shift + step<<shift/steps
}

// aligned makes size zeroed bytes with so much room, beginning at a multiple of 64.
func aligned(size, room int) []byte {
	b := make([]byte, room+alignment)
	at := int(-uintptr(unsafe.Pointer(&b[0])) & (alignment - 1))
	return b[at : at+size : at+room]
}
