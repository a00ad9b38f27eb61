package job

import (
	"testing"

	"github.com/sluice-data/sluice/internal/objstore"
)

// The files of a copied table are those beside the copied manifest: nothing that is done to the copy reaches the original.
func TestManifestOfACopiedTable(t *testing.T) {
	columns := []ManifestColumn{{Name: "v"}, {Name: "day", Partition: true}}
	for _, c := range []struct{ key, want string }{
		{"prod/day=1/part-ab-00000.parquet", "s3://b/staging/day=1/part-ab-00000.parquet"},
		{"staging/day=1/part-ab-00000.parquet", "s3://b/staging/day=1/part-ab-00000.parquet"},
	} {
		m := &Manifest{RunID: "ab", Schema: columns, Files: []FileRef{{Key: c.key, URI: "s3://b/" + c.key}}}
		m.settle(objstore.Ref{Bucket: "b", Key: "staging/_runs/ab/manifest.json"})
		if f := m.Files[0]; f.URI != c.want || "s3://b/"+f.Key != c.want {
			t.Errorf("%s is at %s, %s; want %s", c.key, f.URI, f.Key, c.want)
		}
	}
}
