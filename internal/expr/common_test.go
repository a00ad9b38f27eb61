package expr

import (
	"strings"
	"testing"

	"github.com/apache/arrow/go/v17/arrow/memory"
)

// TestCommonParts: a part that an expression has more than once is one node's work, however it is written; its errors count wherever it stands.
func TestCommonParts(t *testing.T) {
	mem := memory.NewCheckedAllocator(memory.NewGoAllocator())
	defer mem.AssertSize(t, 0)
	table := parseFixture(t, "table: a int32, b int32, s string\n6 | 3 | 7\n6 | 0 | x\nNULL | 1 | 9\n-8 | 2 | -1")
	rec := table.record(t, mem, []int{0, 1, 2, 3})
	defer rec.Release()
	for _, c := range []struct {
		src    string
		shared int
		want   string
	}{
		{"a + b", 0, "9|6|NULL|-6"},
		{"(a + b) * (a + b)", 1, "81|36|NULL|36"},
		{"(a+b) * ( a  + b ) - (b + a)", 1, "72|30|NULL|42"},
		{"upper(s || 'x') = 'Y' OR upper(s || 'x') = '7X'", 1, "true|false|false|false"},
		{"a / b > 1 OR b = 0 OR a / b < 0", 1, "true|true|NULL|true"},
		{"CASE WHEN b <> 0 THEN a / b WHEN a > 0 THEN 100 ELSE a / b END", 1, "2|100|NULL|-4"},
		{"CASE WHEN b > 1 THEN a / b ELSE coalesce(a / nullif(b, 0), 0) + a / b END", 1, "2|error: division by zero in a / b (6 / 0)|NULL|-4"},
		{"coalesce(s::int32, 0) + s::int32", 1, "14|error: not an int32 in s::int32 (x)|18|-2"},
		{"TRY_CAST(s AS int32) IS NULL OR TRY_CAST(s AS int32) > 8", 1, "false|true|true|false"},
	} {
		p, err := Compile(c.src, table.schema, testEnv)
		if err != nil {
			t.Fatal(err)
		}
		if p.slots != c.shared {
			t.Errorf("%s: %d parts are shared, want %d", c.src, p.slots, c.shared)
		}
		if got := strings.Join(evalText(t, mem, p, rec), "|"); got != c.want {
			t.Errorf("%s gives %s, want %s", c.src, got, c.want)
		}
	}
}

func BenchmarkCommonParts(b *testing.B) {
	mem := &recycler{}
	rec := trips(mem, false)
	defer rec.Release()
	for _, src := range []string{
		"date_trunc('month', ts)",
		"CASE WHEN date_trunc('month', ts) > TIMESTAMP '2024-01-01' THEN date_trunc('month', ts) ELSE date_trunc('month', ts) + INTERVAL '1 year' END",
	} {
		b.Run(src, func(b *testing.B) {
			p, err := Compile(src, rec.Schema(), testEnv)
			if err != nil {
				b.Fatal(err)
			}
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
