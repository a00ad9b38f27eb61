package suite

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/sluice-data/sluice/bench"
	"github.com/sluice-data/sluice/bench/data"
	"github.com/sluice-data/sluice/bench/trips"
	"github.com/sluice-data/sluice/bench/workload"
)

// Scaling is how the worker's time depends on lanes and rows, and what a run costs before its first row.
type Scaling struct {
	Head
	LaneRows int        `json:"lane_rows"` // rows that the lanes were measured on
	Lanes    []LaneTime `json:"lanes"`
	Rows     []RowTime  `json:"rows"`
	Start    *Start     `json:"start"`
}

// LaneTime is a workload with a number of lanes, and no limit to the processors.
type LaneTime struct {
	Workload string `json:"workload"`
	Lanes    int    `json:"lanes"`
	Side
}

// RowTime is a workload over a number of rows, with as many lanes as processors.
type RowTime struct {
	Workload string `json:"workload"`
	Rows     int    `json:"rows"`
	Side
}

// Start is the median time of short runs, in milliseconds from exec.
type Start struct {
	Runs      int     `json:"runs"`
	Version   float64 `json:"version_ms"`    // worker version, to its end
	FirstRead float64 `json:"first_read_ms"` // until a run reads the first byte of its input; 0 where it cannot be seen
	Tiny      float64 `json:"tiny_ms"`       // a run over 1 KB of CSV into Parquet, to its end, commit and all
}

// ScalingOptions say what is measured.
type ScalingOptions struct {
	Lanes     []int
	Rows      []int
	StartRuns int
	LargeRuns int // runs of what takes more than LargeRows rows
	LargeRows int
}

// scaled are the workloads that are measured so.
const scaled = "W1,W2p"

// Scale measures. o.Size.Trips are the rows for the lanes.
func Scale(ctx context.Context, o Options, so ScalingOptions) (out *Scaling, err error) {
	s, err := open(ctx, o)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	ws, err := workload.Pick(scaled)
	if err != nil {
		return nil, err
	}
	out = &Scaling{LaneRows: o.Size.Trips}
	if out.Start, err = s.start(ctx, so.StartRuns); err != nil {
		return nil, err
	}
	for _, w := range ws {
		lanes, err := s.lanes(ctx, w, so.Lanes)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", w.Name, err)
		}
		out.Lanes = append(out.Lanes, lanes...)
	}
	for _, rows := range so.Rows {
		times, err := s.rows(ctx, ws, rows, so)
		if err != nil {
			return nil, fmt.Errorf("%d rows: %w", rows, err)
		}
		out.Rows = append(out.Rows, times...)
	}
	return out, nil
}

// lanes runs a workload with each number of lanes in turn, again and again.
func (s *session) lanes(ctx context.Context, w workload.Workload, lanes []int) ([]LaneTime, error) {
	in, err := s.store.Get(ctx, w.Set)
	if err != nil {
		return nil, err
	}
	if err := warm(in.Path); err != nil {
		return nil, err
	}
	out := make([]LaneTime, len(lanes))
	for run := range s.Runs {
		for i, n := range lanes {
			r, err := s.sluice(ctx, w, in, []string{"--lanes", strconv.Itoa(n)})
			if err != nil {
				return nil, err
			}
			out[i].Workload, out[i].Lanes = w.Name, n
			out[i].add(r)
			fmt.Fprintf(s.Log, "%-4s %d lanes, run %d of %d: %.2f s\n", w.Name, n, run+1, s.Runs, r.usage.Wall.Seconds())
		}
	}
	return out, nil
}

// rows runs the workloads over that many rows. An input larger than the options allow is removed afterwards, whatever comes of the runs.
func (s *session) rows(ctx context.Context, ws []workload.Workload, rows int, so ScalingOptions) (out []RowTime, err error) {
	store := *s.store
	store.Size = data.Size{Trips: rows}
	defer func() { err = errors.Join(err, s.dropLarge(&store, ws)) }()
	runs := s.Runs
	if rows > so.LargeRows {
		runs = min(runs, so.LargeRuns)
	}
	for _, w := range ws {
		in, err := store.Get(ctx, w.Set)
		if err != nil {
			return nil, err
		}
		if err := warm(in.Path); err != nil {
			return nil, err
		}
		t := RowTime{Workload: w.Name, Rows: rows}
		for run := range runs {
			r, err := s.sluice(ctx, w, in, nil)
			if err != nil {
				return nil, err
			}
			t.add(r)
			fmt.Fprintf(s.Log, "%-4s %d rows, run %d of %d: %.2f s\n", w.Name, rows, run+1, runs, r.usage.Wall.Seconds())
			if err := os.RemoveAll(r.out); err != nil {
				return nil, err
			}
		}
		out = append(out, t)
	}
	return out, nil
}

// dropLarge removes the workloads' inputs that are larger than the options allow.
func (s *session) dropLarge(store *data.Store, ws []workload.Workload) error {
	for _, w := range ws {
		if f, ok := store.Has(w.Set); ok && s.Discard > 0 && f.Bytes > s.Discard {
			fmt.Fprintf(s.Log, "removing %s (%d MB)\n", w.Set, f.Bytes/1e6)
			if err := store.Discard(w.Set); err != nil {
				return err
			}
		}
	}
	return nil
}

// tiny is an input of 1 KB, and what is done with it.
func (s *session) tiny() (in data.File, w workload.Workload, err error) {
	in = data.File{Path: filepath.Join(s.work, "tiny.csv"), Rows: 8}
	f, err := os.Create(in.Path)
	if err != nil {
		return in, w, err
	}
	if err := errors.Join(trips.Write(f, int(in.Rows)), f.Close()); err != nil {
		return in, w, err
	}
	ws, err := workload.Pick("W1")
	if err != nil {
		return in, w, err
	}
	return in, ws[0], nil
}

// start measures short runs.
func (s *session) start(ctx context.Context, runs int) (*Start, error) {
	in, w, err := s.tiny()
	if err != nil {
		return nil, err
	}
	var version, first, tiny []float64
	for range runs {
		u, _, err := bench.Measure(ctx, []string{s.worker, "version"})
		if err != nil {
			return nil, err
		}
		version = append(version, milliseconds(u.Wall))
		r, err := s.sluice(ctx, w, in, nil)
		if err != nil {
			return nil, err
		}
		tiny = append(tiny, milliseconds(r.usage.Wall))
		// Watched in runs of its own: a watch costs what it watches a little.
		watch, err := watchRead(in.Path)
		if err != nil {
			return nil, err
		}
		begin := time.Now()
		if _, err := s.sluice(ctx, w, in, nil); err != nil {
			watch.stop()
			return nil, err
		}
		if at, ok := watch.stop(); ok {
			first = append(first, milliseconds(at.Sub(begin)))
		}
	}
	out := &Start{Runs: runs, Version: median(version), FirstRead: median(first), Tiny: median(tiny)}
	fmt.Fprintf(s.Log, "worker version %.1f ms, first byte read after %.1f ms, 1 KB in %.1f ms (medians of %d runs)\n", out.Version, out.FirstRead, out.Tiny, runs)
	return out, nil
}

func milliseconds(d time.Duration) float64 { return round(float64(d) / float64(time.Millisecond)) }
