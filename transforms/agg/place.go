package agg

import (
	"fmt"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"

	"github.com/sluice-data/sluice/transforms/internal/orderkey"
)

// placeOf is the place of a row by the given keys, those of c.Order in its order, and then by the order of the input.
func placeOf(name string, c Call, keys []Key) (Input, error) {
	in := Input{Place: true}
	for i, k := range keys {
		if !orderkey.Orderable(k.Type) {
			return in, unfit(name, k.Field, "an ORDER BY of values that have an order")
		}
		in.By = append(in.By, SortKey{Arg: len(c.Args) + i, Desc: k.Desc, NullsFirst: k.NullsFirst})
	}
	return in, nil
}

// constant is the number that argument i of a call is in each row.
func constant(name string, c Call, i int, what string) (v float64, null bool, err error) {
	a := c.Args[i].Const
	if a == nil {
		return 0, false, fmt.Errorf("%s wants %s as a constant", name, what)
	}
	if a.IsNull(0) {
		return 0, true, nil
	}
	switch a := a.(type) {
	case *array.Int32:
		return float64(a.Value(0)), false, nil
	case *array.Int64:
		return float64(a.Value(0)), false, nil
	case *array.Float32:
		return float64(a.Value(0)), false, nil
	case *array.Float64:
		return a.Value(0), false, nil
	case *array.Decimal128:
		return a.Value(0).ToFloat64(a.DataType().(*arrow.Decimal128Type).Scale), false, nil
	}
	return 0, false, unfit(name, c.Args[i].Field, what)
}
