package parquet

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/apache/arrow/go/v17/arrow/memory"
	pq "github.com/parquet-go/parquet-go"

	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/pipeline"
	"github.com/sluice-data/sluice/sources"
)

// farStore counts the requests that are made ahead, and those that a lane waits for.
type farStore struct {
	mu          sync.Mutex
	ahead, lane int // requests
	fail        error
	rtt         time.Duration
}

// far is an input of a store that takes its time.
func (f *farStore) far(in sources.Input) sources.Input {
	near := in.ReadRange
	in.ReadRange = func(ctx context.Context, off, n int64) (io.ReadCloser, error) {
		f.mu.Lock()
		f.lane++
		f.mu.Unlock()
		time.Sleep(f.rtt)
		return near(ctx, off, n)
	}
	in.ReadAhead = func(ctx context.Context, off, n int64) (io.ReadCloser, error) {
		f.mu.Lock()
		f.ahead++
		f.mu.Unlock()
		if f.fail != nil {
			return nil, f.fail
		}
		time.Sleep(f.rtt)
		return near(ctx, off, n)
	}
	return in
}

// openFar opens the files as those of a far store.
func (f *farStore) openFar(t *testing.T, files ...[]byte) *source {
	t.Helper()
	req := request(files...)
	for i := range req.Inputs {
		req.Inputs[i] = f.far(req.Inputs[i])
	}
	src := mustOpen(t, req)
	for _, file := range src.files {
		file.took = time.Second
	}
	f.lane = 0
	return src
}

// readAhead decodes what Next gives and returns the rows; it stops at the first error.
func readAhead(t *testing.T, src *source) (rows []string, err error) {
	t.Helper()
	mem := memory.NewCheckedAllocator(memory.NewGoAllocator())
	defer mem.AssertSize(t, 0)
	dec, err := src.NewDecoder(mem)
	if err != nil {
		t.Fatal(err)
	}
	defer dec.Close()
	for {
		c, err := src.Next(t.Context())
		if err == io.EOF {
			return rows, nil
		} else if err != nil {
			return rows, err
		}
		var rej pipeline.Rejects
		err = dec.Decode(t.Context(), c, &rej, func(b pipeline.Batch) error {
			for i := range int(b.Rec.NumRows()) {
				rows = append(rows, string(b.Rows.Origin(i).Raw))
			}
			return nil
		})
		c.Release()
		if err != nil {
			return rows, err
		}
	}
}

// Row groups of a far store are fetched ahead, all of them while there is room, and are the rows that they are.
func TestFetchesAhead(t *testing.T) {
	data := write(t, pagedRows(5000), pq.MaxRowsPerRowGroup(250), pq.PageBufferSize(3000))
	want := append(mustRead(t, data).rows, mustRead(t, data).rows...)
	for _, test := range []struct {
		name string
		room int64
	}{{"room for all", 1 << 30}, {"room for little", 20_000}, {"no room", 1}} {
		t.Run(test.name, func(t *testing.T) {
			f := &farStore{}
			src := f.openFar(t, data, data)
			src.ahead = newAhead(t.Context())
			src.ahead.room = test.room
			rows, err := readAhead(t, src)
			if err != nil {
				t.Fatal(err)
			}
			wantRows(t, rows, want...)
			if src.ahead.room != test.room || src.ahead.sum != 0 || len(src.ahead.queue) != 0 {
				t.Errorf("in the end there is room for %d bytes of %d, and %d are queued", src.ahead.room, test.room, src.ahead.sum)
			}
			if err := src.Close(); err != nil {
				t.Error(err)
			}
			switch {
			case test.room == 1<<30 && (f.lane > 0 || f.ahead < 40):
				t.Errorf("%d requests ahead, %d by the lane, want all of 40 row groups ahead", f.ahead, f.lane)
			case test.room == 1 && (f.ahead > 0 || f.lane < 40):
				t.Errorf("%d requests ahead, %d by the lane, want none ahead", f.ahead, f.lane)
			}
		})
	}
}

// A store is far away if each footer took its time; then parts of row groups are fetched ahead as well.
func TestFetchesPartsAhead(t *testing.T) {
	data := write(t, pagedRows(5000), pq.PageBufferSize(3000))
	f := &farStore{}
	src := f.openFar(t, data)
	src.fewGroups, src.splitRows = true, 700
	rows, err := readAhead(t, src)
	if err != nil {
		t.Fatal(err)
	}
	wantRows(t, rows, mustRead(t, data).rows...)
	if f.ahead < 7 {
		t.Errorf("%d requests ahead for 7 parts", f.ahead)
	}
	if err := src.Close(); err != nil {
		t.Error(err)
	}
	near := f.openFar(t, data)
	near.files[0].took = time.Millisecond
	if _, err := near.Next(t.Context()); err != nil || near.ahead != nil {
		t.Errorf("a store nearby: %v, ahead %v", err, near.ahead)
	}
}

// What goes wrong ahead is the error of the row group that it was for, and chunks that nobody decodes leave nothing behind.
func TestFetchAheadFails(t *testing.T) {
	data := write(t, pagedRows(5000), pq.MaxRowsPerRowGroup(250))
	f := &farStore{fail: fail.Newf(fail.Temporary, "no route")}
	src := f.openFar(t, data)
	rows, err := readAhead(t, src)
	var e *fail.Error
	if len(rows) > 0 || !errors.As(err, &e) || e.Kind != fail.Temporary || !strings.Contains(err.Error(), "no route") {
		t.Errorf("%d rows, error %v", len(rows), err)
	}
	if err := src.Close(); err != nil {
		t.Error(err)
	}
	f.fail = nil
	src = f.openFar(t, data)
	if _, err := src.Next(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := src.Close(); err != nil { // goleak says if a request goes on
		t.Error(err)
	}
}

// Page indexes of a far store are read for many row groups at once.
func TestReadsIndexesAhead(t *testing.T) {
	data := write(t, pagedRows(5000), pq.MaxRowsPerRowGroup(250), pq.PageBufferSize(3000))
	f := &farStore{}
	src := f.openFar(t, data)
	src.fewGroups, src.splitRows = true, 60
	rows, err := readAhead(t, src)
	if err != nil {
		t.Fatal(err)
	}
	wantRows(t, rows, mustRead(t, data).rows...)
	if f.lane > 1 {
		t.Errorf("%d requests that somebody waited for, want 1 for all indexes of 20 row groups", f.lane)
	}
	if err := src.Close(); err != nil {
		t.Error(err)
	}
}

// Row groups that are too large to be held, and column chunks that are, are fetched ahead in blocks, each given up with its
// last byte.
func TestFetchesBlocksAhead(t *testing.T) {
	data := write(t, pagedRows(20000), pq.MaxRowsPerRowGroup(10000), pq.PageBufferSize(3000))
	want := mustRead(t, data).rows
	for _, test := range []struct {
		name   string
		bounds bounds
		room   int64
	}{
		{"the group is over the budget", bounds{segmentMax, 64 << 10, 4 << 10, softBytes}, 64 << 10},
		{"a chunk is over a segment", bounds{8 << 10, groupBudget, 4 << 10, softBytes}, 64 << 10},
		{"both, and little room", bounds{8 << 10, 64 << 10, 1 << 10, softBytes}, 5000},
		{"blocks of a few bytes", bounds{1, 1, 100, softBytes}, 64 << 10},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := &farStore{}
			src := f.openFar(t, data)
			src.bounds = test.bounds
			src.ahead = newAhead(t.Context())
			src.ahead.room = test.room
			rows, err := readAhead(t, src)
			if err != nil {
				t.Fatal(err)
			}
			wantRows(t, rows, want...)
			if src.ahead.room != test.room || src.ahead.sum != 0 || len(src.ahead.queue) != 0 {
				t.Errorf("in the end there is room for %d bytes of %d, and %d are queued", src.ahead.room, test.room, src.ahead.sum)
			}
			if err := src.Close(); err != nil {
				t.Error(err)
			}
			if f.ahead < 10 || f.lane > f.ahead/2 {
				t.Errorf("%d requests ahead, %d by the lane", f.ahead, f.lane)
			}
		})
	}
}

// Most round trips of such a row group pass beside each other: by the store's clock it takes a quarter of the time at most.
func TestBlocksAheadTakeFewerRoundTrips(t *testing.T) {
	data := write(t, pagedRows(20000), pq.MaxRowsPerRowGroup(10000), pq.PageBufferSize(3000))
	took := map[bool]time.Duration{}
	for _, far := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			f := &farStore{rtt: 50 * time.Millisecond}
			src := f.openFar(t, data)
			src.bounds = bounds{segmentMax, 64 << 10, 4 << 10, softBytes}
			if !far {
				src.files[0].took = 0
			}
			begin := time.Now()
			if _, err := readAhead(t, src); err != nil {
				t.Fatal(err)
			}
			took[far] = time.Since(begin)
			if err := src.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	if took[true] > took[false]/4 {
		t.Errorf("it takes %v, and %v where nothing is fetched ahead", took[true], took[false])
	}
	t.Logf("%v, and %v where nothing is fetched ahead", took[true], took[false])
}
