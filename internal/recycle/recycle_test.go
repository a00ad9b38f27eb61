package recycle

import (
	"testing"
	"unsafe"

	"github.com/apache/arrow/go/v17/arrow/memory"
	"pgregory.net/rapid"
)

func TestClassesCoverEverySize(t *testing.T) {
	for class := range classes {
		n := sizeOf(class)
		if got := classOf(n); got != class {
			t.Errorf("a buffer of class %d has %d bytes, which is class %d", class, n, got)
		}
		if n < largest {
			if got := classOf(n + 1); got != class+1 {
				t.Errorf("%d bytes are of class %d, want %d", n+1, got, class+1)
			}
		}
	}
	if sizeOf(0) != smallest || sizeOf(classes-1) != largest {
		t.Errorf("classes go from %d to %d bytes, want %d to %d", sizeOf(0), sizeOf(classes-1), smallest, largest)
	}
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(smallest, largest).Draw(t, "n")
		if room := sizeOf(classOf(n)); room < n || room > n+n/4 {
			t.Fatalf("%d bytes get a buffer of %d", n, room)
		}
	})
}

func TestReleasedBuffersAreUsedAgain(t *testing.T) {
	a := New(1 << 20)
	first := a.Allocate(100_000)
	for i := range first {
		first[i] = 0xff
	}
	at := unsafe.SliceData(first)
	a.Free(first[:10]) // the length does not matter
	again := a.Allocate(100_001)
	if unsafe.SliceData(again) != at {
		t.Error("a buffer of the same class was made anew")
	}
	for i, b := range again {
		if b != 0 {
			t.Fatalf("byte %d of a buffer used again is %d", i, b)
		}
	}
	if a.held != 0 {
		t.Errorf("%d bytes are held while all are in use", a.held)
	}
	// No more is kept than was allowed, and nothing that is not the allocator's own.
	for range 20 {
		a.Free(make([]byte, sizeOf(classOf(100_000))))
	}
	a.Free(make([]byte, 100_000))
	a.Free(nil)
	if a.held > 1<<20 || a.held < 1<<19 {
		t.Errorf("%d bytes are held, the most is %d", a.held, 1<<20)
	}
}

func TestBuffersAreAsArrowWantsThem(t *testing.T) {
	a := New(64 << 20)
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.OneOf(rapid.IntRange(0, 100), rapid.IntRange(smallest-1, smallest+1), rapid.IntRange(0, 1<<20), rapid.Just(largest+1)).Draw(t, "size")
		b := a.Allocate(size)
		if len(b) != size {
			t.Fatalf("%d bytes, want %d", len(b), size)
		}
		if at := uintptr(unsafe.Pointer(unsafe.SliceData(b))); at%alignment != 0 {
			t.Fatalf("a buffer begins at %x", at)
		}
		for i := range b {
			if b[i] != 0 {
				t.Fatalf("byte %d is %d", i, b[i])
			}
			b[i] = byte(i)
		}
		next := rapid.IntRange(0, 2*size).Draw(t, "next")
		b = a.Reallocate(next, b)
		if len(b) != next {
			t.Fatalf("%d bytes, want %d", len(b), next)
		}
		for i := range min(size, next) {
			if b[i] != byte(i) {
				t.Fatalf("byte %d of %d became %d when there were %d", i, size, b[i], next)
			}
		}
		a.Free(b)
	})
}

// A buffer whose content is undefined is of the size asked for, is used again as it was left, and may grow and go like any other.
func TestUndefined(t *testing.T) {
	for _, size := range []int{0, 100, smallest, 100_000, largest + 1} {
		a := New(1 << 30)
		b := Undefined(a, size)
		if b.Len() != size || len(b.Bytes()) != size {
			t.Fatalf("%d bytes, want %d", b.Len(), size)
		}
		for i := range b.Bytes() {
			b.Bytes()[i] = 7
		}
		b.Resize(size + 1)
		if b.Len() != size+1 || size > 0 && (b.Bytes()[0] != 7 || b.Bytes()[size-1] != 7) {
			t.Fatalf("a buffer of %d bytes lost them as it grew", size)
		}
		b.Release()
		if a.held > 0 {
			again := Undefined(a, size)
			if again.Bytes()[0] == 0 {
				t.Errorf("a buffer of %d bytes was cleared", size)
			}
			again.Release()
		}
	}
	mem := memory.NewCheckedAllocator(memory.DefaultAllocator) // any allocator will do
	b := Undefined(mem, 100_000)
	if b.Len() != 100_000 || mem.CurrentAlloc() < 100_000 {
		t.Errorf("%d bytes of another allocator, which gave %d", b.Len(), mem.CurrentAlloc())
	}
	b.Release()
	mem.AssertSize(t, 0)
}
