package transforms

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/pipeline"
)

// fare is a row of the table that the sorted steps are held to a plain Go program over.
type fare struct {
	id   int64
	zone string // "" is null
	fare float64
}

// fares are n rows and records of them, a chunk each.
func fares(t *testing.T, n, zones int) ([]fare, []arrow.Record) {
	t.Helper()
	s := arrow.NewSchema([]arrow.Field{{Name: "id", Type: arrow.PrimitiveTypes.Int64}, {Name: "zone", Type: arrow.BinaryTypes.String, Nullable: true},
		{Name: "fare", Type: arrow.PrimitiveTypes.Float64}, {Name: "note", Type: arrow.BinaryTypes.String}}, nil)
	rng := rand.New(rand.NewPCG(9, uint64(zones)))
	var rows []fare
	var recs []arrow.Record
	for len(rows) < n {
		b := array.NewRecordBuilder(memory.DefaultAllocator, s)
		for range min(1500, n-len(rows)) {
			r := fare{id: int64(len(rows)), fare: float64(rng.IntN(50))}
			if z := rng.IntN(zones); z > 0 {
				r.zone = fmt.Sprintf("zone %d of the city", z)
				b.Field(1).(*array.StringBuilder).Append(r.zone)
			} else {
				b.Field(1).AppendNull()
			}
			b.Field(0).(*array.Int64Builder).Append(r.id)
			b.Field(2).(*array.Float64Builder).Append(r.fare)
			b.Field(3).(*array.StringBuilder).Append(fmt.Sprintf("a note that takes some room, of row %d", r.id))
			rows = append(rows, r)
		}
		recs = append(recs, b.NewRecord())
		t.Cleanup(recs[len(recs)-1].Release)
		b.Release()
	}
	return rows, recs
}

// ids runs the chunks through a step that is a fold, and gives the ids of the rows that come out.
func ids(t *testing.T, step string, budget int64, recs []arrow.Record, lanes int) []int64 {
	t.Helper()
	mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
	defer mem.AssertSize(t, 0)
	dir := t.TempDir()
	b, err := bindStep(Env{Expr: testEnv, MemoryBudget: budget, TempDir: dir}, step, recs[0].Schema())
	if err != nil {
		t.Fatal(err)
	}
	out := []int64{}
	drainFold(t, mem, b.Fold, recs, lanes, func(rec arrow.Record) { out = append(out, rec.Column(0).(*array.Int64).Int64Values()...) })
	if left, _ := os.ReadDir(dir); len(left) > 0 {
		t.Fatalf("left on disk: %v", left)
	}
	return out
}

// drainFold runs the chunks through the fold, lends what comes out to take, and checks that each row is accounted for.
func drainFold(t *testing.T, mem memory.Allocator, f pipeline.Fold, recs []arrow.Record, lanes int, take func(rec arrow.Record)) {
	t.Helper()
	parts := make([]pipeline.Partial, lanes)
	for i := range parts {
		var err error
		if parts[i], err = f.NewPartial(mem); err != nil {
			t.Fatal(err)
		}
	}
	var rej pipeline.Rejects
	total, folded, given := int64(0), int64(0), int64(0)
	for k, rec := range recs {
		p := parts[k%lanes]
		p.(pipeline.Sequenced).Begin(int64(k))
		if err := p.Add(context.Background(), pipeline.Batch{Rec: rec}, &rej); err != nil {
			t.Fatal(err)
		}
		total += rec.NumRows()
	}
	for _, p := range parts {
		folded += p.Rows()
	}
	d, err := f.Drain(context.Background(), mem, parts)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	for {
		rec, err := d.Next(context.Background())
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		given += rec.NumRows()
		take(rec)
		rec.Release()
	}
	dropped := int64(0)
	if s, ok := d.(pipeline.SieveDrain); ok {
		dropped = s.Dropped()
	}
	if folded != total || d.Rows() != total || total-dropped != given {
		t.Fatalf("%s: %d rows went in, the lanes count %d and the drain %d, %d are dropped and %d came out", f.Name(), total, folded, d.Rows(), dropped, given)
	}
}

func byZone(a, b fare) int {
	if (a.zone == "") != (b.zone == "") {
		if a.zone == "" {
			return 1
		}
		return -1
	}
	return cmp.Compare(a.zone, b.zone)
}

// firstOfZones are the first n rows of each zone, of rows in the order of zones.
func firstOfZones(rows []fare, n int) []fare {
	var out []fare
	for i, k := 0, 0; i < len(rows); i++ {
		if i > 0 && rows[i].zone != rows[i-1].zone {
			k = 0
		}
		if k++; k <= n {
			out = append(out, rows[i])
		}
	}
	return out
}

// What top, dedupe, sort and limit give is what a plain program gives, with little memory and much, few groups and many, any lanes.
func TestSortedSteps(t *testing.T) {
	sorted := func(rows []fare, by ...func(a, b fare) int) []fare {
		out := slices.Clone(rows)
		slices.SortStableFunc(out, func(a, b fare) int {
			for _, f := range by {
				if c := f(a, b); c != 0 {
					return c
				}
			}
			return 0
		})
		return out
	}
	up := func(a, b fare) int { return cmp.Compare(a.fare, b.fare) }
	down := func(a, b fare) int { return -up(a, b) }
	id := func(a, b fare) int { return cmp.Compare(a.id, b.id) }
	back := func(a, b fare) int { return -id(a, b) }
	steps := []struct {
		step string
		want func(rows []fare) []fare
	}{
		{"- sort: [fare desc, zone]", func(rows []fare) []fare { return sorted(rows, down, byZone) }},
		{"- limit: {rows: 4000, offset: 3000}", func(rows []fare) []fare { return rows[3000:7000] }},
		{"- top: {n: 3, by: [zone], order_by: fare}", func(rows []fare) []fare { return firstOfZones(sorted(rows, byZone, up), 3) }},
		{"- top: {n: 2000, order_by: [zone, fare desc]}", func(rows []fare) []fare { return sorted(rows, byZone, down)[:2000] }},
		{"- dedupe: {keys: [zone]}", func(rows []fare) []fare { return sorted(firstOfZones(sorted(rows, byZone), 1), id) }},
		{"- dedupe: {keys: [zone], keep: last}", func(rows []fare) []fare { return sorted(firstOfZones(sorted(rows, byZone, back), 1), id) }},
		{"- dedupe: {keys: [zone], order_by: fare}", func(rows []fare) []fare { return sorted(firstOfZones(sorted(rows, byZone, up), 1), id) }},
		{"- dedupe: {keys: [zone], keep: last, order_by: fare}", func(rows []fare) []fare { return sorted(firstOfZones(sorted(rows, byZone, down, back), 1), id) }},
		{"- window: {partition_by: [zone], order_by: [fare], columns: {prev: lag(note)}}", func(rows []fare) []fare { return sorted(rows, byZone, up) }},
		{"- window: {columns: {n: row_number()}}", func(rows []fare) []fare { return rows }},
		{"- fill: {forward: [note], by: [zone], order_by: fare}", func(rows []fare) []fare { return sorted(rows, byZone, up) }},
		{"- dedupe: {keys: [id]}", func(rows []fare) []fare { return rows }},
	}
	for _, zones := range []int{1, 20, 20_000} {
		rows, recs := fares(t, 9000, zones)
		for _, s := range steps {
			var want []int64
			for _, r := range s.want(rows) {
				want = append(want, r.id)
			}
			for _, budget := range []int64{0, 16 << 10} {
				if budget > 0 && strings.Contains(s.step, "window") {
					budget = 2 << 20 // a partition of all rows has to fit
				}
				for _, lanes := range []int{1, 3} {
					got := ids(t, s.step, budget, recs, lanes)
					if !slices.Equal(got, want) {
						t.Fatalf("%s, %d zones, budget %d, %d lanes: %d rows, want %d; first %v, want %v", s.step, zones, budget, lanes, len(got), len(want), got[:min(9, len(got))], want[:min(9, len(want))])
					}
				}
			}
		}
	}
}

// A value is carried from one record to the next, and never into another group.
func TestFillForward(t *testing.T) {
	rows, recs := fares(t, 25_000, 3)
	for _, c := range []struct {
		step string
		by   func(a, b fare) int
	}{
		{"- fill: {forward: [zone]}", func(a, b fare) int { return 0 }},
		{"- fill: {forward: [zone], by: [fare]}", func(a, b fare) int { return cmp.Compare(a.fare, b.fare) }},
	} {
		want := slices.Clone(rows)
		slices.SortStableFunc(want, c.by)
		for i := range want {
			if i > 0 && want[i].zone == "" && c.by(want[i-1], want[i]) == 0 {
				want[i].zone = want[i-1].zone
			}
		}
		for _, lanes := range []int{1, 3} {
			mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
			b, err := bindStep(Env{MemoryBudget: 16 << 10, TempDir: t.TempDir()}, c.step, recs[0].Schema())
			if err != nil {
				t.Fatal(err)
			}
			at, records := 0, 0
			drainFold(t, mem, b.Fold, recs, lanes, func(rec arrow.Record) {
				records++
				zones := rec.Column(1).(*array.String)
				for i := range zones.Len() {
					if id := rec.Column(0).(*array.Int64).Value(i); id != want[at].id || zones.Value(i) != want[at].zone || zones.IsNull(i) != (want[at].zone == "") {
						t.Fatalf("%s: row %d is %d in %q, want %d in %q", c.step, at, id, zones.Value(i), want[at].id, want[at].zone)
					}
					at++
				}
			})
			mem.AssertSize(t, 0)
			if at != len(want) || records < 2 {
				t.Fatalf("%d rows in %d records", at, records)
			}
		}
	}
}

// What a window's functions give is what a plain program gives, over partitions of all sizes, in slices and spilled.
func TestWindowValues(t *testing.T) {
	for _, zones := range []int{1, 30, 20_000} {
		rows, recs := fares(t, 9000, zones)
		want := slices.Clone(rows)
		slices.SortStableFunc(want, byZone)
		for _, budget := range []int64{0, 8 << 20} {
			for _, lanes := range []int{1, 3} {
				b, err := bindStep(Env{Expr: testEnv, MemoryBudget: budget, TempDir: t.TempDir()},
					"- window: {partition_by: [zone], order_by: [id], columns: {rn: row_number(), prev: \"lag(id, 2, -1)\", run: sum(fare) rows unbounded preceding, near: sum(fare) rows between 1 preceding and 2 following, top: max(fare) rows 3 preceding}}", recs[0].Schema())
				if err != nil {
					t.Fatal(err)
				}
				var got []arrow.Record
				drainFold(t, memory.DefaultAllocator, b.Fold, recs, lanes, func(rec arrow.Record) { rec.Retain(); got = append(got, rec) })
				at := 0
				for _, rec := range got {
					for i := range int(rec.NumRows()) {
						lo := at
						for lo > 0 && want[lo-1].zone == want[at].zone {
							lo--
						}
						run, near, top := 0.0, 0.0, 0.0
						for k := lo; k < len(want) && want[k].zone == want[at].zone && k <= at+2; k++ {
							if k <= at {
								run += want[k].fare
							}
							if k >= at-1 {
								near += want[k].fare
							}
							if k <= at && k >= at-3 {
								top = max(top, want[k].fare)
							}
						}
						prev := int64(-1)
						if at-2 >= lo {
							prev = want[at-2].id
						}
						line := fmt.Sprint(want[at].id, at-lo+1, prev, run, near, top)
						if have := fmt.Sprint(rec.Column(0).(*array.Int64).Value(i), rec.Column(4).(*array.Int64).Value(i), rec.Column(5).(*array.Int64).Value(i),
							rec.Column(6).(*array.Float64).Value(i), rec.Column(7).(*array.Float64).Value(i), rec.Column(8).(*array.Float64).Value(i)); have != line {
							t.Fatalf("%d zones, budget %d, %d lanes: row %d is %s, want %s", zones, budget, lanes, at, have, line)
						}
						at++
					}
					rec.Release()
				}
				if at != len(want) {
					t.Fatalf("%d rows, want %d", at, len(want))
				}
			}
		}
	}
}

// A partition that memory has no room for is an error that says what to do.
func TestWindowTooLarge(t *testing.T) {
	_, recs := fares(t, 9000, 1)
	b, err := bindStep(Env{MemoryBudget: 1 << 20, TempDir: t.TempDir()}, "- window: {partition_by: [zone], columns: {a: sum(fare), b: min(note), c: max(note), d: count(note)}}", recs[0].Schema())
	if err != nil {
		t.Fatal(err)
	}
	p, err := b.Fold.NewPartial(memory.DefaultAllocator)
	if err != nil {
		t.Fatal(err)
	}
	var rej pipeline.Rejects
	for _, rec := range recs {
		if err := p.Add(t.Context(), pipeline.Batch{Rec: rec}, &rej); err != nil {
			t.Fatal(err)
		}
	}
	d, err := b.Fold.Drain(t.Context(), memory.DefaultAllocator, []pipeline.Partial{p})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if _, err := d.Next(t.Context()); fail.KindOf(err) != fail.Usage || !strings.Contains(err.Error(), "partition by more columns") {
		t.Fatal(err)
	}
}

// A sample of so many rows has so many, the same ones whatever the lanes; one of a share has about that share.
func TestSample(t *testing.T) {
	_, recs := fares(t, 9000, 20)
	first := ids(t, "- sample: {rows: 1000, seed: 4}", 0, recs, 1)
	if other := ids(t, "- sample: {rows: 1000, seed: 4}", 1, recs, 3); len(first) != 1000 || !slices.Equal(first, other) {
		t.Fatalf("%d rows, and on three lanes others: %v", len(first), !slices.Equal(first, other))
	}
	low := 0
	for _, id := range first {
		if id < 4500 {
			low++
		}
	}
	if low < 400 || low > 600 {
		t.Errorf("%d of 1000 rows are from the first half", low)
	}
	if other := ids(t, "- sample: {rows: 1000, seed: 5}", 0, recs, 1); slices.Equal(first, other) {
		t.Error("another seed gives the same rows")
	}
	for _, share := range []float64{0.01, 0.3, 0.9} {
		b, err := bindStep(Env{}, fmt.Sprintf("- sample: {fraction: %v}", share), recs[0].Schema())
		if err != nil {
			t.Fatal(err)
		}
		got, all := 0.0, 0.0
		for _, rec := range recs {
			applyStep(t, memory.DefaultAllocator, b.Step, rec, 700, func(r arrow.Record) { got += float64(r.NumRows()) })
			all += float64(rec.NumRows())
		}
		if sigma := math.Sqrt(all * share * (1 - share)); math.Abs(got-all*share) > 5*sigma {
			t.Errorf("a share of %v gives %v of %v rows", share, got, all)
		}
	}
}
