package gather

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"sort"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/decimal128"
	"github.com/apache/arrow/go/v17/arrow/memory"
	"go.uber.org/goleak"

	"github.com/sluice-data/sluice/pipeline"
	"github.com/sluice-data/sluice/transforms/internal/rowpack"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// schema has every way in which a column is kept.
var schema = arrow.NewSchema([]arrow.Field{
	{Name: "seq", Type: arrow.PrimitiveTypes.Int64},
	{Name: "zone", Type: arrow.BinaryTypes.String, Nullable: true},
	{Name: "small", Type: arrow.PrimitiveTypes.Int8, Nullable: true},
	{Name: "short", Type: arrow.PrimitiveTypes.Uint16, Nullable: true},
	{Name: "int", Type: arrow.PrimitiveTypes.Int32, Nullable: true},
	{Name: "huge", Type: arrow.PrimitiveTypes.Uint64, Nullable: true},
	{Name: "at", Type: &arrow.TimestampType{Unit: arrow.Microsecond}, Nullable: true},
	{Name: "fare", Type: arrow.PrimitiveTypes.Float64, Nullable: true},
	{Name: "ratio", Type: arrow.PrimitiveTypes.Float64, Nullable: true},
	{Name: "real", Type: arrow.PrimitiveTypes.Float32, Nullable: true},
	{Name: "paid", Type: &arrow.Decimal128Type{Precision: 38, Scale: 2}, Nullable: true},
	{Name: "flag", Type: arrow.FixedWidthTypes.Boolean, Nullable: true},
	{Name: "id", Type: arrow.BinaryTypes.String, Nullable: true},
	{Name: "note", Type: arrow.BinaryTypes.String, Nullable: true},
	{Name: "blob", Type: arrow.BinaryTypes.Binary, Nullable: true},
	{Name: "tags", Type: arrow.ListOf(arrow.BinaryTypes.String), Nullable: true},
	{Name: "pos", Type: arrow.StructOf(arrow.Field{Name: "x", Type: arrow.PrimitiveTypes.Float64, Nullable: true},
		arrow.Field{Name: "in", Type: arrow.ListOf(arrow.PrimitiveTypes.Int32), Nullable: true}, arrow.Field{Name: "ok", Type: arrow.FixedWidthTypes.Boolean, Nullable: true}), Nullable: true},
	{Name: "day", Type: arrow.FixedWidthTypes.Date32, Nullable: true},
}, nil)

const zoneColumn, dayColumn = 1, 17

// record is n rows from number seq on, of so many partitions.
func record(mem memory.Allocator, rng *rand.Rand, seq, n, partitions int, nulls bool) arrow.Record {
	b := array.NewRecordBuilder(mem, schema)
	defer b.Release()
	for i := range n {
		b.Field(0).(*array.Int64Builder).Append(int64(seq + i))
		null := func(f int) bool {
			if nulls && rng.IntN(5) == 0 {
				b.Field(f).AppendNull()
				return true
			}
			return false
		}
		p := rng.IntN(partitions)
		if !null(1) {
			b.Field(1).(*array.StringBuilder).Append(fmt.Sprintf("zone %d", p%3))
		}
		if !null(2) {
			b.Field(2).(*array.Int8Builder).Append(int8(rng.IntN(256)))
		}
		if !null(3) {
			b.Field(3).(*array.Uint16Builder).Append(uint16(rng.IntN(1 << 16)))
		}
		if !null(4) {
			b.Field(4).(*array.Int32Builder).Append(int32(rng.IntN(300) - 100))
		}
		if !null(5) {
			b.Field(5).(*array.Uint64Builder).Append(rng.Uint64())
		}
		if !null(6) {
			us := 1_700_000_000_000_000 + int64(rng.IntN(86400))*1_000_000
			if seq%3 == 0 {
				us += int64(rng.IntN(1000)) * 1000
			}
			b.Field(6).(*array.TimestampBuilder).Append(arrow.Timestamp(us))
		}
		if !null(7) {
			b.Field(7).(*array.Float64Builder).Append(float64(rng.IntN(10000)-50) / 100)
		}
		if !null(8) {
			v := []float64{rng.Float64(), math.Inf(1), math.NaN(), math.Copysign(0, -1), 1e300, -5e-324}[rng.IntN(6)]
			b.Field(8).(*array.Float64Builder).Append(v)
		}
		if !null(9) {
			b.Field(9).(*array.Float32Builder).Append(rng.Float32())
		}
		if !null(10) {
			v := decimal128.FromI64(int64(rng.IntN(1e6)) - 5e5)
			if rng.IntN(1000) == 0 {
				v = decimal128.New(rng.Int64N(1<<40), rng.Uint64())
			}
			b.Field(10).(*array.Decimal128Builder).Append(v)
		}
		if !null(11) {
			b.Field(11).(*array.BooleanBuilder).Append(rng.IntN(2) == 0)
		}
		if !null(12) {
			b.Field(12).(*array.StringBuilder).Append(fmt.Sprintf("%012d", rng.IntN(1e9)))
		}
		if !null(13) {
			b.Field(13).(*array.StringBuilder).Append(strings.Repeat("é", rng.IntN(4)))
		}
		if !null(14) {
			b.Field(14).(*array.BinaryBuilder).Append([]byte{byte(i), 0, 255}[:rng.IntN(3)])
		}
		if !null(15) {
			lb := b.Field(15).(*array.ListBuilder)
			lb.Append(true)
			for range rng.IntN(3) {
				if rng.IntN(4) == 0 {
					lb.ValueBuilder().AppendNull()
				} else {
					lb.ValueBuilder().(*array.StringBuilder).Append(fmt.Sprint(rng.IntN(99)))
				}
			}
		}
		if !null(16) {
			sb := b.Field(16).(*array.StructBuilder)
			sb.Append(true)
			sb.FieldBuilder(0).(*array.Float64Builder).Append(rng.Float64())
			lb := sb.FieldBuilder(1).(*array.ListBuilder)
			if rng.IntN(3) == 0 {
				lb.AppendNull()
			} else {
				lb.Append(true)
				lb.ValueBuilder().(*array.Int32Builder).Append(int32(i))
			}
			sb.FieldBuilder(2).AppendNull()
		}
		if !null(17) {
			b.Field(17).(*array.Date32Builder).Append(arrow.Date32(p / 3))
		}
	}
	return b.NewRecord()
}

// folder is the partition of a row, by its values as Arrow prints them. Days from 1000 on are in none.
func folder(by []arrow.Array, i int) (string, int, string, error) {
	var parts []string
	for k, a := range by {
		if d, ok := a.(*array.Date32); ok && d.IsValid(i) && d.Value(i) >= 1000 {
			return "", k, a.ValueStr(i), errors.New("no such day")
		}
		parts = append(parts, a.ValueStr(i))
	}
	return strings.Join(parts, "/"), 0, "", nil
}

func newFold(t *testing.T, budget int64, dir string) *Fold {
	t.Helper()
	f, err := New(Config{Schema: schema, By: []int{dayColumn, zoneColumn}, Folder: folder, Budget: budget, TempDir: dir})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// gathered runs chunks through so many lanes and returns the rows that come out, as text, and where records end.
func gathered(t *testing.T, mem memory.Allocator, f *Fold, chunks [][]arrow.Record, lanes int) (rows []string, cuts []int) {
	t.Helper()
	parts := make([]pipeline.Partial, lanes)
	for i := range parts {
		parts[i], _ = f.NewPartial(mem)
	}
	var rej pipeline.Rejects
	total := int64(0)
	for k, recs := range chunks {
		p := parts[k%lanes].(*lane)
		p.Begin(int64(k))
		for _, rec := range recs {
			if err := p.Add(t.Context(), pipeline.Batch{Rec: rec}, &rej); err != nil {
				t.Fatal(err)
			}
			total += rec.NumRows()
		}
	}
	d, err := f.Drain(t.Context(), mem, parts)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	for {
		rec, err := d.Next(t.Context())
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		rows = append(rows, printed(rec)...)
		cuts = append(cuts, len(rows))
		rec.Release()
	}
	if d.Rows() != total || int64(len(rows)) != total {
		t.Fatalf("%d rows went in, %d came out, %d are accounted for", total, len(rows), d.Rows())
	}
	return rows, cuts
}

func printed(rec arrow.Record) []string {
	out := make([]string, rec.NumRows())
	for i := range out {
		var b strings.Builder
		for _, c := range rec.Columns() {
			b.WriteString(c.ValueStr(i))
			b.WriteByte('|')
		}
		out[i] = b.String()
	}
	return out
}

// Rows come out by partition, those of one in the order of the input, every value as it was: whatever the lanes and the memory.
func TestRowsComeOutByPartition(t *testing.T) {
	for _, tc := range []struct {
		name          string
		chunks, batch int
		partitions    int
		nulls         bool
		budget        int64
		pieceRows     int
	}{
		{"one partition", 3, 500, 1, false, 0, rowpack.PieceRows},
		{"nulls", 4, 700, 30, true, 0, rowpack.PieceRows},
		{"many partitions", 6, 200, 900, true, 0, rowpack.PieceRows},
		{"small pieces", 5, 300, 6, true, 0, 7},
		{"on disk", 24, 300, 30, true, 1, 50},
		{"on disk, many", 24, 300, 600, false, 300 << 10, rowpack.PieceRows},
	} {
		t.Run(tc.name, func(t *testing.T) {
			mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
			defer mem.AssertSize(t, 0)
			rng := rand.New(rand.NewPCG(7, uint64(tc.partitions)))
			var chunks [][]arrow.Record
			type keyed struct{ key, row string }
			var want []keyed
			seq := 0
			for range tc.chunks {
				var recs []arrow.Record
				for range 2 {
					rec := record(mem, rng, seq, tc.batch, tc.partitions, tc.nulls)
					defer rec.Release()
					seq += tc.batch
					recs = append(recs, rec)
					for i, row := range printed(rec) {
						path, _, _, _ := folder([]arrow.Array{rec.Column(dayColumn), rec.Column(zoneColumn)}, i)
						want = append(want, keyed{path, row})
					}
				}
				chunks = append(chunks, recs)
			}
			sort.SliceStable(want, func(i, j int) bool { return want[i].key < want[j].key })
			var first []int
			for _, lanes := range []int{1, 2, 3} {
				dir := t.TempDir()
				f := newFold(t, tc.budget, dir)
				f.pieceRows, f.recordRows, f.recordBytes = tc.pieceRows, 100, 4000
				rows, cuts := gathered(t, mem, f, chunks, lanes)
				for i := range want {
					if rows[i] != want[i].row {
						t.Fatalf("%d lanes: row %d is\n%s\nwant\n%s", lanes, i, rows[i], want[i].row)
					}
				}
				if first == nil {
					first = cuts
				}
				if fmt.Sprint(cuts) != fmt.Sprint(first) {
					t.Fatalf("%d lanes cut records at %v, one lane at %v", lanes, cuts, first)
				}
				if tc.budget > 0 && !f.spilled.Load() {
					t.Fatal("nothing went to disk")
				}
				if left, _ := os.ReadDir(dir); len(left) != 0 {
					t.Fatalf("left on disk: %v", left)
				}
			}
		})
	}
}

// A small budget is held by going to disk.
func TestBudget(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	f := newFold(t, 1<<20, t.TempDir())
	p, _ := f.NewPartial(memory.DefaultAllocator)
	l := p.(*lane)
	var rej pipeline.Rejects
	for k := range 60 {
		rec := record(memory.DefaultAllocator, rng, k*1000, 1000, 300, false)
		l.Begin(int64(k))
		if err := l.Add(t.Context(), pipeline.Batch{Rec: rec}, &rej); err != nil {
			t.Fatal(err)
		}
		rec.Release()
		if held := l.held + l.window.size(); held > f.limit {
			t.Fatalf("%d bytes are held of %d", held, f.limit)
		}
	}
	if l.disk == nil || len(l.disk.runs) < 2 {
		t.Fatal("nothing went to disk")
	}
	d, err := f.Drain(t.Context(), memory.DefaultAllocator, []pipeline.Partial{p})
	if err != nil {
		t.Fatal(err)
	}
	d.Close()
}

// Rows that are in no partition are rejected, the others stay in their order.
func TestRowsInNoPartition(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	f := newFold(t, 0, t.TempDir())
	p, _ := f.NewPartial(memory.DefaultAllocator)
	rec := record(memory.DefaultAllocator, rng, 0, 1000, 6000, false)
	defer rec.Release()
	var rej pipeline.Rejects
	if err := p.Add(t.Context(), pipeline.Batch{Rec: rec}, &rej); err != nil {
		t.Fatal(err)
	}
	bad := 0
	for i := range 1000 {
		if rec.Column(dayColumn).(*array.Date32).Value(i) >= 1000 {
			bad++
		}
	}
	if bad == 0 || rej.Len() != bad || p.Rows() != int64(1000-bad) {
		t.Fatalf("%d rows are bad; %d were rejected and %d kept", bad, rej.Len(), p.Rows())
	}
	if r := rej.Rows()[0]; r.Column != "day" || r.Reason != "no such day" || r.Value == "" {
		t.Fatalf("%+v", r)
	}
	p.Close()
}

func TestCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	f := newFold(t, 0, t.TempDir())
	p, _ := f.NewPartial(memory.DefaultAllocator)
	rec := record(memory.DefaultAllocator, rand.New(rand.NewPCG(1, 2)), 0, 10, 3, false)
	defer rec.Release()
	cancel()
	var rej pipeline.Rejects
	if err := p.Add(ctx, pipeline.Batch{Rec: rec}, &rej); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	if _, err := f.Drain(ctx, memory.DefaultAllocator, []pipeline.Partial{p}); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
}

// A damaged piece is an error, never other rows and never a panic.
func TestDamagedPiece(t *testing.T) {
	rec := record(memory.DefaultAllocator, rand.New(rand.NewPCG(3, 4)), 0, 60, 3, true)
	defer rec.Release()
	f := newFold(t, 0, "")
	cols := rowpack.NewColumns(f.lays)
	for i, at := range f.at {
		if err := cols[i].Add(rec.Column(at)); err != nil {
			t.Fatal(err)
		}
	}
	src := rowpack.NewEncoder(len(cols)).Piece(nil, cols, 0, 60, []rowpack.Run{{Chunk: 5, N: 20}, {Chunk: 9, N: 40}})
	d := rowpack.Decoder{Cols: rowpack.NewColumns(f.lays)}
	if err := d.Piece(src); err != nil {
		t.Fatal(err)
	}
	for i := range src {
		bad := append([]byte(nil), src...)
		bad[i] ^= 0x41
		if err := d.Piece(bad); err == nil {
			t.Fatalf("byte %d is damaged, and nobody sees it", i)
		}
		if err := d.Piece(src[:i]); err == nil {
			t.Fatalf("cut at byte %d, and nobody sees it", i)
		}
	}
}
