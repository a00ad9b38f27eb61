package objstore

import (
	"context"
	"path/filepath"
	"slices"
	"testing"
)

// The folders above a file that is written last once the next object is put: a manifest does not outlive a partition's folder.
func TestNewDirsLast(t *testing.T) {
	root := t.TempDir()
	d := NewDir(root).(*dirStore)
	ctx := context.Background()
	u, err := d.newUpload(Ref{Bucket: "b", Key: "t/day=1/part"}, "write")
	if err != nil {
		t.Fatal(err)
	}
	defer u.Abort(ctx)
	var have []string
	for dir := range d.made.all {
		rel, err := filepath.Rel(root, dir)
		if err != nil {
			t.Fatal(err)
		}
		have = append(have, rel)
	}
	slices.Sort(have)
	if want := []string{".", "b", "b/t"}; !slices.Equal(have, want) {
		t.Errorf("folders with new names: %v, want %v", have, want)
	}
	for _, ifAbsent := range []bool{true, false} {
		if _, err := d.Put(ctx, Ref{Bucket: "b", Key: "t/_runs/1/manifest.json"}, []byte("{}"), "", ifAbsent); err != nil {
			t.Fatal(err)
		}
		if len(d.made.all) > 0 {
			t.Errorf("not synced: %v", d.made.all)
		}
	}
}
