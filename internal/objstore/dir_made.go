package objstore

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
)

// newDirs are the folders in which names of folders are new, and may be lost in a crash although the files below them are not. There is one entry for all
// partitions of a table: they last before the manifest does, whose Put comes behind them. Folders that a process made which was killed are not among them.
type newDirs struct {
	mu  sync.Mutex
	all map[string]bool
}

// make makes dir and what is above it, as os.MkdirAll does.
func (n *newDirs) make(dir string) error {
	var parents []string
	for at := dir; ; at = filepath.Dir(at) {
		if _, err := os.Lstat(at); !errors.Is(err, fs.ErrNotExist) {
			break
		}
		parents = append(parents, filepath.Dir(at))
	}
	err := os.MkdirAll(dir, 0o777)
	n.note(parents...) // now that the names are there, whatever came of the last one
	return err
}

func (n *newDirs) note(parents ...string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.all == nil {
		n.all = map[string]bool{}
	}
	for _, dir := range parents {
		n.all[dir] = true
	}
}

// sync makes the names last. What could not be done is tried again the next time.
func (n *newDirs) sync() error {
	n.mu.Lock()
	all := n.all
	n.all = nil
	n.mu.Unlock()
	for dir := range all {
		if err := syncDir(dir); err != nil && !errors.Is(err, fs.ErrNotExist) { // or an Abort took it away again
			for left := range all {
				n.note(left)
			}
			return err
		}
		delete(all, dir)
	}
	return nil
}
