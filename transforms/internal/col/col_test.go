package col

import (
	"fmt"
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"
)

// Text of both offset widths reads the same, of slices too, and of arrays that have no rows or no buffers.
func TestVar(t *testing.T) {
	for _, typ := range []arrow.DataType{arrow.BinaryTypes.String, arrow.BinaryTypes.LargeString, arrow.BinaryTypes.Binary, arrow.BinaryTypes.LargeBinary} {
		a := NewVar(typ, []int32{0, 1, 1, 3}, []byte("abb"), []uint8{1, 0, 1})
		for lo := range 4 {
			s := array.NewSlice(a, int64(lo), 3)
			off, data, ok := Var(s)
			if !ok || len(off) != s.Len()+1 {
				t.Fatalf("%s: %d offsets for %d rows", typ, len(off), s.Len())
			}
			for i := range s.Len() {
				if got, want := string(data[off[i]:off[i+1]]), []string{"a", "", "bb"}[lo+i]; got != want {
					t.Errorf("%s: row %d is %q, want %q", typ, lo+i, got, want)
				}
			}
		}
		nulls := array.MakeArrayOfNull(memory.DefaultAllocator, typ, 2)
		if off, _, ok := Var(nulls); !ok || fmt.Sprint(off) != "[0 0 0]" {
			t.Errorf("%s: offsets of nulls %v", typ, off)
		}
	}
}

func TestFixedAndValid(t *testing.T) {
	a := New(arrow.PrimitiveTypes.Int32, []int32{5, 0, 7, 8}, []uint8{1, 0, 1, 1})
	s := array.NewSlice(a, 1, 4)
	if v := Fixed[int32](s); fmt.Sprint(v) != "[0 7 8]" {
		t.Errorf("values %v", v)
	}
	bits, off := Valid(s)
	if bits == nil || off != 1 || s.NullN() != 1 {
		t.Errorf("validity %v from bit %d, %d nulls", bits, off, s.NullN())
	}
	if bits, _ := Valid(array.NewSlice(a, 2, 4)); bits != nil {
		t.Error("a slice without nulls has a validity bitmap")
	}
	if bits, _ := Valid(array.NewNull(3)); len(bits) != 1 || bits[0] != 0 {
		t.Errorf("validity of the null type: %v", bits)
	}
	if n := New(arrow.PrimitiveTypes.Int32, []int32{1}, []uint8{1}); n.NullN() != 0 || n.Data().Buffers()[0] != nil {
		t.Error("an array without nulls has a validity bitmap")
	}
}

func TestGrow(t *testing.T) {
	s := []int{1, 2}
	for _, n := range []int{1, 2, 3, 100, 20_000, 20_001} {
		s = Grow(s, n)
		if len(s) < n || s[0] != 1 || s[1] != 2 || len(s) > 2 && s[len(s)-1] != 0 {
			t.Fatalf("grown to %d: %d items", n, len(s))
		}
	}
	if r := Reserve(s, 50_000); len(r) != len(s) || cap(r) < 50_000 {
		t.Errorf("reserved: %d of %d", len(r), cap(r))
	}
}
