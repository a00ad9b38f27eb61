package expr

import (
	"strconv"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v17/arrow/memory"
	"pgregory.net/rapid"
)

// everything has a column of each type that expressions work on.
const everything = `table: i8 int8, i16 int16, i int32, j int64, u8 uint8, u16 uint16, u32 uint32, u64 uint64, r float32, f float64, g float64, d decimal(18,2), e decimal(38,10), s string, t string, b bool, c bool, dt date, tm time, ts timestamp, tz timestamptz, x binary
1 | 2 | 3 | 4 | 1 | 2 | 3 | 4 | 0.5 | 1.5 | 2 | 1.25 | 2.5 | abc | b | true | false | 2026-11-22 | 13:04:05 | 2026-11-22T13:04:05.123456 | 2026-11-22T13:04:05Z | YWJj
127 | 32767 | 2147483647 | 9223372036854775807 | 255 | 65535 | 4294967295 | 18446744073709551615 | NaN | NaN | +Inf | 9999999999999999.99 | 9999999999999999999999999999.9999999999 | Grüße 世界 | ü | false | true | 9999-12-31 | 23:59:59.999999 | 9999-12-31T23:59:59.999999 | 9999-12-31T23:59:59Z | /w==
-128 | -32768 | -2147483648 | -9223372036854775808 | 0 | 0 | 0 | 0 | -0.5 | -1e308 | 0 | -9999999999999999.99 | -9999999999999999999999999999.9999999999 | '' | '' | NULL | true | 0001-01-01 | 00:00:00 | 0001-01-01T00:00:00 | 0001-01-01T00:00:00Z | ''
NULL | NULL | NULL | NULL | NULL | NULL | NULL | NULL | NULL | NULL | NULL | NULL | NULL | NULL | NULL | NULL | NULL | NULL | NULL | NULL | NULL | NULL
0 | 0 | 0 | 0 | 7 | 7 | 7 | 7 | 0 | 0 | 0 | 0.00 | 0 | 12 | 1 | true | NULL | 1970-01-01 | 00:00:01 | 1969-12-31T23:59:59.999999 | 1970-01-01T00:00:00Z | AA==
-7 | -7 | -7 | -7 | 2 | 2 | 2 | 2 | 1e30 | 1e-320 | -0.5 | -0.01 | -0.0000000001 | 2026-11-22 | %b_ | NULL | NULL | 2024-02-29 | 12:00:00 | 2024-02-29T12:00:00 | 2024-02-29T12:00:00Z | NULL`

// anExpression draws expressions that are mostly well typed, so that most of them run.
func anExpression(t *rapid.T, want string, depth int) string {
	pick := func(list ...string) string { return rapid.SampledFrom(list).Draw(t, "pick") }
	sub := func(kind string) string { return anExpression(t, kind, depth-1) }
	leaf := depth <= 0 || rapid.IntRange(0, 5).Draw(t, "leaf") == 0
	switch want {
	case "bool":
		if leaf {
			return pick("b", "c", "TRUE", "FALSE", "NULL", "b", "c")
		}
		kind := pick("number", "number", "string", "time")
		switch rapid.IntRange(0, 9).Draw(t, "form") {
		case 0, 1:
			return "(" + sub("bool") + pick(" AND ", " OR ") + sub("bool") + ")"
		case 2:
			return "(NOT " + sub("bool") + ")"
		case 3, 4:
			return "(" + sub(kind) + pick(" = ", " <> ", " < ", " <= ", " > ", " >= ", " IS DISTINCT FROM ", " IS NOT DISTINCT FROM ") + sub(kind) + ")"
		case 5:
			return "(" + sub(kind) + pick(" IS NULL)", " IS NOT NULL)")
		case 6:
			return "(" + sub("bool") + pick(" IS TRUE)", " IS NOT TRUE)", " IS FALSE)", " IS NOT FALSE)")
		case 7:
			return "(" + sub(kind) + pick(" IN (", " NOT IN (") + sub(kind) + ", " + sub(kind) + "))"
		case 8:
			return "(" + sub(kind) + pick(" BETWEEN ", " NOT BETWEEN ") + sub(kind) + " AND " + sub(kind) + ")"
		}
		return "(" + sub("string") + pick(" LIKE ", " ILIKE ", " NOT LIKE ") + pick("'%b%'", "'a_c'", "t", "''", "'%'") + ")"
	case "number":
		if leaf {
			return pick("i8", "i16", "i", "j", "u8", "u16", "u32", "u64", "r", "f", "g", "d", "e", "0", "1", "-1", "2.50", "1e3", "9223372036854775807", "NULL")
		}
		switch rapid.IntRange(0, 9).Draw(t, "form") {
		case 0, 1, 2:
			return "(" + sub("number") + pick(" + ", " - ", " * ", " / ", " % ") + sub("number") + ")"
		case 3:
			return pick("abs(", "round(", "floor(", "ceil(", "trunc(", "sign(", "sqrt(", "-(", "length(''||") + sub("number") + ")"
		case 4:
			return "CAST(" + sub("number") + " AS " + pick("int8", "int16", "int32", "int64", "uint8", "uint64", "float32", "float64", "decimal(10,2)", "decimal(38,5)") + ")"
		case 5:
			return "length(" + sub("string") + ")"
		case 6:
			if pick("part", "difference") == "difference" {
				return pick("date_diff('day', ", "datediff(month, ", "months_between(") + sub("time") + ", " + sub("time") + ")"
			}
			return "extract(" + pick("year", "week", "doy", "epoch", "isoyear", "century") + " FROM " + sub("time") + ")"
		case 7:
			return sub("string") + "::" + pick("int32", "float64", "decimal(18,2)")
		}
		return anyKind(t, "number", sub, pick)
	case "string":
		if leaf {
			return pick("s", "t", "'x'", "''", "'Ü'", "NULL::string")
		}
		switch rapid.IntRange(0, 6).Draw(t, "form") {
		case 0:
			return "(" + sub("string") + " || " + sub(pick("string", "number", "time", "bool")) + ")"
		case 1:
			return pick("upper(", "lower(", "trim(", "reverse(", "initcap(", "md5(") + sub("string") + ")"
		case 2:
			return pick("substring(", "left(", "right(", "lpad(") + sub("string") + ", " + pick("1", "-2", "3", "i8::int8") + ")"
		case 3:
			return "replace(" + sub("string") + ", " + sub("string") + ", 'zz')"
		case 4:
			return "split_part(" + sub("string") + ", 'b', " + pick("1", "2", "-1", "i8::int8") + ")"
		case 5:
			if pick("cast", "template") == "template" {
				return "to_char(" + sub(pick("number", "time")) + ", " + pick("'FM999.99'", "'YYYY-MM-DD HH24:MI:SS.US'", "s", "'S0009'") + ")"
			}
			return sub(pick("number", "time", "bool")) + "::string"
		}
		return anyKind(t, "string", sub, pick)
	}
	if leaf {
		return pick("dt", "ts", "tz", "DATE '2024-02-29'", "TIMESTAMP '2000-01-01 00:00:00'")
	}
	switch rapid.IntRange(0, 3).Draw(t, "form") {
	case 0:
		return "date_trunc('" + pick("day", "week", "month", "quarter", "year", "century", "second") + "', " + sub("time") + ")"
	case 1:
		return "(" + sub("time") + pick(" + ", " - ") + pick("INTERVAL '1 month'", "INTERVAL '36 hours'", "INTERVAL '-1 day'", "(dt - ts)", "tm", "i8 * INTERVAL '1 day'", "TRY_CAST(s AS interval)") + ")"
	case 2:
		if pick("cast", "function") == "function" {
			return pick("dateadd(month, i8, ", "last_day(", "timezone('Europe/Berlin', ", "add_months(ts, u8) + (ts - ", "convert_timezone('UTC', 'Asia/Tokyo', ") + sub("time") + ")"
		}
		return sub("time") + "::" + pick("date", "timestamp", "timestamptz")
	}
	return anyKind(t, "time", sub, pick)
}

func anyKind(t *rapid.T, kind string, sub func(string) string, pick func(...string) string) string {
	switch rapid.IntRange(0, 4).Draw(t, "any") {
	case 0:
		return "coalesce(" + sub(kind) + ", " + sub(kind) + ")"
	case 1:
		return "nullif(" + sub(kind) + ", " + sub(kind) + ")"
	case 2:
		return pick("greatest(", "least(") + sub(kind) + ", " + sub(kind) + ")"
	case 3:
		return "CASE " + sub(kind) + " WHEN " + sub(kind) + " THEN " + sub(kind) + " ELSE " + sub(kind) + " END"
	}
	return "CASE WHEN " + sub("bool") + " THEN " + sub(kind) + " WHEN " + sub("bool") + " THEN " + sub(kind) + " END"
}

// TestRandomExpressions: whatever the expression, a batch gives what its rows give one by one, in slices of a longer record
// too, and printing and parsing it again changes nothing.
func TestRandomExpressions(t *testing.T) {
	table := parseFixture(t, everything)
	for i := range 13 { // more rows than a byte of a bitmap has bits
		table.rows = append(table.rows, table.rows[(i*5+2)%6])
	}
	ran, all := 0, 0
	rapid.Check(t, func(rt *rapid.T) {
		mem := memory.NewCheckedAllocator(memory.NewGoAllocator())
		src := anExpression(rt, rapid.SampledFrom([]string{"bool", "number", "string", "time"}).Draw(rt, "kind"), 3)
		tree, perr := parse(src)
		if perr != nil {
			rt.Fatalf("%s: %v", src, perr)
		}
		printed := printSyntax(tree)
		again, perr := parse(printed)
		if perr != nil || printSyntax(again) != printed {
			rt.Fatalf("%s prints as %s, which parses to %v, %v", src, printed, again, perr)
		}
		p, err := Compile(src, table.schema, testEnv)
		all++
		if err != nil {
			return // not well typed after all
		}
		ran++
		rec := table.record(t, mem, fixtureRows(len(table.rows)).all())
		want := evalText(t, mem, p, rec)
		rec.Release()
		table.sameInSlices(t, mem, p, want)
		table.sameAfterPrinting(t, mem, src, len(table.rows), want)
		if t.Failed() {
			rt.Fatalf("%s", src)
		}
		mem.AssertSize(t, 0)
	})
	if ran*3 < all {
		t.Errorf("only %d of %d expressions were well typed", ran, all)
	}
}

// TestParseNeverPanics feeds the compiler pieces of expressions in any order.
func TestParseNeverPanics(t *testing.T) {
	table := parseFixture(t, everything)
	words := strings.Fields(`i j f d s t b dt ts ( ) ( ) , , + - * / % ^ = <> < <= > >= || :: . [ ] AND OR NOT IS NULL TRUE FALSE DISTINCT FROM IN BETWEEN LIKE ILIKE ESCAPE
		CASE WHEN THEN ELSE END CAST AS int32 decimal(10,2) list< struct< > 1 2.5 1e400 'x' '' "s" upper( substring( trim( BOTH FOR position( extract( year date_trunc( 'day' INTERVAL DATE TIMESTAMP with time zone now( current_date coalesce( concat( sum( count(*) ORDER BY DESC NULLS FIRST WITHIN GROUP FILTER ( WHERE E'\x' -- /* */ @`)
	rapid.Check(t, func(rt *rapid.T) {
		src := strings.Join(rapid.SliceOfN(rapid.SampledFrom(words), 0, 25).Draw(rt, "words"), " ")
		_, err := Compile(src, table.schema, testEnv)
		if err != nil {
			caret(t, src, err)
		}
		if _, err := ParseMeasure(src, testAggregate); err != nil {
			caret(t, src, err)
		}
	})
}

// FuzzCompile: any text compiles or gives an error inside it; what compiles prints and parses again, and runs.
func FuzzCompile(f *testing.F) {
	for _, s := range []string{"a", "i + 1 = 2 AND b", "CASE WHEN b THEN s ELSE t END", "E'\\x41'", "substring(s FROM 1 FOR 2)", "d * 1.5e3", "\"s\" LIKE '%x_'", "i::decimal(10,2)", "count(DISTINCT i)",
		"extract(year FROM ts) BETWEEN 1 AND 2", "NOT b IS TRUE", "- - 1 ^ 2", "x IN (1, NULL, 'x')", "/* c */ 1 -- d", "sum(a + b) / count(*) FILTER (WHERE b)", "percentile_cont(0.5) WITHIN GROUP (ORDER BY f DESC NULLS LAST)", "string_agg(DISTINCT s, ',' ORDER BY s) || 'x'"} {
		f.Add(s)
	}
	table := parseFixture(f, everything)
	f.Fuzz(func(t *testing.T, src string) {
		if _, err := ParseMeasure(src, testAggregate); err != nil {
			caret(t, src, err)
		}
		p, err := Compile(src, table.schema, testEnv)
		if err != nil {
			caret(t, src, err)
			return
		}
		tree, _ := parse(src)
		printed := printSyntax(tree)
		again, perr := parse(printed)
		if perr != nil || printSyntax(again) != printed {
			t.Fatalf("%s prints as %s: %v", strconv.Quote(src), strconv.Quote(printed), perr)
		}
		mem := memory.NewCheckedAllocator(memory.NewGoAllocator())
		defer mem.AssertSize(t, 0)
		rec := table.record(t, mem, fixtureRows(len(table.rows)).all())
		defer rec.Release()
		evalText(t, mem, p, rec)
	})
}

// TestDecimalAgainstBig compares decimal arithmetic with math/big.
func TestDecimalAgainstBig(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		checkDecimal(rt, rapid.Uint64(), rapid.SampledFrom([]string{"+", "-", "*", "/", "%"}))
	})
}
