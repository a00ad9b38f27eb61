package parquet

import (
	"testing"

	"github.com/apache/arrow/go/v17/arrow/memory"
	"pgregory.net/rapid"
)

// Whatever is allocated, grown and freed, before and after the end: contents stay, and all memory comes back.
func TestRecycler(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		mem := memory.NewCheckedAllocator(memory.NewGoAllocator())
		r := &recycler{mem: mem}
		var held [][]byte
		size := rapid.OneOf(rapid.IntRange(1, 5000), rapid.IntRange(1, 3*recycledBytes/2))
		for step := range rapid.IntRange(1, 20).Draw(t, "steps") {
			switch {
			case len(held) == 0 || rapid.Bool().Draw(t, "allocate"):
				b := r.Allocate(size.Draw(t, "size"))
				b[0], b[len(b)-1] = byte(step), byte(step)
				held = append(held, b)
			case rapid.Bool().Draw(t, "grow"):
				i := rapid.IntRange(0, len(held)-1).Draw(t, "which")
				first := held[i][0]
				if held[i] = r.Reallocate(size.Draw(t, "size"), held[i]); held[i][0] != first {
					t.Fatal("contents changed")
				}
			default:
				i := rapid.IntRange(0, len(held)-1).Draw(t, "which")
				r.Free(held[i])
				held = append(held[:i], held[i+1:]...)
			}
			if r.held > recycledBytes {
				t.Fatalf("%d bytes are kept", r.held)
			}
		}
		r.close()
		for _, b := range held {
			r.Free(b)
		}
		if n := mem.CurrentAlloc(); n != 0 {
			t.Fatalf("%d bytes are not released", n)
		}
	})
}
