package memlimit

import (
	"os"
	"runtime/debug"
	"strings"
	"sync"
	"syscall"
	"unsafe"
)

var asked sync.Once

// preferHugePages asks the kernel for huge pages behind the next n bytes by which the Go heap grows, once in the process. Fresh memory costs a fault
// a page: tens of thousands of them were two fifths of a run of half a second. The runtime asks for none itself, so the heap is grown by
// n bytes that nobody touches, the advice is given for their addresses, which the heap then uses first, and they are handed back: the advice stays.
// It is advice: nothing changes where the kernel has no huge pages.
func preferHugePages(n int) {
	asked.Do(func() {
		if mappedCounts() {
			return
		}
		percent := debug.SetGCPercent(-1) // or they begin a collection
		adviseHuge(n)
		debug.FreeOSMemory()
		debug.SetGCPercent(percent)
	})
}

// mappedCounts reports whether memory is limited by what is mapped, touched or not: the runtime ends the process where it cannot map what it is asked for.
func mappedCounts() bool {
	if mode, err := os.ReadFile("/proc/sys/vm/overcommit_memory"); err != nil || strings.TrimSpace(string(mode)) == "2" {
		return true
	}
	for _, what := range []int{syscall.RLIMIT_AS, syscall.RLIMIT_DATA} {
		var l syscall.Rlimit
		if err := syscall.Getrlimit(what, &l); err != nil || l.Cur < 1<<40 {
			return true
		}
	}
	return false
}

// adviseHuge is a function of its own so that nothing keeps its bytes when it returns.
//
//go:noinline
func adviseHuge(n int) {
	advise(unsafe.Slice(unsafe.StringData(untouched(n)), n))
}

// advise asks for huge pages behind those of b that it has all of.
func advise(b []byte) {
	n := len(b)
	skip := int(-uintptr(unsafe.Pointer(unsafe.SliceData(b))) % hugePage)
	if whole := (n - skip) / hugePage * hugePage; whole > 0 {
		_ = syscall.Madvise(b[skip:skip+whole], syscall.MADV_HUGEPAGE)
	}
}
