package objstore

import (
	"context"
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"

	"github.com/sluice-data/sluice/internal/fail"
)

// md5Most is the largest file whose MD5 is its ETag without a pin that asks for it.
const md5Most = 16 << 20

// dirStore keeps s3://bucket/key in root/bucket/key, and plain paths where they say.
//
// An ETag is the MD5 of the content up to 16 MiB, as S3 has it for a simple PUT. A larger file's is made of size and
// mtime ("mtime-…"), so that nobody waits for a hash of 100 GB, unless Stat's pin is an MD5: then the content decides.
// A file that changes while it is read is found by size, mtime and inode, so within the file system's clock tick (a few
// milliseconds) a change in place that keeps the size goes unseen.
//
// Names that begin with ".sluice-" are uploads in progress and are no objects.
type dirStore struct {
	root string
	made newDirs
}

// NewDir is a store in a local directory: s3://bucket/key is root/bucket/key. Plain paths (no bucket) are themselves,
// whatever root is. Keys with an empty, "." or ".." path element are refused: no file can have that name. An object "a"
// beside an object "a/b" cannot be stored either, which is an error and never a mix-up.
func NewDir(root string) Store { return &dirStore{root: root} }

var _ Store = (*dirStore)(nil)

// path is the file of ref.
func (d *dirStore) path(ref Ref) (string, error) {
	if ref.Key == "" || strings.ContainsRune(ref.Key, 0) {
		return "", failf(fail.Usage, ref, "name file: the key is empty or holds a NUL")
	}
	if ref.Bucket == "" {
		return ref.Key, nil
	}
	if err := d.checkElements(ref, ref.Bucket+"/"+ref.Key); err != nil {
		return "", err
	}
	return filepath.Join(d.root, ref.Bucket, filepath.FromSlash(ref.Key)), nil
}

// checkElements refuses keys that the file system would read as something else than S3 does.
func (d *dirStore) checkElements(ref Ref, key string) error {
	for element := range strings.SplitSeq(key, "/") {
		if element == "" || element == "." || element == ".." || strings.Contains(element, `\`) && filepath.Separator == '\\' {
			return failf(fail.Usage, ref, "name file: a key with the path element %q cannot be kept in a directory", element)
		}
	}
	return nil
}

// Stat opens the file once, so that size, time and content are those of one file.
func (d *dirStore) Stat(ctx context.Context, ref Ref, pin Pin) (Info, error) {
	const verb = "stat object"
	if err := cancelled(ctx, ref, verb); err != nil {
		return Info{}, err
	}
	path, err := d.path(ref)
	if err != nil {
		return Info{}, err
	}
	f, st, err := openRegular(path)
	if err != nil {
		return Info{}, dirError(ref, verb, err)
	}
	defer f.Close()
	pin.ETag = strings.Trim(pin.ETag, `"`)
	info, err := d.describe(ctx, ref, f, st, isMD5.MatchString(pin.ETag))
	if err != nil {
		return Info{}, err
	}
	info.VersionID = pin.VersionID // nothing here can check it
	if pin.ETag == "" || pin.ETag == info.ETag {
		return info, nil
	}
	if isMD5.MatchString(pin.ETag) || strings.HasPrefix(pin.ETag, mtimeETag) {
		return Info{}, changed(ref, verb, pin, info)
	}
	info.ETag = pin.ETag // of a multipart upload, or encrypted: says nothing about the content
	return info, nil
}

var isMD5 = regexp.MustCompile(`^[0-9a-f]{32}$`)

// changed is the error for an object that is not the pinned version.
func changed(ref Ref, verb string, pin Pin, now Info) error {
	return failf(fail.Input, ref, "%s: %w: wanted etag %s version %s, there is now etag %s version %s (%d bytes of %s)", verb, ErrChanged,
		orNone(pin.ETag), orNone(pin.VersionID), orNone(now.ETag), orNone(now.VersionID), now.Size, now.ModTime.UTC().Format(time.RFC3339))
}

const mtimeETag = "mtime-"

// describe makes the Info of an open file.
func (d *dirStore) describe(ctx context.Context, ref Ref, f *os.File, st fs.FileInfo, md5Wanted bool) (Info, error) {
	info := Info{Ref: ref, Size: st.Size(), ModTime: st.ModTime()}
	if info.Size > md5Most && !md5Wanted {
		info.ETag = etagOfTime(info.Size, info.ModTime)
		return info, nil
	}
	h := md5.New()
	buf := readBuffers.get(min(max(info.Size, 1), 1<<20), 1<<20)
	defer readBuffers.put(buf)
	n, err := io.CopyBuffer(h, struct{ io.Reader }{ctxReader{ctx, f}}, buf)
	if err != nil {
		if stop := cancelled(ctx, ref, "stat object"); stop != nil {
			return Info{}, stop
		}
		return Info{}, dirError(ref, "stat object", err)
	}
	if n != info.Size {
		return Info{}, changedWhileHashed(ref, info.Size, n)
	}
	info.ETag = hex.EncodeToString(h.Sum(nil))
	return info, nil
}

func etagOfTime(size int64, mtime time.Time) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%d %d", size, mtime.UnixNano()))
	return mtimeETag + hex.EncodeToString(sum[:12])
}

// ctxReader is a file that ends when ctx does.
type ctxReader struct {
	ctx context.Context
	r   io.Reader
}

func (c ctxReader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}

// openRegular opens a file that can be an object. A named pipe must not be opened: that would wait for a writer.
func openRegular(path string) (*os.File, fs.FileInfo, error) {
	if st, err := os.Stat(path); err != nil {
		return nil, nil, err
	} else if st.IsDir() {
		return nil, nil, errIsDir
	} else if !st.Mode().IsRegular() {
		return nil, nil, errIrregular
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	st, err := f.Stat()
	if err == nil && !st.Mode().IsRegular() {
		err = errIrregular
	}
	if err != nil {
		f.Close()
		return nil, nil, err
	}
	return f, st, nil
}

// ReadRange checks the file against info when it opens it and again at the range's end.
func (d *dirStore) ReadRange(ctx context.Context, info Info, off, n int64) (io.ReadCloser, error) {
	const verb = "read object"
	if err := checkRange(info, off, n); err != nil {
		return nil, err
	}
	if err := cancelled(ctx, info.Ref, verb); err != nil {
		return nil, err
	}
	path, err := d.path(info.Ref)
	if err != nil {
		return nil, err
	}
	f, st, err := openRegular(path)
	if err != nil {
		return nil, dirError(info.Ref, verb, err)
	}
	b := &dirBody{ctx: ctx, info: info, path: path, file: f, opened: st, off: off, end: off + n}
	if err := b.check(st); err != nil {
		f.Close()
		return nil, err
	}
	return b, nil
}

// checkRange refuses what no store could answer: bytes outside of the object.
func checkRange(info Info, off, n int64) error {
	if off < 0 || n < 0 || off > info.Size || n > info.Size-off {
		return failf(fail.Internal, info.Ref, "read object: bytes [%d, %d+%d) are outside of its %d bytes", off, off, n, info.Size)
	}
	return nil
}

// dirBody is a range of an open file.
type dirBody struct {
	ctx      context.Context
	info     Info
	path     string
	file     *os.File
	opened   fs.FileInfo
	off, end int64
}

func (b *dirBody) Read(p []byte) (int, error) {
	if err := cancelled(b.ctx, b.info.Ref, "read object"); err != nil {
		return 0, err
	}
	if left := b.end - b.off; int64(len(p)) > left {
		p = p[:left]
		if left == 0 {
			return 0, b.checkEnd()
		}
	}
	n, err := b.file.ReadAt(p, b.off)
	b.off += int64(n)
	switch {
	case err == io.EOF && n < len(p):
		return n, b.shrunk()
	case err != nil && err != io.EOF:
		return n, dirError(b.info.Ref, "read object", err)
	}
	return n, nil
}

// readAt fills p; the file may have been replaced since it was opened (the open one is whole), but not written to.
func (b *dirBody) readAt(p []byte, off int64) error {
	if _, err := b.file.ReadAt(p, off); err == io.EOF {
		return b.shrunk()
	} else if err != nil {
		return dirError(b.info.Ref, "read object", err)
	}
	st, err := b.file.Stat()
	if err != nil {
		return dirError(b.info.Ref, "read object", err)
	}
	return b.check(st)
}

func (b *dirBody) shrunk() error {
	return failf(fail.Input, b.info.Ref, "read object: %w while it was read: it ends before byte %d", ErrChanged, b.end)
}

// check compares the file with the version to read.
func (b *dirBody) check(st fs.FileInfo) error {
	if st.Size() == b.info.Size && (b.info.ModTime.IsZero() || st.ModTime().Equal(b.info.ModTime)) {
		return nil
	}
	return failf(fail.Input, b.info.Ref, "read object: %w: wanted %d bytes of %s (etag %s), there are now %d bytes of %s", ErrChanged, b.info.Size,
		b.info.ModTime.UTC().Format(time.RFC3339Nano), orNone(b.info.ETag), st.Size(), st.ModTime().UTC().Format(time.RFC3339Nano))
}

// checkEnd is io.EOF if what stands under the name is still the file that was read.
func (b *dirBody) checkEnd() error {
	for _, stat := range []func() (fs.FileInfo, error){b.file.Stat, func() (fs.FileInfo, error) { return os.Stat(b.path) }} {
		st, err := stat()
		if errors.Is(err, fs.ErrNotExist) {
			return failf(fail.Input, b.info.Ref, "read object: %w: it was removed while it was read", ErrChanged)
		}
		if err != nil {
			return dirError(b.info.Ref, "read object", err)
		}
		if !os.SameFile(st, b.opened) || st.Size() != b.opened.Size() || !st.ModTime().Equal(b.opened.ModTime()) {
			return failf(fail.Input, b.info.Ref, "read object: %w while it was read: %d bytes of %s at first, now %d bytes of %s", ErrChanged,
				b.opened.Size(), b.opened.ModTime().UTC().Format(time.RFC3339Nano), st.Size(), st.ModTime().UTC().Format(time.RFC3339Nano))
		}
	}
	return io.EOF
}

func (b *dirBody) Close() error {
	if err := b.file.Close(); err != nil && !errors.Is(err, fs.ErrClosed) {
		return dirError(b.info.Ref, "read object", err)
	}
	return nil
}

// Delete removes the file, and the folders above it (not the bucket) that it leaves empty: S3 has no folders.
func (d *dirStore) Delete(ctx context.Context, ref Ref) error {
	const verb = "delete object"
	if err := cancelled(ctx, ref, verb); err != nil {
		return err
	}
	path, err := d.path(ref)
	if err != nil {
		return err
	}
	if st, err := os.Lstat(path); err == nil && st.IsDir() {
		return nil // a folder is no object
	}
	if err := os.Remove(path); err != nil {
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
			return nil
		}
		return dirError(ref, verb, err)
	}
	if ref.Bucket != "" {
		removeEmptyDirs(filepath.Dir(path), filepath.Join(d.root, ref.Bucket))
	}
	return nil
}

// removeEmptyDirs removes dir and its parents below top as long as they are empty.
func removeEmptyDirs(dir, top string) {
	for len(dir) > len(top) && os.Remove(dir) == nil {
		dir = filepath.Dir(dir)
	}
}

var (
	errIsDir     = errors.New("it is a directory (name it with a / at the end to mean the objects below)")
	errIrregular = errors.New("it is not a regular file")
)

// dirError gives an error of the file system its kind. A full disk is Temporary: room may come back, and another host may
// have it. So is what is not known better (EIO, ESTALE, EMFILE): a retry does no harm.
func dirError(ref Ref, verb string, err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		err = fmt.Errorf("%s: %w", path.Op, path.Err) // the ref says where
	}
	switch {
	case errors.Is(err, errIsDir), errors.Is(err, errIrregular):
		return failf(fail.Input, ref, "%s: %w: %w", verb, ErrNotExist, err)
	case errors.Is(err, syscall.ENOTDIR), errors.Is(err, fs.ErrNotExist):
		return failf(fail.Input, ref, "%s: %w", verb, ErrNotExist)
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		return failf(fail.Permission, ref, "%s: %w", verb, err)
	case errors.Is(err, syscall.ENAMETOOLONG), errors.Is(err, syscall.EINVAL), errors.Is(err, syscall.ELOOP):
		return failf(fail.Usage, ref, "%s: %w", verb, err)
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return failf(fail.Temporary, ref, "%s: the disk is full: %w", verb, err)
	}
	return failf(fail.Temporary, ref, "%s: %w", verb, err)
}
