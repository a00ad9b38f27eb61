package job

import (
	"fmt"
	"testing"

	"github.com/apache/arrow/go/v17/arrow"

	"github.com/sluice-data/sluice/internal/spec"
	"github.com/sluice-data/sluice/pipeline"
	"github.com/sluice-data/sluice/transforms"
)

// budgetFold is a fold of which only the budget it was bound with matters.
type budgetFold struct {
	pipeline.Fold
	schema *arrow.Schema
}

func (f budgetFold) Schema() *arrow.Schema { return f.schema }

// A fold drains while the next one fills: their budgets together are what folds may hold.
func TestFoldsShareTheBudget(t *testing.T) {
	var budgets []int64
	transforms.Register(transforms.Def{Name: "budget_of_a_fold", Bind: func(env transforms.Env, _ *spec.Node, in *arrow.Schema) (transforms.Bound, error) {
		budgets = append(budgets, env.MemoryBudget)
		return transforms.Bound{Fold: budgetFold{schema: in}}, nil
	}})
	for steps, want := range map[int]int64{1: 1000, 2: 500, 3: 500} {
		b := &binder{pipe: &spec.Pipeline{}, env: transforms.Env{MemoryBudget: 1000}}
		for range steps {
			b.pipe.Steps = append(b.pipe.Steps, spec.Step{Name: "budget_of_a_fold"})
		}
		budgets = nil
		bounds, err := b.bound(arrow.NewSchema(nil, nil), nil)
		if err != nil || len(bounds) != steps {
			t.Fatalf("%d folds are bound as %d: %v", steps, len(bounds), err)
		}
		for _, got := range budgets[len(budgets)-steps:] {
			if got != want {
				t.Errorf("one of %d folds may hold %d of 1000 bytes, want %d", steps, got, want)
			}
		}
	}
}

// A step gives on what later ones use: the distance is read for the filter alone, the tip for a rate.
func TestStepsGiveOnWhatIsUsed(t *testing.T) {
	pipe, err := spec.Load("pipeline.yaml", []byte(`version: 1
name: rates
steps:
  - filter: fare > 0 AND distance > 0
  - derive: {rate: tip / fare}
  - select: [id, rate]
sink: {uri: out/}
`), nil)
	if err != nil {
		t.Fatal(err)
	}
	var fields []arrow.Field
	for _, name := range []string{"id", "fare", "distance", "tip"} {
		fields = append(fields, arrow.Field{Name: name, Type: arrow.PrimitiveTypes.Float64, Nullable: true})
	}
	for _, c := range []struct {
		steps int
		want  []string
	}{
		{3, []string{"[id fare tip]", "[id rate]", "[id rate]"}},
		{2, []string{"[id fare distance tip]", "[id fare distance tip rate]"}}, // all columns are written
	} {
		b := &binder{pipe: pipe, in: &intake{}}
		pipe.Steps = pipe.Steps[:c.steps]
		p := &plan{}
		if err := b.steps(p, arrow.NewSchema(fields, nil)); err != nil {
			t.Fatal(err)
		}
		for i, st := range p.segments[0].Steps {
			var got []string
			for _, f := range st.Schema().Fields() {
				got = append(got, f.Name)
			}
			if fmt.Sprint(got) != c.want[i] {
				t.Errorf("step %d of %d gives %v, want %s", i, c.steps, got, c.want[i])
			}
		}
	}
}
