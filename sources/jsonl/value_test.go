package jsonl

import (
	"strings"
	"testing"

	"github.com/sluice-data/sluice/sources"
)

// Each case is one column v of the type, the JSON value given, and what becomes of it: the value as Arrow prints it, or "reject"
// and the reason.
func TestValues(t *testing.T) {
	for _, group := range []struct {
		typ   string
		cases [][2]string
	}{
		{"int32", [][2]string{
			{`0`, `0`}, {`-0`, `0`}, {`7`, `7`}, {`-12`, `-12`}, {`1234567`, `1234567`}, {`12345678`, `12345678`}, {`123456789`, `123456789`},
			{`2147483647`, `2147483647`}, {`-2147483648`, `-2147483648`},
			{`2147483648`, `reject: out of range of int32`},
			{`-2147483649`, `reject: out of range of int32`},
			{`1.0`, `1`}, {`1e3`, `1000`}, {`-15e-1`, `reject: not an int32: it has a fraction`}, {`1500e-2`, `15`}, {`0e999999999999999999999`, `0`},
			{`1.7`, `reject: not an int32: it has a fraction`},
			{`1e99999999999999999999`, `reject: out of range of int32`},
			{`1e-99999999999999999999`, `reject: not an int32: it has a fraction`},
			{`null`, `(null)`},
			{`"12"`, `reject: want int32, have a string: strings are not converted`},
			{`true`, `reject: want int32, have a bool`},
			{`{}`, `reject: want int32, have an object`},
			{`[1]`, `reject: want int32, have an array`},
		}},
		{"int8", [][2]string{{`127`, `127`}, {`-128`, `-128`}, {`128`, `reject: out of range of int8`}}},
		{"int16", [][2]string{{`32767`, `32767`}, {`-32768`, `-32768`}, {`-32769`, `reject: out of range of int16`}}},
		{"uint8", [][2]string{{`255`, `255`}, {`256`, `reject: out of range of uint8`}, {`-1`, `reject: out of range of uint8`}, {`-0`, `0`}}},
		{"uint16", [][2]string{{`65535`, `65535`}, {`65536`, `reject: out of range of uint16`}}},
		{"uint32", [][2]string{{`4294967295`, `4294967295`}, {`4294967296`, `reject: out of range of uint32`}}},
		{"int64", [][2]string{
			{`9223372036854775807`, `9223372036854775807`}, {`-9223372036854775808`, `-9223372036854775808`},
			{`9223372036854775808`, `reject: out of range of int64`},
			{`-9223372036854775809`, `reject: out of range of int64`},
			{`18446744073709551616`, `reject: out of range of int64`},
			{`1234567890123456`, `1234567890123456`}, {`12345678901234567`, `12345678901234567`}, {`123456789012345678`, `123456789012345678`},
			{`9223372036854775807000e-3`, `9223372036854775807`},
			{`9.007199254740993e15`, `9007199254740993`},
		}},
		{"uint64", [][2]string{
			{`18446744073709551615`, `18446744073709551615`}, {`18446744073709551616`, `reject: out of range of uint64`}, {`-1`, `reject: out of range of uint64`}, {`-0`, `0`}, {`0`, `0`},
			{`99999999999999999999`, `reject: out of range of uint64`}, {`0.5`, `reject: not a uint64: it has a fraction`}, {`null`, `(null)`},
		}},
		{"float64", [][2]string{
			{`0.1`, `0.1`}, {`-0.0`, `-0`}, {`12.34`, `12.34`}, {`1234567.5`, `1.2345675e+06`}, {`12345678.25`, `1.234567825e+07`}, {`7`, `7`},
			{`1e3`, `1000`}, {`1E+2`, `100`}, {`1e-2`, `0.01`}, {`1.7976931348623157e308`, `1.7976931348623157e+308`}, {`1e400`, `reject: out of range of float64`},
			{`9007199254740993`, `9.007199254740992e+15`}, {`0.30000000000000004`, `0.30000000000000004`}, {`3.14159265358979323846`, `3.141592653589793`},
			{`"1.5"`, `reject: want float64, have a string: strings are not converted`}, {`null`, `(null)`},
		}},
		{"float32", [][2]string{
			{`0.1`, `0.1`}, {`16777217`, `1.6777216e+07`}, {`1e39`, `reject: out of range of float32`},
			{`1.00000017881393432617187499`, `1.0000001`}, // through float64 it would be rounded twice, to 1.0000002
		}},
		{"decimal(9,2)", [][2]string{
			{`12.34`, `12.34`}, {`-12.3`, `-12.3`}, {`12`, `12`}, {`1234567.89`, `1234567.89`}, {`1e2`, `100`}, {`12.3400`, `12.34`}, {`0`, `0`}, {`-0.01`, `-0.01`},
			{`12.345`, `reject: does not fit decimal(9,2) exactly`},
			{`12345678.9`, `reject: does not fit decimal(9,2) exactly`},
			{`10000000`, `reject: does not fit decimal(9,2) exactly`},
			{`"1.25"`, `reject: want decimal(9,2), have a string: strings are not converted`},
		}},
		{"decimal(38,0)", [][2]string{
			{`99999999999999999999999999999999999999`, `99999999999999999999999999999999999999`},
			{`100000000000000000000000000000000000000`, `reject: does not fit decimal(38,0) exactly`},
			{`-18446744073709551616`, `-18446744073709551616`}, {`999999999999999999`, `999999999999999999`}, {`1000000000000000000`, `1000000000000000000`},
		}},
		{"bool", [][2]string{
			{`true`, `true`}, {`false`, `false`}, {`null`, `(null)`}, {`1`, `reject: want bool, have a number`},
			{`"true"`, `reject: want bool, have a string: strings are not converted`},
		}},
		{"string", [][2]string{
			{`"text"`, `text`}, {`""`, ``}, {`"null"`, `null`}, {`null`, `(null)`}, {`"a\"b\\c\/d"`, `a"b\c/d`}, {`"tab\tnl\ncr\rbs\bff\f"`, "tab\tnl\ncr\rbs\bff\f"},
			{`"caf\u00e9 \ud83d\ude00 \u0041\u0000"`, "café 😀 A\x00"}, {`"東京"`, `東京`}, {`"exactly8"`, `exactly8`}, {`"sixteen bytes..."`, `sixteen bytes...`},
			{`12.50`, `12.50`}, {`-1e5`, `-1e5`}, {`true`, `true`}, // the text it is written in
			{`{}`, `reject: want string, have an object: declare it as json`},
			{`["a"]`, `reject: want string, have an array: declare it as json`},
		}},
		{"binary", [][2]string{ // Arrow prints base64 too
			{`"aGVsbG8="`, `aGVsbG8=`}, {`""`, ``}, {`"aGVsb\u00478="`, `aGVsbG8=`}, {`null`, `(null)`},
			{`"aGVsbG8"`, `reject: not base64 (RFC 4648, padded)`}, {`"aGVs\nbG8="`, `reject: not base64 (RFC 4648, padded)`}, {`"aGVsbG9="`, `reject: not base64 (RFC 4648, padded)`},
			{`12`, `reject: want binary, have a number`},
		}},
		{"json", [][2]string{
			{`{"a": [1, 2.50 ,"x\u0041"],"a":2}`, `{"a": [1, 2.50 ,"x\u0041"],"a":2}`}, {`12.50`, `12.50`}, {`"s"`, `"s"`}, {`true`, `true`}, {`[ ]`, `[ ]`}, {`null`, `(null)`},
		}},
		{"date", [][2]string{
			{`"2026-11-22"`, `2026-11-22`}, {`"2026-11-2\u0032"`, `2026-11-22`}, {`"1969-12-31"`, `1969-12-31`}, {`null`, `(null)`},
			{`"2026-02-29"`, `reject: not a date in ISO 8601, or not one that fits exactly`},
			{`20261122`, `reject: want date, have a number`},
		}},
		{"time", [][2]string{{`"13:04:05.25"`, `13:04:05.250000`}, {`"25:00:00"`, `reject: not a time in ISO 8601, or not one that fits exactly`}}},
		{"timestamp", [][2]string{ // Arrow prints a Z in any case
			{`"2026-11-22 13:04:05"`, `2026-11-22 13:04:05Z`}, {`"2026-11-22T13:04:05.123456"`, `2026-11-22 13:04:05.123456Z`},
			{`"2026-11-22T13:04:05+02:00"`, `reject: not a timestamp in ISO 8601, or not one that fits exactly`},
		}},
		{"timestamptz", [][2]string{{`"2026-11-22T13:04:05+02:00"`, `2026-11-22 11:04:05Z`}, {`"2026-11-22 13:04:05"`, `2026-11-22 13:04:05Z`}}},
		{"list<int64>", [][2]string{
			{`[1,2,3]`, `[1,2,3]`}, {`[ ]`, `[]`}, {`[ 1 , null ]`, `[1,null]`}, {`null`, `(null)`},
			{`{"a":1}`, `reject: want list<int64>, have an object`},
		}},
		{"list<list<string>>", [][2]string{{`[["a","b"],[],null,["c"]]`, `[["a","b"],[],null,["c"]]`}}},
		{"struct<x: int64, y: string>", [][2]string{
			{`{"y":"b","x":1}`, `{"x":1,"y":"b"}`}, {`{"x":1}`, `{"x":1,"y":null}`}, {`{ }`, `{"x":null,"y":null}`}, {`null`, `(null)`},
			{`[]`, `reject: want struct<x: int64, y: string>, have an array`},
		}},
		{"list<struct<a: list<struct<b: float64>>>>", [][2]string{
			{`[{"a":[{"b":1.5},{},null]},{"a":null},null,{}]`, `[{"a":[{"b":1.5},{"b":null},null]},{"a":null},null,{"a":null}]`},
		}},
	} {
		for _, c := range group.cases {
			// twice, around a null and a rejected row: nothing of a row may show in the next one
			text := strings.ReplaceAll("{\"v\":X}\n{}\n{\"v\":X,}\n{ \"v\" : X }\n", "X", c[0])
			res := read(t, request(t, sources.Strict, "v "+group.typ, text))
			if reason, ok := strings.CutPrefix(c[1], "reject: "); ok {
				same(t, group.typ+" "+c[0], res.values(), []string{"(null)"})
				if len(res.rejects) != 3 || res.reasons()[0] != "v: "+reason+" ["+c[0]+"]" || res.reasons()[2] != res.reasons()[0] {
					t.Errorf("%s %s: rejects %q, want %q", group.typ, c[0], res.rejects, reason)
				}
				continue
			}
			same(t, group.typ+" "+c[0], res.values(), []string{c[1], "(null)", c[1]})
			if len(res.rejects) != 1 || !strings.Contains(res.rejects[0], "trailing comma") {
				t.Errorf("%s %s: rejects %q", group.typ, c[0], res.rejects)
			}
		}
	}
}

// A format and zone reach dates and times at any depth.
func TestFormats(t *testing.T) {
	quoted := request(t, sources.Strict, "d timestamp", `{"d":"2026-11-22\"13:04:05","d2":0}`+"\n"+`{"d":"2026-11-22\"13:04:05"}                  `)
	quoted.Schema.Columns[0].Format = `%Y-%m-%d"%H:%M:%S` // a quote in the text is not its end
	same(t, "rows", read(t, quoted).values(), []string{"2026-11-22 13:04:05Z"})

	req := request(t, sources.Strict, "d date, at list<struct<t: timestamptz>>", `{"d":"22.11.2026","at":[{"t":"2026-11-22 13:04:05"}]}`+"\n"+`{"d":"2026-11-22"}`)
	req.Schema.Columns[0].Format = "%d.%m.%Y"
	req.Schema.Columns[1].TZ = "Europe/Berlin"
	res := read(t, req)
	same(t, "rows", res.values(), []string{`2026-11-22 | [{"t":"2026-11-22 12:04:05Z"}]`})
	same(t, "rejects", res.rejects, []string{`2 54: d: not a date in the format "%d.%m.%Y", or not one that fits exactly ["2026-11-22"]`})
}
