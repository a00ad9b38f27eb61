// Package quicksight is the target that tells Amazon QuickSight of a run's files: a manifest of theirs, which an S3 data set is made from.
package quicksight

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/internal/objstore"
	"github.com/sluice-data/sluice/sinks"
)

func init() {
	sinks.RegisterTarget(sinks.Target{
		Name: "quicksight",
		Doc: "Writes _runs/<run id>/quicksight.json beside the run's manifest, once that is committed: the manifest that an S3 data set of Amazon QuickSight is made " +
			"from, with the files of this run and the CSV's delimiter and header. A manifest takes 1,000 files: further ones are in quicksight-00002.json and so on, each for a data set of its own. QuickSight reads csv and jsonl, with gzip or none, and no Parquet: for that go through Athena or Redshift.",
		Example: "sink:\n  uri: s3://exports/trips/\n  format: csv\n  quicksight: {}\n",
		Rank:    sinks.RankCatalog,
		Open:    open,
	})
}

// settings is what the options of a format that QuickSight reads have to say: its globalUploadSettings.
type settings interface {
	QuickSight() (map[string]string, error)
}

type delivery struct {
	store    objstore.Store
	settings map[string]string
}

func open(req sinks.TargetRequest) (sinks.Delivery, error) {
	if entries, err := req.At.Map(); err != nil {
		return nil, err
	} else if len(entries) > 0 {
		return nil, entries[0].At.Errorf("unknown key %q: quicksight has no settings: write quicksight: {}", entries[0].Key)
	}
	o, ok := req.Options.(settings)
	if !ok {
		return nil, req.At.Errorf("QuickSight reads no files of format %s: set format: csv, or read the table through Athena", req.Format)
	}
	s, err := o.QuickSight()
	if err != nil {
		return nil, req.At.Errorf("%w", err)
	}
	return &delivery{req.Store, s}, nil
}

// manifest is QuickSight's ("Supported formats for Amazon S3 manifest files" of its user guide).
type manifest struct {
	FileLocations        []locations       `json:"fileLocations"`
	GlobalUploadSettings map[string]string `json:"globalUploadSettings"`
}

type locations struct {
	URIs []string `json:"URIs"`
}

// mostFiles is QuickSight's quota for a manifest.
const mostFiles = 1000

func (d *delivery) Explain() []string {
	b, _ := json.Marshal(d.settings) // texts: cannot fail
	return []string{"put quicksight.json beside manifest.json: its files, " + string(b)}
}

func (d *delivery) Preflight(context.Context) ([]sinks.Constraint, error) { return nil, nil }

// Deliver writes the manifests, first to last, and takes away those that an earlier commit of the run had more.
func (d *delivery) Deliver(ctx context.Context, c sinks.Commit) (string, error) {
	n := 0
	for files := c.Files; n == 0 || len(files) > 0; {
		n++
		part := files[:min(len(files), mostFiles)]
		files = files[len(part):]
		m := manifest{FileLocations: []locations{{URIs: []string{}}}, GlobalUploadSettings: d.settings}
		for _, f := range part {
			m.FileLocations[0].URIs = append(m.FileLocations[0].URIs, f.URI)
		}
		body, err := json.MarshalIndent(m, "", "  ")
		if err != nil {
			return "", fail.Wrap(fail.Internal, err)
		}
		if _, err := d.store.Put(ctx, manifestRef(c, n), body, "application/json", false); err != nil {
			return "", fmt.Errorf("write QuickSight's manifest: %w", err)
		}
	}
	if err := d.clear(ctx, c, n); err != nil {
		return "", fmt.Errorf("delete QuickSight's manifest of an earlier commit: %w", err)
	}
	if n == 1 {
		return manifestRef(c, 1).String(), nil
	}
	return fmt.Sprintf("%s and %d more up to %s, of %d files each at most", manifestRef(c, 1), n-1, manifestRef(c, n), mostFiles), nil
}

// clear deletes the manifests behind number n, of an earlier commit of the run, the last one first: killed in between it leaves no gap.
func (d *delivery) clear(ctx context.Context, c sinks.Commit, n int) error {
	last := n
	for {
		_, err := d.store.Stat(ctx, manifestRef(c, last+1), objstore.Pin{})
		if errors.Is(err, objstore.ErrNotExist) {
			break
		}
		if err != nil {
			return err
		}
		last++
	}
	for ; last > n; last-- {
		if err := d.store.Delete(ctx, manifestRef(c, last)); err != nil && !errors.Is(err, objstore.ErrNotExist) {
			return err
		}
	}
	return nil
}

// manifestRef is QuickSight's manifest number n, from 1, beside the run's own.
func manifestRef(c sinks.Commit, n int) objstore.Ref {
	name := "quicksight.json"
	if n > 1 {
		name = fmt.Sprintf("quicksight-%05d.json", n)
	}
	ref := c.Manifest
	ref.Key = strings.TrimSuffix(ref.Key, "manifest.json") + name
	return ref
}

func (d *delivery) Close() error { return nil }
