// Command worker-with-vat is the worker with a step of its own, vat: the amount with value added tax, for amounts that are not negative.
package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/sluice-data/sluice/cmd/worker/command"
	"github.com/sluice-data/sluice/transforms"
)

func init() {
	transforms.RegisterCustom(transforms.Custom{
		Name:    "vat",
		Doc:     "Adds a column gross: the amount, a float64 column, with value added tax. Rows without an amount are dropped, negative ones are bad.",
		Example: "- vat: {amount: net, percent: 19}",
		Bind:    bind,
	})
}

func main() { command.Main("with-vat") }

func bind(args any, in *arrow.Schema) (s transforms.CustomStep, err error) {
	m, ok := args.(map[string]any)
	if !ok {
		return s, errors.New("want {amount: column, percent: number}")
	}
	name, _ := m["amount"].(string)
	at := in.FieldIndices(name)
	if len(at) == 0 || in.Field(at[0]).Type.ID() != arrow.FLOAT64 {
		return s, fmt.Errorf("amount %q is no float64 column", name)
	}
	text, _ := m["percent"].(string)
	percent, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return s, fmt.Errorf("percent: %w", err)
	}
	s.Schema = arrow.NewSchema(append(append([]arrow.Field(nil), in.Fields()...), arrow.Field{Name: "gross", Type: arrow.PrimitiveTypes.Float64, Nullable: true}), nil)
	s.New = func() (transforms.CustomFunc, error) {
		return func(_ context.Context, rec arrow.Record, mem memory.Allocator) (arrow.Record, transforms.Rows, error) {
			var out transforms.Rows
			net := rec.Column(at[0]).(*array.Float64)
			b := array.NewFloat64Builder(mem)
			defer b.Release()
			for i := range net.Len() {
				switch {
				case net.IsNull(i):
					out.Filtered = append(out.Filtered, i)
				case net.Value(i) < 0:
					out.Rejected = append(out.Rejected, transforms.Rejected{Row: i, Column: name, Value: net.ValueStr(i), Reason: "amount is negative"})
				}
				b.Append(net.Value(i) * (1 + percent/100))
			}
			gross := b.NewArray()
			defer gross.Release()
			return array.NewRecord(s.Schema, append(append([]arrow.Array(nil), rec.Columns()...), gross), rec.NumRows()), out, nil
		}, nil
	}
	return s, nil
}
