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
	// firstRegion and regionSize are what is asked of the operating system at a time, a quarter of what is there in between, in huge pages where it
	// has them: what is not used must not take much off a small limit.
	firstRegion = 256 << 10
	regionSize  = 4 << 20
	// tellEvery is the bytes of blocks given back that the runtime is told of at a time.
	tellEvery = 1 << 20
)

// Pool hands out blocks. It is used by one goroutine at a time; Close frees all its blocks.
type Pool struct {
	regions  [][]byte
	fresh    []byte   // of the last region
	mapped   int      // bytes of regions
	free     [][]byte // blocks given back
	draining bool
	gone     int64 // bytes of free that are the operating system's, when draining
	told     int64 // of gone, what the runtime may use instead
}

// Get gives a block, its content undefined. The error is the operating system's: no memory.
func (p *Pool) Get() ([]byte, error) {
	if n := len(p.free); n > 0 {
		b := p.free[n-1]
		p.free = p.free[:n-1]
		p.forgot(-p.drained())
		return b, nil
	}
	if len(p.fresh) == 0 {
		r, err := Map(min(max(p.mapped/4/firstRegion, 1)*firstRegion, regionSize))
		if err != nil {
			return nil, err
		}
		p.mapped += len(r)
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
	p.forgot(p.drained())
	p.free = append(p.free, b)
}

// drained is the bytes of a free block that the operating system has.
func (p *Pool) drained() int64 {
	if p.draining {
		return BlockSize
	}
	return 0
}

// forgot counts n bytes more that the operating system has back, and tells the runtime now and then.
func (p *Pool) forgot(n int64) {
	p.gone += n
	if d := p.gone - p.told; d >= tellEvery || d < 0 {
		p.told = p.gone
		tellRuntime(-d)
	}
}

// Drain says that few blocks will be wanted from now on: those free go back to the operating system, and so do those still to come.
func (p *Pool) Drain() {
	if p.draining {
		return
	}
	p.draining = true
	for _, b := range p.free {
		forget(b)
	}
	p.forgot(int64(len(p.free)) * BlockSize)
}

// Close frees all blocks. The pool may be used again.
func (p *Pool) Close() {
	tellRuntime(p.told)
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
