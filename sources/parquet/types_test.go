package parquet

import (
	"bytes"
	"math/big"
	"strings"
	"testing"

	pq "github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/encoding"
	"github.com/parquet-go/parquet-go/format"

	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/internal/schema"
	"github.com/sluice-data/sluice/sources"
	"github.com/sluice-data/sluice/sources/parquet/internal/meta"
)

// oneColumn makes a file of a single required column "v".
func oneColumn(t testing.TB, node pq.Node, values ...pq.Value) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := pq.NewWriter(&buf, pq.NewSchema("test", pq.Group{"v": node}))
	for _, v := range values {
		if _, err := w.WriteRows([]pq.Row{{v.Level(0, 0, 0)}}); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

// fixedDecimal is a decimal's unscaled value as n bytes.
func fixedDecimal(n int, s string) pq.Value {
	v, _ := new(big.Int).SetString(s, 10)
	if v.Sign() < 0 {
		v.Add(v, new(big.Int).Lsh(big.NewInt(1), uint(8*n)))
	}
	return pq.FixedLenByteArrayValue(v.FillBytes(make([]byte, n)))
}

// lowest is the lowest number of so many bits: it has no opposite.
func lowest(bits uint) string {
	return new(big.Int).Neg(new(big.Int).Lsh(big.NewInt(1), bits-1)).String()
}

func bytesDecimal(b ...byte) pq.Value { return pq.ByteArrayValue(b) }

func TestDecimals(t *testing.T) {
	fifty := strings.Repeat("9", 50)
	wide := pq.Decimal(10, 50, pq.FixedLenByteArrayType(22))
	narrow := pq.Decimal(2, 5, pq.ByteArrayType)
	for _, tc := range []struct {
		name    string
		data    []byte
		declare string
		typ     string
		rows    []string
		rejects []string
	}{
		{"decimal256", oneColumn(t, wide, fixedDecimal(22, fifty), fixedDecimal(22, "-"+fifty), fixedDecimal(22, "1"), fixedDecimal(22, "1"+fifty)), "", "decimal(50,10)",
			[]string{`{"v":` + fifty[:40] + "." + fifty[:10] + `}`, `{"v":-` + fifty[:40] + "." + fifty[:10] + `}`, `{"v":0.0000000001}`}, []string{"has more than the 50 digits"}},
		{"38 digits", oneColumn(t, pq.Decimal(0, 38, pq.FixedLenByteArrayType(16)), fixedDecimal(16, fifty[:38]), fixedDecimal(16, "-"+fifty[:38]), fixedDecimal(16, "1"+strings.Repeat("0", 38))), "", "decimal(38,0)",
			[]string{`{"v":` + fifty[:38] + `}`, `{"v":-` + fifty[:38] + `}`}, []string{"has more than the 38 digits"}},
		{"bytes of any length", oneColumn(t, narrow, bytesDecimal(), bytesDecimal(0x7f), bytesDecimal(0xff), bytesDecimal(0, 0, 0, 0, 1), bytesDecimal(append(bytes.Repeat([]byte{0xff}, 40), 0xfe)...),
			bytesDecimal(append([]byte{1}, make([]byte, 40)...)...), bytesDecimal(0x01, 0x86, 0xa0)), "", "decimal(5,2)",
			[]string{`{"v":0.00}`, `{"v":1.27}`, `{"v":-0.01}`, `{"v":0.01}`, `{"v":-0.02}`}, []string{"has more than the 5 digits", "has more than the 5 digits"}},
		{"widened", oneColumn(t, narrow, bytesDecimal(0x7f), bytesDecimal(0x80)), "decimal(38,20)", "decimal(38,20)", []string{`{"v":1.27000000000000000000}`, `{"v":-1.28000000000000000000}`}, nil},
		{"the lowest number of 128 bits, widened", oneColumn(t, pq.Decimal(2, 5, pq.FixedLenByteArrayType(16)), fixedDecimal(16, "-12345"), fixedDecimal(16, lowest(128))), "decimal(7,4)", "decimal(7,4)",
			[]string{`{"v":-123.4500}`}, []string{"has more than the 5 digits"}},
		{"the lowest number of 128 bits", oneColumn(t, pq.Decimal(2, 38, pq.FixedLenByteArrayType(16)), fixedDecimal(16, lowest(128))), "", "decimal(38,2)", nil, []string{"has more than the 38 digits"}},
		{"the lowest number of 256 bits", oneColumn(t, pq.Decimal(2, 50, pq.FixedLenByteArrayType(32)), fixedDecimal(32, "-12345"), fixedDecimal(32, lowest(256))), "", "decimal(50,2)",
			[]string{`{"v":-123.45}`}, []string{"has more than the 50 digits"}},
		{"in 32 bits", oneColumn(t, pq.Decimal(1, 4, pq.Int32Type), pq.Int32Value(-9999), pq.Int32Value(10000)), "", "decimal(4,1)", []string{`{"v":-999.9}`}, []string{"has more than the 4 digits"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			req := request(tc.data)
			if tc.declare != "" {
				req.Schema = columns(t, sources.Strict, "v", tc.declare)
			}
			res := mustReadReq(t, req)
			if got := res.types(); got != "v "+tc.typ {
				t.Errorf("type %s", got)
			}
			wantRows(t, res.rows, tc.rows...)
			if len(res.rejects) != len(tc.rejects) {
				t.Fatalf("rejects %+v", res.rejects)
			}
			for i, r := range res.rejects {
				if !strings.Contains(r.Reason, tc.rejects[i]) {
					t.Errorf("reject %q, want %q", r.Reason, tc.rejects[i])
				}
			}
		})
	}
}

// What is refused for its digits is quoted as the number that it is, with its sign; what is longer than any decimal as its bytes.
func TestRefusedDecimals(t *testing.T) {
	thirty := strings.Repeat("7", 30)
	for _, tc := range []struct {
		prec, width int
		value, want string
	}{
		{38, 20, "1" + strings.Repeat("0", 45), "1" + strings.Repeat("0", 43) + ".00"},
		{38, 20, "-12345678901234567" + thirty, "-123456789012345" + "67" + thirty[:28] + ".77"},
		{50, 40, "-9" + strings.Repeat(thirty, 3), "-9" + strings.Repeat("7", 88) + ".77"},
		{38, 100, "-1" + strings.Repeat("0", 200), "ff"},
	} {
		for _, node := range []pq.Node{pq.Decimal(2, tc.prec, pq.FixedLenByteArrayType(tc.width)), pq.Decimal(2, tc.prec, pq.ByteArrayType)} {
			v := fixedDecimal(tc.width, tc.value)
			if node.Type().Kind() == pq.ByteArray {
				v = pq.ByteArrayValue(v.ByteArray())
			}
			res := mustRead(t, oneColumn(t, node, v))
			if len(res.rejects) != 1 || res.rejects[0].Value != tc.want && (tc.want != "ff" || !strings.HasPrefix(res.rejects[0].Value, "0xff")) {
				t.Errorf("%s is %+v", tc.value, res.rejects)
			}
		}
	}
}

// Values outside what their column's logical type allows refuse their row.
func TestOutOfRange(t *testing.T) {
	for _, tc := range []struct {
		name   string
		node   pq.Node
		values []pq.Value
		rows   []string
		reason string
	}{
		{"int8", pq.Int(8), []pq.Value{pq.Int32Value(-128), pq.Int32Value(128)}, []string{`{"v":-128}`}, "outside the range"},
		{"uint16", pq.Uint(16), []pq.Value{pq.Int32Value(65535), pq.Int32Value(-1)}, []string{`{"v":65535}`}, "outside the range"},
		{"milliseconds", pq.Timestamp(pq.Millisecond), []pq.Value{pq.Int64Value(-1), pq.Int64Value(1 << 62)}, []string{`{"v":"1969-12-31T23:59:59.999Z"}`}, "out of the range of microsecond"},
		{"nanoseconds", pq.Timestamp(pq.Nanosecond), []pq.Value{pq.Int64Value(-1000), pq.Int64Value(-1)}, []string{`{"v":"1969-12-31T23:59:59.999999Z"}`}, "below the microsecond"},
		{"time of day", pq.Time(pq.Microsecond), []pq.Value{pq.Int64Value(86_399_999_999), pq.Int64Value(86_400_000_000)}, []string{`{"v":"23:59:59.999999"}`}, "not a time of day"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for _, node := range []pq.Node{tc.node, pq.Encoded(tc.node, &pq.RLEDictionary)} {
				res := mustRead(t, oneColumn(t, node, tc.values...))
				wantRows(t, res.rows, tc.rows...)
				if len(res.rejects) != 1 || !strings.Contains(res.rejects[0].Reason, tc.reason) || res.rejects[0].Column != "v" {
					t.Errorf("rejects %+v", res.rejects)
				}
			}
		})
	}
}

// Each encoding is read in each physical type that it is for.
func TestEncodings(t *testing.T) {
	for name, tc := range map[string]struct {
		node   pq.Node
		values []pq.Value
		want   []string
		enc    []encoding.Encoding
	}{
		"int32":  {pq.Leaf(pq.Int32Type), []pq.Value{pq.Int32Value(1), pq.Int32Value(-1 << 31), pq.Int32Value(1<<31 - 1)}, []string{"1", "-2147483648", "2147483647"}, []encoding.Encoding{&pq.Plain, &pq.RLEDictionary, &pq.DeltaBinaryPacked, &pq.ByteStreamSplit}},
		"int64":  {pq.Leaf(pq.Int64Type), []pq.Value{pq.Int64Value(1), pq.Int64Value(-1 << 63), pq.Int64Value(1<<63 - 1)}, []string{"1", "-9223372036854775808", "9223372036854775807"}, []encoding.Encoding{&pq.Plain, &pq.RLEDictionary, &pq.DeltaBinaryPacked, &pq.ByteStreamSplit}},
		"float":  {pq.Leaf(pq.FloatType), []pq.Value{pq.FloatValue(1.5), pq.FloatValue(-0.25)}, []string{"1.5", "-0.25"}, []encoding.Encoding{&pq.Plain, &pq.RLEDictionary, &pq.ByteStreamSplit}},
		"double": {pq.Leaf(pq.DoubleType), []pq.Value{pq.DoubleValue(1e300), pq.DoubleValue(-0.1)}, []string{"1e+300", "-0.1"}, []encoding.Encoding{&pq.Plain, &pq.RLEDictionary, &pq.ByteStreamSplit}},
		"bytes":  {pq.Leaf(pq.ByteArrayType), []pq.Value{pq.ByteArrayValue([]byte("abc")), pq.ByteArrayValue(nil), pq.ByteArrayValue([]byte("abd"))}, []string{`"YWJj"`, `""`, `"YWJk"`}, []encoding.Encoding{&pq.Plain, &pq.RLEDictionary, &pq.DeltaLengthByteArray, &pq.DeltaByteArray}},
		"fixed":  {pq.Leaf(pq.FixedLenByteArrayType(3)), []pq.Value{pq.FixedLenByteArrayValue([]byte("abc")), pq.FixedLenByteArrayValue([]byte("abd"))}, []string{`"YWJj"`, `"YWJk"`}, []encoding.Encoding{&pq.Plain, &pq.RLEDictionary, &pq.DeltaByteArray, &pq.ByteStreamSplit}},
		"uuid":   {pq.UUID(), []pq.Value{pq.FixedLenByteArrayValue([]byte("0123456789abcdef"))}, []string{`"30313233-3435-3637-3839-616263646566"`}, []encoding.Encoding{&pq.Plain, &pq.RLEDictionary, &pq.DeltaByteArray, &pq.ByteStreamSplit}},
		"bool":   {pq.Leaf(pq.BooleanType), []pq.Value{pq.BooleanValue(true), pq.BooleanValue(false), pq.BooleanValue(true)}, []string{"true", "false", "true"}, []encoding.Encoding{&pq.Plain, &pq.RLE}},
	} {
		for _, enc := range tc.enc {
			t.Run(name+"/"+enc.String(), func(t *testing.T) {
				var want []string
				for _, w := range tc.want {
					want = append(want, `{"v":`+w+`}`)
				}
				wantRows(t, mustRead(t, oneColumn(t, pq.Encoded(tc.node, enc), tc.values...)).rows, want...)
			})
		}
	}
}

// groupElem, leafElem and so on spell out the schema trees that writers of all ages make.
func groupElem(name string, rep format.FieldRepetitionType, converted int32, children int32) meta.Element {
	return meta.Element{Name: name, Type: meta.None, Repetition: rep, Converted: converted, NumChildren: children}
}

func leafElem(name string, rep format.FieldRepetitionType) meta.Element {
	return meta.Element{Name: name, Type: format.Int32, Repetition: rep, Converted: meta.None}
}

// Source: https://github.com/apache/parquet-format/blob/master/LogicalTypes.md#backward-compatibility-rules
func TestListShapes(t *testing.T) {
	const none, list, mapped, keyValue = meta.None, 3, 1, 2
	opt, req, rep := format.Optional, format.Required, format.Repeated
	for _, tc := range []struct {
		name  string
		elems []meta.Element
		want  string
	}{
		{"standard", []meta.Element{groupElem("l", opt, list, 1), groupElem("list", rep, none, 1), leafElem("element", opt)}, "list<int32>"},
		{"any names", []meta.Element{groupElem("l", opt, list, 1), groupElem("bag", rep, none, 1), leafElem("array_element", opt)}, "list<int32>"},
		{"two levels", []meta.Element{groupElem("l", opt, list, 1), leafElem("element", rep)}, "list<int32>"},
		{"two levels of structs", []meta.Element{groupElem("l", opt, list, 1), groupElem("element", rep, none, 2), leafElem("a", req), leafElem("b", req)}, "list<struct<a: int32, b: int32>>"},
		{"a struct named array", []meta.Element{groupElem("l", opt, list, 1), groupElem("array", rep, none, 1), leafElem("a", req)}, "list<struct<a: int32>>"},
		{"a struct named after the list", []meta.Element{groupElem("l", opt, list, 1), groupElem("l_tuple", rep, none, 1), leafElem("a", req)}, "list<struct<a: int32>>"},
		{"a struct of a repeated field", []meta.Element{groupElem("l", opt, list, 1), groupElem("list", rep, none, 1), leafElem("a", rep)}, "list<struct<a: list<int32>>>"},
		{"two levels of lists", []meta.Element{groupElem("l", opt, list, 1), groupElem("array", rep, list, 1), leafElem("array", rep)}, "list<list<int32>>"},
		{"repeated, not annotated", []meta.Element{leafElem("l", rep)}, "list<int32>"},
		{"repeated group", []meta.Element{groupElem("l", rep, none, 2), leafElem("a", req), leafElem("b", opt)}, "list<struct<a: int32, b: int32>>"},
		{"map", []meta.Element{groupElem("m", opt, mapped, 1), groupElem("key_value", rep, none, 2), leafElem("key", req), leafElem("value", opt)}, "list<struct<key: int32, value: int32>>"},
		{"old map", []meta.Element{groupElem("m", opt, keyValue, 1), groupElem("map", rep, keyValue, 2), leafElem("num", req), leafElem("str", opt)}, "list<struct<key: int32, value: int32>>"},
		{"map of keys", []meta.Element{groupElem("m", opt, mapped, 1), groupElem("map", rep, none, 1), leafElem("key", req)}, "list<struct<key: int32>>"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			elems := append([]meta.Element{groupElem("root", meta.None, none, 1)}, tc.elems...)
			cols, leaves, err := parseSchema(elems)
			if err != nil || cols[0].err != nil {
				t.Fatal(err, cols[0].err)
			}
			if got := schema.TypeName(cols[0].field); got != tc.want {
				t.Errorf("%s, want %s", got, tc.want)
			}
			if len(leaves) == 0 {
				t.Error("no leaves")
			}
		})
	}
}

// A schema tree that does not hold together is an error; a type that is not supported is one only if it is needed.
func TestBadSchemas(t *testing.T) {
	opt, req := format.Optional, format.Required
	root := groupElem("root", meta.None, meta.None, 1)
	deep := []meta.Element{root}
	for range 40 {
		deep = append(deep, groupElem("g", opt, meta.None, 1))
	}
	for name, elems := range map[string][]meta.Element{
		"ends within a group":     {root, groupElem("a", opt, meta.None, 2), leafElem("b", req)},
		"belong to no column":     {root, leafElem("a", req), leafElem("b", req)},
		"neither required":        {root, leafElem("a", 7)},
		"a group of no columns":   {root, groupElem("a", opt, meta.None, 0)},
		"nested more than 32":     append(deep, leafElem("a", req)),
		"unknown physical type":   {root, {Name: "a", Type: 12, Repetition: req, Converted: meta.None}},
		"values of 0 bytes":       {root, {Name: "a", Type: format.FixedLenByteArray, Repetition: req, Converted: meta.None}},
		"both a type and childre": {root, {Name: "a", Type: format.Int32, Repetition: req, Converted: meta.None, NumChildren: 1}},
	} {
		if _, _, err := parseSchema(elems); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("want %q, got %v", name, err)
		}
	}

	data := load(t, "duckdb_interval.parquet")
	_, err := read(t, request(data))
	wantError(t, err, fail.Input, `column "iv"`, "INTERVAL", "select the other columns")
	r := request(data)
	r.Need = map[string]bool{"one": true}
	wantRows(t, mustReadReq(t, r).rows, `{"one":1}`)
}
