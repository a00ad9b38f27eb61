package parquet

import (
	"context"
	"fmt"
	"math"
	"runtime/debug"
	"sync"

	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/internal/memlimit"
)

const (
	// roomLeast is what a row group may hold under the least of limits: what the heap has beside it is little then.
	roomLeast = 32 << 20
	// roomUsual is what a lane wants for a table of some twenty columns in pages of 1 MiB.
	roomUsual = 24 << 20
	// roomUnlimited is what the shares are of where nothing limits memory.
	roomUnlimited = 4 << 30
	// keepLeast and keepMost bound what a lane keeps of its memory for pages from one row group to the next.
	keepLeast, keepMost = 4 << 20, 64 << 20
)

// pageRoom is the memory that lanes share for pages: all columns of a row group are decoded side by side, and each holds a page decompressed, its
// dictionary, and the page's bytes in the file where those are more than a block.
//
// A row group may hold one, half of the heap, and those behind the first that is not done together all, or they wait. The first never waits: results are
// taken in the order of the parts, so those behind it may be waiting for it. Every part has to be decoded, or the run to be cancelled.
type pageRoom struct {
	one, all int64
	keep     int64 // that a lane may keep

	mu      sync.Mutex
	first   int64           // number of the first part that is not done
	done    map[int64]bool  // of those behind it
	held    map[int64]int64 // by parts that are begun and not done
	sum     int64           // of held
	changed chan struct{}   // closed at the next change that lets others go on
}

func newPageRoom(lanes int) *pageRoom {
	limit := debug.SetMemoryLimit(-1)
	if limit == math.MaxInt64 {
		limit = roomUnlimited
	}
	return &pageRoom{one: max(limit/2, roomLeast), all: max(limit/8, min(limit/4, int64(lanes-1)*roomUsual)), keep: min(max(limit/32, keepLeast), keepMost),
		done: map[int64]bool{}, held: map[int64]int64{}, changed: make(chan struct{})}
}

// lease is what a lane's part of a row group holds of the room.
type lease struct {
	room   *pageRoom
	number int64
}

func (l *lease) begin(number int64) {
	l.number = number
	l.room.mu.Lock()
	defer l.room.mu.Unlock()
	l.room.held[number] = 0
}

// end gives all of it back.
func (l *lease) end() {
	r := l.room
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sum -= r.held[l.number]
	delete(r.held, l.number)
	if l.number >= r.first {
		r.done[l.number] = true
	}
	for r.done[r.first] {
		delete(r.done, r.first)
		r.first++
	}
	close(r.changed)
	r.changed = make(chan struct{})
}

// errNoRoom is that a row group's pages are more than one may hold.
type errNoRoom struct {
	page      int // bytes of the page, decompressed
	want, one int64
	all       int64 // what the row group takes if the pages of columns that were not begun are as large
}

func (e errNoRoom) Error() string {
	raise := fmt.Sprintf("raise --memory-limit to %d MiB", ceilMiB(memlimit.Of(2*e.want)))
	if e.all > e.want {
		raise += fmt.Sprintf(" at least, %d if pages of the other columns are as large", ceilMiB(memlimit.Of(2*e.all)))
	}
	return fmt.Sprintf("page of %d bytes decompressed: with it the pages of the row group's columns take %d MiB of memory at a time, and there are %d for them: %s, read fewer columns, or have the file written with smaller pages",
		e.page, ceilMiB(e.want), e.one>>20, raise)
}

func ceilMiB(n int64) int64 { return (n + 1<<20 - 1) >> 20 }

// more asks for n bytes, for a page of the given size.
func (l *lease) more(ctx context.Context, n int64, page int) error {
	r := l.room
	for {
		r.mu.Lock()
		mine := r.held[l.number]
		if mine+n > r.one {
			r.mu.Unlock()
			return errNoRoom{page: page, want: mine + n, one: r.one}
		}
		others := r.sum // of all but the first
		if r.first != l.number {
			others -= r.held[r.first]
		}
		if l.number <= r.first || others+n <= r.all {
			r.held[l.number] += n
			r.sum += n
			r.mu.Unlock()
			return nil
		}
		changed := r.changed
		r.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return fail.Wrap(fail.Temporary, context.Cause(ctx))
		}
	}
}
