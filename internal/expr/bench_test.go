package expr

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"
	"golang.org/x/sys/unix"

	"github.com/sluice-data/sluice/internal/schema"
)

const benchRows = 16384

// recycler is an allocator that gives freed buffers out again, as a lane of the engine does, so that the loops are measured and
// not the first touch of fresh memory.
type recycler struct{ free map[int][][]byte }

func (a *recycler) Allocate(n int) []byte {
	if l := a.free[n]; len(l) > 0 {
		a.free[n] = l[:len(l)-1]
		return l[len(l)-1]
	}
	return make([]byte, n)
}

func (a *recycler) Reallocate(n int, b []byte) []byte {
	out := a.Allocate(n)
	copy(out, b)
	a.Free(b)
	return out
}

func (a *recycler) Free(b []byte) {
	if a.free == nil {
		a.free = map[int][][]byte{}
	}
	a.free[len(b)] = append(a.free[len(b)], b)
}

// trips is a batch like those of the taxi workload.
func trips(mem memory.Allocator, nulls bool) arrow.Record {
	s := arrow.NewSchema([]arrow.Field{{Name: "fare", Type: arrow.PrimitiveTypes.Float64, Nullable: true}, {Name: "distance", Type: arrow.PrimitiveTypes.Float64, Nullable: true},
		{Name: "tip", Type: arrow.PrimitiveTypes.Float64, Nullable: true}, {Name: "ts", Type: &arrow.TimestampType{Unit: arrow.Microsecond}, Nullable: true},
		{Name: "order_id", Type: arrow.BinaryTypes.String, Nullable: true}, {Name: "zone", Type: arrow.PrimitiveTypes.Int32, Nullable: true},
		{Name: "total", Type: &arrow.Decimal128Type{Precision: 18, Scale: 2}, Nullable: true}, {Name: "shop", Type: arrow.BinaryTypes.String, Nullable: true},
		schema.JSONField("doc")}, nil)
	b := array.NewRecordBuilder(mem, s)
	defer b.Release()
	r := rand.New(rand.NewPCG(1, 2))
	for i := range benchRows {
		if nulls && i%10 == 3 {
			for _, f := range b.Fields() {
				f.AppendNull()
			}
			continue
		}
		b.Field(0).(*array.Float64Builder).Append(r.Float64()*50 + 0.01)
		b.Field(1).(*array.Float64Builder).Append(r.Float64()*20 - 1)
		b.Field(2).(*array.Float64Builder).Append(r.Float64() * 5)
		b.Field(3).(*array.TimestampBuilder).Append(arrow.Timestamp(1.7e15 + r.Int64N(1e14)))
		b.Field(4).(*array.StringBuilder).Append(fmt.Sprintf("ORD-%012d", r.Int64N(1e12)))
		b.Field(5).(*array.Int32Builder).Append(r.Int32N(265))
		b.Field(6).(*array.Decimal128Builder).Append(decOf(r.Int64N(1e5)))
		b.Field(7).(*array.StringBuilder).Append(fmt.Sprintf("shop %04d, Main Street", r.Int64N(100)))
		b.Field(8).(*array.StringBuilder).Append(fmt.Sprintf(`{"id": %d, "kind": "k%d", "items": [{"sku": "a%d", "price": 1.50}, {"sku": "b", "price": 2.25}, {"sku": "c", "price": %d}], "note": "some \"text\""}`,
			i, r.Int64N(10), i, r.Int64N(100)))
	}
	return b.NewRecord()
}

// cpuTime is the process's CPU time in ns: on a shared machine wall time says little.
func cpuTime(b *testing.B) int64 {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return u.Utime.Nano() + u.Stime.Nano()
}

func BenchmarkEval(b *testing.B) {
	for _, src := range []string{
		"fare > 0 AND distance > 0",
		"date_trunc('day', ts)",
		"date_trunc('day', ts)::date",
		"tip / fare * 100",
		"tip / nullif(fare, 0)",
		"substring(order_id, 1, 9)",
		"upper(order_id)",
		"order_id LIKE 'ORD-0%'",
		"extract(hour FROM ts)",
		"date_trunc('month', ts)",
		"zone + 1",
		"zone IN (1, 2, 3)",
		"zone IN (1, 2, 3, 4, 5, 6, 7, 8, 9, 10)",
		"total * 1.1",
		"total >= 0",
		"CASE WHEN distance > 0 THEN fare / distance ELSE 0 END",
		"coalesce(fare, 0)",
		"zone::string",
		"split_part(order_id, '-', 2)",
		"order_id ~ '0+7'",
		"regexp_replace(order_id, '([0-9]{4})', '\\1.', 'g')",
		"regexp_extract(order_id, '-(0*)', 1)",
		"md5(order_id)",
		"hmac_sha256(order_id, 'EXAMPLE_SECRET')",
		"xxhash64(order_id)",
		"regexp_replace(shop, '([0-9]{2})', '\\1.', 'g')",
		"sha256(shop)",
		"doc ->> 'kind'",
		"doc -> 'items' -> 2 ->> 'price'",
		"json_extract_string(doc, '$.items[1].sku')",
		"json_build_object('id', order_id, 'zone', zone)",
		"doc::string::json ->> 'kind'",
		"string_to_array(order_id, '-')",
		"string_to_array(order_id, '-')[2]",
		"ARRAY[zone, 1]",
		"zone & 7",
		"sin(fare)",
	} {
		for _, nulls := range []bool{false, true} {
			name := src
			if nulls {
				name += " (nulls)"
			}
			b.Run(name, func(b *testing.B) {
				mem := &recycler{}
				rec := trips(mem, nulls)
				defer rec.Release()
				p, err := Compile(src, rec.Schema(), testEnv)
				if err != nil {
					b.Fatal(err)
				}
				b.ReportAllocs()
				start := cpuTime(b)
				for b.Loop() {
					out, _, err := p.Eval(rec, mem)
					if err != nil {
						b.Fatal(err)
					}
					out.Release()
				}
				b.ReportMetric(float64(cpuTime(b)-start)/float64(b.N)/benchRows, "cpu-ns/row")
			})
		}
	}
}
