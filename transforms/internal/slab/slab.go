// Package slab gives blocks of memory that the garbage collector does not know: much that lives long, holds no pointers and is freed by
// hand would double the heap before the next collection. The operating system gets freed blocks back.
package slab

import (
	"math"
	"runtime/debug"
	"sync"
)

const (
	// BlockSize is the bytes of a block; blocks begin at a page.
	BlockSize = 32 << 10
	// regionSize is what is asked of the operating system at a time, in huge pages where it has them.
	regionSize = 4 << 20
)

// Pool hands out blocks. It is used by one goroutine at a time; Close frees all its blocks.
type Pool struct {
	regions  [][]byte
	fresh    []byte   // of the last region
	free     [][]byte // blocks given back
	draining bool
}

// Get gives a block, its content undefined. The error is the operating system's: no memory.
func (p *Pool) Get() ([]byte, error) {
	if n := len(p.free); n > 0 {
		b := p.free[n-1]
		p.free = p.free[:n-1]
		return b, nil
	}
	if len(p.fresh) == 0 {
		r, err := Map(regionSize)
		if err != nil {
			return nil, err
		}
		p.regions, p.fresh = append(p.regions, r), r
	}
	b := p.fresh[:BlockSize:BlockSize]
	p.fresh = p.fresh[BlockSize:]
	return b, nil
}

// Put takes back a block of Get, which must not be used again.
func (p *Pool) Put(b []byte) {
	b = b[:BlockSize]
	if p.draining {
		forget(b)
	}
	p.free = append(p.free, b)
}

// Drain says that few blocks will be wanted from now on: those free go back to the operating system, and so do those still to come.
func (p *Pool) Drain() {
	p.draining = true
	for _, b := range p.free {
		forget(b)
	}
}

// Close frees all blocks. The pool may be used again.
func (p *Pool) Close() {
	for _, r := range p.regions {
		Unmap(r)
	}
	*p = Pool{}
}

// Map gives n zeroed bytes that begin at a page, until Unmap. The error is the operating system's: no memory.
func Map(n int) ([]byte, error) {
	b, err := mapRegion(n)
	if err == nil {
		tellRuntime(int64(n))
	}
	return b, err
}

// Unmap frees what Map gave; nil is nothing.
func Unmap(b []byte) {
	if b != nil {
		unmapRegion(b)
		tellRuntime(-int64(len(b)))
	}
}

var told struct {
	sync.Mutex
	mapped    int64
	limit, at int64 // the runtime's limit as others set it, and what it was made
}

// tellRuntime takes n bytes off the runtime's memory limit, or gives them back: the limit is for all memory of the process, and the runtime
// does not see ours.
func tellRuntime(n int64) {
	told.Lock()
	defer told.Unlock()
	told.mapped += n
	now := debug.SetMemoryLimit(-1)
	if now == math.MaxInt64 {
		return
	}
	if now != told.at {
		told.limit = now
	}
	told.at = max(told.limit-told.mapped, told.limit/4) // with less the collector would do nothing but collect
	debug.SetMemoryLimit(told.at)
}
