package memlimit

import (
	"bytes"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
	"unsafe"
)

// What the heap grows by next lies where the kernel was asked for huge pages, and is zero.
func TestHugePages(t *testing.T) {
	preferHugePages(64 << 20)
	b := make([]byte, 32<<20)
	for i := 0; i < len(b); i += 4096 {
		if b[i] != 0 {
			t.Fatalf("byte %d of new memory is %d", i, b[i])
		}
		b[i] = 1
	}
	smaps, err := os.ReadFile("/proc/self/smaps")
	if err != nil {
		t.Fatal(err)
	}
	if got, there := flagsAt(string(smaps), uintptr(unsafe.Pointer(&b[16<<20]))); !there || !advised(got) {
		t.Errorf("flags of the heap's mapping: %q", got)
	}
	runtime.KeepAlive(b)
}

// The bytes by which the heap grows are not touched, though the heap ends in memory that was used before.
func TestHugePagesStayUntouched(t *testing.T) {
	const n = 256 << 20
	for range 20 {
		used := make([][]byte, 64)
		for i := range used {
			used[i] = bytes.Repeat([]byte{1}, 100<<10)
		}
		clear(used)
		runtime.GC()
		before := resident(t)
		adviseHuge(n)
		if grown := resident(t) - before; grown > n/4 {
			t.Fatalf("%d MiB of %d were touched", grown>>20, n>>20)
		}
		debug.FreeOSMemory()
	}
}

// resident is the bytes of memory that the process has.
func resident(t *testing.T) int {
	t.Helper()
	var mapped, pages int
	statm, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Sscan(string(statm), &mapped, &pages); err != nil {
		t.Fatal(err)
	}
	return pages * os.Getpagesize()
}

// advised is true, too, where the kernel is built without huge pages, or mapped memory is limited.
func advised(flags string) bool {
	_, err := os.Stat("/sys/kernel/mm/transparent_hugepage")
	return err != nil || mappedCounts() || strings.Contains(flags+" ", " hg ")
}

// flagsAt is the line of flags of the mapping of smaps that has the address.
func flagsAt(smaps string, address uintptr) (flags string, ok bool) {
	inside := false
	for line := range strings.Lines(smaps) {
		var from, to uintptr
		if n, _ := fmt.Sscanf(line, "%x-%x ", &from, &to); n == 2 {
			inside = from <= address && address < to
		}
		if inside && strings.HasPrefix(line, "VmFlags:") {
			return strings.TrimSpace(line), true
		}
	}
	return "", false
}
