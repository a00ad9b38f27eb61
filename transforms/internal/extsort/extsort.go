// Package extsort orders rows by keys, in bounded memory. Equal keys keep the order of the input, whatever the lanes.
//
// A lane collects a window of rows in columns. When the window is full it is ordered by the keys (see window.go) and becomes a run:
// its keys and its rows, packed in pieces. Runs that memory has no room for go to disk, and where they are many there they are merged into
// one, so that a merge never reads more of them than memory has room for. In the end one goroutine merges the keys of all runs,
// which is cheap, and hands out slices of the result: which run each row is from. The lanes of the next segment bring the rows
// themselves together.
package extsort

import (
	"fmt"
	"io"
	"sync/atomic"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/sluice-data/sluice/transforms/internal/orderkey"
	"github.com/sluice-data/sluice/transforms/internal/rowpack"
	"github.com/sluice-data/sluice/transforms/internal/spillfile"
)

// Config says what is sorted, and by what.
type Config struct {
	Step   string // for errors
	Schema *arrow.Schema
	// Keys are the parts of the key, each of more weight than those behind it; without any, rows come in the order of the input.
	Keys []*orderkey.Plan
	// Beside are columns that are kept with the keys, for NextGroups.
	Beside []arrow.DataType
	// Numbered keeps each row's number in its lane.
	Numbered bool
	// Budget is the bytes that all lanes may hold together; 0 or less is no limit.
	Budget  int64
	TempDir string // where what does not fit goes; "" is the system's
}

const (
	leastWindow = 256 << 10
	mostWindow  = 16 << 20
	leastPiece  = 16 << 10
	mostPiece   = 1 << 20
	leastRuns   = 4
	noLimit     = 4 << 30 // what is taken for the budget where there is none, to derive sizes from
	// sliceRows and the bytes between these, by the budget, are what the result is cut by.
	sliceRows  = 122_880
	leastSlice = 1 << 20
	mostSlice  = 8 << 20
)

// file is what a spill file has to do.
type file interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
}

// Sorter is the plan that lanes share.
type Sorter struct {
	cfg   Config
	lays  []rowpack.Layout // of the rows
	keys  []rowpack.Layout // of the keys' columns, see keyColumns
	parts []part
	// beside is the first of the columns kept with the keys.
	beside int
	sized  bool  // rows have texts: their bytes are among the keys' columns
	fixed  int64 // bytes of a row but for texts
	lanes  atomic.Int64
	// spilled is set when rows went to disk, merged when runs there were merged into one.
	spilled, merged atomic.Bool
	// tests set these
	create                func(dir string) (file, error)
	sliceRows             int
	sliceBytes            int64
	mostPiece, windowSize int64
	mostRuns              int
}

// part is where a part of the key is among the columns of the keys; -1 is nowhere.
type part struct{ w0, w1, tail int }

// New checks cfg. The error names a column that cannot be kept.
func New(cfg Config) (*Sorter, error) {
	s := &Sorter{cfg: cfg, sliceRows: sliceRows, mostPiece: mostPiece,
		create: func(dir string) (file, error) {
			f, err := spillfile.New(dir)
			if err != nil {
				return nil, err // not a file that is nil
			}
			return f, nil
		}}
	s.sliceBytes = max(leastSlice, min(mostSlice, s.budget()/16))
	for _, f := range cfg.Schema.Fields() {
		l, err := rowpack.LayoutOf(f.Type)
		if err != nil {
			return nil, fmt.Errorf("column %q: %w", f.Name, err)
		}
		s.lays = append(s.lays, l)
		s.sized = s.sized || l.IsText()
		s.fixed += int64(l.RowBytes())
	}
	column := func(t arrow.DataType) (int, error) {
		l, err := rowpack.LayoutOf(t)
		s.keys = append(s.keys, l)
		return len(s.keys) - 1, err
	}
	// The first two are always there: the chunk that a row is from, and the bytes of its texts.
	for _, t := range []arrow.DataType{arrow.PrimitiveTypes.Uint32, arrow.PrimitiveTypes.Uint32} {
		if _, err := column(t); err != nil {
			return nil, err
		}
	}
	if cfg.Numbered {
		if _, err := column(arrow.PrimitiveTypes.Uint64); err != nil {
			return nil, err
		}
	}
	s.beside = len(s.keys)
	for _, t := range cfg.Beside {
		if _, err := column(t); err != nil {
			return nil, fmt.Errorf("values of type %s cannot be kept: %w", t, err)
		}
	}
	for _, p := range cfg.Keys {
		if p.Words() == 0 {
			continue
		}
		at := part{-1, -1, -1}
		var err error
		if at.w0, err = column(arrow.PrimitiveTypes.Uint64); err != nil {
			return nil, err
		}
		if p.Words() == 2 {
			if at.w1, err = column(arrow.PrimitiveTypes.Uint64); err != nil {
				return nil, err
			}
		}
		if p.Tail() {
			if at.tail, err = column(arrow.BinaryTypes.Binary); err != nil {
				return nil, err
			}
		}
		s.parts = append(s.parts, at)
	}
	return s, nil
}

const (
	chunkColumn = iota // of the keys' columns
	sizeColumn
	numberColumn // where rows are numbered
)

// Schema is that of the rows.
func (s *Sorter) Schema() *arrow.Schema { return s.cfg.Schema }

// NewLane makes the state of one lane; all are made before the first row.
func (s *Sorter) NewLane(mem memory.Allocator) *Lane {
	s.lanes.Add(1)
	l := &Lane{s: s, mem: mem, cols: rowpack.NewColumns(s.lays), rowEnc: rowpack.NewEncoder(len(s.lays)), keyEnc: rowpack.NewEncoder(len(s.keys))}
	for _, p := range s.cfg.Keys {
		if p.Words() > 0 {
			l.enc = append(l.enc, p.NewEncoder())
		} else {
			l.enc = append(l.enc, nil)
		}
	}
	l.keys = make([]orderkey.Keys, len(s.cfg.Keys))
	l.beside = rowpack.NewColumns(s.keys[s.beside : s.beside+len(s.cfg.Beside)])
	return l
}

func (s *Sorter) budget() int64 {
	if s.cfg.Budget > 0 {
		return s.cfg.Budget
	}
	return noLimit
}

// share is what a lane may hold.
func (s *Sorter) share() int64 { return s.budget() / max(1, s.lanes.Load()) }

// window is the bytes at which a lane makes a run of what it has.
func (s *Sorter) window() int64 {
	if s.windowSize > 0 {
		return s.windowSize
	}
	return max(leastWindow, min(mostWindow, s.share()/7))
}

// runs is how many runs of a lane on disk are merged at once, and how many stay in memory at most.
func (s *Sorter) runs() int {
	if s.mostRuns > 0 {
		return s.mostRuns
	}
	return int(max(8, min(64, 128/max(1, s.lanes.Load()))))
}

// runsAtOnce is how many runs are merged at once if no piece of theirs has more than so many bytes: fewer where a few rows fill memory. A
// reader of a run holds a piece as it is read and as columns, and in the end each lane reads the runs of all.
func (s *Sorter) runsAtOnce(widest int64) int {
	if s.mostRuns > 0 {
		return s.mostRuns
	}
	lanes := max(1, s.lanes.Load())
	return int(max(leastRuns, min(int64(s.runs()), s.budget()/4/(lanes*lanes*3*max(1, widest)))))
}

// piece is the bytes of rows in a piece: in the end each lane of the next segment has a piece of each run.
func (s *Sorter) piece() int64 {
	lanes := max(1, s.lanes.Load())
	return max(leastPiece, min(s.mostPiece, s.budget()/8/(lanes*lanes*int64(2*s.runs()))))
}

// diskError is err of a spill file, with its kind.
func (s *Sorter) diskError(what string, err error) error {
	return spillfile.Error(s.cfg.Step, fmt.Errorf("%s: %w", what, err), "give it a --tmp-dir with more room")
}
