package sources

import "github.com/apache/arrow/go/v17/arrow"

// Survey is what inputs have beside the columns that are wanted of them.
type Survey struct {
	Columns []Seen // in the order of the inputs
	Nothing bool   // there was neither a record nor a header: nothing can be said of columns
}

// Seen is a column of the inputs. Its field has a type that holds every value seen; a string, if there was none.
type Seen struct {
	arrow.Field
	Fits bool // the wanted column of this name takes every value seen, so also where there was none
}
