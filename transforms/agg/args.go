package agg

import (
	"fmt"

	"github.com/apache/arrow/go/v17/arrow"

	"github.com/sluice-data/sluice/internal/schema"
)

// one checks that a function got exactly one argument.
func one(name string, c Call) (arrow.Field, error) {
	if len(c.Args) != 1 {
		return arrow.Field{}, fmt.Errorf("%s takes one argument, not %d", name, len(c.Args))
	}
	return c.Args[0].Field, nil
}

func unfit(name string, arg arrow.Field, want string) error {
	return fmt.Errorf("%s takes %s, not %s", name, want, schema.TypeName(arg))
}

// column is a nullable unnamed result or state column.
func column(t arrow.DataType) arrow.Field { return arrow.Field{Type: t, Nullable: true} }

// like is a nullable unnamed column of the type of another, with its marks.
func like(f arrow.Field) arrow.Field {
	return arrow.Field{Type: f.Type, Nullable: true, Metadata: f.Metadata}
}

// Types of partial states.
var (
	int64s   = arrow.PrimitiveTypes.Int64
	float64s = arrow.PrimitiveTypes.Float64
	int128s  = &arrow.Decimal128Type{Precision: 38}
)
