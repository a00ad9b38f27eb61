package rowpack

import (
	"fmt"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"
)

// Every value comes back from the form that its column takes, and each column takes the shortest.
func TestForms(t *testing.T) {
	us := &arrow.TimestampType{Unit: arrow.Microsecond}
	for _, tc := range []struct {
		name string
		typ  arrow.DataType
		json string
		way  byte
		size int // bytes of a value
	}{
		{"one value", arrow.PrimitiveTypes.Int64, `[7, 7, 7]`, numbers, 0},
		{"a byte", arrow.PrimitiveTypes.Int64, `[1000, 1255, 1001]`, numbers, 1},
		{"below zero", arrow.PrimitiveTypes.Int32, `[-100, 155, 0]`, numbers, 1},
		{"the whole range", arrow.PrimitiveTypes.Int64, `[-9223372036854775808, 9223372036854775807]`, rawValues, 8},
		{"the whole range of 16 bits", arrow.PrimitiveTypes.Int16, `[-32768, 32767]`, rawValues, 2},
		{"above the signed ones", arrow.PrimitiveTypes.Uint64, `[18446744073709551615, 18446744073709551000]`, numbers, 2},
		{"nulls count for nothing", arrow.PrimitiveTypes.Int64, `[null, 5000000000, null, 5000000001]`, numbers, 1},
		{"all null", arrow.PrimitiveTypes.Int32, `[null, null]`, numbers, 0},
		{"seconds", us, `["2023-01-01 00:00:00", "2023-12-31 23:59:59", null]`, numbers, 4},
		{"milliseconds", us, `["2023-01-01 00:00:00.001", "2023-01-31 23:59:59"]`, numbers, 4},
		{"microseconds", us, `["2023-01-01 00:00:00.000001", "2023-12-31 23:59:59"]`, rawValues, 8},
		{"money", arrow.PrimitiveTypes.Float64, `[12.34, -0.01, null, 99.9]`, decimals, 2},
		{"whole floats", arrow.PrimitiveTypes.Float64, `[1e9, 0]`, decimals, 4},
		{"fractions", arrow.PrimitiveTypes.Float64, `[0.3333333333333333, 2.5]`, rawValues, 8},
		{"negative zero", arrow.PrimitiveTypes.Float64, `[-0.0, 1]`, rawValues, 8},
		{"wide decimals", &arrow.Decimal128Type{Precision: 38, Scale: 2}, `["1.00", "-2.00", "655.00"]`, lowWords, 4},
		{"wider decimals", &arrow.Decimal128Type{Precision: 38, Scale: 0}, `["170141183460469231731687303715884105", "1"]`, rawValues, 16},
		{"ids", arrow.BinaryTypes.String, `["000123", "000456"]`, digitTexts, 2},
		{"ids and nulls", arrow.BinaryTypes.String, `[null, "123456789012345678", null, "000000000000000000"]`, digitTexts, 8},
		{"nearly ids", arrow.BinaryTypes.String, `["12345678", "1234567:", "1234567/"]`, texts, 0},
		{"of two lengths", arrow.BinaryTypes.String, `["12", "", "123456789"]`, texts, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			a, _, err := array.FromJSON(memory.DefaultAllocator, tc.typ, strings.NewReader(tc.json), array.WithUseNumber())
			if err != nil {
				t.Fatal(err)
			}
			defer a.Release()
			for i := range 4 {
				if got := cameBack(t, a, tc.way, tc.size, i&1 > 0, i&2 > 0); got != fmt.Sprint(a) {
					t.Errorf("%v came back as %s", a, got)
				}
			}
		})
	}
}

// cameBack is a by way of a piece, printed. Its column has to be kept so; a negative size is any. It is ordered by the encoder first, or
// whole, and made whole by the decoder, or left as the piece has it.
func cameBack(t *testing.T, a arrow.Array, way byte, size int, ordered, lazy bool) string {
	t.Helper()
	lay, err := LayoutOf(a.DataType())
	if err != nil {
		t.Fatal(err)
	}
	lays := []Layout{lay}
	cols := NewColumns(lays)
	if err := cols[0].Add(a); err != nil {
		t.Fatal(err)
	}
	e := NewEncoder(1)
	if ordered {
		order := make([]int32, a.Len())
		for i := range order {
			order[i] = int32(i)
		}
		short := Column{}
		e.Order(&short, &cols[0], 0, order)
		cols[0] = short
		if f := short.form; size >= 0 && (f.way != way || f.width != size) {
			t.Errorf("%v is kept in way %d with %d bytes a value, want %d with %d", a, f.way, f.width, way, size)
		}
	}
	d := Decoder{Cols: NewColumns(lays), Lazy: lazy}
	if err := d.Piece(e.Piece(nil, cols, 0, a.Len(), []Run{{0, a.Len()}})); err != nil {
		t.Fatal(err)
	}
	b := NewBuilder(&lay, memory.DefaultAllocator)
	b.Start(a.Len())
	for i := range a.Len() { // a value at a time, so that spans begin anywhere
		if err := b.AddSpan(&d.Cols[0], i, i+1); err != nil {
			t.Fatal(err)
		}
	}
	out, err := b.Array()
	if err != nil {
		t.Fatal(err)
	}
	defer out.Release()
	return fmt.Sprint(out)
}

// FuzzForms: integers, floats and texts of any kind come back.
func FuzzForms(f *testing.F) {
	f.Add([]byte("0123456789abcdef"), uint8(3), int64(1000))
	f.Fuzz(func(t *testing.T, raw []byte, shift uint8, unit int64) {
		if len(raw) == 0 || len(raw) > PieceRows {
			return
		}
		ints := array.NewInt64Builder(memory.DefaultAllocator)
		floats := array.NewFloat64Builder(memory.DefaultAllocator)
		words := array.NewStringBuilder(memory.DefaultAllocator)
		for _, b := range raw {
			if b == 77 {
				ints.AppendNull()
				floats.AppendNull()
				words.AppendNull()
				continue
			}
			v := int64(b) << (shift % 64) * unit
			ints.Append(v)
			floats.Append(float64(v) / powers[shift%10])
			words.Append(fmt.Sprintf("%0*d", shift%20, v))
		}
		for _, b := range []array.Builder{ints, floats, words} {
			a := b.NewArray()
			if got := cameBack(t, a, 0, -1, shift&32 > 0, shift&64 > 0); got != fmt.Sprint(a) {
				t.Fatalf("%v came back as %s", a, got)
			}
			a.Release()
			b.Release()
		}
	})
}
