package redshift

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/sluice-data/sluice/internal/objstore"
	"github.com/sluice-data/sluice/sinks"
)

// runRef is an object beside the run's manifest.
func (d *delivery) runRef(name string) objstore.Ref {
	return objstore.Ref{Bucket: d.req.Dir.Bucket, Key: d.req.Dir.Key + "_runs/" + d.req.RunID + "/" + name}
}

func (d *delivery) commitRef() objstore.Ref   { return d.runRef("manifest.json") }
func (d *delivery) manifestRef() objstore.Ref { return d.runRef("redshift.manifest") }

// manifestOf is what COPY … MANIFEST reads. For Parquet the length is demanded; without mandatory a file that is gone would be passed over
// ("Using a manifest to specify data files").
func manifestOf(files []sinks.File) []byte {
	type meta struct {
		ContentLength int64 `json:"content_length"`
	}
	type entry struct {
		URL       string `json:"url"`
		Mandatory bool   `json:"mandatory"`
		Meta      meta   `json:"meta"`
	}
	m := struct {
		Entries []entry `json:"entries"`
	}{Entries: []entry{}}
	for _, f := range files {
		m.Entries = append(m.Entries, entry{f.Ref.String(), true, meta{f.Size}})
	}
	b, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		panic(err)
	}
	return append(b, '\n')
}

// stage leaves the manifest and, for those who load themselves, the SQL.
func (d *delivery) stage(ctx context.Context, l load, c sinks.Commit) error {
	if _, err := d.req.Store.Put(ctx, d.manifestRef(), manifestOf(c.Files), "application/json", false); err != nil {
		return fmt.Errorf("write redshift manifest: %w", err)
	}
	if d.cfg.mode != modeStage {
		return nil
	}
	text := strings.Join(d.script(l), ";\n") + ";\n"
	if _, err := d.req.Store.Put(ctx, d.runRef("redshift.sql"), []byte(text), "application/sql", false); err != nil {
		return fmt.Errorf("write redshift SQL: %w", err)
	}
	return nil
}
