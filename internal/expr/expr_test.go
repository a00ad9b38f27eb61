package expr

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/float16"
	"github.com/apache/arrow/go/v17/arrow/memory"
)

// TestFunctionExamples runs the example of every function and checks that each is documented.
func TestFunctionExamples(t *testing.T) {
	mem := memory.NewCheckedAllocator(memory.NewGoAllocator())
	defer mem.AssertSize(t, 0)
	list := Functions()
	if n := len(list) + len(Operators()); n < 200 {
		t.Errorf("%d functions and operators are listed", n)
	}
	for _, o := range Operators() {
		list = append(list, Function{Name: o.Form, Signature: o.Form, Doc: o.Doc, Example: o.Example, Result: o.Result})
	}
	for _, f := range list {
		if !strings.HasPrefix(f.Signature, f.Name) || !strings.HasSuffix(f.Doc, ".") {
			t.Errorf("%s: signature %q, doc %q", f.Name, f.Signature, f.Doc)
		}
		p, err := Compile(f.Example, arrow.NewSchema(nil, nil), testEnv)
		if err != nil {
			t.Errorf("%s: example %s: %v", f.Name, f.Example, err)
			continue
		}
		rec := array.NewRecord(arrow.NewSchema(nil, nil), nil, 1)
		if got := evalText(t, mem, p, rec)[0]; got != f.Result {
			t.Errorf("%s: %s gives %s, the doc says %s", f.Name, f.Example, got, f.Result)
		}
		rec.Release()
	}
}

func TestRegisterTwicePanics(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("a second function of the same name was accepted")
		}
	}()
	register(definition{Function: Function{Name: "upper"}})
}

func TestColumnsInOrderOfUse(t *testing.T) {
	s := arrow.NewSchema([]arrow.Field{{Name: "a", Type: arrow.PrimitiveTypes.Int32}, {Name: "B", Type: arrow.PrimitiveTypes.Int32}, {Name: "c", Type: arrow.PrimitiveTypes.Int32}}, nil)
	p, err := Compile("c + b + c * 2 - C", s, testEnv)
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(p.Columns(), ","); got != "c,B" {
		t.Errorf("columns %s", got)
	}
	if p.Source() != "c + b + c * 2 - C" {
		t.Errorf("source %s", p.Source())
	}
}

func TestHostileExpressions(t *testing.T) {
	s := arrow.NewSchema(nil, nil)
	for name, src := range map[string]string{
		"deep parentheses": strings.Repeat("(", 100000), "deep NOT": strings.Repeat("NOT ", 50000) + "TRUE", "deep minus": strings.Repeat("- ", 50000) + "1",
		"long": "1" + strings.Repeat(" + 1", 300000), "many parts": "1" + strings.Repeat("+1", 40000), "deep case": strings.Repeat("CASE WHEN TRUE THEN ", 20000),
		"invalid UTF-8": "a\xff", "string of invalid UTF-8": "'\xff'", "zero byte": "'a\x00'", "quoted invalid": "\"\xff\"", "deep calls": strings.Repeat("abs(", 60000),
	} {
		if _, err := Compile(src, s, testEnv); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
	src := "1" + strings.Repeat(" + 1", 5000)
	if _, err := Compile(src, s, testEnv); err != nil {
		t.Errorf("a sum of 5001: %v", err)
	}
}

// TestColumnTypes reads Arrow layouts that other systems write: other units, large offsets, dictionaries, half floats.
func TestColumnTypes(t *testing.T) {
	mem := memory.NewCheckedAllocator(memory.NewGoAllocator())
	defer mem.AssertSize(t, 0)
	dict := &arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int8, ValueType: arrow.BinaryTypes.String}
	for _, c := range []struct {
		name, expr string
		dt         arrow.DataType
		fill       func(b array.Builder)
		want       string
	}{
		{"timestamp[s]", "c + INTERVAL '1 second'", &arrow.TimestampType{Unit: arrow.Second}, func(b array.Builder) {
			b.(*array.TimestampBuilder).AppendValues([]arrow.Timestamp{0, 1 << 62, 7}, []bool{true, true, false})
		}, "1970-01-01 00:00:01 | error: time of column c does not fit microseconds (4611686018427387904) | NULL"},
		{"timestamp[ms]", "c", &arrow.TimestampType{Unit: arrow.Millisecond}, func(b array.Builder) {
			b.(*array.TimestampBuilder).AppendValues([]arrow.Timestamp{1500}, nil)
		}, "1970-01-01 00:00:01.5"},
		{"timestamp[ns]", "c::string", &arrow.TimestampType{Unit: arrow.Nanosecond, TimeZone: "Europe/Rome"}, func(b array.Builder) {
			b.(*array.TimestampBuilder).AppendValues([]arrow.Timestamp{1000, 1001, -1000}, nil)
		}, "1970-01-01 00:00:00.000001+00 | error: time of column c does not fit microseconds (1001) | 1969-12-31 23:59:59.999999+00"},
		{"date64", "c + 1", arrow.FixedWidthTypes.Date64, func(b array.Builder) {
			b.(*array.Date64Builder).AppendValues([]arrow.Date64{86400000, 5}, nil)
		}, "1970-01-03 | error: date of column c is not a whole day (5)"},
		{"time32[s]", "extract(hour FROM c)", arrow.FixedWidthTypes.Time32s, func(b array.Builder) {
			b.(*array.Time32Builder).AppendValues([]arrow.Time32{3600, 0}, nil)
		}, "1 | 0"},
		{"time64[ns]", "c < '01:00'", arrow.FixedWidthTypes.Time64ns, func(b array.Builder) {
			b.(*array.Time64Builder).AppendValues([]arrow.Time64{3599e9, 3600e9}, nil)
		}, "true | false"},
		{"float16", "c * 2", arrow.FixedWidthTypes.Float16, func(b array.Builder) {
			b.(*array.Float16Builder).AppendValues([]float16.Num{float16.New(1.5)}, nil)
		}, "3"},
		{"large_string", "upper(c) || '!'", arrow.BinaryTypes.LargeString, func(b array.Builder) {
			b.(*array.LargeStringBuilder).AppendValues([]string{"ab", "", "é"}, []bool{true, false, true})
		}, "AB! | NULL | É!"},
		{"large_binary", "length(c)", arrow.BinaryTypes.LargeBinary, func(b array.Builder) {
			b.(*array.BinaryBuilder).AppendValues([][]byte{{1, 2}, {}}, nil)
		}, "2 | 0"},
		{"fixed_size_binary", "c = '\\x6162'", &arrow.FixedSizeBinaryType{ByteWidth: 2}, func(b array.Builder) {
			b.(*array.FixedSizeBinaryBuilder).AppendValues([][]byte{[]byte("ab"), []byte("cd")}, nil)
		}, "true | false"},
		{"dictionary", "c || '!'", dict, func(b array.Builder) {
			d := b.(*array.BinaryDictionaryBuilder)
			for _, s := range []string{"x", "yy", "x"} {
				if err := d.AppendString(s); err != nil {
					t.Fatal(err)
				}
			}
			d.AppendNull()
		}, "x! | yy! | x! | NULL"},
	} {
		s := arrow.NewSchema([]arrow.Field{{Name: "c", Type: c.dt, Nullable: true}}, nil)
		p, err := Compile(c.expr, s, testEnv)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		b := array.NewBuilder(mem, c.dt)
		c.fill(b)
		arr := b.NewArray()
		b.Release()
		rec := array.NewRecord(s, []arrow.Array{arr}, int64(arr.Len()))
		arr.Release()
		if got := strings.Join(evalText(t, mem, p, rec), " | "); got != c.want {
			t.Errorf("%s: %s gives\n%s\nnot\n%s", c.name, c.expr, got, c.want)
		}
		for i := range rec.NumRows() { // rows alone, at their offset
			row := rec.NewSlice(i, i+1)
			if got := evalText(t, mem, p, row)[0]; got != strings.Split(c.want, " | ")[i] {
				t.Errorf("%s: row %d alone gives %s", c.name, i, got)
			}
			row.Release()
		}
		rec.Release()
	}
}

// TestBareColumnIsNotCopied: a column alone is the input's array, retained.
func TestBareColumnIsNotCopied(t *testing.T) {
	mem := memory.NewCheckedAllocator(memory.NewGoAllocator())
	defer mem.AssertSize(t, 0)
	table := parseFixture(t, "table: a int32\n1\nNULL")
	rec := table.record(t, mem, []int{0, 1})
	p, err := Compile("a", table.schema, testEnv)
	if err != nil {
		t.Fatal(err)
	}
	arr, _, _ := p.Eval(rec, mem)
	if arr != rec.Column(0) {
		t.Error("the column was copied")
	}
	rec.Release()
	if arr.(*array.Int32).Value(0) != 1 {
		t.Error("the result does not outlive the record")
	}
	arr.Release()
}

func TestEmptyRecord(t *testing.T) {
	mem := memory.NewCheckedAllocator(memory.NewGoAllocator())
	defer mem.AssertSize(t, 0)
	table := parseFixture(t, "table: a int32, s string, b bool, d decimal(10,2), ts timestamp")
	rec := table.record(t, mem, nil)
	defer rec.Release()
	for _, src := range []string{"a", "a + 1", "s || 'x'", "b AND a > 1", "d * 2", "date_trunc('day', ts)", "CASE WHEN b THEN s END", "1 / 0", "s::int32", "upper(s)", "NULL", "'x'", "TRUE", "a IN (1, 2)"} {
		p, err := Compile(src, table.schema, testEnv)
		if err != nil {
			t.Errorf("%s: %v", src, err)
			continue
		}
		if got := evalText(t, mem, p, rec); len(got) != 0 {
			t.Errorf("%s: %v", src, got)
		}
	}
}

// TestOtherRecord: a record that is not of the schema the program was bound to is an error, not a wrong answer.
func TestOtherRecord(t *testing.T) {
	mem := memory.NewCheckedAllocator(memory.NewGoAllocator())
	defer mem.AssertSize(t, 0)
	a, b := parseFixture(t, "table: a int32\n1"), parseFixture(t, "table: a int64\n1")
	p, err := Compile("a + 1", a.schema, testEnv)
	if err != nil {
		t.Fatal(err)
	}
	rec := b.record(t, mem, []int{0})
	defer rec.Release()
	if _, _, err := p.Eval(rec, mem); err == nil {
		t.Error("a record of another type was accepted")
	}
}

// TestConcurrentEval runs one program from many goroutines; -race watches.
func TestConcurrentEval(t *testing.T) {
	mem := memory.NewCheckedAllocator(memory.NewGoAllocator())
	defer mem.AssertSize(t, 0)
	table := parseFixture(t, "table: a int32, b int32, s string\n6 | 3 | x\n6 | 0 | y\nNULL | 1 | z")
	p, err := Compile("CASE WHEN upper(s) IN ('X', 'Z') THEN (a / b)::string ELSE s || coalesce(a, 0) END", table.schema, testEnv)
	if err != nil {
		t.Fatal(err)
	}
	rec := table.record(t, mem, []int{0, 1, 2})
	defer rec.Release()
	want := strings.Join(evalText(t, mem, p, rec), "|")
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 50 {
				if got := strings.Join(evalText(t, mem, p, rec), "|"); got != want {
					t.Errorf("got %s, want %s", got, want)
				}
			}
		})
	}
	wg.Wait()
}

func TestNowIsTheEvents(t *testing.T) {
	p, err := Compile("now()", arrow.NewSchema(nil, nil), Env{Now: time.Unix(0, 0)})
	if err != nil {
		t.Fatal(err)
	}
	if f := p.Field(); f.Nullable || f.Type.String() != "timestamp[us, tz=UTC]" {
		t.Errorf("now() is %v", f)
	}
}

// TestFieldOfNullStruct: a field is null where its struct is, whatever the child array holds there.
func TestFieldOfNullStruct(t *testing.T) {
	mem := memory.NewCheckedAllocator(memory.NewGoAllocator())
	defer mem.AssertSize(t, 0)
	inner := arrow.StructOf(arrow.Field{Name: "y", Type: arrow.PrimitiveTypes.Int32, Nullable: true})
	outer := arrow.StructOf(arrow.Field{Name: "x", Type: inner, Nullable: true})
	b := array.NewStructBuilder(mem, outer)
	in := b.FieldBuilder(0).(*array.StructBuilder)
	b.AppendValues([]bool{true, false, true, true}) // unlike Append, these leave the children alone
	in.AppendValues([]bool{true, true, false, true})
	in.FieldBuilder(0).(*array.Int32Builder).AppendValues([]int32{1, 2, 3, 4}, nil)
	arr := b.NewArray()
	b.Release()
	s := arrow.NewSchema([]arrow.Field{{Name: "o", Type: outer, Nullable: true}}, nil)
	rec := array.NewRecord(s, []arrow.Array{arr}, 4)
	arr.Release()
	defer rec.Release()
	for src, want := range map[string]string{
		"o.x.y": "1|NULL|NULL|4", "o.x.y + 1": "2|NULL|NULL|5", "o.x IS NULL": "false|true|true|false", "o.x": `{"y":1}|NULL|NULL|{"y":4}`,
	} {
		p, err := Compile(src, s, testEnv)
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(evalText(t, mem, p, rec), "|"); got != want {
			t.Errorf("%s gives %s, not %s", src, got, want)
		}
		part := rec.NewSlice(1, 4)
		if got := strings.Join(evalText(t, mem, p, part), "|"); got != strings.SplitN(want, "|", 2)[1] {
			t.Errorf("%s of the last three rows gives %s", src, got)
		}
		part.Release()
	}
}

// TestSpareBitsAreZero: equal results are equal bytes, so that what is made of them is the same from run to run.
func TestSpareBitsAreZero(t *testing.T) {
	mem := memory.NewCheckedAllocator(memory.NewGoAllocator())
	defer mem.AssertSize(t, 0)
	table := parseFixture(t, "table: a int32\n1\nNULL\n3")
	rec := table.record(t, mem, []int{0, 1, 2})
	defer rec.Release()
	p, err := Compile("NOT a < 0", table.schema, testEnv)
	if err != nil {
		t.Fatal(err)
	}
	out, _, _ := p.Eval(rec, mem)
	defer out.Release()
	for i, b := range out.Data().Buffers() {
		if b.Bytes()[0]&^7 != 0 {
			t.Errorf("buffer %d has bits behind the last row: %08b", i, b.Bytes()[0])
		}
	}
}
