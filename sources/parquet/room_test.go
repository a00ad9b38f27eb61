package parquet

import (
	"context"
	"encoding/binary"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/apache/arrow/go/v17/arrow/memory"
	pq "github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"

	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/pipeline"
)

// The part that is first in the order of the input never waits for those behind it, which share what there is and wait for those before them.
func TestRoomInOrder(t *testing.T) {
	r := newPageRoom(3)
	r.one, r.all = 100, 50
	lanes := make([]lease, 3)
	for i := range lanes {
		lanes[i].room = r
		lanes[i].begin(int64(i))
	}
	more := func(i int, n int64) chan error {
		got := make(chan error, 1)
		go func() { got <- lanes[i].more(t.Context(), n, int(n)) }()
		return got
	}
	at := func(what string, got chan error, waits bool) {
		t.Helper()
		select {
		case err := <-got:
			if waits || err != nil {
				t.Fatalf("%s: goes on, %v", what, err)
			}
		case <-time.After(50 * time.Millisecond):
			if !waits {
				t.Fatalf("%s: waits", what)
			}
		}
	}
	at("second takes all", more(1, 50), false)
	third := more(2, 10)
	at("third", third, true)
	at("first", more(0, 100), false)
	if err := lanes[0].more(t.Context(), 1, 7); err == nil || !strings.Contains(err.Error(), "page of 7 bytes") || !strings.Contains(err.Error(), "raise --memory-limit to ") {
		t.Errorf("more than one may hold: %v", err)
	}
	at("third", third, true)
	lanes[0].end()
	at("third, with the second first", third, false)
	at("second, first now", more(1, 50), false)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := lanes[2].more(ctx, 60, 60); fail.KindOf(err) != fail.Temporary {
		t.Errorf("cancelled: %v", err)
	}
	lanes[2].end()
	lanes[1].end()
	if r.sum != 0 || len(r.held) != 0 || len(r.done) != 0 || r.first != 3 {
		t.Errorf("left: %+v", r)
	}
}

// zeros is a column of one page of n zeros.
func zeros(t testing.TB, n int) rawColumn {
	t.Helper()
	body, err := pq.Zstd.Encode(nil, make([]byte, 8*n))
	if err != nil {
		t.Fatal(err)
	}
	return rawColumn{typ: format.Int64, codec: format.Zstd, values: int64(n), pages: []rawPage{{values: n, size: 8 * n, body: body}}}
}

// Pages of a row group that do not fit what it may hold of them are refused before they are decompressed, with what to do.
func TestNoRoom(t *testing.T) {
	const n = 1 << 20
	col := zeros(t, n)
	t.Run("a header that lies", func(t *testing.T) {
		src := mustOpen(t, request(refoot(t, rawFile(t, col), func(md *format.FileMetaData) { md.RowGroups[0].Columns[0].MetaData.TotalUncompressedSize = 1000 })))
		src.room.one = 4 << 20
		wantError(t, decodeInTurn(t, src, memory.NewGoAllocator(), 1), fail.Data, "page of 8388608 bytes decompressed in a column chunk that the footer says has 1000")
	})
	for _, tc := range []struct {
		name string
		one  int64
		cols []rawColumn
		kind fail.Kind
		want string
	}{
		{"one page", 4 << 20, []rawColumn{col}, fail.Usage, "page of 8388608 bytes"},
		{"and more to come", 4 << 20, []rawColumn{col, col, col}, fail.Usage, "raise --memory-limit to 44 MiB at least, 76 if pages of the other columns are as large"},
		{"columns together", 20 << 20, []rawColumn{col, col, col}, fail.Usage, "take 24 MiB of memory at a time, and there are 20 for them: raise --memory-limit to 76 MiB, read"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			src := mustOpen(t, request(rawFile(t, tc.cols...)))
			src.room.one = tc.one
			mem := memory.NewCheckedAllocator(memory.NewGoAllocator())
			defer mem.AssertSize(t, 0)
			err := decodeInTurn(t, src, mem, 1)
			wantError(t, err, tc.kind, `column "v`, tc.want)
		})
	}
}

// decodeInTurn decodes all parts in so many lanes, each of which waits with its rows until the parts before have given theirs.
func decodeInTurn(t testing.TB, src *source, mem memory.Allocator, lanes int) error {
	t.Helper()
	type job struct {
		c          *pipeline.Chunk
		turn, next chan struct{}
	}
	jobs := make([]chan job, lanes)
	errs := make([]error, lanes)
	var wg sync.WaitGroup
	for i := range jobs {
		jobs[i] = make(chan job, 1)
		dec, err := src.NewDecoder(mem)
		if err != nil {
			t.Fatal(err)
		}
		wg.Go(func() {
			defer dec.Close()
			for j := range jobs[i] {
				err := dec.Decode(t.Context(), j.c, &pipeline.Rejects{}, func(pipeline.Batch) error {
					<-j.turn
					return nil
				})
				if errs[i] == nil {
					errs[i] = err
				}
				d := dec.(*decoder)
				kept := int64(0)
				for _, r := range d.readers {
					kept += int64(cap(r.scratch))
				}
				if kept > src.room.keep {
					t.Errorf("a lane keeps %d bytes", kept)
				}
				<-j.turn
				close(j.next)
			}
		})
	}
	turn := make(chan struct{})
	close(turn)
	var err error
	for k := 0; ; k++ {
		var c *pipeline.Chunk
		if c, err = src.Next(t.Context()); err != nil {
			break
		}
		next := make(chan struct{})
		jobs[k%lanes] <- job{c, turn, next}
		turn = next
	}
	for _, j := range jobs {
		close(j)
	}
	wg.Wait()
	if err != io.EOF {
		return err
	}
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// Lanes whose pages do not fit beside each other wait for the row groups before theirs, and come to an end.
func TestRoomForFewerLanes(t *testing.T) {
	type wide struct{ A, B, C string }
	rows := make([]wide, 2000)
	for i := range rows {
		s := strings.Repeat(string(binary.LittleEndian.AppendUint32([]byte("abc"), 0x61616161+uint32(i))), 100)
		rows[i] = wide{s, s[1:], s[2:]}
	}
	src := mustOpen(t, request(write(t, rows, pq.MaxRowsPerRowGroup(200), pq.PageBufferSize(1<<20), pq.Compression(&pq.Snappy))))
	const page = 200 * 704
	src.room.one, src.room.all, src.room.keep = 4*page, 5*page/2, page
	mem := memory.NewCheckedAllocator(memory.NewGoAllocator())
	defer mem.AssertSize(t, 0)
	most := int64(0)
	watch := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			select {
			case <-watch:
				return
			default:
			}
			src.room.mu.Lock()
			most = max(most, src.room.sum)
			src.room.mu.Unlock()
			time.Sleep(10 * time.Microsecond)
		}
	})
	err := decodeInTurn(t, src, mem, 4)
	close(watch)
	wg.Wait()
	if err != nil {
		t.Fatal(err)
	}
	if most > src.room.one+src.room.all || most == 0 {
		t.Errorf("held %d bytes at a time", most)
	}
}
