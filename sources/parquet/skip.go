package parquet

import (
	"github.com/apache/arrow/go/v17/arrow"

	"github.com/sluice-data/sluice/sources"
	"github.com/sluice-data/sluice/sources/parquet/internal/meta"
)

// Skip makes the source pass over row groups and pages whose statistics exclude a filter's condition. Files are read whole
// in which a value of a column that is read may be refused although the file is as it should be (a timestamp with digits
// below the microsecond): its row is rejected, not filtered, and has to be seen.
func (s *source) Skip(filters []sources.Filter) { s.filters = filters }

// excluded is the first filter's step that is true in no row of which limitsOf knows the limits of column i; -1 if there is
// none.
func (s *source) excluded(f *file, limitsOf func(p *plan) (limits, bool)) int {
	var made []arrow.Array
	defer func() {
		for _, a := range made {
			a.Release()
		}
	}()
	of := func(column string) (sources.Bounds, bool) {
		i := s.schema.FieldIndices(column)
		if len(i) != 1 {
			return sources.Bounds{}, false
		}
		p := f.plans[i[0]]
		switch {
		case p == nil || p.leaf != nil && p.leaf.kind.base == nullBase:
			return sources.Bounds{AllNulls: true}, true
		case p.leaf == nil || p.leaf.maxRep > 0 || p.leaf.maxDef > 1:
			return sources.Bounds{}, false
		}
		lim, ok := limitsOf(p)
		if !ok {
			return sources.Bounds{}, false
		}
		b := p.bounds(lim)
		if b.Extremes != nil {
			made = append(made, b.Extremes)
		}
		return b, true
	}
	for _, flt := range s.filters {
		if flt.Excludes(of) {
			return flt.Step
		}
	}
	return -1
}

// groupExcluded is excluded for a whole row group.
func (s *source) groupExcluded(f *file, g *group) int {
	if len(s.filters) == 0 || !f.skips(g) {
		return -1
	}
	return s.excluded(f, func(p *plan) (limits, bool) { return chunkLimits(p.leaf, &g.chunks[p.leaf.index]), true })
}

// skips tells whether rows of the group may go unseen: no value of a valid file that is read of them can be refused.
func (f *file) skips(g *group) bool {
	for _, p := range f.plans {
		if p != nil && p.mayRefuse(g) {
			return false
		}
	}
	return true
}

func (p *plan) mayRefuse(g *group) bool {
	if p.elem != nil && p.elem.mayRefuse(g) {
		return true
	}
	for _, c := range p.children {
		if c.mayRefuse(g) {
			return true
		}
	}
	if p.leaf == nil {
		return false
	}
	k := p.leaf.kind
	switch k.base {
	case int96Base, jsonBase: // JSON is what the file calls it; each value is looked at
		return true
	case timeBase, timestampBase:
		// milliseconds can be out of the range of microseconds; those within are what the limits say
		return k.unit == meta.Nanos || k.unit == meta.Millis && k.base == timestampBase &&
			(p.leaf.maxRep > 0 || !p.inRange(chunkLimits(p.leaf, &g.chunks[p.leaf.index])))
	case dateBase:
		return p.field.Type.ID() != arrow.DATE32
	case stringBase, binaryBase: // declared to be more than the file says
		return p.field.Type.ID() == arrow.STRING && p.field.Type.ID() != k.field("").Type.ID() || len(p.field.Metadata.Keys()) > 0
	}
	return false
}

// inRange tells whether the limits are values of the plan's type.
func (p *plan) inRange(lim limits) bool {
	if lim.nulls == lim.rows {
		return true
	}
	if !lim.known {
		return false
	}
	a := p.extremes(lim)
	if a == nil {
		return false
	}
	a.Release()
	return true
}
