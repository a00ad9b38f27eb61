package sinks

import (
	"bytes"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
)

// Constraint is what a target or the format of the files demands of the values of one column.
type Constraint struct {
	Column string
	// Because says where the demand comes from, in the plan and behind the reason of a bad row: "column city of stg.trips is varchar(20)".
	Because string
	// Check calls refuse for each row of a whose value it would not take, with what is wrong about it: "21 bytes are too many". It is
	// called on several lanes at once.
	Check func(a arrow.Array, refuse func(row int, reason string))
}

// NotNull demands that no value is null.
func NotNull(column, because string) Constraint {
	return Constraint{column, because, func(a arrow.Array, refuse func(int, string)) {
		if a.NullN() == 0 {
			return
		}
		for i := range a.Len() {
			if a.IsNull(i) {
				refuse(i, "null is refused")
			}
		}
	}}
}

// MaxBytes demands that a text or binary value has n octets at most.
func MaxBytes(column string, n int, because string) Constraint {
	return Constraint{column, because, func(a arrow.Array, refuse func(int, string)) {
		eachText(a, func(i int, s string) {
			if len(s) > n {
				refuse(i, fmt.Sprintf("%d bytes are more than %d", len(s), n))
			}
		})
	}}
}

// MaxChars demands that a text has n characters at most.
func MaxChars(column string, n int, because string) Constraint {
	return Constraint{column, because, func(a arrow.Array, refuse func(int, string)) {
		eachText(a, func(i int, s string) {
			if len(s) <= n { // a character has a byte at least
				return
			}
			if c := utf8.RuneCountInString(s); c > n {
				refuse(i, fmt.Sprintf("%d characters are more than %d", c, n))
			}
		})
	}}
}

// ASCII demands that a text has characters of one byte only.
func ASCII(column, because string) Constraint {
	return Constraint{column, because, func(a arrow.Array, refuse func(int, string)) {
		eachText(a, func(i int, s string) {
			for k := range len(s) {
				if s[k] >= utf8.RuneSelf {
					refuse(i, "characters of more than one byte are refused")
					return
				}
			}
		})
	}}
}

// NoTail demands that no text ends in spaces; what says what becomes of those: "would be lost".
func NoTail(column, what, because string) Constraint {
	return Constraint{column, because, func(a arrow.Array, refuse func(int, string)) {
		eachText(a, func(i int, s string) {
			if strings.HasSuffix(s, " ") {
				refuse(i, "spaces at its end "+what)
			}
		})
	}}
}

// NoNUL demands that no text, also within a list, has a NUL byte.
func NoNUL(column, because string) Constraint {
	return Constraint{column, because, func(a arrow.Array, refuse func(int, string)) {
		texts := a
		if l, ok := a.(*array.List); ok {
			texts = l.ListValues()
		}
		if s, ok := texts.(*array.String); !ok || bytes.IndexByte(s.ValueBytes(), 0) < 0 { // of all rows at once
			return
		}
		eachValue(a, func(values arrow.Array, from, to, row int) bool {
			s, ok := values.(*array.String)
			for i := from; i < to && ok; i++ {
				if s.IsValid(i) && strings.IndexByte(s.Value(i), 0) >= 0 {
					refuse(row, "a NUL byte in a text is refused")
					return true
				}
			}
			return ok
		})
	}}
}

// Days demands that dates and timestamps, also within a list, are of the days from first to before, counted from 1970-01-01.
func Days(column string, first, before int64, because string) Constraint {
	return Constraint{column, because, func(a arrow.Array, refuse func(int, string)) {
		eachValue(a, func(values arrow.Array, from, to, row int) bool {
			for i := from; i < to; i++ {
				if values.IsNull(i) {
					continue
				}
				var v, day int64
				what := "timestamps"
				switch values := values.(type) {
				case *array.Date32:
					v, day, what = int64(values.Value(i)), 1, "dates"
				case *array.Timestamp:
					v, day = int64(values.Value(i)), int64(24*time.Hour/values.DataType().(*arrow.TimestampType).Unit.Multiplier())
				default:
					return false
				}
				if d := floorDiv(v, day); d < first || d >= before {
					refuse(row, "out of the range of "+what)
					return true
				}
			}
			return true
		})
	}}
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

// eachValue calls f with the values of each row of a, which are one or, of a list, several: values[from:to]. It ends when f returns false.
func eachValue(a arrow.Array, f func(values arrow.Array, from, to, row int) bool) {
	list, _ := a.(*array.List)
	for row := range a.Len() {
		values, from, to := a, row, row+1
		if list != nil {
			start, end := list.ValueOffsets(row)
			values, from, to = list.ListValues(), int(start), int(end)
		}
		if !a.IsNull(row) && !f(values, from, to, row) {
			return
		}
	}
}

// eachText calls f with every value of a text or binary array that is not null; other arrays have none.
func eachText(a arrow.Array, f func(i int, s string)) {
	switch a := a.(type) {
	case *array.String:
		for i := range a.Len() {
			if a.IsValid(i) {
				f(i, a.Value(i))
			}
		}
	case *array.Binary:
		for i := range a.Len() {
			if a.IsValid(i) {
				f(i, a.ValueString(i))
			}
		}
	}
}
