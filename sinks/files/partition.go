package files

import (
	"slices"

	"github.com/apache/arrow/go/v17/arrow"

	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/internal/hive"
	"github.com/sluice-data/sluice/pipeline"
	"github.com/sluice-data/sluice/sinks"
)

// partitioning splits records into what is in the files and what is in the folders' names.
type partitioning struct {
	names []string
	by    []int         // the partition columns
	rest  []int         // the others
	whole *arrow.Schema // of the records
	files *arrow.Schema
}

// newPartitioning is nil where there is nothing to partition by.
func newPartitioning(req sinks.Request) (*partitioning, error) {
	if len(req.PartitionBy) == 0 {
		return nil, nil
	}
	p := &partitioning{names: req.PartitionBy, whole: req.Schema}
	taken := map[int]bool{}
	for _, name := range req.PartitionBy {
		at := req.Schema.FieldIndices(name)
		if len(at) != 1 || taken[at[0]] {
			return nil, fail.Newf(fail.Usage, "partition by %q: want one column of that name, named once", name)
		}
		if err := hive.CheckField(req.Schema.Field(at[0])); err != nil {
			return nil, fail.Newf(fail.Usage, "partition_by: %w", err)
		}
		taken[at[0]] = true
		p.by = append(p.by, at[0])
	}
	var fields []arrow.Field
	for i, f := range req.Schema.Fields() {
		if !taken[i] {
			p.rest, fields = append(p.rest, i), append(fields, f)
		}
	}
	if len(fields) == 0 {
		return nil, fail.Newf(fail.Usage, "partition_by names every column: nothing is left to be in the files")
	}
	meta := req.Schema.Metadata()
	p.files = arrow.NewSchema(fields, &meta)
	return p, nil
}

// values is the partition of row i.
func (p *partitioning) values(rec arrow.Record, i int) ([]hive.Value, error) {
	out := make([]hive.Value, len(p.by))
	for k, c := range p.by {
		var err error
		if out[k], err = hive.ValueAt(rec.Column(c), i); err != nil {
			return nil, fail.Newf(fail.Data, "partition: %w", err).Of(p.names[k], out[k].Text)
		}
	}
	return out, nil
}

// named is the values by the columns' names; nil without partitions.
func (p *partitioning) named(values []hive.Value) map[string]hive.Value {
	if p == nil {
		return nil
	}
	out := make(map[string]hive.Value, len(values))
	for i, v := range values {
		out[p.names[i]] = v
	}
	return out
}

// folder is the partition of all rows of rec: of the first and the last, for the rows of one partition come together.
func (p *partitioning) folder(rec arrow.Record) (string, []hive.Value, error) {
	first, err := p.values(rec, 0)
	if err != nil {
		return "", nil, err
	}
	last, err := p.values(rec, int(rec.NumRows())-1)
	if err != nil {
		return "", nil, err
	}
	path := hive.Folder(p.names, first)
	if other := hive.Folder(p.names, last); other != path {
		return "", nil, fail.Newf(fail.Internal, "write files: a record has rows of %s and of %s", path, other)
	}
	return path, first, nil
}

// Apart reports whether two records are of different partitions.
func (s *Sink) Apart(a, b arrow.Record) bool {
	if s.parts == nil || a.NumRows() == 0 || b.NumRows() == 0 {
		return false
	}
	x, err1 := s.parts.values(a, 0)
	y, err2 := s.parts.values(b, 0)
	if err1 != nil || err2 != nil {
		return true // the encoder says what is wrong
	}
	for i := range x {
		if x[i] != y[i] {
			return true
		}
	}
	return false
}

var _ pipeline.Divider = (*Sink)(nil)

// inFiles is by what columns of the files their rows are sorted: a partition column has one value in each.
func inFiles(req sinks.Request) []sinks.Order {
	var out []sinks.Order
	for _, o := range req.SortedBy {
		if !slices.Contains(req.PartitionBy, o.Column) {
			out = append(out, o)
		}
	}
	return out
}
