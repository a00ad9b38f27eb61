package sinks

import (
	"fmt"
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
