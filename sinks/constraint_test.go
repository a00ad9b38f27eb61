package sinks

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"
)

func TestConstraints(t *testing.T) {
	mem := memory.NewCheckedAllocator(memory.NewGoAllocator())
	defer mem.AssertSize(t, 0)
	texts, octets := array.NewStringBuilder(mem), array.NewBinaryBuilder(mem, arrow.BinaryTypes.Binary)
	for _, s := range []string{"", "abc", "abcd", "äöü", " ", "🙂🙂🙂🙂"} {
		texts.Append(s)
		octets.Append([]byte(s))
	}
	texts.AppendNull()
	octets.AppendNull()
	defer texts.Release()
	defer octets.Release()
	for _, arr := range []arrow.Array{texts.NewArray(), octets.NewArray()} {
		for _, c := range []struct {
			c    Constraint
			want []string
		}{
			{NotNull("x", "b"), []string{"6 null is refused"}},
			{ASCII("x", "b"), []string{"3 characters of more than one byte are refused", "5 characters of more than one byte are refused"}},
			{MaxBytes("x", 3, "b"), []string{"2 4 bytes are more than 3", "3 6 bytes are more than 3", "5 16 bytes are more than 3"}},
			{NoTail("x", "would be lost", "b"), []string{"4 spaces at its end would be lost"}},
			{MaxChars("x", 3, "b"), []string{"2 4 characters are more than 3", "5 4 characters are more than 3"}},
		} {
			for _, from := range []int{0, 1} { // a slice, too
				a := array.NewSlice(arr, int64(from), int64(arr.Len()))
				var got []string
				c.c.Check(a, func(row int, reason string) { got = append(got, fmt.Sprint(row+from, " ", reason)) })
				if !slices.Equal(got, c.want) {
					t.Errorf("%s, from %d: %q, want %q", arr.DataType(), from, got, c.want)
				}
				a.Release()
			}
		}
		arr.Release()
	}
}

// Bounds of days hold for dates and timestamps of any unit, and within lists; NUL is found in lists, too.
func TestDaysAndNUL(t *testing.T) {
	micros := &arrow.TimestampType{Unit: arrow.Microsecond}
	for _, c := range []struct {
		c      Constraint
		typ    arrow.DataType
		values string
		want   string
	}{
		{Days("x", -1, 2, "b"), arrow.FixedWidthTypes.Date32, `["1969-12-30", "1969-12-31", null, "1970-01-02", "1970-01-03"]`, "[0 out of the range of dates 4 out of the range of dates]"},
		{Days("x", -1, 2, "b"), micros, `["1969-12-30T23:59:59.999999", "1969-12-31T00:00:00", null, "1970-01-02T23:59:59.999999", "1970-01-03T00:00:00"]`, "[0 out of the range of timestamps 4 out of the range of timestamps]"},
		{Days("x", -1, 2, "b"), arrow.FixedWidthTypes.Timestamp_s, `["1969-12-30T23:59:59", "1970-01-01T00:00:00"]`, "[0 out of the range of timestamps]"},
		{Days("x", -1, 2, "b"), arrow.ListOf(micros), `[["1970-01-01T00:00:00", null], null, [], ["1970-01-01T00:00:00", "1980-01-01T00:00:00", "1980-01-01T00:00:00"]]`, "[3 out of the range of timestamps]"},
		{Days("x", -1, 2, "b"), arrow.BinaryTypes.String, `["x"]`, "[]"},
		{NoNUL("x", "b"), arrow.BinaryTypes.String, `["a", "\u0000", null, "a\u0000b"]`, "[1 a NUL byte in a text is refused 3 a NUL byte in a text is refused]"},
		{NoNUL("x", "b"), arrow.ListOf(arrow.BinaryTypes.String), `[["a", "b"], null, ["a", "\u0000", "\u0000"]]`, "[2 a NUL byte in a text is refused]"},
		{NoNUL("x", "b"), arrow.PrimitiveTypes.Int64, `[0]`, "[]"},
	} {
		mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
		a, _, err := array.FromJSON(mem, c.typ, strings.NewReader(c.values))
		if err != nil {
			t.Fatal(err)
		}
		got := []string{}
		c.c.Check(a, func(row int, reason string) { got = append(got, fmt.Sprint(row, " ", reason)) })
		if fmt.Sprint(got) != c.want {
			t.Errorf("%s: %v, want %s", c.typ, got, c.want)
		}
		a.Release()
		mem.AssertSize(t, 0)
	}
}
