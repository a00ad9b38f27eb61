package quicksight

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sluice-data/sluice/internal/objstore"
	"github.com/sluice-data/sluice/sinks"
)

// A manifest takes 1,000 files: more are spread over several, and each file is in one of them. What an earlier commit of the run had more goes.
func TestManyFiles(t *testing.T) {
	dir := t.TempDir()
	d := &delivery{objstore.NewDir(dir), map[string]string{"format": "CSV"}}
	for _, c := range []struct {
		files  int
		sizes  string
		detail string
	}{
		{2500, "[1000 1000 500]", "s3://b/t/_runs/a1/quicksight.json and 2 more up to s3://b/t/_runs/a1/quicksight-00003.json, of 1000 files each at most"},
		{2500, "[1000 1000 500]", "quicksight-00003.json"},
		{1001, "[1000 1]", "quicksight-00002.json"},
		{1000, "[1000]", "s3://b/t/_runs/a1/quicksight.json"},
		{0, "[0]", "s3://b/t/_runs/a1/quicksight.json"},
	} {
		commit := sinks.Commit{RunID: "a1", At: time.Unix(1, 0), Manifest: objstore.Ref{Bucket: "b", Key: "t/_runs/a1/manifest.json"}}
		for i := range c.files {
			commit.Files = append(commit.Files, sinks.File{URI: fmt.Sprintf("s3://b/t/part-%05d.csv.gz", i)})
		}
		detail, err := d.Deliver(t.Context(), commit)
		if err != nil || !strings.HasSuffix(detail, c.detail) && !strings.Contains(detail, c.detail) {
			t.Fatalf("%d files: %q, %v", c.files, detail, err)
		}
		names, err := filepath.Glob(filepath.Join(dir, "b/t/_runs/a1/quicksight*.json"))
		if err != nil {
			t.Fatal(err)
		}
		sizes := map[string]int{}
		seen := map[string]bool{}
		for _, name := range names {
			b, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			var m manifest
			if err := json.Unmarshal(b, &m); err != nil || m.GlobalUploadSettings["format"] != "CSV" {
				t.Fatal(m, err)
			}
			for _, uri := range m.FileLocations[0].URIs {
				seen[uri] = true
			}
			sizes[filepath.Base(name)] = len(m.FileLocations[0].URIs)
		}
		got := []int{sizes["quicksight.json"]}
		for i := 2; i <= len(names); i++ {
			got = append(got, sizes[fmt.Sprintf("quicksight-%05d.json", i)])
		}
		if fmt.Sprint(got) != c.sizes || len(seen) != c.files {
			t.Errorf("%d files: %v, %d of them; want %s", c.files, got, len(seen), c.sizes)
		}
	}
}

// dies fails at its nth delete and from then on.
type dies struct {
	objstore.Store
	left int
}

func (d *dies) Delete(ctx context.Context, ref objstore.Ref) error {
	if d.left--; d.left < 0 {
		return errors.New("killed")
	}
	return d.Store.Delete(ctx, ref)
}

// A commit of fewer files leaves none of the manifests of one of more, wherever it was killed between their deletes.
func TestKilledAmongDeletes(t *testing.T) {
	for calls := range 4 {
		dir := t.TempDir()
		store := &dies{objstore.NewDir(dir), 100}
		d := &delivery{store, nil}
		commit := func(files int) error {
			c := sinks.Commit{RunID: "a1", At: time.Unix(1, 0), Manifest: objstore.Ref{Bucket: "b", Key: "t/_runs/a1/manifest.json"}, Files: make([]sinks.File, files)}
			_, err := d.Deliver(t.Context(), c)
			return err
		}
		if err := commit(4500); err != nil {
			t.Fatal(err)
		}
		store.left = calls
		if err := commit(900); err == nil {
			t.Fatalf("not killed after %d deletes", calls)
		}
		store.left = 100
		if err := commit(900); err != nil {
			t.Fatal(err)
		}
		if names, _ := filepath.Glob(filepath.Join(dir, "b/t/_runs/a1/quicksight*.json")); len(names) != 1 {
			t.Errorf("killed after %d deletes: %q are left", calls, names)
		}
	}
}
