package objstore

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

// putUnnamed writes body to a file without a name and then gives it that of path, if nobody has it: of a process that is killed in the middle nothing is left (open(2), O_TMPFILE).
// done is false where the file system cannot do that, and nothing has happened then.
func putUnnamed(path string, body []byte) (st fs.FileInfo, done bool, err error) {
	parent := filepath.Dir(path)
	for range 100 { // who removes what it left may take the empty folder with it: make it again
		if err = os.MkdirAll(parent, 0o777); err != nil {
			return nil, true, err
		}
		var f *os.File
		if f, err = os.OpenFile(parent, os.O_WRONLY|unix.O_TMPFILE, 0o666); errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, false, nil //nolint:nilerr // a file under a hidden name finds out what is wrong
		}
		st, done, err = linkUnnamed(f, path, body)
		f.Close() // synced
		if !errors.Is(err, fs.ErrNotExist) {
			break
		}
	}
	return st, done, err
}

func linkUnnamed(f *os.File, path string, body []byte) (fs.FileInfo, bool, error) {
	if _, err := f.Write(body); err != nil {
		return nil, true, err
	}
	if err := f.Sync(); err != nil {
		return nil, true, err
	}
	st, err := f.Stat()
	if err != nil {
		return nil, true, err
	}
	switch err := unix.Linkat(unix.AT_FDCWD, "/proc/self/fd/"+strconv.Itoa(int(f.Fd())), unix.AT_FDCWD, path, unix.AT_SYMLINK_FOLLOW); {
	case errors.Is(err, fs.ErrExist):
		return nil, true, fs.ErrExist
	case errors.Is(err, fs.ErrNotExist):
		if _, proc := os.Stat("/proc/self/fd"); proc != nil {
			return nil, false, nil //nolint:nilerr // without /proc the file has a name first
		}
		return nil, true, fs.ErrNotExist
	case err != nil:
		return nil, false, nil //nolint:nilerr // a file system that has no such links: with a name first
	}
	return st, true, nil
}
