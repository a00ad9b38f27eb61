package suite

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/sluice-data/sluice/bench"
	"github.com/sluice-data/sluice/bench/data"
)

// Head is what every record begins with.
type Head struct {
	Command string        `json:"command"`
	Date    string        `json:"date"`
	Machine bench.Machine `json:"machine"`
}

// NewHead is that of a record made now.
func NewHead(command string, m bench.Machine) Head {
	return Head{Command: command, Date: time.Now().UTC().Format(time.DateOnly), Machine: m}
}

// Record is a table's numbers.
type Record struct {
	Head
	Size    data.Size `json:"size"`
	Threads int       `json:"threads"`
	Results []Result  `json:"results"`
}

// Failed are the workloads that have no result.
func (r Record) Failed() error {
	var errs []error
	for _, res := range r.Results {
		if res.Failed != "" {
			errs = append(errs, fmt.Errorf("%s: %s", res.Workload, res.Failed))
		}
	}
	return errors.Join(errs...)
}

// Records are all that is kept. One that was never made is nil.
type Records struct {
	Laptop, Large *Record
	Scaling       *Scaling
	Peers         *Peers
	S3, S3Apart   *Remote
}

// files are the records' files by name.
func (r *Records) files() map[string]any {
	return map[string]any{"laptop.json": &r.Laptop, "large.json": &r.Large, "scaling.json": &r.Scaling, "peers.json": &r.Peers, "s3.json": &r.S3, "s3-apart.json": &r.S3Apart}
}

// Load reads the records of a folder.
func Load(dir string) (*Records, error) {
	r := &Records{}
	for name, to := range r.files() {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if err := json.Unmarshal(text, to); err != nil {
			return nil, fmt.Errorf("read %s: %w", name, err)
		}
	}
	return r, nil
}

// Save writes one record into the folder: *Record as laptop or large, *Scaling, *Peers or *Remote under their own names.
func Save(dir, name string, record any) error {
	text, err := json.MarshalIndent(record, "", " ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, name+".json"), append(text, '\n'), 0o644)
}

// median is the middle value, of an even number the greater of the two in the middle; 0 of none.
func median[T int64 | float64](v []T) T {
	if len(v) == 0 {
		return 0
	}
	v = slices.Clone(v)
	slices.Sort(v)
	return v[len(v)/2]
}

// Merge puts the results of a run of some workloads into those of an older record, in place of what it had for them, and its command behind the older one's.
func (r Record) Merge(old *Record) Record {
	if old == nil {
		return r
	}
	fresh := r.Results
	if !strings.HasSuffix(old.Command, r.Command) {
		r.Command = old.Command + "\n" + r.Command
	}
	r.Results = slices.Clone(old.Results)
	for i := range r.Results {
		if r.Results[i].Of == "" {
			r.Results[i].Of = fmt.Sprintf("%s, %s", old.Date, old.Machine)
		}
	}
	for _, f := range fresh {
		if i := slices.IndexFunc(r.Results, func(o Result) bool { return o.Workload == f.Workload }); i >= 0 {
			r.Results[i] = f
		} else {
			r.Results = append(r.Results, f)
		}
	}
	return r
}
