package take

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/sluice-data/sluice/internal/codes"
)

// Rows of a dictionary become plain texts, with nulls and codes, whatever lengths they have.
func TestPlain(t *testing.T) {
	words := []string{"a", "", strings.Repeat("long ", 10), "sixteen bytes it", "b"}
	off, text := []uint32{0}, ""
	for _, w := range words {
		text += w
		off = append(off, uint32(len(text)))
	}
	rnd := rand.New(rand.NewPCG(1, 2))
	for _, wide := range []bool{false, true} {
		for _, nulls := range []bool{false, true} {
			mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
			want := make([]string, 300)
			narrow, broad := array.NewUint8Builder(mem), array.NewUint16Builder(mem)
			for i := range want {
				c := rnd.IntN(len(words))
				if want[i] = words[c]; nulls && rnd.IntN(3) == 0 {
					want[i] = "null"
					narrow.AppendNull()
					broad.AppendNull()
					continue
				}
				narrow.Append(uint8(c))
				broad.Append(uint16(c))
			}
			index := []arrow.Array{narrow.NewArray(), broad.NewArray()}
			of := index[0]
			if wide {
				of = index[1]
			}
			b := of.Data().Buffers()
			d := codes.NewEntries(arrow.BinaryTypes.String, off, []byte(text)).Dictionary(of.DataType(), of.Len(), b[0], b[1], of.NullN())
			part := array.NewSlice(d, 10, 290)
			idx := make([]int32, 700)
			for i := range idx {
				idx[i] = rnd.Int32N(280)
			}
			got, err := Plain(part, idx, mem)
			if err != nil {
				t.Fatal(err)
			}
			numbers, entries := codes.Of(got)
			if entries == nil || got.DataType().ID() != arrow.STRING {
				t.Fatalf("%s without codes", got.DataType())
			}
			ends, data := entries.Text()
			for i, r := range idx {
				v := "null"
				if got.IsValid(i) {
					v = got.(*array.String).Value(i)
					if c := numbers[i]; string(data[ends[c]:ends[c+1]]) != v {
						t.Fatalf("row %d has the code of %q, and is %q", i, data[ends[c]:ends[c+1]], v)
					}
				}
				if v != want[10+r] {
					t.Fatalf("row %d is %q, want %q", i, v, want[10+r])
				}
			}
			if n := got.NullN(); n != len(slices.DeleteFunc(idx, func(r int32) bool { return want[10+r] != "null" })) {
				t.Errorf("%d nulls", n)
			}
			for _, a := range []interface{ Release() }{got, part, d, index[0], index[1], narrow, broad} {
				a.Release()
			}
			t.Run(fmt.Sprint(wide, nulls), func(t *testing.T) { mem.AssertSize(t, 0) })
		}
	}
}
