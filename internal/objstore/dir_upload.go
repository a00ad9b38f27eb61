package objstore

import (
	"bufio"
	"context"
	"crypto/md5"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"hash"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"

	"github.com/sluice-data/sluice/internal/fail"
)

// uploadPrefix begins the names of files that are still being written. They stand beside the object that they will be,
// so that the final rename never crosses a file system: ".sluice-<hash of the object's file name>-<random>".
const uploadPrefix = ".sluice-"

func uploadName(path string) string {
	sum := sha256.Sum256([]byte(filepath.Base(path)))
	return uploadPrefix + hex.EncodeToString(sum[:8]) + "-"
}

// dirUpload is a hidden file that Complete renames. Its methods may be called from one goroutine at a time, except
// Abort.
type dirUpload struct {
	ref        Ref
	path, temp string
	top        string // folders below it are ours to remove when they are empty
	mu         sync.Mutex
	file       *os.File // nil once closed
	w          *bufio.Writer
	size       int64
	md5        hash.Hash // nil beyond md5Most
	flushed    bool
	done       bool // completed or aborted
	info       Info
	err        error // sticky
}

// Upload makes the hidden file, and the folders above it.
func (d *dirStore) Upload(ctx context.Context, ref Ref, _ string) (Upload, error) {
	const verb = "begin upload"
	if err := cancelled(ctx, ref, verb); err != nil {
		return nil, err
	}
	u, err := d.newUpload(ref, verb)
	if err != nil {
		return nil, err
	}
	return u, nil
}

// checkName is the path of an object that is to be written.
func (d *dirStore) checkName(ref Ref, verb string) (string, error) {
	path, err := d.path(ref)
	if err != nil {
		return "", err
	}
	if strings.HasSuffix(ref.Key, "/") || strings.HasPrefix(filepath.Base(path), uploadPrefix) {
		return "", failf(fail.Usage, ref, "%s: a name that ends in / or begins with %s cannot be kept in a directory", verb, uploadPrefix)
	}
	if st, err := os.Stat(path); err == nil && st.IsDir() {
		return "", failf(fail.Usage, ref, "%s: there is a folder of this name, and a directory cannot hold both", verb)
	}
	return path, nil
}

func (d *dirStore) newUpload(ref Ref, verb string) (*dirUpload, error) {
	path, err := d.checkName(ref, verb)
	if err != nil {
		return nil, err
	}
	u := &dirUpload{ref: ref, path: path, md5: md5.New(), top: filepath.Dir(path)}
	if ref.Bucket != "" {
		u.top = filepath.Join(d.root, ref.Bucket)
	}
	parent := filepath.Dir(path)
	// Another upload's Abort may remove an empty folder right after we made it: make it again.
	for range 100 {
		if err = d.made.make(parent); err != nil {
			break
		}
		u.temp = filepath.Join(parent, uploadName(path)+rand.Text())
		u.file, err = os.OpenFile(u.temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
		if !errors.Is(err, fs.ErrNotExist) {
			break
		}
	}
	switch {
	case errors.Is(err, syscall.ENOTDIR):
		return nil, failf(fail.Usage, ref, "%s: a file stands where its folder should be, and a directory cannot hold both", verb)
	case err != nil:
		return nil, dirError(ref, verb, err)
	}
	u.w = bufio.NewWriterSize(u.file, 32<<10)
	return u, nil
}

func (u *dirUpload) Write(b []byte) (int, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	switch {
	case u.err != nil:
		return 0, u.err
	case u.done, u.flushed:
		return 0, u.fail(failf(fail.Internal, u.ref, "write upload: it is flushed or ended"))
	}
	n, err := u.w.Write(b)
	u.size += int64(n)
	if u.size > md5Most {
		u.md5 = nil
	} else {
		u.md5.Write(b[:n])
	}
	if err != nil {
		return n, u.fail(dirError(u.ref, "write upload", err))
	}
	return n, nil
}

// fail keeps the first failure.
func (u *dirUpload) fail(err error) error {
	if u.err == nil {
		u.err = err
	}
	return u.err
}

// Flush leaves the bytes on disk, so that Complete is one rename.
func (u *dirUpload) Flush(ctx context.Context) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.flush(ctx)
}

func (u *dirUpload) flush(ctx context.Context) error {
	const verb = "flush upload"
	switch {
	case u.err != nil:
		return u.err
	case u.done:
		return failf(fail.Internal, u.ref, "%s: it is ended", verb)
	case u.flushed:
		return nil
	}
	if err := cancelled(ctx, u.ref, verb); err != nil {
		return u.fail(err)
	}
	if err := u.w.Flush(); err != nil {
		return u.fail(dirError(u.ref, verb, err))
	}
	if err := u.file.Sync(); err != nil {
		return u.fail(dirError(u.ref, verb, err))
	}
	st, err := u.file.Stat()
	if err != nil {
		return u.fail(dirError(u.ref, verb, err))
	}
	if st.Size() != u.size {
		return u.fail(failf(fail.Internal, u.ref, "%s: the file has %d bytes of %d written", verb, st.Size(), u.size))
	}
	u.info = Info{Ref: u.ref, Size: u.size, ModTime: st.ModTime()}
	if u.md5 != nil {
		u.info.ETag = hex.EncodeToString(u.md5.Sum(nil))
	} else {
		u.info.ETag = etagOfTime(u.size, u.info.ModTime)
	}
	file := u.file
	u.file, u.w, u.md5, u.flushed = nil, nil, nil, true // there may be many thousands that only wait for the commit
	if err := file.Close(); err != nil {
		return u.fail(dirError(u.ref, verb, err))
	}
	return nil
}

func (u *dirUpload) Complete(ctx context.Context) (Info, error) {
	return u.publish(ctx, "complete upload", os.Rename)
}

// publish gives the file its name by way of move, and the name to the disk.
func (u *dirUpload) publish(ctx context.Context, verb string, move func(from, to string) error) (Info, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if err := u.flush(ctx); err != nil {
		return Info{}, err
	}
	if err := cancelled(ctx, u.ref, verb); err != nil {
		return Info{}, u.fail(err)
	}
	err := move(u.temp, u.path)
	if err != nil {
		switch {
		case errors.Is(err, fs.ErrExist) && !isDir(u.path):
			err = failf(fail.Data, u.ref, "%s: %w", verb, ErrExists)
		case isDir(u.path):
			err = failf(fail.Usage, u.ref, "%s: there is a folder of this name, and a directory cannot hold both", verb)
		case errors.Is(err, fs.ErrNotExist):
			err = failf(fail.Temporary, u.ref, "%s: %w", verb, ErrLost)
		default:
			var link *os.LinkError
			if errors.As(err, &link) {
				err = link.Err
			}
			err = dirError(u.ref, verb, err)
		}
		return Info{}, u.fail(err)
	}
	u.done = true
	if err := syncDir(filepath.Dir(u.path)); err != nil {
		return Info{}, u.fail(dirError(u.ref, verb, err))
	}
	return u.info, nil
}

func isDir(path string) bool {
	st, err := os.Stat(path)
	return err == nil && st.IsDir()
}

// syncDir makes the names in a directory last through a crash. A file system that cannot do that says EINVAL.
func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := f.Sync(); err != nil && !errors.Is(err, syscall.EINVAL) && !errors.Is(err, syscall.ENOTSUP) {
		return err
	}
	return nil
}

// Abort removes the hidden file, whatever state ctx is in: it takes no time.
func (u *dirUpload) Abort(context.Context) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.done {
		return nil
	}
	u.done = true
	if u.file != nil {
		u.file.Close() // nobody wants its bytes
		u.file, u.w = nil, nil
	}
	if err := os.Remove(u.temp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		u.done = false
		return dirError(u.ref, "abort upload", err)
	}
	removeEmptyDirs(filepath.Dir(u.path), u.top)
	return nil
}

// Put writes a file and then gives it its name, once the folders of all files before it last.
func (d *dirStore) Put(ctx context.Context, ref Ref, body []byte, _ string, ifAbsent bool) (Info, error) {
	const verb = "put object"
	if err := d.made.sync(); err != nil {
		return Info{}, dirError(ref, verb, err)
	}
	info, err := d.put(ctx, ref, verb, body, ifAbsent)
	if err == nil {
		if err = d.made.sync(); err != nil {
			err = dirError(ref, verb, err)
		}
	}
	return info, err
}

// put writes a hidden file that gets its name by rename, and where the name must be free one without a name, or a hidden one where there are none such, by link.
func (d *dirStore) put(ctx context.Context, ref Ref, verb string, body []byte, ifAbsent bool) (Info, error) {
	if err := cancelled(ctx, ref, verb); err != nil {
		return Info{}, err
	}
	if ifAbsent {
		if info, done, err := d.putUnnamed(ref, verb, body); done {
			return info, err
		}
	}
	u, err := d.newUpload(ref, verb)
	if err != nil {
		return Info{}, err
	}
	move := os.Rename
	if ifAbsent {
		move = func(from, to string) error {
			if err := os.Link(from, to); err != nil {
				return err
			}
			_ = os.Remove(from) // a second name of a published object, hidden: AbortUploads gets it too
			return nil
		}
	}
	if _, err = u.Write(body); err == nil {
		var info Info
		if info, err = u.publish(ctx, verb, move); err == nil {
			return info, nil
		}
	}
	if left := u.Abort(ctx); left != nil {
		err = errors.Join(err, left)
	}
	return Info{}, err
}

// putUnnamed is Put of an object that must not be there, if the file system has files without names.
func (d *dirStore) putUnnamed(ref Ref, verb string, body []byte) (info Info, done bool, err error) {
	path, err := d.checkName(ref, verb)
	if err != nil {
		return Info{}, true, err
	}
	if err := d.made.make(filepath.Dir(path)); err != nil && !errors.Is(err, syscall.ENOTDIR) { // which is found out below
		return Info{}, true, dirError(ref, verb, err)
	}
	st, done, err := putUnnamed(path, body)
	switch {
	case !done:
		return Info{}, false, nil
	case errors.Is(err, fs.ErrExist):
		return Info{}, true, failf(fail.Data, ref, "%s: %w", verb, ErrExists)
	case errors.Is(err, syscall.ENOTDIR):
		return Info{}, true, failf(fail.Usage, ref, "%s: a file stands where its folder should be, and a directory cannot hold both", verb)
	case err != nil:
		return Info{}, true, dirError(ref, verb, err)
	}
	if err := syncDir(filepath.Dir(path)); err != nil {
		return Info{}, true, dirError(ref, verb, err)
	}
	info = Info{Ref: ref, Size: st.Size(), ModTime: st.ModTime(), ETag: etagOfTime(st.Size(), st.ModTime())}
	if info.Size <= md5Most {
		sum := md5.Sum(body)
		info.ETag = hex.EncodeToString(sum[:])
	}
	return info, true, nil
}

// Replace holds a lock on the file that it replaces while it looks and renames: of two that would replace one file the second finds another.
func (d *dirStore) Replace(ctx context.Context, was Info, body []byte, contentType string) (Info, error) {
	const verb = "replace object"
	path, err := d.path(was.Ref)
	if err != nil {
		return Info{}, err
	}
	f, st, err := openRegular(path)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return Info{}, failf(fail.Input, was.Ref, "%s: %w: it is gone", verb, ErrChanged)
	}
	if err != nil {
		return Info{}, dirError(was.Ref, verb, err)
	}
	defer f.Close() // and the lock with it
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil && !errors.Is(err, syscall.ENOTSUP) && !errors.Is(err, syscall.EINVAL) {
		return Info{}, dirError(was.Ref, verb, err)
	}
	now, err := d.describe(ctx, was.Ref, f, st, isMD5.MatchString(was.ETag))
	if err != nil {
		return Info{}, err
	}
	if there, err := os.Stat(path); err != nil || !os.SameFile(there, st) || now.ETag != was.ETag {
		return Info{}, changed(was.Ref, verb, Pin{ETag: was.ETag}, now)
	}
	return d.Put(ctx, was.Ref, body, contentType, false)
}

// AbortUploads removes the hidden files that were to become ref.
func (d *dirStore) AbortUploads(ctx context.Context, ref Ref) (int, error) {
	const verb = "abort uploads"
	if err := cancelled(ctx, ref, verb); err != nil {
		return 0, err
	}
	path, err := d.path(ref)
	if err != nil {
		return 0, err
	}
	parent := filepath.Dir(path)
	entries, err := os.ReadDir(parent)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return 0, nil
	}
	if err != nil {
		return 0, dirError(ref, verb, err)
	}
	count := 0
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), uploadName(path)) {
			continue
		}
		switch err := os.Remove(filepath.Join(parent, e.Name())); {
		case err == nil:
			count++
		case !errors.Is(err, fs.ErrNotExist):
			return count, dirError(ref, verb, err)
		}
	}
	if count > 0 && ref.Bucket != "" {
		removeEmptyDirs(parent, filepath.Join(d.root, ref.Bucket))
	}
	return count, nil
}
