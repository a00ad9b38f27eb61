package objstore

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/sluice-data/sluice/internal/fail"
)

// List walks the directory in the order that S3 lists in: by the bytes of the whole key, in which a folder's name ends
// with its slash.
func (d *dirStore) List(ctx context.Context, prefix Ref) iter.Seq2[Info, error] {
	return func(yield func(Info, error) bool) {
		folder, name := prefix.Key[:strings.LastIndexByte(prefix.Key, '/')+1], prefix.Key[strings.LastIndexByte(prefix.Key, '/')+1:]
		base := folder
		if prefix.Bucket != "" {
			base = filepath.Join(d.root, prefix.Bucket, filepath.FromSlash(folder))
			if err := d.checkElements(prefix, prefix.Bucket); err != nil {
				yield(Info{}, err)
				return
			}
			if _, err := os.Stat(filepath.Join(d.root, prefix.Bucket)); err != nil {
				yield(Info{}, dirError(prefix, "list bucket", err))
				return
			}
			if folder != "" && d.checkElements(prefix, strings.TrimSuffix(folder, "/")) != nil {
				return // no object can have such a name, so none does
			}
		} else if base == "" {
			base = "."
		}
		w := lister{ctx: ctx, stater: stater{store: d}, bucket: prefix.Bucket, yield: yield}
		if w.walk(base, folder, name) {
			w.flush()
		}
	}
}

// maxBatch is how many files are described at a time: those of small files are hashed whole.
const maxBatch = 256

type lister struct {
	ctx     context.Context
	stater  stater
	bucket  string
	yield   func(Info, error) bool
	refs    []Ref         // found, not yet described
	batch   int           // how many of them to gather: few at first, for who looks at the first object only
	parents []fs.FileInfo // the folders that the walk is in, to see a symbolic link that leads back
}

// walk finds the objects in the folder at path whose name begins with prefix, and yields them as they become enough; false ends
// the listing.
func (w *lister) walk(path, key, prefix string) bool {
	ref := Ref{w.bucket, key}
	st, err := os.Stat(path)
	if err == nil {
		for _, parent := range w.parents {
			if os.SameFile(parent, st) {
				return w.fail(failf(fail.Input, ref, "list objects: a symbolic link leads back to a folder above it"))
			}
		}
	}
	var entries []fs.DirEntry
	if err == nil {
		entries, err = os.ReadDir(path)
	}
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return true
	}
	if err != nil {
		return w.fail(dirError(ref, "list objects", err))
	}
	w.parents = append(w.parents, st)
	defer func() { w.parents = w.parents[:len(w.parents)-1] }()

	names := make([]string, 0, len(entries))
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), prefix) || strings.HasPrefix(e.Name(), uploadPrefix) {
			continue
		}
		switch mode := w.mode(path, e); {
		case mode.IsDir():
			names = append(names, e.Name()+"/")
		case mode.IsRegular():
			names = append(names, e.Name())
		}
	}
	slices.SortFunc(names, cmp.Compare[string])
	for _, name := range names {
		at := filepath.Join(path, name)
		if strings.HasSuffix(name, "/") {
			if !w.walk(at, key+name, "") {
				return false
			}
			continue
		}
		if w.refs = append(w.refs, Ref{w.bucket, key + name}); len(w.refs) > w.batch && !w.flush() {
			return false
		}
	}
	return true
}

// flush describes the files found and yields them in order; false ends the listing.
func (w *lister) flush() bool {
	infos, errs := w.stater.stat(w.ctx, w.refs)
	w.refs, w.batch = w.refs[:0], min(2*w.batch+1, maxBatch)
	for i, info := range infos {
		if errors.Is(errs[i], ErrNotExist) {
			continue // gone since it was listed
		}
		if errs[i] != nil {
			w.yield(Info{}, errs[i])
			return false
		}
		if !w.yield(info, nil) {
			return false
		}
	}
	return true
}

// mode is the type of what an entry is or links to; a link to nothing is neither file nor folder.
func (w *lister) mode(path string, e fs.DirEntry) fs.FileMode {
	if e.Type()&fs.ModeSymlink == 0 {
		return e.Type()
	}
	st, err := os.Stat(filepath.Join(path, e.Name()))
	if err != nil {
		return fs.ModeIrregular
	}
	return st.Mode()
}

// fail ends the listing with err, after what was found before it.
func (w *lister) fail(err error) bool {
	if w.flush() {
		w.yield(Info{}, err)
	}
	return false
}
