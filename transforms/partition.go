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

// BindPartition binds the gathering of a partitioned sink: n is the list sink.partition_by. Rows come out partition after
// partition, in the order of the partitions' folders and, within one, of the input; the partition columns are still in
// them. A row with a value that no folder's name can carry is rejected.
func BindPartition(env Env, n *spec.Node, in *arrow.Schema, table Table) (Bound, error) {
	items, err := n.List()
	if err != nil {
		return Bound{}, err
	}
	cfg := gather.Config{Schema: in, Budget: env.MemoryBudget, TempDir: env.TempDir, Found: table.Found}
	names := make([]string, len(items))
	for i, it := range items {
		if names[i], err = it.Str(); err != nil {
			return Bound{}, err
		}
		c, err := lookup(it, in, names[i])
		if err != nil {
			return Bound{}, err
		}
		if err := hive.CheckField(in.Field(c)); err != nil {
			return Bound{}, it.Errorf("partition_by: %w", err)
		}
		cfg.By = append(cfg.By, c)
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
