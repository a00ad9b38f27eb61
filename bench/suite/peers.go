package suite

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
)

// Peers are medians over runs of several engines side by side, measured by another program.
type Peers struct {
	Head
	Engines   []string             `json:"engines"`
	Workloads []string             `json:"workloads"`
	Runs      map[string][]PeerRun `json:"runs"` // by "workload engine"
}

// PeerRun is a line of the peers' CSV.
type PeerRun struct {
	Wall, CPU, PeakMiB float64
	Exit               string
}

const peerColumns = 8 // peer,workload,run,wall_s,user_s,sys_s,peak_kb,exit

// ReadPeers reads the peers' CSV: columns peer,workload,run,wall_s,user_s,sys_s,peak_kb,exit, with or without a header. A run that could not be measured
// has fewer columns, and counts as failed.
func ReadPeers(r io.Reader, head Head) (*Peers, error) {
	in := csv.NewReader(r)
	in.FieldsPerRecord = -1
	p := &Peers{Head: head, Runs: map[string][]PeerRun{}}
	for n := 1; ; n++ {
		row, err := in.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		if row[0] == "peer" {
			continue
		}
		if len(row) < 3 {
			return nil, fmt.Errorf("peers' CSV, line %d: %d columns", n, len(row))
		}
		run := PeerRun{Exit: "?"}
		if len(row) == peerColumns {
			var v [4]float64
			for i := range v {
				if v[i], err = strconv.ParseFloat(row[3+i], 64); err != nil {
					return nil, fmt.Errorf("peers' CSV, line %d: %w", n, err)
				}
			}
			run = PeerRun{Wall: v[0], CPU: v[1] + v[2], PeakMiB: v[3] / 1024, Exit: row[7]}
		}
		if !slices.Contains(p.Engines, row[0]) {
			p.Engines = append(p.Engines, row[0])
		}
		if !slices.Contains(p.Workloads, row[1]) {
			p.Workloads = append(p.Workloads, row[1])
		}
		p.Runs[row[1]+" "+row[0]] = append(p.Runs[row[1]+" "+row[0]], run)
	}
	if len(p.Runs) == 0 {
		return nil, errors.New("peers' CSV: no runs")
	}
	return p, nil
}

// medians is the run of median numbers of an engine on a workload; not ok if there is none or one failed.
func (p *Peers) medians(workload, engine string) (m PeerRun, ok bool) {
	runs := p.Runs[workload+" "+engine]
	var wall, cpu, peak []float64
	for _, r := range runs {
		if r.Exit != "0" {
			return m, false
		}
		wall, cpu, peak = append(wall, r.Wall), append(cpu, r.CPU), append(peak, r.PeakMiB)
	}
	return PeerRun{Wall: median(wall), CPU: median(cpu), PeakMiB: median(peak), Exit: "0"}, len(runs) > 0
}

// best is the fastest engine other than the worker, and its time.
func (p *Peers) best(workload string) (engine string, wall float64) {
	for _, e := range p.Engines {
		if m, ok := p.medians(workload, e); ok && e != "worker" && (engine == "" || m.Wall < wall) {
			engine, wall = e, m.Wall
		}
	}
	return engine, wall
}
