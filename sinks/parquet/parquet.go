// Package parquet is the files that are Parquet: a column-chunk encoder of its own, straight from Arrow arrays, over parquet-go's
// format and thrift packages.
package parquet

import (
	"slices"
	"sync/atomic"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/memory"
	"github.com/parquet-go/parquet-go/format"

	"github.com/sluice-data/sluice/sinks"
	"github.com/sluice-data/sluice/sinks/files"
)

func init() { files.Register(Format) }

// Format is Parquet as it registers itself.
var Format = files.Format{
	Name: "parquet",
	Doc: "Parquet files part-<run id>-<nnnnn>.parquet below uri, in row order, each of about target_file_size. They are " +
		"uploaded while the run goes on and become visible together at its commit, after which each footer is read back. " +
		"With partition_by each partition's rows are in a folder of their own, day=2024-01-01/, and the partition columns are in the folders' names only.",
	Example:    "sink:\n  uri: s3://curated/trips_daily/\n  target_file_size: 256MB\n  parquet: {compression: zstd, level: 3}\n",
	Extensions: []string{".parquet"},
	Options:    readOptions,
	Open: func(req files.Request) (files.Writer, error) {
		w, err := newWriter(req)
		if err != nil {
			return nil, err
		}
		return w, nil
	},
}

// writer is Parquet files of one schema.
type writer struct {
	req      files.Request
	set      settings
	schema   *arrow.Schema
	elements []format.SchemaElement
	leaves   []leaf
	sorted   []format.SortingColumn // of every row group

	pool     blockPool
	encoders atomic.Int64 // bytes the encoders hold
}

// newWriter checks the schema and the options. Errors are of kind Usage: a type Parquet has no place for (null, duration, union
// …), names used twice, an unknown codec or level.
func newWriter(req files.Request) (*writer, error) {
	o, _ := req.Options.(Options)
	set, err := settle(o)
	if err != nil {
		return nil, err
	}
	w := &writer{req: req, set: set, schema: req.Schema}
	if w.elements, w.leaves, err = buildSchema(w.schema); err != nil {
		return nil, err
	}
	if err := withFilters(w.leaves, o.BloomFilter); err != nil {
		return nil, err
	}
	w.sorted = sortingColumns(w.leaves, req.SortedBy)
	return w, nil
}

// sortingColumns says in the format's terms what the rows are sorted by, up to the first column that has no leaf of its own.
func sortingColumns(leaves []leaf, by []sinks.Order) []format.SortingColumn {
	var out []format.SortingColumn
	for _, o := range by {
		i := slices.IndexFunc(leaves, func(l leaf) bool { return len(l.path) == 1 && l.path[0] == o.Column })
		if i < 0 {
			break
		}
		out = append(out, format.SortingColumn{ColumnIdx: int32(i), Descending: o.Desc, NullsFirst: o.NullsFirst})
	}
	return out
}

func (*writer) Extension() string   { return ".parquet" }
func (*writer) ContentType() string { return "application/vnd.apache.parquet" }

// NewEncoder makes the encoder of one lane. It takes its memory from reused buffers of its own, not from mem.
func (w *writer) NewEncoder(memory.Allocator) (files.Encoder, error) {
	e, err := newEncoder(w.leaves, w.set, &w.pool, &w.encoders)
	if err != nil {
		return nil, err
	}
	return e, nil
}

// Least is what is large beside what the footer and the page headers say of a row group.
func (w *writer) Least() int64 { return max(32<<10, 1000*int64(len(w.leaves))) }

func (w *writer) NewFile() files.File { return &file{w: w} }

func (w *writer) Memory() int64 { return w.encoders.Load() + w.pool.held.Load() }
