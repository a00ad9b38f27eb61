// Package transforms is the registry of steps and the steps themselves, one file each.
package transforms

import (
	"context"
	"sort"

	"github.com/apache/arrow/go/v17/arrow"

	"github.com/sluice-data/sluice/internal/expr"
	"github.com/sluice-data/sluice/internal/spec"
	"github.com/sluice-data/sluice/pipeline"
)

// Def is a step as it registers itself.
type Def struct {
	Name    string // "filter"
	Doc     string // one paragraph for the reference
	Example string // a YAML list item that works on its own, run as a test
	// Tables are those of the arguments that name a reference table, each of which Env.Relation opens; nil for a step without any.
	Tables func(args *spec.Node) []*spec.Node
	// Unites says that the arguments name another input, which Env.Input opens, and may have steps for it.
	Unites bool
	// Bind checks node (the value under the step's name) against the incoming schema before a byte is read. Errors are *fail.Error of
	// kind Usage with the node's line and column.
	Bind func(env Env, node *spec.Node, in *arrow.Schema) (Bound, error)
}

// Env is what binding may use.
type Env struct {
	Expr expr.Env
	// MemoryBudget in bytes is what all lanes of a fold may hold together; 0 is no limit.
	MemoryBudget int64
	// TempDir is where folds put what the budget has no room for; "" is the system's directory for temporary files.
	TempDir string
	// Relation is the reference table that the arguments of a step name, by table: or by uri: and what goes with it.
	Relation func(args *spec.Node) (Relation, error)
	// Input is the other input that the arguments of a step name, in the same way.
	Input func(args *spec.Node) (Input, error)
}

// Input is an input of the run beside the first one.
type Input interface {
	// Name is what messages call it: its name in lookups:, or its URI.
	Name() string
	// Schema are its columns, or those of them that are read.
	Schema() *arrow.Schema
}

// Relation is a reference table: its columns are known when a step is bound, its rows when the step is loaded.
type Relation interface {
	// Name is what messages call it: its name in lookups:, or its URI.
	Name() string
	Schema() *arrow.Schema
	// Use names columns whose Pieces will be asked for, Add those whose Columns will.
	Use(columns ...string)
	Add(columns ...string)
	// Rows is how many rows there are, once the step is being loaded.
	Rows() int
	// Pieces are the values of columns that were named to Use, row after row, each piece an array a column. They are lent until Load returns.
	Pieces(columns ...string) [][]arrow.Array
	// Columns are the values of columns that were named to Add, an array a column, once the step was loaded; any goroutine may call it. Texts may be a
	// dictionary array. With null each has one row more, the last, which is null. They are lent and live as long as the run.
	Columns(names []string, null bool) ([]arrow.Array, error)
	// Place is where row i is, for messages: `row 3 of s3://ref/zones.csv`.
	Place(i int) string
}

// Loader is a pipeline.Step that uses a Relation. Load is called once, when the relation has been read and before any NewStage;
// its errors are of kind Data.
type Loader interface {
	Load(ctx context.Context) error
}

// Bound is a step bound to its input schema: exactly one of Step and Fold is set.
type Bound struct {
	Step pipeline.Step
	Fold pipeline.Fold
	// Then are more steps, behind this one, that the step in the pipeline file consists of: each bound to what the one before it gives, and
	// so without Narrow.
	Then []Bound
	// Joined, where a step has it, is another input whose rows go through steps of their own, none of them a fold, and come in behind this step,
	// with its schema.
	Joined *Joined
	// Needs maps the columns needed of the output to those needed of the input (for projection push-down). nil out means all.
	Needs func(out map[string]bool) map[string]bool
	// Narrow, where a step has it, is the step with those columns of its output alone that are in keep: what no later step uses is not
	// copied and not held. Rows, errors and what the step needs of its input stay as they are.
	Narrow func(keep map[string]bool) Bound
	// Verify, where a step has it, is what it found of the run. It is called when all rows went through, before anything becomes visible.
	Verify func() []Finding
	// Explain is the bound step in one line: `filter fare > 0`.
	Explain string
}

// Joined is what a union joins to the rows: an input and its steps, at least one.
type Joined struct {
	Input Input
	Steps []Bound
}

// Schema is that of the rows that come out.
func (b Bound) Schema() *arrow.Schema {
	if n := len(b.Then); n > 0 {
		return b.Then[n-1].Schema()
	}
	if b.Fold != nil {
		return b.Fold.Schema()
	}
	return b.Step.Schema()
}

var defs = map[string]Def{}

// Register adds a step; a name registered twice panics.
func Register(d Def) {
	if _, dup := defs[d.Name]; dup {
		panic("transforms: step registered twice: " + d.Name)
	}
	defs[d.Name] = d
}

// Lookup finds a step by its name.
func Lookup(name string) (Def, bool) {
	d, ok := defs[name]
	return d, ok
}

// Names are the registered step names, sorted.
func Names() []string {
	out := make([]string, 0, len(defs))
	for n := range defs {
		out = append(out, n)
	}
	sort.Strings(out)
	return out
}
