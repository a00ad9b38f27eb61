package expr

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/sluice-data/sluice/internal/schema"
	"github.com/sluice-data/sluice/internal/textval"
)

var update = flag.Bool("update", false, "rewrite the expected results in testdata/*.txt")

var testEnv = Env{Now: time.Date(2026, 11, 22, 13, 4, 5, 123456000, time.UTC), Secret: func(name string) (string, bool) { return "key", name == "EXAMPLE_SECRET" }}

// TestScripts runs testdata/*.txt. A script is paragraphs parted by blank lines:
//
//	# a comment
//
//	table: a int32, s string
//	1 | x
//	NULL | y
//
//	a + 1            an expression over the last table, or none if it names no column
//	---- int32       its type
//	2                its value in each row (in one row if it names no column)
//	NULL
//
//	a + s
//	---- error
//	a + s
//	^^^^^ message
//
// Each expression is also evaluated over slices of a larger record, row by row, and after printing and parsing it again; all
// must agree.
func TestScripts(t *testing.T) {
	files, _ := filepath.Glob("testdata/*.txt")
	cases := 0
	for _, file := range files {
		if strings.HasPrefix(filepath.Base(file), "differential") {
			continue
		}
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			cases += runScript(t, file)
		})
	}
	if cases < 400 {
		t.Errorf("scripts hold %d cases, at least 400 are wanted", cases)
	}
}

func runScript(t *testing.T, file string) (cases int) {
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	mem := memory.NewCheckedAllocator(memory.NewGoAllocator())
	defer mem.AssertSize(t, 0)
	table := &fixture{schema: arrow.NewSchema(nil, nil)}
	var out []string
	line := 1
	for _, para := range strings.Split(strings.TrimRight(string(data), "\n"), "\n\n") {
		start := line
		line += strings.Count(para, "\n") + 2
		switch {
		case strings.HasPrefix(para, "#"):
			out = append(out, para)
		case strings.HasPrefix(para, "table:"):
			table = parseFixture(t, para)
			out = append(out, para)
		default:
			src, want, _ := strings.Cut(para, "\n---- ")
			cases++
			got := table.result(t, mem, src)
			if !*update && got != want {
				t.Errorf("%s:%d: %s\ngot\n%s\nwant\n%s", file, start, src, indent(got), indent(want))
			}
			out = append(out, src+"\n---- "+got)
		}
	}
	if *update {
		if err := os.WriteFile(file, []byte(strings.Join(out, "\n\n")+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return cases
}

func indent(s string) string { return "    " + strings.ReplaceAll(s, "\n", "\n    ") }

// fixture is a table of a script, as text.
type fixture struct {
	schema *arrow.Schema
	rows   [][]string
}

func parseFixture(t testing.TB, para string) *fixture {
	sc := bufio.NewScanner(strings.NewReader(para))
	sc.Scan()
	var fields []arrow.Field
	for _, col := range splitColumns(strings.TrimPrefix(sc.Text(), "table:")) {
		name, typ, _ := strings.Cut(strings.TrimSpace(col), " ")
		if strings.HasPrefix(name, `"`) {
			name, typ, _ = strings.Cut(strings.TrimSpace(col)[1:], `" `)
		}
		typ, notNull := strings.CutSuffix(typ, " not null")
		f, err := schema.ParseField(name, typ)
		if err != nil {
			t.Fatal(err)
		}
		f.Nullable = !notNull
		fields = append(fields, f)
	}
	out := &fixture{schema: arrow.NewSchema(fields, nil)}
	for sc.Scan() {
		var cells []string
		for _, c := range strings.Split(sc.Text(), "|") {
			cells = append(cells, strings.TrimSpace(c))
		}
		if len(cells) != len(fields) {
			t.Fatalf("table row %q has %d cells, not %d", sc.Text(), len(cells), len(fields))
		}
		out.rows = append(out.rows, cells)
	}
	return out
}

// splitColumns splits at commas outside brackets.
func splitColumns(s string) []string {
	depth := 0
	return strings.FieldsFunc(s, func(r rune) bool {
		switch r {
		case '<', '(':
			depth++
		case '>', ')':
			depth--
		}
		return r == ',' && depth == 0
	})
}

// record makes a record of the given rows; -1 stands for a row of nulls.
func (x *fixture) record(t testing.TB, mem memory.Allocator, rows []int) arrow.Record {
	b := array.NewRecordBuilder(mem, x.schema)
	defer b.Release()
	for _, i := range rows {
		for c, fb := range b.Fields() {
			if i < 0 || x.rows[i][c] == "NULL" {
				fb.AppendNull()
				continue
			}
			cell := x.rows[i][c]
			if len(cell) > 1 && strings.HasPrefix(cell, "'") && strings.HasSuffix(cell, "'") {
				cell = cell[1 : len(cell)-1]
			}
			if err := fb.AppendValueFromString(cell); err != nil {
				t.Fatalf("cell %q: %v", cell, err)
			}
		}
	}
	cols := make([]arrow.Array, len(b.Fields()))
	for c, fb := range b.Fields() {
		cols[c] = fb.NewArray()
		defer cols[c].Release()
	}
	return array.NewRecord(x.schema, cols, int64(len(rows)))
}

func (b fixtureRows) all() []int {
	out := make([]int, b)
	for i := range out {
		out[i] = i
	}
	return out
}

type fixtureRows int

// result is what the script shows for src.
func (x *fixture) result(t *testing.T, mem memory.Allocator, src string) string {
	p, err := Compile(src, x.schema, testEnv)
	if err != nil {
		return "error\n" + caret(t, src, err)
	}
	f := p.Field()
	head := schema.TypeName(f)
	if !f.Nullable {
		head += " not null"
	}
	n := len(x.rows)
	if len(p.Columns()) == 0 {
		n = 1
	}
	var values []string
	if len(p.Columns()) == 0 {
		rec := x.record(t, mem, []int{-1})
		defer rec.Release()
		values = evalText(t, mem, p, rec)
	} else {
		rec := x.record(t, mem, fixtureRows(n).all())
		defer rec.Release()
		values = evalText(t, mem, p, rec)
		x.sameInSlices(t, mem, p, values)
	}
	x.sameAfterPrinting(t, mem, src, n, values)
	return head + "\n" + strings.Join(values, "\n")
}

// sameInSlices evaluates over slices at odd offsets of a record with other rows around, and row by row.
func (x *fixture) sameInSlices(t *testing.T, mem memory.Allocator, p *Program, want []string) {
	n := len(x.rows)
	for _, before := range []int{3, 8} {
		rows := make([]int, 0, n+before+2)
		for i := range before {
			rows = append(rows, (i*7+1)%(n+1)-1)
		}
		rows = append(append(rows, fixtureRows(n).all()...), -1, 0)
		rec := x.record(t, mem, rows)
		part := rec.NewSlice(int64(before), int64(before+n))
		if got := evalText(t, mem, p, part); strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Errorf("%s: at offset %d gives\n%s\nnot\n%s", p.Source(), before, indent(strings.Join(got, "\n")), indent(strings.Join(want, "\n")))
		}
		for i := range n {
			row := rec.NewSlice(int64(before+i), int64(before+i+1))
			if got := evalText(t, mem, p, row); got[0] != want[i] {
				t.Errorf("%s: row %d alone gives %s, in the batch %s", p.Source(), i, got[0], want[i])
			}
			row.Release()
		}
		part.Release()
		rec.Release()
	}
}

func (x *fixture) sameAfterPrinting(t *testing.T, mem memory.Allocator, src string, n int, want []string) {
	tree, err := parse(src)
	if err != nil {
		t.Fatal(err)
	}
	printed := printSyntax(tree)
	p, cerr := Compile(printed, x.schema, testEnv)
	if cerr != nil {
		t.Errorf("%s printed as %s: %v", src, printed, cerr)
		return
	}
	rows := fixtureRows(n).all()
	if len(p.Columns()) == 0 {
		rows = []int{-1}
	}
	rec := x.record(t, mem, rows)
	defer rec.Release()
	got := evalText(t, mem, p, rec)
	for i := range got {
		g, _, _ := strings.Cut(got[i], " in ")
		w, _, _ := strings.Cut(want[i], " in ") // the reason quotes the source
		if g != w {
			t.Errorf("%s printed as %s gives %s, not %s", src, printed, got[i], want[i])
		}
	}
}

// evalText evaluates p and prints each row: its value, NULL, or its error.
func evalText(t testing.TB, mem memory.Allocator, p *Program, rec arrow.Record) []string {
	t.Helper()
	arr, errs, err := p.Eval(rec, mem)
	if err != nil {
		t.Fatalf("%s: %v", p.Source(), err)
	}
	defer arr.Release()
	if int64(arr.Len()) != rec.NumRows() {
		t.Fatalf("%s: %d values for %d rows", p.Source(), arr.Len(), rec.NumRows())
	}
	return columnText(t, p, arr, errs)
}

// columnText prints what p gave for each row.
func columnText(t testing.TB, p *Program, arr arrow.Array, errs []RowError) []string {
	t.Helper()
	if len(errs) > 0 && !p.Fallible() { // CASE, AND and FILTER go by it
		t.Errorf("%s: has errors, and says that it cannot: %v", p.Source(), errs[0])
	}
	if f := p.Field(); !arrow.TypeEqual(arr.DataType(), f.Type) {
		t.Fatalf("%s: array of %s, field of %s", p.Source(), arr.DataType(), f.Type)
	}
	out := make([]string, arr.Len())
	nulls := 0
	for i := range out {
		if arr.IsNull(i) {
			out[i] = "NULL"
			nulls++
			continue
		}
		out[i] = valueText(arr, i)
	}
	if nulls != arr.NullN() {
		t.Errorf("%s: %d nulls, NullN says %d", p.Source(), nulls, arr.NullN())
	}
	last := -1
	for _, e := range errs {
		if e.Row <= last || !arr.IsNull(e.Row) {
			t.Errorf("%s: error of row %d out of order or with a value", p.Source(), e.Row)
		}
		last = e.Row
		nulls--
		out[e.Row] = "error: " + e.Reason + " (" + e.Value + ")"
	}
	if !p.Field().Nullable && nulls > 0 {
		t.Errorf("%s: NULL though its field says not null", p.Source())
	}
	return out
}

// valueText prints one value by Arrow's own printing, apart from the types where that is not exact.
func valueText(arr arrow.Array, i int) string {
	switch a := arr.(type) {
	case *array.String:
		if s := a.Value(i); s == "" || strings.TrimSpace(s) != s {
			return "'" + s + "'"
		}
	case *array.Timestamp:
		return strings.TrimSuffix(a.Value(i).ToTime(a.DataType().(*arrow.TimestampType).Unit).Format("2006-01-02 15:04:05.999999"), ".")
	case *array.Decimal128:
		return string(textval.AppendDecimal(nil, a.Value(i), a.DataType().(*arrow.Decimal128Type).Scale))
	case *array.Binary:
		return fmt.Sprintf("0x%x", a.Value(i))
	}
	return arr.ValueStr(i)
}

// caret shows an error under its place.
func caret(t testing.TB, src string, err error) string {
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("%s: error is %T, not *Error", src, err)
	}
	if e.Pos < 0 || e.Len < 0 || e.Pos+e.Len > len(src) {
		t.Fatalf("%s: error at %d+%d is outside", src, e.Pos, e.Len)
	}
	flat := strings.ReplaceAll(src, "\n", " ")
	marks := strings.Repeat("^", max(1, utf8.RuneCountInString(src[e.Pos:e.Pos+e.Len])))
	return flat + "\n" + strings.Repeat(" ", utf8.RuneCountInString(src[:e.Pos])) + marks + " " + e.Msg
}
