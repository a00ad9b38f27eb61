package agg

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/memory"
)

// run folds vals into one group, in the given batches, and returns the result.
func run(t *testing.T, fn string, typ arrow.DataType, batches ...[]string) (string, error) {
	t.Helper()
	f, ok := Lookup(fn)
	if !ok {
		t.Fatalf("no function %s", fn)
	}
	b, err := f.Bind(Args(arrow.Field{Type: typ, Nullable: true}))
	if err != nil {
		return "", err
	}
	acc := b.New(memory.DefaultAllocator)
	for _, vals := range batches {
		a := column1(memory.DefaultAllocator, typ, vals)
		part := b.New(memory.DefaultAllocator)
		if err := part.Update(make([]uint32, len(vals)), 1, []arrow.Array{a}); err != nil {
			return "", err
		}
		state, err := part.State()
		if err != nil {
			return "", err
		}
		if err := acc.Merge([]uint32{0}, 1, state); err != nil {
			return "", err
		}
	}
	res, err := acc.Result(memory.DefaultAllocator)
	if err != nil {
		return "", err
	}
	return cell(res, 0), nil
}

// A total is right or an error; what it passes through on the way does not matter.
func TestTotalsAtTheLimit(t *testing.T) {
	d38 := &arrow.Decimal128Type{Precision: 38, Scale: 0}
	most := strings.Repeat("9", 38)
	for _, c := range []struct {
		fn, want string
		typ      arrow.DataType
		batches  [][]string
	}{
		{"sum", "9223372036854775807", arrow.PrimitiveTypes.Int64, [][]string{{"9223372036854775807", "1"}, {"-1"}}},
		{"sum", "-9223372036854775808", arrow.PrimitiveTypes.Int64, [][]string{{"-9223372036854775808"}, {"-1"}, {"1"}}},
		{"sum", "int64 out of range", arrow.PrimitiveTypes.Int64, [][]string{{"9223372036854775807"}, {"1"}}},
		{"sum", "int64 out of range", arrow.PrimitiveTypes.Int64, [][]string{{"-9223372036854775808", "-1"}}},
		{"sum", "18446744073709551615", arrow.PrimitiveTypes.Uint64, [][]string{{"18446744073709551615"}, {"0"}}},
		{"sum", "uint64 out of range", arrow.PrimitiveTypes.Uint64, [][]string{{"18446744073709551615"}, {"1"}}},
		{"sum", "510", arrow.PrimitiveTypes.Uint8, [][]string{{"255"}, {"255"}}},
		{"sum", most, d38, [][]string{{most, "1"}, {"-1"}}},
		{"sum", "0", d38, [][]string{{most, most}, {"-" + most}, {"-" + most}}}, // wraps 128 bits and comes back
		{"sum", most, d38, [][]string{{most, most, most, most}, {"-" + most, "-" + most, "-" + most}}},
		{"sum", "-" + most, d38, [][]string{{"-" + most, "-" + most, "-" + most}, {most, most}}},
		{"sum", "decimal(38,0) out of range", d38, [][]string{{most}, {"1"}}},
		{"sum", "decimal(38,0) out of range", d38, [][]string{{"-" + most, "-" + most, "-" + most, "-" + most}}},
		{"avg", most, d38, [][]string{{most, most}, {most}}},
		{"avg", "9223372036854775808", arrow.PrimitiveTypes.Int64, [][]string{{"9223372036854775807"}, {"9223372036854775807"}}}, // the nearest float64
		{"avg", "0.0033", &arrow.Decimal128Type{Precision: 9, Scale: 0}, [][]string{{"0", "0", "1"}, strings.Split(strings.Repeat("0 ", 299)+"0", " ")}},
		{"avg", "-0.6667", &arrow.Decimal128Type{Precision: 9, Scale: 0}, [][]string{{"-1", "-1", "0"}}},
		{"avg", "0.00005", &arrow.Decimal128Type{Precision: 9, Scale: 1}, [][]string{append([]string{"0.1"}, strings.Split(strings.Repeat("0 ", 1998)+"0", " ")...)}},
		{"sum", "+Inf", arrow.PrimitiveTypes.Float64, [][]string{{"+Inf", "1"}, {"2"}}},
		{"sum", "NaN", arrow.PrimitiveTypes.Float64, [][]string{{"+Inf"}, {"-Inf"}}},
		{"sum", "2", arrow.PrimitiveTypes.Float64, [][]string{{"1", "1e100"}, {"1", "-1e100"}}}, // what plain addition loses
		{"max", "NaN", arrow.PrimitiveTypes.Float64, [][]string{{"+Inf", "NaN"}, {"1"}}},
		{"min", "-Inf", arrow.PrimitiveTypes.Float32, [][]string{{"NaN"}, {"-Inf"}}},
		{"min", "NaN", arrow.PrimitiveTypes.Float32, [][]string{{"NaN"}, {"null"}}},
	} {
		t.Run(fmt.Sprint(c.fn, " ", c.typ, " ", c.want), func(t *testing.T) {
			got, err := run(t, c.fn, c.typ, c.batches...)
			var ge *GroupError
			if errors.As(err, &ge) {
				got = ge.Error()
			} else if err != nil {
				t.Fatal(err)
			}
			if !same(got, c.want, 0) {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

// Long strings that replace each other do not pile up.
func TestTextExtremesReuseRoom(t *testing.T) {
	f, _ := Lookup("max")
	b, _ := f.Bind(Args(arrow.Field{Type: arrow.BinaryTypes.String}))
	acc := b.New(memory.DefaultAllocator)
	for i := range 400 {
		a := column1(memory.DefaultAllocator, arrow.BinaryTypes.String, []string{fmt.Sprintf("%03d%s", i, strings.Repeat("x", 10*i))})
		if err := acc.Update([]uint32{0}, 1, []arrow.Array{a}); err != nil {
			t.Fatal(err)
		}
	}
	if acc.Size() > 256<<10 {
		t.Errorf("holds %d bytes for one value of 4 KB", acc.Size())
	}
	res, err := acc.Result(memory.DefaultAllocator)
	if err != nil || !strings.HasPrefix(cell(res, 0), "399xxx") {
		t.Errorf("max is %.10s (%v), want 399…", cell(res, 0), err)
	}
}
