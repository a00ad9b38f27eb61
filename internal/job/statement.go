package job

import (
	"github.com/sluice-data/sluice/internal/query"
	"github.com/sluice-data/sluice/internal/spec"
	"github.com/sluice-data/sluice/transforms/agg"
)

// statement makes the steps of a pipeline that is one SQL statement; from there on it is as if they stood in the file.
func statement(p *spec.Pipeline) (err error) {
	if p.SQL == nil {
		return nil
	}
	isAggregate := func(name string) bool {
		_, ok := agg.Lookup(name)
		return ok || name == "grouping"
	}
	fns := query.Functions{Aggregate: isAggregate}
	for _, t := range p.Lookups {
		fns.Tables = append(fns.Tables, t.Name)
	}
	p.Steps, err = query.Steps(p.SQL, fns)
	return err
}
