package group

import (
	"github.com/sluice-data/sluice/transforms/agg"
	"github.com/sluice-data/sluice/transforms/internal/keys"
)

const (
	// outgrown is the share of the budget, one in so many, from which a lane puts a few groups that hold many values each on disk, so that no run is more
	// than a drain has room for. Where there are many lanes it is a quarter of what each may have.
	outgrown = 8
	// fewGroups are those that are large because of their values, not because there are many.
	fewGroups = 16
)

// outgrows reports whether the groups of p are to go to disk though they are few. While three quarters of a large budget are free they may grow.
func (f *Fold) outgrows(p *part) bool {
	return p.size > f.limit/max(outgrown, 4*f.lanes.Load()) && p.tab.Len() <= fewGroups && (f.limit < shedBelow || !f.room(f.limit/4*3)) && f.spills(p)
}

// spills reports whether most of what p holds are values that a drain can have on disk.
func (f *Fold) spills(p *part) bool {
	var n int64
	for _, a := range p.accs {
		if s, ok := a.(agg.Spiller); ok && s.Spills() {
			n += a.Size()
		}
	}
	return n > p.size/2
}

// alone reports whether p and the runs are of one group, which no division makes smaller, and whose values can be on disk.
func (f *Fold) alone(p *part, runs []run) bool {
	if p.tab.Len() > 1 {
		return false
	}
	hash := runs[0].hash
	if p.tab.Len() == 1 {
		var r keys.Rows
		p.tab.View(&r, 0, 1)
		hash = r.Hashes()[0]
	}
	for _, r := range runs {
		if !r.one || r.hash != hash {
			return false
		}
	}
	return true
}

// outgrow puts the values of p, one group, on disk, so that need more bytes fit.
func (d *Drain) outgrow(p *part, need int64) error {
	for _, a := range p.accs {
		if s, ok := a.(agg.Spiller); ok && s.Spills() && a.Size() > d.f.limit/64 {
			if err := s.Spill(d.f.cfg.TempDir); err != nil {
				return err
			}
		}
	}
	if d.f.account(p); !d.fits(need) {
		if d.err != nil {
			return d.err
		}
		return d.f.noRoom()
	}
	return nil
}
