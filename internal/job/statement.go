package job

import (
	"github.com/sluice-data/sluice/internal/query"
	"github.com/sluice-data/sluice/internal/spec"
	"github.com/sluice-data/sluice/transforms"
)

// statement makes the steps of a pipeline that is one SQL statement; from there on it is as if they stood in the file. They are made once without the columns
// of the rows, for the run's id, and again when those are known.
func statement(p *spec.Pipeline, columns []string) (steps []spec.Step, err error) {
	if p.SQL == nil {
		return p.Steps, nil
	}
	fns := query.Functions{Aggregate: transforms.IsAggregate, Columns: columns}
	for _, t := range p.Lookups {
		fns.Tables = append(fns.Tables, t.Name)
	}
	return query.Steps(p.SQL, fns)
}
