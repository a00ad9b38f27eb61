package transforms

import (
	"context"
	"strings"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/pipeline"
)

// Demand is what somebody behind the steps demands of the values of one column.
type Demand struct {
	Column string
	Of     string // who: "sink.postgres", "sink.csv"
	// Because says where it comes from: "column city of stg.trips is varchar(20)".
	Because string
	// Check calls refuse for each row of a that does not keep to it, with what is wrong: "21 bytes are too many". It is called on
	// several lanes at once.
	Check func(a arrow.Array, refuse func(row int, reason string))
}

// BindDemands makes the step that rejects the rows which do not keep to demands.
func BindDemands(demands []Demand, in *arrow.Schema) (Bound, error) {
	s := &demandStep{schema: in, demands: demands}
	var used, says []string
	because := map[string][]string{} // columns of which the same is demanded
	for _, d := range demands {
		at := in.FieldIndices(d.Column)
		if len(at) != 1 {
			return Bound{}, fail.Newf(fail.Internal, "%s demands something of column %q, which is there %d times", d.Of, d.Column, len(at))
		}
		s.at = append(s.at, at[0])
		used = append(used, d.Column)
		if because[d.Because] == nil {
			says = append(says, d.Because)
		}
		because[d.Because] = append(because[d.Because], d.Column)
	}
	for i, b := range says {
		says[i] = strings.Join(because[b], " and ") + " (" + b + ")"
	}
	return Bound{Step: s, Needs: also(used), Explain: "keep to " + strings.Join(says, ", ")}, nil
}

type demandStep struct {
	schema  *arrow.Schema
	demands []Demand
	at      []int // their columns
}

func (s *demandStep) Name() string          { return "sink" }
func (s *demandStep) Schema() *arrow.Schema { return s.schema }
func (s *demandStep) NewStage(mem memory.Allocator) (pipeline.Stage, error) {
	return &demandStage{s, mem}, nil
}

type demandStage struct {
	s   *demandStep
	mem memory.Allocator
}

func (st *demandStage) Apply(_ context.Context, b pipeline.Batch, rej *pipeline.Rejects) (pipeline.Batch, error) {
	var bad refusals
	for i, d := range st.s.demands {
		a := b.Rec.Column(st.s.at[i])
		d.Check(a, func(row int, reason string) {
			bad = append(bad, refusal{row, d.Column, cell(a, row), d.Of + ": " + reason + ": " + d.Because})
		})
	}
	if left := bad.reject(b, int(b.Rec.NumRows()), rej); left != nil {
		return keep(b, b.Rec, left, st.mem)
	}
	return pass(b), nil
}

func (st *demandStage) Close() {}
