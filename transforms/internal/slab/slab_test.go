package slab

import (
	"math"
	"math/rand/v2"
	"runtime/debug"
	"testing"
)

// Blocks do not overlap, whatever is given back in between, and keep what is written to them until they are given back.
func TestBlocksAreApart(t *testing.T) {
	var p Pool
	defer p.Close()
	rnd := rand.New(rand.NewPCG(1, 1))
	held := map[byte][]byte{}
	for i := range 2000 {
		if i == 1500 {
			p.Drain()
		}
		mark := byte(rnd.IntN(200))
		if b := held[mark]; b != nil {
			if b[0] != mark || b[BlockSize-1] != mark {
				t.Fatalf("block %d holds %d and %d", mark, b[0], b[BlockSize-1])
			}
			p.Put(b)
			delete(held, mark)
			continue
		}
		b, err := p.Get()
		if err != nil || len(b) != BlockSize {
			t.Fatalf("a block of %d bytes: %v", len(b), err)
		}
		b[0], b[BlockSize-1] = mark, mark
		held[mark] = b
	}
	if p.mapped > 200*BlockSize/4*5+firstRegion {
		t.Errorf("%d bytes are mapped for 200 blocks", p.mapped)
	}
}

// What is mapped is taken off the runtime's limit, and given back.
func TestRuntimeLimit(t *testing.T) {
	before := debug.SetMemoryLimit(1 << 30)
	defer debug.SetMemoryLimit(before)
	var p Pool
	if _, err := p.Get(); err != nil {
		t.Fatal(err)
	}
	if got := debug.SetMemoryLimit(-1); got != 1<<30-firstRegion {
		t.Errorf("with a region mapped the limit is %d", got)
	}
	p.Close()
	const n = 8 << 20 / BlockSize
	var held [][]byte
	for range n {
		b, err := p.Get()
		if err != nil {
			t.Fatal(err)
		}
		held = append(held, b)
	}
	full := debug.SetMemoryLimit(-1)
	if full > 1<<30-n*BlockSize {
		t.Errorf("with %d blocks in use the limit is %d", n, full)
	}
	p.Drain()
	for _, b := range held {
		p.Put(b)
	}
	if got := debug.SetMemoryLimit(-1); got != full+n*BlockSize {
		t.Errorf("with the blocks given back the limit is %d, and was %d", got, full)
	}
	if _, err := p.Get(); err != nil {
		t.Fatal(err)
	}
	if got := debug.SetMemoryLimit(-1); got != full+(n-1)*BlockSize {
		t.Errorf("with one block in use again the limit is %d, and was %d", got, full)
	}
	p.Close()
	if got := debug.SetMemoryLimit(-1); got != 1<<30 {
		t.Errorf("with nothing mapped the limit is %d", got)
	}
	debug.SetMemoryLimit(math.MaxInt64)
	if _, err := p.Get(); err != nil {
		t.Fatal(err)
	}
	if got := debug.SetMemoryLimit(-1); got != math.MaxInt64 {
		t.Errorf("no limit became %d", got)
	}
	p.Close()
}
