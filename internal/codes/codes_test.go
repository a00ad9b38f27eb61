package codes_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/sluice-data/sluice/internal/codes"
)

// A column keeps its codes in slices of slices, and gives all of its memory back.
func TestSlices(t *testing.T) {
	mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
	defer mem.AssertSize(t, 0)
	plain := array.NewStringBuilder(mem)
	defer plain.Release()
	words := []string{"b", "a", "", "b", "a"}
	plain.AppendValues(words, nil)
	a := plain.NewStringArray()
	defer a.Release()
	numbers := array.NewUint32Builder(mem)
	defer numbers.Release()
	numbers.AppendValues([]uint32{1, 0, 2, 1, 0}, nil)
	n := numbers.NewUint32Array()
	defer n.Release()

	e := codes.NewEntries(arrow.BinaryTypes.String, []uint32{0, 1, 2, 2}, []byte("ab and what stands behind"))
	d := codes.Attach(a.DataType(), a.Len(), a.Data().Buffers(), 0, n.Data().Buffers()[1], e)
	coded := array.MakeFromData(d)
	d.Release()
	defer coded.Release()
	if !array.Equal(a, coded) {
		t.Errorf("%v, want %v", coded, a)
	}
	some := array.NewSlice(coded, 1, 5)
	defer some.Release()
	fewer := array.NewSlice(some, 1, 4)
	defer fewer.Release()
	got, entries := codes.Of(fewer)
	if !slices.Equal(got, []uint32{2, 1, 0}) || entries.Len() != 3 {
		t.Fatalf("codes %v of %d entries", got, entries.Len())
	}
	off, data := entries.Text()
	for i, c := range got {
		if v := string(data[off[c]:off[c+1]]); v != words[2+i] {
			t.Errorf("row %d is %q, want %q", i, v, words[2+i])
		}
	}
}

// What has no codes says so, and a dictionary over the bounds is not carried.
func TestNone(t *testing.T) {
	ints := array.NewInt64Builder(memory.DefaultAllocator)
	ints.Append(1)
	texts := array.NewStringBuilder(memory.DefaultAllocator)
	texts.Append("x")
	for _, a := range []arrow.Array{ints.NewArray(), texts.NewArray(), array.NewNull(3)} {
		if got, e := codes.Of(a); got != nil || e != nil {
			t.Errorf("%s: %v, %v", a.DataType(), got, e)
		}
	}
	long := strings.Repeat("x", codes.MaxBytes+1)
	for _, off := range [][]uint32{{0}, {0, uint32(len(long))}, make([]uint32, codes.MaxEntries+2)} {
		if codes.NewEntries(arrow.BinaryTypes.String, off, []byte(long)) != nil {
			t.Errorf("a dictionary of %d entries and %d bytes is carried", len(off)-1, off[len(off)-1])
		}
	}
}
