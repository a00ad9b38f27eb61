package badcorpus

import (
	"fmt"
	"strings"
	"unicode/utf16"
)

// csvCases are inputs that are no good CSV, whatever the columns' types.
func csvCases() []Case {
	head, row := "id,name,amount,at\n", "1,Ada,12.50,2026-11-01 10:00:00\n"
	bad := func(name, wrong, words, content string) Case {
		return text(name, "csv.yaml", exitData, wrong, words, content)
	}
	var names, short []string
	for i := range 10_000 {
		names = append(names, fmt.Sprintf("c%d", i))
		short = append(short, "1")
	}
	wide := strings.Join(names, ",") + "\n" + strings.Join(short, ",") + "\n" + strings.Join(short[:9_999], ",") + "\n"
	return []Case{
		bad("empty.csv", "no byte at all", "empty", ""),
		bad("nul-byte.csv", "a NUL byte inside a field", "NUL|:3:", head+row+"2,Gr\x00ce,1.00,2026-11-01 10:00:00\n"),
		bad("invalid-utf8.csv", "a byte that is not UTF-8 inside a field", "UTF-8|:3:", head+row+"2,Gr\xffce,1.00,2026-11-01 10:00:00\n"),
		bad("latin1.csv", "ISO 8859-1 without saying so", "UTF-8|:3:", head+row+"2,Bj\xf6rk,1.00,2026-11-01 10:00:00\n"),
		bad("invalid-utf8-header.csv", "a column's name is not UTF-8", "UTF-8", "id,n\xe4me\n1,a\n"),
		bad("overlong-utf8.csv", "an overlong UTF-8 sequence (0xC0 0xAF for a slash)", "UTF-8|:2:", "id,path\n1,a\xc0\xafb\n"),
		bad("surrogate-utf8.csv", "a surrogate encoded as UTF-8 (CESU-8)", "UTF-8|:2:", "id,name\n1,\xed\xa0\xbd\xed\xb8\x80\n"),
		bad("unclosed-quote.csv", "a quote in row 2 that nothing closes", "never closed|:3:", head+row+"2,\"Grace,1.00,2026-11-01 10:00:00\n"+row+row),
		bad("unclosed-quote-last.csv", "the file ends inside a quoted field", "never closed|:2:", "id,name\n1,\"Ada"),
		bad("unclosed-quote-header.csv", "the quote of a column's name is never closed", "never closed", "id,\"name\n1,Ada\n"),
		bad("text-after-quote.csv", "text after a closing quote", "after the closing quote|:3:", head+row+"2,\"Grace\" Hopper,1.00,2026-11-01 10:00:00\n"),
		bad("backslash-quote.csv", "a quote escaped by a backslash, which CSV does not know", "after the closing quote|:2:", "id,name\n1,\"Zo\\\"e\"\n"),
		bad("ragged-short.csv", "a row with a field too few", "fields|:3:", head+row+"2,Grace,1.00\n"+row),
		bad("ragged-long.csv", "a row with a field too many", "fields|:3:", head+row+"2,Grace,1.00,2026-11-01 10:00:00,extra\n"+row),
		bad("two-tables.csv", "a second table with other columns follows the first", "fields|:4:", head+row+row+"code,label\nA,first\n"),
		bad("columns-10000-ragged.csv", "10,000 columns, and a row with 9,999 fields", "fields|:3:", wide),
		bad("duplicate-header.csv", "two columns of one name", "both named", "id,name,id\n1,a,2\n"),
		bad("empty-header-name.csv", "a column without a name", "no name", "id,,name\n1,2,a\n"),
		bad("lone-cr.csv", "a lone carriage return inside an unquoted field", "carriage return|:3:", head+row+"2,Gr\race,1.00,2026-11-01 10:00:00\n"+row),
		bad("utf16-lone-surrogate.csv", "UTF-16 with a byte order mark, and half a character", "UTF-", utf16le("\uFEFFid,name\n1,a")+"\x00\xd8"+utf16le("b\n")),
		bad("utf16-odd.csv", "UTF-16 with a byte order mark, cut inside a character", "UTF-", utf16le("\uFEFFid,name\n1,ab\n")+"\x31"),
		text("utf16le-no-mark.csv", "csv.yaml", exitInput, "UTF-16 without a byte order mark", "UTF-16", utf16le(string(goodCSV))),
		text("utf16be-no-mark.csv", "csv.yaml", exitInput, "UTF-16, big-endian, without a byte order mark", "UTF-16", swap(utf16le(string(goodCSV)))),
	}
}

func utf16le(s string) string {
	var b strings.Builder
	for _, u := range utf16.Encode([]rune(s)) {
		b.WriteByte(byte(u))
		b.WriteByte(byte(u >> 8))
	}
	return b.String()
}

func swap(s string) string {
	b := []byte(s)
	for i := 0; i+1 < len(b); i += 2 {
		b[i], b[i+1] = b[i+1], b[i]
	}
	return string(b)
}

// typedCases are good CSV whose values do not fit the declared columns: id int64, name string not null, amount decimal(10,2), at timestamp.
func typedCases() []Case {
	head, row := "id,name,amount,at\n", "1,Ada,12.50,2026-11-01 10:00:00\n"
	bad := func(name, wrong, words, record string) Case {
		return text(name, "strict.yaml", exitData, wrong, words+"|:3:", head+row+record+"\n"+row)
	}
	return []Case{
		bad("int-overflow.csv", "a number one over the largest int64", `column|9223372036854775808`, "9223372036854775808,Grace,1.00,2026-11-01 10:00:00"),
		bad("int-fraction.csv", "a fraction in an int64 column", `column|1.5`, "1.5,Grace,1.00,2026-11-01 10:00:00"),
		bad("int-text.csv", "letters after the digits", `column|12abc`, "12abc,Grace,1.00,2026-11-01 10:00:00"),
		bad("int-hex.csv", "a hexadecimal number", `column|0x1F`, "0x1F,Grace,1.00,2026-11-01 10:00:00"),
		bad("decimal-scale.csv", "a third decimal place in a decimal(10,2)", `column|amount|1.005`, "2,Grace,1.005,2026-11-01 10:00:00"),
		bad("decimal-wide.csv", "nine digits before the point in a decimal(10,2)", `column|amount|123456789.00`, "2,Grace,123456789.00,2026-11-01 10:00:00"),
		bad("decimal-comma.csv", "a decimal comma", `column|amount|1,5`, "2,Grace,\"1,5\",2026-11-01 10:00:00"),
		bad("thousands-separator.csv", "a comma between thousands", `column|amount|1,234.50`, "2,Grace,\"1,234.50\",2026-11-01 10:00:00"),
		bad("currency.csv", "a currency sign", `column|amount|€5`, "2,Grace,€5,2026-11-01 10:00:00"),
		bad("decimal-nan.csv", "NaN in a decimal column", `column|amount|NaN`, "2,Grace,NaN,2026-11-01 10:00:00"),
		bad("date-impossible.csv", "the 30th of February", `column|at|2026-02-30`, "2,Grace,1.00,2026-02-30 10:00:00"),
		bad("date-american.csv", "month, day and year the American way", `column|at|11/02/2026`, "2,Grace,1.00,11/02/2026 10:00"),
		bad("hour-25.csv", "the 25th hour", `column|at|25:00`, "2,Grace,1.00,2026-11-01 25:00:00"),
		bad("timestamp-nanos.csv", "nanoseconds that a timestamp of µs would lose", `column|at|123456789`, "2,Grace,1.00,2026-11-01 10:00:00.123456789"),
		bad("timestamp-offset.csv", "an offset that a timestamp without zone would lose", `column|at|+02:00`, "2,Grace,1.00,2026-11-01 10:00:00+02:00"),
		bad("null-in-not-null.csv", "nothing in a column that must not be null", `column|name|null`, "2,,1.00,2026-11-01 10:00:00"),
		text("missing-column.csv", "strict.yaml", exitData, "a declared column is not there", "amount", "id,name,at\n1,Ada,2026-11-01 10:00:00\n"),
		text("extra-column.csv", "strict.yaml", exitData, "a column that is not declared", "note", "id,name,amount,at,note\n1,Ada,1.00,2026-11-01 10:00:00,x\n"),
	}
}
