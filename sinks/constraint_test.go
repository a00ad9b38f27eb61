package sinks

import (
	"fmt"
	"slices"
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"
)

func TestConstraints(t *testing.T) {
	mem := memory.NewCheckedAllocator(memory.NewGoAllocator())
	defer mem.AssertSize(t, 0)
	texts, octets := array.NewStringBuilder(mem), array.NewBinaryBuilder(mem, arrow.BinaryTypes.Binary)
	for _, s := range []string{"", "abc", "abcd", "äöü", "", "🙂🙂🙂🙂"} {
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
			{MaxBytes("x", 3, "b"), []string{"2 4 bytes are more than 3", "3 6 bytes are more than 3", "5 16 bytes are more than 3"}},
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
