package transforms

import (
	"context"
	"strings"

	"github.com/apache/arrow/go/v17/arrow"

	"github.com/sluice-data/sluice/internal/hive"
	"github.com/sluice-data/sluice/internal/spec"
	"github.com/sluice-data/sluice/transforms/internal/gather"
)

// Table is what a partitioned sink's rows are gathered for.
type Table struct {
	Limits hive.Limits // of its folders' names
	// Found, if it is not nil, is called with all folders before the first row comes out.
	Found func(ctx context.Context, folders []string) error
}

// Layout is what a sink asks of its rows before it gets them.
type Layout struct {
	PartitionBy *spec.Node // sink.partition_by, a list of columns and of mappings {name: expression}; nil without
	SortBy      *spec.Node // sink.sort_by, an order; nil without
	Table       Table
}

// Bind makes a step of the schema that comes to it.
type Bind func(env Env, in *arrow.Schema) (Bound, error)

// Computed are the steps that compute columns to partition by.
func (l Layout) Computed() []Bind {
	var out []Bind
	if l.PartitionBy == nil {
		return nil
	}
	items, _ := l.PartitionBy.List() // bindPartition says what is wrong
	for _, it := range items {
		if it.IsMap() {
			out = append(out, func(env Env, in *arrow.Schema) (Bound, error) { return bindComputed(env, it, in) })
		}
	}
	return out
}

// Steps come behind those: the rows are sorted, then gathered by partition, which keeps their order.
func (l Layout) Steps() []Bind {
	var out []Bind
	if l.SortBy != nil {
		out = append(out, func(env Env, in *arrow.Schema) (Bound, error) { return bindSort(env, l.SortBy, in) })
	}
	if l.PartitionBy != nil {
		out = append(out, func(env Env, in *arrow.Schema) (Bound, error) { return bindPartition(env, l.PartitionBy, in, l.Table) })
	}
	return out
}

// Order is a column that rows are sorted by.
type Order struct {
	Column     string
	Desc       bool
	NullsFirst bool
}

// Order is the columns that rows of the schema are sorted by, up to the first expression that is none.
func (l Layout) Order(env Env, in *arrow.Schema) ([]Order, error) {
	if l.SortBy == nil {
		return nil, nil
	}
	k, err := bindOrder(env, l.SortBy, in)
	if err != nil {
		return nil, err
	}
	var out []Order
	for i, p := range k.progs {
		c, ok := p.Column()
		if !ok {
			break
		}
		out = append(out, Order{in.Field(c).Name, k.cols[i].Desc, k.cols[i].NullsFirst})
	}
	return out, nil
}

// bindComputed binds columns to partition by that are computed. They are in the folders' names only, so each needs a name of its own.
func bindComputed(env Env, n *spec.Node, in *arrow.Schema) (Bound, error) {
	entries, err := n.Map()
	if err != nil {
		return Bound{}, err
	}
	for _, e := range entries {
		if len(in.FieldIndices(e.Key)) > 0 {
			return Bound{}, e.At.Errorf("partition_by computes %q, and there is a column of that name: give it another", e.Key)
		}
	}
	return bindDerive(env, n, in)
}

// bindPartition binds the gathering of a partitioned sink: n is the list sink.partition_by. Rows come out partition after
// partition, in the order of the partitions' folders and, within one, of the input; the partition columns are still in
// them. A row with a value that no folder's name can carry is rejected.
func bindPartition(env Env, n *spec.Node, in *arrow.Schema, table Table) (Bound, error) {
	items, err := n.List()
	if err != nil {
		return Bound{}, err
	}
	cfg := gather.Config{Schema: in, Budget: env.MemoryBudget, TempDir: env.TempDir, Found: table.Found}
	var names []string
	add := func(at *spec.Node, name string) error {
		c, err := lookup(at, in, name)
		if err != nil {
			return err
		}
		if err := hive.CheckField(in.Field(c)); err != nil {
			return at.Errorf("partition_by: %w", err)
		}
		names, cfg.By = append(names, name), append(cfg.By, c)
		return nil
	}
	for _, it := range items {
		if it.IsMap() {
			entries, err := it.Map()
			if err != nil {
				return Bound{}, err
			}
			for _, e := range entries {
				if err := add(e.At, e.Key); err != nil {
					return Bound{}, err
				}
			}
			continue
		}
		name, err := it.Str()
		if err == nil {
			err = add(it, name)
		}
		if err != nil {
			return Bound{}, err
		}
	}
	if len(cfg.By) == in.NumFields() {
		return Bound{}, n.Errorf("partition_by names every column: nothing is left to be in the files")
	}
	cfg.Folder = func(by []arrow.Array, row int) (string, int, string, error) {
		values := make([]hive.Value, len(by))
		for i, a := range by {
			var err error
			if values[i], err = hive.ValueAt(a, row); err != nil {
				return "", i, values[i].Text, err
			}
		}
		folder := hive.Folder(names, values)
		if i, err := table.Limits.Check(folder); err != nil {
			return "", i, values[i].Text, err
		}
		return folder, 0, "", nil
	}
	f, err := gather.New(cfg)
	if err != nil {
		return Bound{}, n.Errorf("partition_by: %w", err)
	}
	return Bound{Fold: f, Explain: "partition by " + strings.Join(names, ", "),
		Needs: func(out map[string]bool) map[string]bool { return out }}, nil
}
