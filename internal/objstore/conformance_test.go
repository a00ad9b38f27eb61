package objstore_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/sluice-data/sluice/internal/objstore"
	"github.com/sluice-data/sluice/internal/objstore/storetest"
	"github.com/sluice-data/sluice/internal/s3test"
)

func TestDirStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T) storetest.Subject {
		checkLeaks(t)
		root := t.TempDir()
		if err := os.Mkdir(filepath.Join(root, "bucket"), 0o755); err != nil {
			t.Fatal(err)
		}
		return storetest.Subject{
			Store: objstore.NewDir(root), Bucket: "bucket",
			Overwrite: func(t *testing.T, key string, body []byte) {
				if err := os.WriteFile(filepath.Join(root, "bucket", key), body, 0o644); err != nil {
					t.Fatal(err)
				}
			},
			Open: func(t *testing.T, key string) int { return hiddenFiles(t, root) },
		}
	})
}

// hiddenFiles counts what is no object.
func hiddenFiles(t *testing.T, root string) int {
	n := 0
	err := filepath.WalkDir(root, func(path string, e os.DirEntry, err error) error {
		if err == nil && strings.HasPrefix(e.Name(), ".sluice-") {
			n++
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// checkLeaks lets a test fail at its very end if it leaves a goroutine.
func checkLeaks(t *testing.T) {
	ignore := goleak.IgnoreCurrent()
	t.Cleanup(func() {
		if !t.Failed() { // a test that broke off may well have left something
			goleak.VerifyNone(t, ignore)
		}
	})
}

func TestS3Store(t *testing.T) {
	srv := s3test.Start(t)
	for _, bucket := range []struct {
		name      string
		make      func(t testing.TB) string
		versioned bool
		checksums string
	}{
		{"plain", srv.Bucket, false, ""},
		{"versioned", srv.VersionedBucket, true, ""},
		{"with checksums, as on AWS", srv.Bucket, false, "when_supported"},
	} {
		t.Run(bucket.name, func(t *testing.T) {
			t.Setenv("AWS_REQUEST_CHECKSUM_CALCULATION", bucket.checksums)
			t.Setenv("AWS_RESPONSE_CHECKSUM_VALIDATION", bucket.checksums)
			storetest.Run(t, func(t *testing.T) storetest.Subject {
				checkLeaks(t)
				name := bucket.make(t)
				skip := map[string]string{}
				if !srv.MinIO {
					skip["control\x01.csv"] = "versitygw lists without URL encoding, and XML has no such character"
				}
				return storetest.Subject{
					Store: srv.Store(t), Bucket: name, Versioned: bucket.versioned, SkipNames: skip,
					Overwrite: func(t *testing.T, key string, body []byte) { srv.Put(t, name, key, body) },
					Open:      func(t *testing.T, key string) int { return srv.OpenUploads(t, name, key) },
				}
			})
		})
	}
}
