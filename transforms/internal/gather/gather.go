// Package gather puts rows together by the values of some columns, in bounded memory: a partitioned sink wants each partition's
// rows one after the other, and they come in any order.
//
// A lane collects a window of rows in columns. When the window is full its rows are ordered by partition and kept as
// pieces, packed (see piece.go): some hundred bytes of columns become a few dozen. When those are more than the lane's share of
// the budget they go to disk, in the order of the partitions' folders, in which they will be read. In the end each partition's
// pieces are read lane by lane, and their rows put back into the order of the input: whatever the lanes, partitions come
// out the same.
package gather

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/pipeline"
	"github.com/sluice-data/sluice/transforms/internal/keys"
	"github.com/sluice-data/sluice/transforms/internal/rowpack"
)

// Config says what to gather by.
type Config struct {
	Schema *arrow.Schema
	By     []int // columns of Schema, at least one
	// Folder is the path of the partition that row i of the By columns is in. The error is why the row is in none: it is
	// rejected, with that as the reason; of is the number in By of the column to blame, and value what it holds.
	Folder func(by []arrow.Array, i int) (path string, of int, value string, err error)
	// Found, if it is not nil, is called with the paths of all partitions, in order, before rows of any come out.
	Found func(ctx context.Context, paths []string) error
	// Budget is the bytes that all lanes may hold together; 0 or less is no limit. Beyond mostMemory more does not help.
	Budget  int64
	TempDir string // where what does not fit goes; "" is the system's
}

const (
	// mostMemory is where holding more in memory stops to pay: a spilled row costs a copy each way.
	mostMemory = 64 << 20
	// MostPartitions of a run: a file for each of many more rows than that is a mistake.
	MostPartitions = 100_000
	// up to fewLanes lanes pieces are as large as they may be.
	fewLanes       = 4
	leastPieceRows = 256
	leastWindow    = 256 << 10
	mostWindow     = 8 << 20  // bytes of a window, where partitions are few
	wideWindow     = 32 << 20 // and where they are many
	// recordBytes is what the records are cut by, the rows of a partition counted from its start.
	recordBytes = 8 << 20
	recordRows  = 122_880
)

// Fold gathers rows by partition. It gives back every row.
type Fold struct {
	cfg   Config
	lays  []rowpack.Layout // of the columns that are not in By
	at    []int            // their numbers in the schema
	keys  *keys.Plan
	limit int64
	lanes atomic.Int64
	mu    sync.Mutex
	paths map[string]string // of partitions, each to itself
	// spilled is set when rows went to disk.
	spilled atomic.Bool
	// tests set these low
	pieceRows, recordRows int
	recordBytes           int64
}

var _ pipeline.Rearranger = (*Fold)(nil)

// New checks cfg. The error names a column that cannot be gathered by, or kept.
func New(cfg Config) (*Fold, error) {
	f := &Fold{cfg: cfg, paths: map[string]string{}, limit: mostMemory, pieceRows: rowpack.PieceRows, recordRows: recordRows, recordBytes: recordBytes}
	if cfg.Budget > 0 {
		f.limit = min(f.limit, cfg.Budget)
	}
	by := make(map[int]bool, len(cfg.By))
	types := make([]arrow.DataType, len(cfg.By))
	for i, c := range cfg.By {
		by[c], types[i] = true, cfg.Schema.Field(c).Type
	}
	var err error
	if f.keys, err = keys.NewPlan(types); err != nil {
		return nil, err
	}
	for i, field := range cfg.Schema.Fields() {
		if by[i] {
			continue
		}
		l, err := rowpack.LayoutOf(field.Type)
		if err != nil {
			return nil, fmt.Errorf("column %q: %w", field.Name, err)
		}
		f.lays, f.at = append(f.lays, l), append(f.at, i)
	}
	return f, nil
}

func (f *Fold) Name() string          { return "partition" }
func (f *Fold) Schema() *arrow.Schema { return f.cfg.Schema }

// GivesAllRows marks the fold for the ledger.
func (f *Fold) GivesAllRows() {}

// NewPartial makes the state of one lane.
func (f *Fold) NewPartial(mem memory.Allocator) (pipeline.Partial, error) {
	f.lanes.Add(1)
	return newLane(f, mem), nil
}

// path is the one copy of p that the lanes share.
func (f *Fold) path(p string) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	if first, there := f.paths[p]; there {
		return first
	}
	f.paths[p] = p
	return p
}

// piece is how many rows, and bytes of text, a piece has at most. The drain's lanes hold a decoded piece of each of these lanes, so
// it is smaller where they are many.
func (f *Fold) piece() (rows, bytes int) {
	lanes := max(fewLanes, int(f.lanes.Load()))
	return max(min(f.pieceRows, leastPieceRows), f.pieceRows*fewLanes/lanes), rowpack.PieceBytes * fewLanes / lanes
}

// share is what a lane may hold.
func (f *Fold) share() int64 { return f.limit / max(1, f.lanes.Load()) }

// Drain puts the lanes' rows together; see the package.
func (f *Fold) Drain(ctx context.Context, mem memory.Allocator, parts []pipeline.Partial) (pipeline.Drain, error) {
	d := &drain{f: f, mem: mem}
	for _, p := range parts {
		l, ok := p.(*lane)
		if !ok {
			for _, p := range parts {
				p.Close()
			}
			return nil, fail.Newf(fail.Internal, "partition: a partial of another step: %T", p)
		}
		d.lanes = append(d.lanes, l)
	}
	if err := d.plan(ctx); err != nil {
		d.Close()
		return nil, err
	}
	return d, nil
}
