package postgres

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/sluice-data/sluice/internal/expr"
	"github.com/sluice-data/sluice/internal/schema"
)

// jsonCheck refuses values whose JSON jsonb does not take: with the character U+0000, half of a surrogate pair, or a number that numeric has no room for.
func (t *target) jsonCheck(f arrow.Field) check {
	if schema.IsJSON(f) {
		return func(a arrow.Array, refuse func(int, string)) { checkJSON(a, refuse) }
	}
	one := arrow.NewSchema([]arrow.Field{{Name: "x", Type: f.Type, Nullable: true}}, nil)
	p, err := expr.Compile("to_json(x)", one, expr.Env{})
	return func(a arrow.Array, refuse func(int, string)) {
		if err != nil {
			return // the encoder says so
		}
		rec := array.NewRecord(one, []arrow.Array{a}, int64(a.Len()))
		defer rec.Release()
		j, errs, err := p.Eval(rec, memory.DefaultAllocator)
		if err != nil {
			return
		}
		defer j.Release()
		for _, e := range errs {
			refuse(e.Row, e.Reason)
		}
		checkJSON(j, refuse)
	}
}

func checkJSON(a arrow.Array, refuse func(int, string)) {
	s, ok := a.(*array.String)
	for i := range a.Len() {
		if !ok || s.IsNull(i) {
			continue
		}
		reason, v := "", s.Value(i)
		if strings.Contains(v, `\u`) {
			reason = escapes(v)
		}
		if reason == "" && (len(v) > mostScale || strings.ContainsAny(v, "eE")) {
			reason = numbers(v)
		}
		if reason != "" {
			refuse(i, reason)
		}
	}
}

// What numeric, which the numbers of jsonb are, has room for (src/backend/utils/adt/numeric.c): digits before the point and behind it, and the first exponent that it does not read.
const mostDigits, mostScale, noExponent = 131_072, 16_383, 1<<30 - 1

// numbers says that a number of a JSON text is none that jsonb takes, or "".
func numbers(s string) string {
	for i := 0; i < len(s); {
		switch c := s[i]; {
		case c == '"':
			for i++; i < len(s) && s[i] != '"'; i++ {
				if s[i] == '\\' {
					i++
				}
			}
			i++
		case c == '-' || c >= '0' && c <= '9':
			n := i + 1
			for n < len(s) && strings.IndexByte("0123456789.eE+-", s[n]) >= 0 {
				n++
			}
			if !isNumeric(s[i:n]) {
				return fmt.Sprintf("a number with more than %d digits before the point, or %d behind it, is refused in jsonb", mostDigits, mostScale)
			}
			i = n
		default:
			i++
		}
	}
	return ""
}

// isNumeric reports whether numeric has room for a number of JSON.
func isNumeric(s string) bool {
	exp := 0
	if e := strings.IndexAny(s, "eE"); e >= 0 {
		var err error
		if exp, err = strconv.Atoi(s[e+1:]); err != nil || exp >= noExponent || exp <= -noExponent {
			return false
		}
		s = s[:e]
	}
	whole, frac, _ := strings.Cut(strings.TrimPrefix(s, "-"), ".")
	if len(frac)-exp > mostScale {
		return false
	}
	first := strings.TrimLeft(whole, "0")
	before := len(first) + exp // digits before the point
	if first == "" {
		if first = strings.TrimLeft(frac, "0"); first == "" {
			return true
		}
		before = len(first) - len(frac) + exp
	}
	return before <= mostDigits
}

// escapes says which \u escape of a JSON text jsonb does not take, or "".
func escapes(s string) string {
	high := false // a first half stands right before
	for i := 0; i < len(s); {
		if s[i] != '\\' || i+1 >= len(s) {
			if high {
				return "half of a surrogate pair is refused in JSON"
			}
			i++
			continue
		}
		if s[i+1] != 'u' || i+6 > len(s) {
			if high {
				return "half of a surrogate pair is refused in JSON"
			}
			i += 2
			continue
		}
		v, err := strconv.ParseUint(s[i+2:i+6], 16, 16)
		low := v >= 0xdc00 && v < 0xe000
		switch {
		case err != nil:
			return ""
		case v == 0:
			return `the character \u0000 is refused in JSON`
		case low != high:
			return "half of a surrogate pair is refused in JSON"
		}
		high = v >= 0xd800 && v < 0xdc00
		i += 6
	}
	return ""
}
