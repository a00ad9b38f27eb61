package job

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/apache/arrow/go/v17/arrow"
	"golang.org/x/sync/errgroup"

	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/internal/objstore"
	"github.com/sluice-data/sluice/internal/schema"
	"github.com/sluice-data/sluice/pipeline"
	"github.com/sluice-data/sluice/transforms"
)

// Manifest is the commit of a run: written last, and only if it is not there yet (DESIGN section 6).
type Manifest struct {
	Version     int                  `json:"version"`
	RunID       string               `json:"run_id"`
	Name        string               `json:"name"`
	CommittedAt time.Time            `json:"committed_at"`
	Engine      string               `json:"engine"`
	Lanes       int                  `json:"lanes"`
	Input       []InputRef           `json:"input"`
	Lookups     []LookupRef          `json:"lookups,omitempty"`
	Files       []FileRef            `json:"files"`
	Quarantine  []FileRef            `json:"quarantine,omitempty"`
	Schema      []ManifestColumn     `json:"schema"`
	Rows        Rows                 `json:"rows"`
	Bytes       Bytes                `json:"bytes"`
	Ledger      []pipeline.StepCount `json:"ledger"`
	Checks      []transforms.Finding `json:"checks,omitempty"` // what the assert steps found
	Seconds     float64              `json:"seconds"`
	PeakMemory  int64                `json:"peak_memory_bytes"`
	CPU         float64              `json:"cpu_seconds"`
	Stages      *Stages              `json:"stages,omitempty"` // up to the commit
	// Mode is replace or replace_partitions where the commit takes the place of files; Turn is then its number among those that do, and Replaces
	// are the files. They go after the commit.
	Mode     string     `json:"mode,omitempty"`
	Turn     int        `json:"turn,omitempty"`
	Replaces []Replaced `json:"replaces,omitempty"`
	// Targets are the names of those that get the files once they are committed: a compaction leaves the files alone until they have.
	Targets []string `json:"targets,omitempty"`
}

// ManifestColumn is a column of the files, or a partition column, which is in the folders' names.
type ManifestColumn struct {
	Name      string `json:"name"`
	Type      string `json:"type"`
	Nullable  bool   `json:"nullable"`
	Partition bool   `json:"partition,omitempty"`
}

// columnsOf are the columns of the files in their order, then the partition columns in theirs.
func columnsOf(s *arrow.Schema, partitionBy []string) []ManifestColumn {
	out := make([]ManifestColumn, 0, s.NumFields())
	add := func(f arrow.Field, partition bool) {
		out = append(out, ManifestColumn{Name: f.Name, Type: schema.TypeName(f), Nullable: f.Nullable, Partition: partition})
	}
	files, folders := divide(s, partitionBy)
	for _, f := range files {
		add(f, false)
	}
	for _, f := range folders {
		add(f, true)
	}
	return out
}

// divide parts the columns that are in the files from those that are in the folders' names.
func divide(s *arrow.Schema, partitionBy []string) (files, folders []arrow.Field) {
	for _, f := range s.Fields() {
		if !slices.Contains(partitionBy, f.Name) {
			files = append(files, f)
		}
	}
	for _, name := range partitionBy {
		folders = append(folders, s.Field(s.FieldIndices(name)[0]))
	}
	return files, folders
}

// manifestRef is <sink.uri>/_runs/<run_id>/manifest.json.
func manifestRef(dir objstore.Ref, runID string) objstore.Ref {
	return objstore.Ref{Bucket: dir.Bucket, Key: dir.Key + "_runs/" + runID + "/manifest.json"}
}

// readManifest returns the manifest at ref, or nil if there is none.
func readManifest(ctx context.Context, store objstore.Store, ref objstore.Ref) (*Manifest, error) {
	info, err := store.Stat(ctx, ref, objstore.Pin{})
	if errors.Is(err, objstore.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("look for an earlier commit: %w", err)
	}
	rc, err := store.ReadRange(ctx, info, 0, info.Size)
	if err != nil {
		return nil, fmt.Errorf("read manifest: %w", err)
	}
	defer rc.Close()
	b, err := io.ReadAll(rc)
	if err != nil {
		return nil, fmt.Errorf("read manifest: %w", err)
	}
	m := &Manifest{}
	if err := json.Unmarshal(b, m); err != nil {
		return nil, fail.Newf(fail.Data, "the manifest of an earlier commit cannot be read: %w; use --force to write the run anew", err).In(ref.String())
	}
	if m.Version != 1 {
		return nil, fail.Newf(fail.Data, "the manifest of an earlier commit has version %d, not 1; use --force to write the run anew", m.Version).In(ref.String())
	}
	m.settle(ref)
	return m, nil
}

// settle gives the files the places that they have beside the manifest at ref: a table that was copied has manifests with the keys of the original, whose
// files are none of its own.
func (m *Manifest) settle(ref objstore.Ref) {
	dir, ok := strings.CutSuffix(ref.Key, "_runs/"+m.RunID+"/manifest.json")
	if !ok {
		return
	}
	depth := 1 // of a file below the table
	for _, c := range m.Schema {
		if c.Partition {
			depth++
		}
	}
	for i := range m.Files {
		f := &m.Files[i]
		if strings.HasPrefix(f.URI, objstore.Ref{Bucket: ref.Bucket, Key: dir}.String()) {
			continue
		}
		parts := strings.Split(f.Key, "/")
		place := objstore.Ref{Bucket: ref.Bucket, Key: dir + strings.Join(parts[max(0, len(parts)-depth):], "/")}
		f.Key, f.URI = place.Key, place.String()
	}
}

// statsAtOnce is how many files are looked at at the same time: a partitioned run may have thousands.
const statsAtOnce = 16

// verifyFiles checks that every file of a manifest is in the store as it was committed. It says what is wrong with the first of
// them that it finds wrong.
func verifyFiles(ctx context.Context, store objstore.Store, runID string, files []FileRef) error {
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(statsAtOnce)
	for i := range files {
		g.Go(func() error {
			if gctx.Err() != nil {
				return context.Cause(gctx)
			}
			return fail.Guard("check committed file", func() error { return verifyFile(gctx, store, runID, &files[i]) })
		})
	}
	return g.Wait()
}

func verifyFile(ctx context.Context, store objstore.Store, runID string, f *FileRef) error {
	ref, err := objstore.ParseRef(f.URI)
	if err != nil {
		return err
	}
	info, err := store.Stat(ctx, ref, objstore.Pin{})
	if errors.Is(err, objstore.ErrNotExist) {
		return fail.Newf(fail.Data, "run %s is committed, but this file of it is gone; restore it, or use --force to write the run anew", runID).In(f.URI)
	}
	if err != nil {
		return fmt.Errorf("check committed file: %w", err)
	}
	if info.Size != f.Size || info.ETag != f.ETag {
		return fail.Newf(fail.Data, "run %s is committed, but this file of it has changed since (%d bytes, ETag %s; committed were %d, %s); restore it, or use --force to write the run anew",
			runID, info.Size, info.ETag, f.Size, f.ETag).In(f.URI)
	}
	return nil
}

// files are those of m; none of no manifest.
func (m *Manifest) files() []FileRef {
	if m == nil {
		return nil
	}
	return m.Files
}

// receipt is what a run that finds the manifest reports.
func (m *Manifest) receipt(ref objstore.Ref) *Receipt {
	return &Receipt{RunID: m.RunID, Name: m.Name, Status: AlreadyCommitted, Input: m.Input, Rows: m.Rows, Bytes: m.Bytes,
		Files: m.Files, Quarantine: m.Quarantine, Manifest: ref.String(), Lanes: m.Lanes, Seconds: m.Seconds, PeakMemory: m.PeakMemory}
}
