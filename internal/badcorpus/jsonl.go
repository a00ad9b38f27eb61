package badcorpus

import (
	"strings"
)

const goodJSONL = `{"id":1,"name":"Ada","amount":12.5,"tags":["a","b"]}
{"id":2,"name":"Grace","amount":1,"tags":[]}
`

// jsonlCases are inputs that are no good JSON Lines, or whose values do not fit the declared columns id int64, name string, amount decimal(10,2).
func jsonlCases() []Case {
	bad := func(name, wrong, words, record string) Case {
		return text(name, "jsonl.yaml", exitData, wrong, words+"|:3:", goodJSONL+record+"\n")
	}
	typed := func(name, wrong, words, record string) Case {
		return text(name, "strict-jsonl.yaml", exitData, wrong, words+"|:2:", `{"id":1,"name":"Ada","amount":12.5}`+"\n"+record+"\n")
	}
	return []Case{
		bad("trailing-comma.jsonl", "a comma before the closing brace", "trailing comma", `{"id":3,"name":"x",}`),
		bad("trailing-comma-list.jsonl", "a comma before the closing bracket", "trailing comma", `{"id":3,"tags":["a",]}`),
		bad("single-quotes.jsonl", "single quotes", "single quotes", `{'id':3}`),
		bad("unquoted-key.jsonl", "a key without quotes", "key", `{id:3}`),
		bad("missing-colon.jsonl", "a key without colon", "colon|", `{"id" 3}`),
		bad("missing-comma.jsonl", "two members without a comma between them", "comma|", `{"id":3 "name":"x"}`),
		bad("cut-object.jsonl", "the last line ends inside an object", "ends", `{"id":3,"name":"Gr`),
		bad("cut-number.jsonl", "the last line ends after a minus", "number|", `{"id":3,"amount":-`),
		bad("lone-surrogate.jsonl", "half a character, escaped", "surrogate", `{"id":3,"name":"\ud83d"}`),
		bad("invalid-utf8.jsonl", "a byte that is not UTF-8", "UTF-8", "{\"id\":3,\"name\":\"Gr\xffce\"}"),
		bad("control-character.jsonl", "a tab inside a string", "control character", "{\"id\":3,\"name\":\"a\tb\"}"),
		bad("bad-escape.jsonl", "an escape that JSON does not have", "escape", `{"id":3,"name":"\x41"}`),
		bad("duplicate-key.jsonl", "one key twice in an object", "duplicate key", `{"id":3,"id":4}`),
		bad("nan.jsonl", "NaN, which JSON does not have", "value", `{"id":3,"amount":NaN}`),
		bad("infinity.jsonl", "-Infinity, which JSON does not have", "number", `{"id":3,"amount":-Infinity}`),
		bad("leading-zero.jsonl", "a number with a leading zero", "leading zero", `{"id":007}`),
		bad("hex-number.jsonl", "a hexadecimal number", "", `{"id":0x1F}`),
		bad("python-literals.jsonl", "None and True as Python prints them", "", `{"id":3,"name":None,"ok":True}`),
		bad("two-objects.jsonl", "two objects on one line", "", `{"id":3} {"id":4}`),
		bad("comment.jsonl", "a comment", "", `// {"id":3}`),
		bad("scalar-line.jsonl", "a line that is a number", "object", `42`),
		bad("list-line.jsonl", "a line that is a list", "object", `[1,2]`),
		bad("deep.jsonl", "a list 10,000 levels deep", "deep", `{"id":3,"tags":`+strings.Repeat("[", 10_000)+strings.Repeat("]", 10_000)+`}`),
		bad("nul-byte.jsonl", "a NUL byte between two members", "key in quotes", "{\"id\":3,\x00\"name\":\"x\"}"),
		text("top-level-array.jsonl", "jsonl.yaml", exitData, "one JSON array, not a line for each object", "JSON Lines", "[\n{\"id\":1},\n{\"id\":2}\n]\n"),
		text("pretty-printed.jsonl", "jsonl.yaml", exitData, "objects spread over lines", "JSON Lines", "{\n  \"id\": 1\n}\n{\n  \"id\": 2\n}\n"),
		text("utf16.jsonl", "jsonl.yaml", exitData, "UTF-16, which JSON Lines may not be", "UTF-16", utf16le("\uFEFF"+goodJSONL)),
		typed("int-overflow.jsonl", "a number one over the largest int64", `column|9223372036854775808`, `{"id":9223372036854775808,"name":"x","amount":1}`),
		typed("int-fraction.jsonl", "a fraction in an int64 column", `column|1.5`, `{"id":1.5,"name":"x","amount":1}`),
		typed("string-for-int.jsonl", "text in an int64 column", `column`, `{"id":"twelve","name":"x","amount":1}`),
		typed("decimal-scale.jsonl", "a third decimal place in a decimal(10,2)", `column|amount|1.005`, `{"id":2,"name":"x","amount":1.005}`),
		typed("object-for-string.jsonl", "an object in a string column", `column|name`, `{"id":2,"name":{"first":"Ada"},"amount":1}`),
		typed("unknown-key.jsonl", "a key that is not declared", "nmae", `{"id":2,"nmae":"x","amount":1}`),
	}
}
