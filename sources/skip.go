package sources

import "github.com/apache/arrow/go/v17/arrow"

// Bounds is what an input says of a column's values in a part of it.
type Bounds struct {
	// Extremes holds values of the column's type in the source's schema that no value but null lies beyond, the smallest and
	// the largest; with NaN among them if there may be one. nil if they are not known, or if there is no value.
	Extremes arrow.Array
	NoNulls  bool // there is no null
	AllNulls bool // there is nothing else
}

// Filter is a filter at the head of the pipeline, before anything that changes columns or refuses rows.
type Filter struct {
	// Step is its number among the steps of the first segment.
	Step int
	// Excludes reports that its condition is true in no row whose columns are within bounds; of gives false for a column of
	// which nothing is known. It retains nothing.
	Excludes func(of func(column string) (Bounds, bool)) bool
}

// Skipper is a source that can pass over records that a filter drops anyway, by what its inputs say of themselves. Its
// chunks say how many (pipeline.Known).
type Skipper interface {
	// Skip is called before the first Next, if at all.
	Skip(filters []Filter)
}

// Refuser is a source that was opened for all columns (Request.Need nil) and may have some that it cannot read. Whoever binds
// a pipeline that needs all of them asks before the run.
type Refuser interface {
	// Refused is why the source will not give a chunk, or nil.
	Refused() error
}
