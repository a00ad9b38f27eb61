package expr

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"
)

// togetherText evaluates programs as a group and prints what each gives.
func togetherText(t *testing.T, mem memory.Allocator, g *Group, rec arrow.Record) [][]string {
	t.Helper()
	columns, errs, err := g.Eval(rec, mem)
	if err != nil {
		t.Fatal(err)
	}
	out := make([][]string, len(columns))
	for i, c := range columns {
		out[i] = columnText(t, g.progs[i], c, errs[i])
		c.Release()
	}
	return out
}

// TestTogether: programs give the same values and the same errors of the same rows together as alone, with and without codes.
func TestTogether(t *testing.T) {
	mem := memory.NewCheckedAllocator(memory.NewGoAllocator())
	defer mem.AssertSize(t, 0)
	table := differentialTable(t)
	few := table.rows
	table.rows = nil
	for k := range 2 * fewRows {
		row := slices.Clone(few[k*7%len(few)])
		if k%11 == 3 {
			row[5] = "NULL" // s
		}
		table.rows = append(table.rows, row)
	}
	plain := table.record(t, mem, fixtureRows(len(table.rows)).all())
	defer plain.Release()
	with := coded(plain, 1)
	defer with.Release()
	var list []*Program
	for _, src := range append(lines(t, "testdata/differential.txt"), "s::int", "i", "upper(s)", "string_to_array(s, 'l')", "(string_to_array(s, 'l'))[1]", "i / (i - 1)", "s::date") {
		if p, err := Compile(src, table.schema, testEnv); err == nil {
			list = append(list, p)
		}
	}
	rng := rand.New(rand.NewPCG(3, 4))
	shared := 0
	for range 300 {
		var progs []*Program
		for range 1 + rng.IntN(5) {
			p := list[rng.IntN(len(list))]
			src := p.Source()
			for _, form := range []string{src, src, "CASE WHEN i > 0 THEN (" + src + ") END", "(" + src + ") IS NULL", "coalesce(nullif(" + src + ", " + src + "), " + src + ")", "(" + src + ")::text || s"} {
				if rng.IntN(3) > 0 {
					continue
				}
				if q, err := Compile(form, table.schema, testEnv); err == nil {
					progs = append(progs, q)
				}
			}
		}
		rng.Shuffle(len(progs), func(i, k int) { progs[i], progs[k] = progs[k], progs[i] })
		g := Together(progs...)
		alone := 0
		for _, p := range progs {
			alone += p.slots
		}
		if g.slots > alone {
			shared++
		}
		for _, rec := range []arrow.Record{plain, with} {
			got := togetherText(t, mem, g, rec)
			for i, p := range progs {
				want := evalText(t, mem, p, rec)
				if !slices.Equal(want, got[i]) {
					var all []string
					for _, p := range progs {
						all = append(all, p.Source())
					}
					t.Fatalf("%s gives\n%s\nalone\n%s\ntogether are\n%s", p.Source(), strings.Join(got[i], "|"), strings.Join(want, "|"), strings.Join(all, "\n"))
				}
			}
		}
	}
	if shared < 100 {
		t.Errorf("only %d of 300 groups had parts in common", shared)
	}
}

// TestTogetherLazily: what one program evaluates in some rows alone neither fails in the others there nor hides the errors of those elsewhere.
func TestTogetherLazily(t *testing.T) {
	mem := memory.NewCheckedAllocator(memory.NewGoAllocator())
	defer mem.AssertSize(t, 0)
	table := parseFixture(t, "table: a int32, b int32, s string\n6 | 3 | 7\n6 | 0 | x\nNULL | 1 | 9\n-8 | 2 | -1")
	rec := table.record(t, mem, []int{0, 1, 2, 3})
	defer rec.Release()
	want := map[string]string{
		"a / b":                                  "2|error: division by zero in a / b (6 / 0)|NULL|-4",
		"a / b + 1":                              "3|error: division by zero in a / b (6 / 0)|NULL|-3",
		"CASE WHEN b <> 0 THEN a / b ELSE 0 END": "2|0|NULL|-4",
		"a / b IS NULL":                          "false|error: division by zero in a / b (6 / 0)|true|false",
		"coalesce(nullif(b, 0), a / b)":          "3|error: division by zero in a / b (6 / 0)|1|2",
		"s::int32":                               "7|error: not an int32 in s::int32 (x)|9|-1",
		"(s::int32) * a":                         "42|error: not an int32 in s::int32 (x)|NULL|8",
		"CASE WHEN b > 0 THEN s::int32 END":      "7|NULL|9|-1",
		"ARRAY[a / nullif(b, 0), b]":             "[2,3]|[null,0]|[null,1]|[-4,2]",
		"(ARRAY[a / nullif(b, 0), b])[1] + 1":    "3|NULL|NULL|-3",
		"a":                                      "6|6|NULL|-8",
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		var progs []*Program
		for src := range want {
			p, err := Compile(src, table.schema, testEnv)
			if err != nil {
				t.Fatal(err)
			}
			progs = append(progs, p)
		}
		rng.Shuffle(len(progs), func(i, k int) { progs[i], progs[k] = progs[k], progs[i] })
		g := Together(progs...)
		if g.slots < 3 {
			t.Errorf("%d parts are shared", g.slots)
		}
		for i, got := range togetherText(t, mem, g, rec) {
			if src := progs[i].Source(); strings.Join(got, "|") != want[src] {
				t.Errorf("%s gives %s, want %s", src, strings.Join(got, "|"), want[src])
			}
		}
	}
}

// TestTogetherFails: what no row is to blame for leaves nothing allocated.
func TestTogetherFails(t *testing.T) {
	mem := memory.NewCheckedAllocator(memory.NewGoAllocator())
	defer mem.AssertSize(t, 0)
	table := parseFixture(t, "table: a int32, s string\n6 | x")
	rec := table.record(t, mem, []int{0})
	defer rec.Release()
	var progs []*Program
	for _, src := range []string{"a + 1", "s || 'x'"} {
		p, err := Compile(src, table.schema, testEnv)
		if err != nil {
			t.Fatal(err)
		}
		progs = append(progs, p)
	}
	other := array.NewRecord(arrow.NewSchema(table.schema.Fields()[:1], nil), rec.Columns()[:1], 1)
	defer other.Release()
	if _, _, err := Together(progs...).Eval(other, mem); err == nil {
		t.Error("a record without a column was taken")
	}
	if c, _, err := Together().Eval(rec, mem); err != nil || len(c) > 0 {
		t.Errorf("no programs give %v, %v", c, err)
	}
}
