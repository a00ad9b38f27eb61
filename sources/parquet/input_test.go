package parquet

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"
	pq "github.com/parquet-go/parquet-go"
	"github.com/pierrec/lz4/v4"
	"golang.org/x/sync/errgroup"

	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/pipeline"
	"github.com/sluice-data/sluice/sources"
)

// ranges records what is asked of an input.
func ranges(in *sources.Input) *[]span {
	var asked []span
	inner := in.ReadRange
	in.ReadRange = func(ctx context.Context, off, n int64) (io.ReadCloser, error) {
		asked = append(asked, span{off, off + n})
		return inner(ctx, off, n)
	}
	return &asked
}

// A row group of ordinary size is one read, and one row group is never read for another.
func TestOneReadPerRowGroup(t *testing.T) {
	data := write(t, flatRows(2000), pq.MaxRowsPerRowGroup(500))
	req := request(data)
	asked := ranges(&req.Inputs[0])
	mustReadReq(t, req)
	if len(*asked) != 1+4 {
		t.Errorf("asked for %v, want the tail and 4 row groups", *asked)
	}
}

// Columns that are not needed are not read when they are far from those that are.
func TestReadsOnlyNeeded(t *testing.T) {
	type row struct {
		A   int64
		Big string
		Z   int64
	}
	var rows []row
	for i := range 2000 {
		rows = append(rows, row{int64(i), fmt.Sprint(i, strings.Repeat("x", 1000)), int64(-i)})
	}
	req := request(write(t, rows))
	asked := ranges(&req.Inputs[0])
	req.Need = map[string]bool{"A": true, "Z": true}
	res := mustReadReq(t, req)
	if res.rows[7] != `{"A":7,"Z":-7}` {
		t.Errorf("row 7: %s", res.rows[7])
	}
	n := int64(0)
	for _, s := range (*asked)[1:] {
		n += s.end - s.off
	}
	if len(*asked) != 3 || n > 100_000 {
		t.Errorf("asked for %v, %d bytes", *asked, n)
	}
}

// A row group over the budget is read in blocks, column chunks side by side, and holds far less than itself.
func TestLargeRowGroup(t *testing.T) {
	type row struct {
		ID int64
		S  string
		T  string
	}
	const n = 60_000
	rows := make([]row, n)
	for i := range rows {
		rows[i] = row{int64(i), fmt.Sprintf("%d %s", i, strings.Repeat("s", 500)), fmt.Sprintf("%d %s", i, strings.Repeat("t", 500))}
	}
	data := write(t, rows, pq.Compression(&pq.Uncompressed), pq.PageBufferSize(200_000))
	if len(data) < groupBudget {
		t.Fatalf("file of %d bytes is not large", len(data))
	}
	req := request(data)
	asked := ranges(&req.Inputs[0])
	src, err := open(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	mem := &peakAllocator{Allocator: memory.NewGoAllocator()}
	dec, err := src.NewDecoder(mem)
	if err != nil {
		t.Fatal(err)
	}
	defer dec.Close()
	c, err := src.Next(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	at := 0
	err = dec.Decode(t.Context(), c, &pipeline.Rejects{}, func(b pipeline.Batch) error {
		for i := range int(b.Rec.NumRows()) {
			if at%1000 == 0 {
				want := fmt.Sprintf(`{"ID":%d,"S":%q,"T":%q}`, at, rows[at].S, rows[at].T)
				if got := string(b.Rows.Origin(i).Raw); got != want {
					t.Fatalf("row %d: %.60s", at, got)
				}
			}
			at++
		}
		return nil
	})
	if err != nil || at != n {
		t.Fatalf("%d rows, %v", at, err)
	}
	for _, s := range *asked {
		if s.end-s.off > blockMax {
			t.Errorf("asked for %d bytes at once", s.end-s.off)
		}
	}
	if mem.peak > 3*softBytes {
		t.Errorf("held %d bytes of a row group of %d", mem.peak, len(data))
	}
}

// peakAllocator notes the most that was allocated at a time.
type peakAllocator struct {
	memory.Allocator
	now, peak int
}

func (p *peakAllocator) Allocate(n int) []byte {
	p.now += n
	p.peak = max(p.peak, p.now)
	return p.Allocator.Allocate(n)
}

func (p *peakAllocator) Reallocate(n int, b []byte) []byte {
	p.now += n - len(b)
	p.peak = max(p.peak, p.now)
	return p.Allocator.Reallocate(n, b)
}

func (p *peakAllocator) Free(b []byte) {
	p.now -= len(b)
	p.Allocator.Free(b)
}

// A short dictionary of long strings does not make a batch of gigabytes: the batch ends early, for all columns.
func TestLongStringsMakeShortBatches(t *testing.T) {
	type row struct {
		ID int64
		S  *string `parquet:",optional,dict"`
	}
	long := strings.Repeat("long ", 200_000)
	rows := make([]row, 300)
	for i := range rows {
		rows[i].ID = int64(i)
		if i%3 > 0 {
			rows[i].S = &long
		}
	}
	req := request(write(t, rows, pq.Compression(&pq.Snappy)))
	req.Schema.Mode = sources.Infer
	src, err := open(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	mem := &peakAllocator{Allocator: memory.NewGoAllocator()}
	dec, err := src.NewDecoder(mem)
	if err != nil {
		t.Fatal(err)
	}
	defer dec.Close()
	c, err := src.Next(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	at, batches := 0, 0
	err = dec.Decode(t.Context(), c, &pipeline.Rejects{}, func(b pipeline.Batch) error {
		batches++
		for i := range int(b.Rec.NumRows()) {
			if b.Rec.Column(0).ValueStr(i) != fmt.Sprint(at) || b.Rec.Column(1).IsNull(i) != (at%3 == 0) {
				t.Fatalf("row %d: id %s, null %v", at, b.Rec.Column(0).ValueStr(i), b.Rec.Column(1).IsNull(i))
			}
			at++
		}
		return nil
	})
	if err != nil || at != len(rows) || batches < 5 {
		t.Fatalf("%d rows in %d batches, %v", at, batches, err)
	}
	if mem.peak > 4*softBytes {
		t.Errorf("held %d bytes", mem.peak)
	}
	dec.Close()
	if mem.now != 0 {
		t.Errorf("%d bytes are not released", mem.now)
	}
}

// Errors of reading keep their kind, wherever they strike, and nothing leaks.
func TestReadErrors(t *testing.T) {
	data := write(t, flatRows(100), pq.MaxRowsPerRowGroup(30))
	total := func() int {
		req := request(data)
		asked := ranges(&req.Inputs[0])
		mustReadReq(t, req)
		return len(*asked)
	}()
	for i := range total {
		for name, fault := range map[string]func() (io.ReadCloser, error){
			"open": func() (io.ReadCloser, error) { return nil, fail.Newf(fail.Permission, "access denied") },
			"read": func() (io.ReadCloser, error) { return io.NopCloser(failing{}), nil },
		} {
			req := request(data)
			inner, calls := req.Inputs[0].ReadRange, 0
			req.Inputs[0].ReadRange = func(ctx context.Context, off, n int64) (io.ReadCloser, error) {
				if calls++; calls == i+1 {
					return fault()
				}
				return inner(ctx, off, n)
			}
			if _, err := read(t, req); fail.KindOf(err) != fail.Permission {
				t.Errorf("%s at call %d: %v", name, i, err)
			}
		}
		req := request(data)
		inner, calls := req.Inputs[0].ReadRange, 0
		req.Inputs[0].ReadRange = func(ctx context.Context, off, n int64) (io.ReadCloser, error) {
			if calls++; calls == i+1 {
				n /= 2
			}
			return inner(ctx, off, n)
		}
		_, err := read(t, req)
		wantError(t, err, fail.Input, "object ends within")
	}
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, fail.Newf(fail.Permission, "access denied") }

// The three ways in which codec 5 was written all decode.
func TestLegacyLZ4(t *testing.T) {
	plain := []byte(strings.Repeat("some bytes that compress ", 40))
	block := func(b []byte) []byte {
		dst := make([]byte, lz4.CompressBlockBound(len(b)))
		n, err := lz4.CompressBlock(b, dst, nil)
		if err != nil || n == 0 {
			t.Fatalf("compress: %d, %v", n, err)
		}
		return dst[:n]
	}
	hadoop := func(parts ...[]byte) (out []byte) {
		for _, p := range parts {
			c := block(p)
			out = binary.BigEndian.AppendUint32(out, uint32(len(p)))
			out = append(binary.BigEndian.AppendUint32(out, uint32(len(c))), c...)
		}
		return out
	}
	var frame strings.Builder
	w := lz4.NewWriter(&frame)
	if _, err := w.Write(plain); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	var d decompressor
	for name, src := range map[string][]byte{"hadoop": hadoop(plain), "hadoop in two": hadoop(plain[:300], plain[300:]), "bare": block(plain), "frame": []byte(frame.String())} {
		got, err := d.decompress(lz4Hadoop, src, len(plain), nil)
		if err != nil || string(got) != string(plain) {
			t.Errorf("%s: %d bytes, %v", name, len(got), err)
		}
		if _, err := d.decompress(lz4Hadoop, src, len(plain)-1, nil); err == nil {
			t.Errorf("%s: no error for a wrong size", name)
		}
	}
}

func TestDetect(t *testing.T) {
	f, _ := sources.Lookup("parquet")
	for head, want := range map[string]int{"PAR1\x15\x04": 3, "PARE": 3, "PAR": 0, "id,name\n": 0, "": 0} {
		if got := f.Detect([]byte(head), true); got != want {
			t.Errorf("%q: %d, want %d", head, got, want)
		}
	}
}

// Several lanes share the source and nothing else: together they give every row, and every byte is accounted for.
func TestLanes(t *testing.T) {
	data := write(t, flatRows(3000), pq.MaxRowsPerRowGroup(100))
	req := request(data, data)
	var consumed int64 // the source reports from one lane at a time
	req.Consumed = func(n int64) { consumed += n }
	src, err := open(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	chunks := make(chan *pipeline.Chunk)
	var g errgroup.Group
	var rows atomic.Int64
	for range 3 {
		dec, err := src.NewDecoder(memory.NewGoAllocator())
		if err != nil {
			t.Fatal(err)
		}
		g.Go(func() error {
			defer dec.Close()
			var first error
			for c := range chunks {
				err := dec.Decode(t.Context(), c, &pipeline.Rejects{}, func(b pipeline.Batch) error { rows.Add(b.Rec.NumRows()); return nil })
				if first == nil {
					first = err
				}
			}
			return first
		})
	}
	for n := int64(0); ; n++ {
		c, err := src.Next(t.Context())
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if want := n % 30 * 100; c.Row != want {
			t.Errorf("chunk %d begins at row %d, want %d", n, c.Row, want)
		}
		chunks <- c
	}
	close(chunks)
	if err := g.Wait(); err != nil || rows.Load() != 6000 || consumed != 2*int64(len(data)) {
		t.Errorf("%d rows, %d of %d bytes, %v", rows.Load(), consumed, 2*len(data), err)
	}
}

// What a lane keeps for the next row group is never more than it has had in use at a time, whatever sizes it asks for.
func TestFetchesKeepWhatWasInUse(t *testing.T) {
	var f fetches
	most := 0
	for i := range 500 {
		n, out := 100_000+i*37_000%900_000, 0
		var held [][]byte
		for _, of := range []int{n, n / 3, 1} {
			b := f.get(of)
			if len(b) != of {
				t.Fatalf("%d bytes were asked for, and %d given", of, len(b))
			}
			out += cap(b)
			held = append(held, b)
		}
		most = max(most, out)
		for _, b := range held {
			f.put(b)
		}
		kept := 0
		for _, b := range f.free {
			kept += cap(b)
		}
		if kept != f.held || f.out != 0 || kept > most {
			t.Fatalf("%d bytes are kept (%d counted, %d in use), %d were in use at most", kept, f.held, f.out, most)
		}
	}
	if f.held == 0 {
		t.Error("nothing is kept")
	}
}

// Under a memory limit less of a row group is held at a time.
func TestBoundsFollowTheLimit(t *testing.T) {
	before := debug.SetMemoryLimit(-1)
	defer debug.SetMemoryLimit(before)
	for limit, want := range map[int64]bounds{
		32 << 20:      {2 << 20, 2 << 20, blockMin, 512 << 10},
		256 << 20:     {segmentMax, 16 << 20, blockMin, 4 << 20},
		1 << 30:       {segmentMax, groupBudget, blockMin, 16 << 20},
		math.MaxInt64: {segmentMax, groupBudget, blockMin, softBytes},
	} {
		debug.SetMemoryLimit(limit)
		if got := usual(); got != want {
			t.Errorf("under %d bytes %+v, want %+v", limit, got, want)
		}
	}
}

// The texts of all columns of a batch together are what the memory has room for.
func TestTextsShareABatch(t *testing.T) {
	type wide struct {
		A, B string
		C    *string `parquet:",optional"`
	}
	rows := make([]wide, 2000)
	for i := range rows {
		s := strings.Repeat(fmt.Sprint(i, " "), 2000)
		rows[i] = wide{s, s, &s}
	}
	src := mustOpen(t, request(write(t, rows)))
	src.bounds.text = 6 << 20
	dec, err := src.NewDecoder(memory.NewGoAllocator())
	if err != nil {
		t.Fatal(err)
	}
	defer dec.Close()
	c, err := src.Next(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	n := int64(0)
	if err := dec.Decode(t.Context(), c, &pipeline.Rejects{}, func(b pipeline.Batch) error {
		n += b.Rec.NumRows()
		size := 0
		for _, a := range b.Rec.Columns() {
			size += len(a.(*array.String).ValueBytes())
		}
		if size > 12<<20 {
			t.Errorf("a batch of %d bytes", size)
		}
		return nil
	}); err != nil || n != int64(len(rows)) {
		t.Errorf("%d rows, %v", n, err)
	}
}
