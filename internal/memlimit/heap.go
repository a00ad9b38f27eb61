package memlimit

import (
	"strings"
	"sync"
)

// ballastBytes are in use as the collector sees it, but no memory: it begins a collection when the heap has grown by half, and would go through
// six in the first 10 MiB of a run.
const ballastBytes = 16 << 20

var ballast = sync.OnceValue(func() string { return untouched(ballastBytes) })

// untouched is a byte and room in the heap for n in all that nobody has written to, so that it takes addresses and no memory. make would clear
// the room where it begins in memory that was used before, and so touch all of it.
func untouched(n int) string {
	var b strings.Builder
	b.Grow(n)
	b.WriteByte(0)
	return b.String()
}
