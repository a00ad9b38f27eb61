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
		return ok
	}
	p.Steps, err = query.Steps(p.SQL, query.Functions{Aggregate: isAggregate})
	return err
}
