package agg

import (
	"fmt"

	"github.com/apache/arrow/go/v17/arrow"

	"github.com/sluice-data/sluice/internal/schema"
)

// one checks that a function got exactly one argument and no DISTINCT.
func one(name string, args []arrow.Field, distinct bool) (arrow.Field, error) {
	if distinct {
		return arrow.Field{}, fmt.Errorf("%s takes no distinct: only count does", name)
	}
	if len(args) != 1 {
		return arrow.Field{}, fmt.Errorf("%s takes one argument, not %d", name, len(args))
	}
	return args[0], nil
}

func unfit(name string, arg arrow.Field, want string) error {
	return fmt.Errorf("%s takes %s, not %s", name, want, schema.TypeName(arg))
}

// column is a nullable unnamed result or state column.
func column(t arrow.DataType) arrow.Field { return arrow.Field{Type: t, Nullable: true} }

// Types of partial states.
var (
	int64s   = arrow.PrimitiveTypes.Int64
	float64s = arrow.PrimitiveTypes.Float64
	int128s  = &arrow.Decimal128Type{Precision: 38}
)
