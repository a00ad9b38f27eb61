package sources

import "github.com/apache/arrow/go/v17/arrow"

// Survey is what inputs have beside the columns that are wanted of them.
type Survey struct {
	Columns []Seen // in the order of the inputs
	Nothing bool   // there was neither a record nor a header: nothing can be said of columns
	Typed   bool   // columns have types in the inputs, which fit the wanted ones or do not, whatever the single values are
}

// Seen is a column of the inputs. Its field has a type that holds every value seen; a string, if there was none.
type Seen struct {
	arrow.Field
	Fits    bool           // the wanted column of this name takes every value seen, so also where there was none
	Decimal arrow.DataType // of numbers: the least decimal type that holds them as they are written; nil if there is none
	Mixed   bool           // the inputs' types of it have none in common; the field is that of one which does not fit
}
