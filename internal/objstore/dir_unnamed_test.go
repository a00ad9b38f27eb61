package objstore

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// An object that is put where none may be has no other name before it has its own, so of a process that is killed nothing is left. Where the file system has no files without
// names it is put all the same.
func TestPutUnnamed(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "b"), 0o755); err != nil {
		t.Fatal(err)
	}
	probe := filepath.Join(dir, "new", "folder", "probe")
	st, able, err := putUnnamed(probe, []byte("body"))
	if err != nil || able && st.Size() != 4 {
		t.Fatalf("%v, %v", st, err)
	}
	if able {
		if _, _, err := putUnnamed(probe, []byte("other")); !errors.Is(err, fs.ErrExist) {
			t.Errorf("a second one: %v", err)
		}
		if b, err := os.ReadFile(probe); err != nil || string(b) != "body" {
			t.Errorf("%q, %v", b, err)
		}
	}
	store := NewDir(dir)
	stop, hidden := make(chan struct{}), make(chan string, 1)
	var wait sync.WaitGroup
	wait.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			entries, _ := os.ReadDir(filepath.Join(dir, "b"))
			for _, e := range entries {
				if strings.HasPrefix(e.Name(), uploadPrefix) {
					select {
					case hidden <- e.Name():
					default:
					}
				}
			}
		}
	})
	for i := range 50 {
		info, err := store.Put(t.Context(), Ref{"b", fmt.Sprintf("claim-%d.json", i)}, []byte("x"), "", true)
		if err != nil {
			t.Error(err)
		} else if now, err := store.Stat(t.Context(), info.Ref, Pin{}); err != nil || now.ETag != info.ETag || now.Size != info.Size || !now.ModTime.Equal(info.ModTime) {
			t.Errorf("put said %+v, it is %+v, %v", info, now, err)
		}
	}
	close(stop)
	wait.Wait()
	select {
	case name := <-hidden:
		if able {
			t.Errorf("%s was seen", name)
		}
	default:
	}
}
