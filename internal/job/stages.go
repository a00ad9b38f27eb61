package job

import (
	"math"
	"runtime"
	"time"

	"github.com/sluice-data/sluice/internal/usage"
	"github.com/sluice-data/sluice/pipeline"
)

// Stages is where a run's time went, stage by stage in the order of the flow. A stage that a run does not have is left out.
type Stages struct {
	// BoundBy names what a faster run needs more of: cpu, read (the store, or the network to it), upload, or one of the serial
	// stages (decompress, cut, drain); empty if none stands out.
	BoundBy    string      `json:"bound_by,omitempty"`
	Read       *StageTimes `json:"read,omitempty"`
	Decompress *StageTimes `json:"decompress,omitempty"`
	Cut        *StageTimes `json:"cut,omitempty"`
	Decode     *StageTimes `json:"decode,omitempty"`
	Steps      *StageTimes `json:"steps,omitempty"`
	Drain      *StageTimes `json:"drain,omitempty"`
	Encode     *StageTimes `json:"encode,omitempty"`
	Upload     *StageTimes `json:"upload,omitempty"`
	Commit     *StageTimes `json:"commit,omitempty"`
}

// StageTimes are the seconds of one stage, added up over the lanes that do it.
type StageTimes struct {
	Busy float64 `json:"busy_s"`
	Wait float64 `json:"wait_s"` // for the stage before or behind
}

// stagesOf reads the meters of a run that has taken so long, on so many cores.
func stagesOf(s *pipeline.Stages, wall time.Duration) *Stages {
	out := &Stages{Read: timesOf(&s.Read), Decompress: timesOf(&s.Decompress), Cut: timesOf(&s.Cut), Decode: timesOf(&s.Decode), Steps: timesOf(&s.Steps),
		Drain: timesOf(&s.Drain), Encode: timesOf(&s.Encode), Upload: timesOf(&s.Upload), Commit: timesOf(&s.Commit)}
	out.BoundBy = out.bound(wall.Seconds(), usage.CPUSeconds(), runtime.GOMAXPROCS(0))
	return out
}

// dominant is the part of a run's time from which on a stage counts as what bounds it.
const dominant = 0.7

// bound is BoundBy of a run that took so many seconds and so many seconds of processor time.
func (s *Stages) bound(wall, cpu float64, cores int) string {
	if wall <= 0 {
		return ""
	}
	name, most := "", dominant*wall
	for _, st := range s.rows() {
		if serial[st.name] && st.Busy > most {
			name, most = st.name, st.Busy
		}
	}
	if cpu > (1+dominant)/2*wall*float64(cores) {
		return "cpu" // also when a serial stage is busy all the time: there is no core left for the others
	}
	return name
}

// serial are the stages that one goroutine does, whatever the number of lanes.
var serial = map[string]bool{"read": true, "decompress": true, "cut": true, "drain": true, "upload": true}

// stageRow is a stage with its name.
type stageRow struct {
	name string
	StageTimes
}

// rows are the stages that the run has, in the order of the flow.
func (s *Stages) rows() []stageRow {
	if s == nil {
		return nil
	}
	var out []stageRow
	for _, st := range []struct {
		name  string
		times *StageTimes
	}{{"read", s.Read}, {"decompress", s.Decompress}, {"cut", s.Cut}, {"decode", s.Decode}, {"steps", s.Steps}, {"drain", s.Drain},
		{"encode", s.Encode}, {"upload", s.Upload}, {"commit", s.Commit}} {
		if st.times != nil {
			out = append(out, stageRow{st.name, *st.times})
		}
	}
	return out
}

func timesOf(m *pipeline.Meter) *StageTimes {
	busy, wait := m.Times()
	if busy == 0 && wait == 0 {
		return nil
	}
	return &StageTimes{seconds(busy), seconds(wait)}
}

// seconds are to the microsecond: what is below says nothing.
func seconds(d time.Duration) float64 { return math.Round(d.Seconds()*1e6) / 1e6 }
