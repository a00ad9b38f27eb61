// Package sinks is the registry of destinations. A destination is one folder beside this file that registers itself.
package sinks

import (
	"context"
	"sort"

	"github.com/apache/arrow/go/v17/arrow"

	"github.com/sluice-data/sluice/internal/hive"
	"github.com/sluice-data/sluice/internal/objstore"
	"github.com/sluice-data/sluice/internal/spec"
	"github.com/sluice-data/sluice/pipeline"
)

// Destination is a place rows go to, as it registers itself.
type Destination struct {
	Name    string // "parquet": of sink.format
	Doc     string // one paragraph for the reference
	Example string // a sink: block
	// Options reads the block of its name, nil if there is none. Errors are of kind Usage, at their place in the pipeline file.
	Options func(n *spec.Node) (Options, error)
	// Constraints is what the files demand of the values of a column, by the column's field: values of its type that they cannot hold. nil: they hold all.
	Constraints func(f arrow.Field) []Constraint
	// Open checks the schema and the options and returns the bound sink. Nothing is written before the sink's first Write.
	Open func(ctx context.Context, req Request) (Sink, error)
	// Tidy deletes the completed objects of a run below dir, in the folders given ("" without partitions), whose keys are not in
	// keep. It is for what other attempts left, once one has committed. It goes on after an error and returns the first.
	Tidy func(ctx context.Context, store objstore.Store, dir objstore.Ref, runID string, folders []string, keep map[string]bool) error
	// Abandon aborts the open uploads to a run's objects of the generations below the given one in the folders, and returns the completed ones that then stand there: all
	// that will ever do. It is for a run that can no longer commit them. left are some of those objects, of any format: their names say whether they are this destination's.
	Abandon func(ctx context.Context, store objstore.Store, dir objstore.Ref, runID string, folders, left []string, below int) ([]objstore.Ref, error)
}

// GenerationSize is how many numbers the files of a folder have in each generation: that of a file is its number divided by this.
const GenerationSize = 1_000_000

// Request is what a destination gets to open a sink.
type Request struct {
	Schema *arrow.Schema // of the records; the partition columns among them are left out of the files
	// PartitionBy names the columns of Schema by whose values the rows go to folders, in order; none is one place for all. Each
	// record then has rows of one partition, and those of one come one after the other.
	PartitionBy []string
	SortedBy    []Order // columns that the rows of a place are sorted by, as they come; nil if that is not known
	Store       objstore.Store
	Dir         objstore.Ref // sink.uri as a prefix: Key is "" or ends in "/"
	RunID       string       // names the run's objects
	// Generation says where their numbers begin: others may still delete those of earlier ones, at any time. It is 0 but for a run whose attempts another run took for dead.
	Generation int
	// TargetFileSize is the size in bytes a file should have, about; 0 is the destination's default.
	TargetFileSize int64
	// Options are what the destination's own Options made of its block; nil for its defaults.
	Options   Options
	KeyValue  map[string]string // metadata of each file, where its format has a place for it
	CreatedBy string            // "sluice version x.y.z (build …)", likewise
}

// Order is a column that rows are sorted by: text byte by byte, NaN above all numbers.
type Order struct {
	Column     string
	Desc       bool
	NullsFirst bool
}

// Options are the options of a destination, as read: what a plan shows of them, and what of them is in a run's id.
type Options = spec.SinkOptions

// Blocked are options that say how many rows are encoded together.
type Blocked interface {
	// Blocks are the most rows and the most bytes, as records in memory, of a block, 0 where nothing is said, and the key that says the bytes.
	Blocks() (rows, size int64, key string)
}

// Sink is a bound destination.
type Sink interface {
	pipeline.Sink
	// Flush brings all that was written to the store, in uploads that have only to be completed: after it none is begun. It is called
	// once all is written; Commit or Abort follows.
	Flush(ctx context.Context) error
	// Files are the objects that Commit published, in row order; nil before Commit succeeded.
	Files() []File
	// AbortOthers aborts the open uploads that other attempts have on the run's objects, in this one's folders and those given. It
	// is for when none of them may commit any more, and goes on after an error, of which it returns the first.
	AbortOthers(ctx context.Context, folders []string) error
	// Memory is about how many bytes the sink, its encoders and the blocks in flight hold.
	Memory() int64
}

// File is a published object, as the store gave it back.
type File struct {
	URI  string
	Ref  objstore.Ref
	Size int64
	Rows int64
	ETag string
	// Partition is the partition columns' values; nil without PartitionBy.
	Partition map[string]hive.Value
}

var destinations = map[string]Destination{}

// Register adds a destination; a name registered twice panics.
func Register(d Destination) {
	if _, dup := destinations[d.Name]; dup {
		panic("sinks: destination registered twice: " + d.Name)
	}
	destinations[d.Name] = d
}

// Lookup finds a destination by its name.
func Lookup(name string) (Destination, bool) {
	d, ok := destinations[name]
	return d, ok
}

// Names are the names of the registered destinations, sorted.
func Names() []string {
	out := make([]string, 0, len(destinations))
	for name := range destinations {
		out = append(out, name)
	}
	sort.Strings(out)
	return out
}
