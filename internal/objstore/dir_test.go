package objstore

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sluice-data/sluice/internal/fail"
)

func write(t *testing.T, path string, body []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, body, 0o644); err != nil {
		t.Fatal(err)
	}
}

func md5Hex(b []byte) string {
	sum := md5.Sum(b)
	return hex.EncodeToString(sum[:])
}

func TestDirETags(t *testing.T) {
	root := t.TempDir()
	d, ctx := NewDir(root), t.Context()
	small, large := bytes.Repeat([]byte("x"), md5Most), bytes.Repeat([]byte("y"), md5Most+1)
	write(t, root+"/b/small", small)
	write(t, root+"/b/large", large)
	stat := func(key string, pin Pin) (Info, error) { return d.Stat(ctx, Ref{"b", key}, pin) }

	if info, err := stat("small", Pin{}); err != nil || info.ETag != md5Hex(small) {
		t.Errorf("small: %+v, %v", info, err)
	}
	info, err := stat("large", Pin{})
	if err != nil || !strings.HasPrefix(info.ETag, "mtime-") {
		t.Errorf("large: %+v, %v", info, err)
	}
	if again, err := stat("large", Pin{ETag: info.ETag}); err != nil || again.ETag != info.ETag {
		t.Errorf("large, pinned to its own etag: %+v, %v", again, err)
	}
	if pinned, err := stat("large", Pin{ETag: md5Hex(large)}); err != nil || pinned.ETag != md5Hex(large) {
		t.Errorf("large, pinned to its MD5: %+v, %v", pinned, err)
	}
	// An event of S3 carries what a directory cannot check; it is kept, so that the run id is the one S3 would give.
	kept, err := stat("small", Pin{ETag: `"d41d8cd98f00b204e9800998ecf8427e-12"`, VersionID: "v7"})
	if err != nil || kept.ETag != "d41d8cd98f00b204e9800998ecf8427e-12" || kept.VersionID != "v7" {
		t.Errorf("multipart etag: %+v, %v", kept, err)
	}
	for what, pin := range map[string]Pin{"MD5": {ETag: md5Hex(small)}, "mtime": {ETag: "mtime-00"}} {
		if _, err := stat("large", pin); !errors.Is(err, ErrChanged) || fail.KindOf(err) != fail.Input {
			t.Errorf("large, pinned to another %s: %v", what, err)
		}
	}
	// What an upload says is what Stat says.
	for key, body := range map[string][]byte{"up-small": small, "up-large": large} {
		u, err := d.Upload(ctx, Ref{"b", key}, "")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := u.Write(body); err != nil {
			t.Fatal(err)
		}
		info, err := u.Complete(ctx)
		if now, serr := stat(key, Pin{}); err != nil || serr != nil || now.ETag != info.ETag || !now.ModTime.Equal(info.ModTime) {
			t.Errorf("%s: complete says %+v, %v, stat %+v, %v", key, info, err, now, serr)
		}
	}
}

func TestDirChangedFiles(t *testing.T) {
	for name, change := range map[string]func(path string) error{
		"appended":          func(path string) error { return appendTo(path, "more") },
		"truncated":         func(path string) error { return os.Truncate(path, 10) },
		"rewritten":         func(path string) error { return os.WriteFile(path, bytes.Repeat([]byte("b"), 100_000), 0o644) },
		"removed":           os.Remove,
		"replaced, as old":  replaceKeepingTime,
		"replaced by a dir": func(path string) error { return errors.Join(os.Remove(path), os.Mkdir(path, 0o755)) },
	} {
		root := t.TempDir()
		d := NewDir(root)
		path := root + "/b/object"
		write(t, path, bytes.Repeat([]byte("a"), 100_000))
		past := time.Now().Add(-time.Hour)
		if err := os.Chtimes(path, past, past); err != nil {
			t.Fatal(err)
		}
		info, err := d.Stat(t.Context(), Ref{"b", "object"}, Pin{})
		if err != nil {
			t.Fatal(err)
		}
		r := NewReader(t.Context(), d, info, ReaderOptions{})
		if _, err := io.ReadFull(r, make([]byte, 1000)); err != nil {
			t.Fatal(err)
		}
		if err := change(path); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadAll(r); !errors.Is(err, ErrChanged) || fail.KindOf(err) != fail.Input {
			t.Errorf("%s during the read: %v", name, err)
		}
		r.Close()
		if name == "replaced, as old" {
			continue // nothing tells the two apart from outside
		}
		if body, err := d.ReadRange(t.Context(), info, 0, info.Size); err == nil {
			body.Close()
			t.Errorf("%s before the read: no error", name)
		} else if fail.KindOf(err) != fail.Input {
			t.Errorf("%s before the read: %v", name, err)
		}
	}
}

func appendTo(path, s string) error {
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(s)
	return errors.Join(err, f.Close())
}

// replaceKeepingTime puts another file of the same size and time in the place: only the inode tells.
func replaceKeepingTime(path string) error {
	st, err := os.Stat(path)
	if err != nil {
		return err
	}
	return errors.Join(
		os.WriteFile(path+".new", bytes.Repeat([]byte("c"), int(st.Size())), 0o644),
		os.Chtimes(path+".new", st.ModTime(), st.ModTime()),
		os.Rename(path+".new", path),
	)
}

func TestDirRefusesNames(t *testing.T) {
	root := t.TempDir()
	d, ctx := NewDir(filepath.Join(root, "store")), t.Context()
	write(t, root+"/secret", []byte("x"))
	write(t, root+"/store/b/file", []byte("x"))
	write(t, root+"/store/b/dir/file", []byte("x"))
	for _, ref := range []Ref{
		{"b", "../../secret"}, {"b", "a/../../../secret"}, {"..", "secret"}, {".", "x"}, {"b", ".."}, {"b", "a//b"}, {"b", "/a"}, {"b", "./a"}, {"b", "a/"}, {"b", ""}, {"b", "a\x00b"},
	} {
		_, serr := d.Stat(ctx, ref, Pin{})
		_, perr := d.Put(ctx, ref, []byte("x"), "", false)
		_, uerr := d.Upload(ctx, ref, "")
		_, aerr := d.AbortUploads(ctx, ref)
		for what, err := range map[string]error{"stat": serr, "put": perr, "upload": uerr, "delete": d.Delete(ctx, ref), "abort": aerr} {
			if fail.KindOf(err) != fail.Usage {
				t.Errorf("%s of %q: %v, want a usage error", what, ref, err)
			}
		}
	}
	for _, ref := range []Ref{{"b", "../"}, {"b", "a/../../"}, {"b", "/"}, {"b", "a//"}} {
		for info, err := range d.List(ctx, ref) {
			t.Errorf("list of %q gives %+v, %v", ref, info, err)
		}
	}
	// S3 can hold "file" beside "file/x"; a directory cannot, and says so.
	for _, key := range []string{"file/x", "dir"} {
		if _, err := d.Put(ctx, Ref{"b", key}, []byte("x"), "", false); fail.KindOf(err) != fail.Usage || !strings.Contains(err.Error(), "cannot hold both") {
			t.Errorf("put %s: %v", key, err)
		}
	}
	if _, err := d.Stat(ctx, Ref{"b", "dir"}, Pin{}); !errors.Is(err, ErrNotExist) || !strings.Contains(err.Error(), "/ at the end") {
		t.Errorf("stat of a folder: %v", err)
	}
	if _, err := d.Stat(ctx, Ref{"b", "file/x"}, Pin{}); !errors.Is(err, ErrNotExist) {
		t.Errorf("stat below a file: %v", err)
	}
	pipe := root + "/store/b/pipe"
	if err := syscall.Mkfifo(pipe, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Stat(ctx, Ref{"b", "pipe"}, Pin{}); fail.KindOf(err) != fail.Input {
		t.Errorf("stat of a pipe: %v", err)
	}
}

// TestDirCrash leaves what a killed attempt leaves; the next one sees only hidden files and clears those of its objects.
func TestDirCrash(t *testing.T) {
	root := t.TempDir()
	ctx := t.Context()
	ref := Ref{"b", "out/day=1/part-0.parquet"}
	dead := NewDir(root)
	u, err := dead.Upload(ctx, ref, "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := u.Write(make([]byte, 100_000)); err != nil {
		t.Fatal(err)
	}
	next := NewDir(root)
	for info, err := range next.List(ctx, Ref{"b", ""}) {
		t.Errorf("list gives %+v, %v", info, err)
	}
	if n, err := next.AbortUploads(ctx, ref); n != 1 || err != nil {
		t.Errorf("abort uploads: %d, %v", n, err)
	}
	left, err := os.ReadDir(root + "/b")
	if err != nil || len(left) != 0 {
		t.Errorf("left: %v, %v", left, err)
	}
	if _, err := u.Complete(ctx); !errors.Is(err, ErrLost) {
		t.Errorf("complete of the lost upload: %v", err)
	}
	if err := u.Abort(ctx); err != nil {
		t.Error(err)
	}
}

func TestDirPlainPaths(t *testing.T) {
	t.Chdir(t.TempDir())
	d, ctx := NewDir("ignored"), t.Context()
	for _, path := range []string{"top.csv", "./dot.csv", "in/a.csv", "in/sub/b.csv", "in/.sluice-x-y"} {
		write(t, path, []byte("x"))
	}
	for prefix, want := range map[string][]string{
		"in/": {"in/a.csv", "in/sub/b.csv"}, "in": {"in/a.csv", "in/sub/b.csv"}, "./in/s": {"./in/sub/b.csv"}, "": {"dot.csv", "in/a.csv", "in/sub/b.csv", "top.csv"}, "none/": nil,
	} {
		var got []string
		for info, err := range d.List(ctx, Ref{"", prefix}) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, info.Key)
			if _, err := d.Stat(ctx, info.Ref, Pin{ETag: info.ETag}); err != nil {
				t.Error(err)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("list of %q gives %q, want %q", prefix, got, want)
		}
	}
	if _, err := d.Put(ctx, Ref{"", "../up.csv"}, []byte("x"), "", true); err != nil {
		t.Errorf("a path may lead anywhere: %v", err)
	}
	if _, err := os.Stat("../up.csv"); err != nil {
		t.Error(err)
	}
}

func TestDirSymlinks(t *testing.T) {
	root := t.TempDir()
	d := NewDir(root)
	write(t, root+"/b/real/x", []byte("x"))
	list := func() (keys []string, err error) {
		for info, err := range d.List(t.Context(), Ref{"b", ""}) {
			if err != nil {
				return keys, err
			}
			keys = append(keys, info.Key)
		}
		return keys, nil
	}
	for link, to := range map[string]string{"dirlink": "real", "filelink": "real/x", "dangling": "none"} {
		if err := os.Symlink(to, root+"/b/"+link); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := list(); err != nil || !slices.Equal(got, []string{"dirlink/x", "filelink", "real/x"}) {
		t.Errorf("list gives %q, %v", got, err)
	}
	if err := os.Symlink("..", root+"/b/real/loop"); err != nil {
		t.Fatal(err)
	}
	if _, err := list(); fail.KindOf(err) != fail.Input || !strings.Contains(err.Error(), "symbolic link") {
		t.Errorf("a loop gives %v", err)
	}
}

// TestDirListOnAllCores: what is described at the same time comes in the order of the names and is what Stat says of each; the
// end comes where it is asked for, or where ctx ends.
func TestDirListOnAllCores(t *testing.T) {
	root := t.TempDir()
	d := NewDir(root)
	var want []string
	for i := range 1200 {
		key := fmt.Sprintf("day=%02d/part-%04d", i/40, i)
		write(t, root+"/b/"+key, bytes.Repeat([]byte(key), 1+i%700))
		want = append(want, key)
	}
	list := func(ctx context.Context, most int, each func()) (got []Info, err error) {
		for info, err := range d.List(ctx, Ref{"b", ""}) {
			if err != nil {
				return got, err
			}
			if got = append(got, info); len(got) == most {
				break
			}
			each()
		}
		return got, nil
	}
	for _, most := range []int{1, 2, 300, 1200} {
		got, err := list(t.Context(), most, func() {})
		if err != nil || len(got) != most {
			t.Fatalf("the first %d: %d, %v", most, len(got), err)
		}
		for i, info := range got {
			alone, err := d.Stat(t.Context(), Ref{"b", want[i]}, Pin{})
			if err != nil || info != alone {
				t.Errorf("listed as %+v, alone it is %+v, %v", info, alone, err)
			}
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	got, err := list(ctx, 0, cancel)
	if !errors.Is(err, context.Canceled) || len(got) == 0 || len(got) >= len(want) {
		t.Errorf("a listing that is cancelled gives %d, %v", len(got), err)
	}
	// What is wrong comes after all that stands before it, and nothing after that.
	if err := os.Symlink("..", root+"/b/day=07/part-loop"); err != nil {
		t.Fatal(err)
	}
	if got, err = list(t.Context(), 0, func() {}); fail.KindOf(err) != fail.Input || len(got) != 8*40 {
		t.Errorf("a listing with a loop in it gives %d, %v", len(got), err)
	}
}

func TestDirErrors(t *testing.T) {
	ref := Ref{"b", "k"}
	for _, test := range []struct {
		err  error
		kind fail.Kind
	}{
		{syscall.ENOENT, fail.Input}, {syscall.ENOTDIR, fail.Input}, {syscall.EACCES, fail.Permission}, {syscall.EPERM, fail.Permission}, {syscall.EROFS, fail.Permission},
		{syscall.ENOSPC, fail.Temporary}, {syscall.EDQUOT, fail.Temporary}, {syscall.EIO, fail.Temporary}, {syscall.EMFILE, fail.Temporary},
		{syscall.ENAMETOOLONG, fail.Usage}, {errIsDir, fail.Input},
	} {
		err := dirError(ref, "write upload", &os.PathError{Op: "write", Path: "/machine/path", Err: test.err})
		if fail.KindOf(err) != test.kind || !strings.HasPrefix(err.Error(), "s3://b/k: write upload: ") || strings.Contains(err.Error(), "/machine") {
			t.Errorf("%v gives %v: %v, want %v", test.err, fail.KindOf(err), err, test.kind)
		}
	}
	long := Ref{"b", strings.Repeat("x", 300)}
	if _, err := NewDir(t.TempDir()).Put(t.Context(), long, nil, "", false); fail.KindOf(err) != fail.Usage {
		t.Errorf("a name that is too long: %v", err)
	}
}

// TestDirFullDisk writes to a device that is always full.
func TestDirFullDisk(t *testing.T) {
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	up, err := NewDir(t.TempDir()).Upload(t.Context(), Ref{"b", "k"}, "")
	if err != nil {
		t.Fatal(err)
	}
	u := up.(*dirUpload)
	u.file.Close()
	u.file = f
	u.w.Reset(f)
	_, first := u.Write(make([]byte, 1<<20))
	if fail.KindOf(first) != fail.Temporary || !errors.Is(first, syscall.ENOSPC) {
		t.Errorf("write gives %v", first)
	}
	_, cerr := u.Complete(t.Context())
	for what, err := range map[string]error{"flush": u.Flush(t.Context()), "complete": cerr} {
		if !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("%s gives %v, want the first failure", what, err)
		}
	}
	if err := u.Abort(context.Background()); err != nil {
		t.Error(err)
	}
}
