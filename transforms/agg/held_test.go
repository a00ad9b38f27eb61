package agg

import (
	"strings"
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/sluice-data/sluice/transforms/internal/col"
)

// A long text that another has bettered takes no memory for long.
func TestBetteredTextsGo(t *testing.T) {
	str := arrow.Field{Type: arrow.BinaryTypes.String, Nullable: true}
	for _, c := range []struct {
		name string
		call Call
	}{{"last", Args(str)}, {"arg_max", Args(str, arrow.Field{Type: int64s})}, {"arg_max", Args(str, str)}} {
		f, _ := Lookup(c.name)
		b, err := f.Bind(c.call)
		if err != nil {
			t.Fatal(err)
		}
		acc := b.New(memory.DefaultAllocator)
		body := strings.Repeat("x", 100_000)
		for i := range 200 {
			texts := array.NewStringBuilder(memory.DefaultAllocator)
			texts.Append(body)
			text := texts.NewArray()
			var in []arrow.Array
			for _, x := range b.Inputs {
				switch {
				case x.Place && len(x.By) > 0:
					key := array.NewBinaryBuilder(memory.DefaultAllocator, arrow.BinaryTypes.Binary)
					key.Append([]byte(strings.Repeat("k", i)))
					in = append(in, key.NewArray())
				case x.Place || c.call.Args[x.Arg].Type.ID() == arrow.INT64:
					in = append(in, col.New(int64s, []int64{int64(i)}, nil))
				case x.Arg == 1:
					key := array.NewStringBuilder(memory.DefaultAllocator)
					key.Append(strings.Repeat("k", i))
					in = append(in, key.NewArray())
				default:
					in = append(in, text)
				}
			}
			if err := acc.Update([]uint32{0}, 1, in); err != nil {
				t.Fatal(err)
			}
			if size := acc.Size(); size > 2e6 {
				t.Fatalf("%s of %d arguments: %d texts of 100 kB take %d bytes, one of which counts", c.name, len(c.call.Args), i+1, size)
			}
		}
		acc.Release()
	}
}
