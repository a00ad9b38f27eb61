package job

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/sluice-data/sluice/internal/codes"
)

// codedPiece is n texts of a dictionary of its own, every seventh null, as a slice of a longer column, and the texts; null is "-".
func codedPiece(rnd *rand.Rand, mem memory.Allocator, n int, word func(i int) string, words int) (arrow.Array, []string) {
	off, text := []uint32{0}, []byte(nil)
	for i := range words {
		text = append(text, word(i)...)
		off = append(off, uint32(len(text)))
	}
	plain, of := array.NewStringBuilder(mem), array.NewUint32Builder(mem)
	defer plain.Release()
	defer of.Release()
	var texts []string
	for range n + 3 {
		i := rnd.IntN(words)
		of.Append(uint32(i))
		if rnd.IntN(7) == 0 {
			plain.AppendNull()
			texts = append(texts, "-")
			continue
		}
		plain.Append(word(i))
		texts = append(texts, word(i))
	}
	a, c := plain.NewArray(), of.NewArray()
	defer a.Release()
	defer c.Release()
	d := codes.Attach(a.DataType(), a.Len(), a.Data().Buffers(), a.NullN(), c.Data().Buffers()[1], codes.NewEntries(a.DataType(), off, text))
	defer d.Release()
	coded := array.MakeFromData(d)
	defer coded.Release()
	return array.NewSlice(coded, 3, int64(n+3)), texts[3:]
}

// Pieces of texts kept as numbers come together as the texts they were, and a null: as one dictionary if theirs fit one, else as plain texts, also where a piece
// among them had no numbers.
func TestNumberedTexts(t *testing.T) {
	for _, c := range []struct {
		name         string
		words, apart int // entries of a piece, and how many of them the next has not
		plain        int // the piece that has no numbers
		want         string
	}{
		{"few", 50, 1, -1, "dictionary<values=utf8, indices=uint8, ordered=false>"},
		{"more", 300, 1, -1, "dictionary<values=utf8, indices=uint16, ordered=false>"},
		{"too many", 4096, 1, -1, "utf8"},
		{"one without", 50, 1, 2, "utf8"},
	} {
		t.Run(c.name, func(t *testing.T) {
			mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
			defer mem.AssertSize(t, 0)
			rnd := rand.New(rand.NewPCG(1, 2))
			var pieces []arrow.Array
			var want []string
			for k := range 4 {
				a, texts := codedPiece(rnd, mem, 1+rnd.IntN(200), func(i int) string { return fmt.Sprint("word ", i+k/2*c.apart) }, c.words)
				want = append(want, texts...)
				if k != c.plain {
					n := numbered(a, mem)
					a.Release()
					a = n
				}
				pieces = append(pieces, a)
			}
			got, err := joined(pieces, arrow.BinaryTypes.String, mem)
			releaseArrays(pieces)
			if err != nil {
				t.Fatal(err)
			}
			defer got.Release()
			if is := fmt.Sprint(got.DataType()); is != c.want {
				t.Errorf("they are %s, want %s", is, c.want)
			}
			nulls := 0
			for i, text := range append(want, "-") {
				v := "-"
				if got.IsValid(i) {
					v = got.ValueStr(i)
					if d, ok := got.(*array.Dictionary); ok {
						v = d.Dictionary().(*array.String).Value(d.GetValueIndex(i))
					}
				} else {
					nulls++
				}
				if v != text {
					t.Fatalf("row %d is %q, want %q", i, v, text)
				}
			}
			if got.Len() != len(want)+1 || got.NullN() != nulls {
				t.Errorf("%d rows and %d nulls, want %d and %d", got.Len(), got.NullN(), len(want)+1, nulls)
			}
		})
	}
}

// Texts without numbers, and a column without rows, stay as they are.
func TestNotNumbered(t *testing.T) {
	b := array.NewStringBuilder(memory.DefaultAllocator)
	defer b.Release()
	empty := b.NewArray()
	b.Append("x")
	for _, a := range []arrow.Array{empty, b.NewArray(), array.NewNull(2)} {
		if n := numbered(a, memory.DefaultAllocator); n != nil {
			t.Errorf("%v is %v", a, n)
		}
	}
	none, err := joined(nil, arrow.BinaryTypes.String, memory.DefaultAllocator)
	if err != nil || none.Len() != 1 || none.IsValid(0) {
		t.Errorf("no pieces are %v, %v", none, err)
	}
}
