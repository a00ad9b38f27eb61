package pg

import (
	"bytes"
	"context"
	"math"
	"math/big"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/decimal128"
	"github.com/apache/arrow/go/v17/arrow/memory"
	"github.com/jackc/pgx/v5/pgconn"
	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/sluice-data/sluice/internal/pgtest"
	"github.com/sluice-data/sluice/internal/schema"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(pgtest.Tests{M: m}) }

// TestCopy: values of every type arrive in PostgreSQL as they are.
func TestCopy(t *testing.T) {
	db := pgtest.Start(t).Database(t)
	mem := memory.NewCheckedAllocator(memory.NewGoAllocator())
	defer mem.AssertSize(t, 0)
	for _, c := range []struct{ typ, json, want string }{
		{"bool", `[true,false,null]`, `true false \N`},
		{"int8", `[-128,127,null]`, `-128 127 \N`},
		{"int16", `[-32768,null,32767]`, `-32768 \N 32767`},
		{"int32", `[-2147483648,2147483647]`, `-2147483648 2147483647`},
		{"int64", `[-9223372036854775808,9223372036854775807]`, `-9223372036854775808 9223372036854775807`},
		{"uint8", `[255]`, `255`}, {"uint16", `[65535]`, `65535`}, {"uint32", `[4294967295]`, `4294967295`},
		{"uint64", `[0,1,9999,10000,18446744073709551615,null]`, `0 1 9999 10000 18446744073709551615 \N`},
		{"float64", `[1.5,-0.1,null]`, `1.5 -0.1 \N`}, {"float32", `[1.5,16777216]`, `1.5 1.6777216e+07`},
		{"decimal(18,2)", `["0.00","-0.01","1234567890123456.78","10000.00",null,"0.10"]`, `0.00 -0.01 1234567890123456.78 10000.00 \N 0.10`},
		{"decimal(38,0)", `["99999999999999999999999999999999999999","-10000000000000000000000000000000000000"]`, `99999999999999999999999999999999999999 -10000000000000000000000000000000000000`},
		{"decimal(38,37)", `["-9.9999999999999999999999999999999999999","0.0000000000000000000000000000000000001"]`, `-9.9999999999999999999999999999999999999 0.0000000000000000000000000000000000001`},
		{"string", `["","ä🙂",null]`, ` ä🙂 \N`}, {"binary", `["AP8=",""]`, `\x00ff \x`},
		{"date", `["0001-01-01","2024-02-29","1999-12-31"]`, `0001-01-01 2024-02-29 1999-12-31`},
		{"date", `[-2440588,-735160,-719163]`, `4714-11-24 BC 0044-03-15 BC 0001-12-31 BC`},
		{"time", `["23:59:59.999999","00:00:00"]`, `23:59:59.999999 00:00:00`},
		{"json", `["{\"a\":1}","[1, 2]",null]`, `{"a":1} [1, 2] \N`},
		{"list<int32>", `[[1,null,-1],[],null]`, `{1,NULL,-1} {} \N`}, {"list<string>", `[["a","","x y"]]`, `{a,"","x y"}`}, {"list<decimal(9,2)>", `[["1.50"]]`, `{1.50}`},
		{"struct<a: int32, b: string>", `[{"a":1,"b":"x"},null]`, `{"a": 1, "b": "x"} \N`}, {"list<struct<a: int8>>", `[[{"a":1},null]]`, `[{"a": 1}, null]`},
		{"list<list<int64>>", `[[[1,2],[],null],null]`, `[[1, 2], [], null] \N`}, {"list<list<json>>", `[[["{\"b\":1E2}"]]]`, `[[{"b":1E2}]]`},
	} {
		f, err := schema.ParseField("x", c.typ)
		if err != nil {
			t.Fatal(err)
		}
		a, _, err := array.FromJSON(mem, f.Type, strings.NewReader(c.json), array.WithUseNumber())
		if err != nil {
			t.Fatalf("%s: %v", c.typ, err)
		}
		if got := arrives(t, db, mem, f, a); got != c.want {
			t.Errorf("%s: %q, want %q", c.typ, got, c.want)
		}
		a.Release()
	}
	for zone, want := range map[string]string{"": "0001-01-01 00:00:00 2024-02-29 23:59:59.999999 1999-12-31 23:59:59.5 4714-11-24 00:00:00 BC 0044-03-15 11:00:00.25 BC", "UTC": "0001-01-01 00:00:00+00 2024-02-29 23:59:59.999999+00 1999-12-31 23:59:59.5+00 4714-11-24 00:00:00+00 BC 0044-03-15 11:00:00.25+00 BC"} {
		f := arrow.Field{Name: "x", Type: &arrow.TimestampType{Unit: arrow.Microsecond, TimeZone: zone}, Nullable: true}
		b := array.NewTimestampBuilder(mem, f.Type.(*arrow.TimestampType))
		b.AppendValues([]arrow.Timestamp{-62135596800000000, 1709251199999999, 946684799500000, -210866803200000000, -63517784399750000}, nil)
		a := b.NewArray()
		if got := arrives(t, db, mem, f, a); got != want {
			t.Errorf("timestamp %q: %q, want %q", zone, got, want)
		}
		a.Release()
		b.Release()
	}
	b := array.NewFloat64Builder(mem)
	b.AppendValues([]float64{math.Inf(1), math.Inf(-1), math.NaN(), math.Copysign(0, -1), math.MaxFloat64}, nil)
	a := b.NewArray()
	if got := arrives(t, db, mem, arrow.Field{Name: "x", Type: arrow.PrimitiveTypes.Float64}, a); got != "Infinity -Infinity NaN -0 1.7976931348623157e+308" {
		t.Errorf("floats: %s", got)
	}
	a.Release()
	b.Release()
}

// arrives copies a to a table of its own and gives its values as text.
func arrives(t *testing.T, db string, mem memory.Allocator, f arrow.Field, a arrow.Array) string {
	t.Helper()
	s := arrow.NewSchema([]arrow.Field{f}, nil)
	typ, err := TypeOf(f)
	if err != nil {
		t.Fatal(err)
	}
	rec := array.NewRecord(s, []arrow.Array{a}, int64(a.Len()))
	defer rec.Release()
	enc, err := NewEncoder(mem, s, []Type{typ})
	if err != nil {
		t.Fatal(err)
	}
	b, err := enc.Append(Begin(nil), rec, func(b []byte) ([]byte, error) { return b, nil })
	if err != nil {
		t.Fatal(err)
	}
	pgtest.Exec(t, db, "DROP TABLE IF EXISTS x; CREATE TABLE x (n serial, x "+typ.Name+")")
	conn, err := pgconn.Connect(t.Context(), db)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	if _, err := conn.CopyFrom(t.Context(), bytes.NewReader(End(b)), "COPY x (x) FROM STDIN (FORMAT binary)"); err != nil {
		t.Fatalf("%s: %v", typ.Name, err)
	}
	var out []string
	for _, row := range pgtest.Exec(t, db, "SELECT x::text FROM x ORDER BY n") {
		out = append(out, row[0])
	}
	return strings.Join(out, " ")
}

// TestNumeric: any decimal arrives with its value and its scale.
func TestNumeric(t *testing.T) {
	db := pgtest.Start(t).Database(t)
	mem := memory.NewGoAllocator()
	rapid.Check(t, func(r *rapid.T) {
		scale := rapid.Int32Range(0, 38).Draw(r, "scale")
		typ := &arrow.Decimal128Type{Precision: 38, Scale: scale}
		b := array.NewDecimal128Builder(mem, typ)
		var want []string
		for range 200 {
			digits := rapid.StringMatching(`-?[0-9]{1,38}`).Draw(r, "digits")
			v, ok := new(big.Int).SetString(digits, 10)
			if !ok {
				continue
			}
			b.Append(decimal128.FromBigInt(v))
			text := new(big.Int).Abs(v).String()
			text = strings.Repeat("0", max(0, int(scale)+1-len(text))) + text
			if scale > 0 {
				text = text[:len(text)-int(scale)] + "." + text[len(text)-int(scale):]
			}
			if v.Sign() < 0 {
				text = "-" + text
			}
			want = append(want, text)
		}
		if got := arrives(t, db, mem, arrow.Field{Name: "x", Type: typ}, b.NewArray()); got != strings.Join(want, " ") {
			r.Fatalf("%s\nwant\n%s", got, want)
		}
	})
}
