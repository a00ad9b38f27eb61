package spillfile

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/sluice-data/sluice/internal/fail"
)

func TestNew(t *testing.T) {
	dir := t.TempDir()
	f, err := New(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if names, err := os.ReadDir(dir); err != nil || len(names) != 0 {
		t.Errorf("the file has a name: %v, %v", names, err)
	}
	if _, err := f.WriteString("rows"); err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(io.NewSectionReader(f, 0, 4))
	if err != nil || string(b) != "rows" {
		t.Errorf("read back %q, %v", b, err)
	}
	if _, err := New(filepath.Join(dir, "gone")); err == nil || !strings.Contains(err.Error(), "create spill file") {
		t.Errorf("a directory that is not there: %v", err)
	}
}

func TestError(t *testing.T) {
	for err, want := range map[error]fail.Kind{syscall.ENOSPC: fail.Usage, syscall.EDQUOT: fail.Usage, syscall.EIO: fail.Temporary, syscall.EACCES: fail.Usage, syscall.EROFS: fail.Usage, syscall.ENOENT: fail.Usage} {
		got := Error("sort", err, "buy a disk")
		if fail.KindOf(got) != want || !strings.HasPrefix(got.Error(), "sort: ") || strings.Contains(got.Error(), "buy a disk") != (err == syscall.ENOSPC || err == syscall.EDQUOT) || strings.Contains(got.Error(), "--tmp-dir") != (err == syscall.EACCES || err == syscall.EROFS || err == syscall.ENOENT) {
			t.Errorf("%v became %v of kind %v", err, got, fail.KindOf(got))
		}
	}
}
