package objstore

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
)

// newDirs are the folders in which names of folders are new, and may be lost in a crash although the files below them are not. There is one entry for all
// partitions of a table: they last before the manifest does, whose Put comes behind them.
type newDirs struct {
	mu  sync.Mutex
	all map[string]bool
}

// make makes dir and what is above it, as os.MkdirAll does.
func (n *newDirs) make(dir string) error {
	for at := dir; ; at = filepath.Dir(at) {
		if _, err := os.Lstat(at); !errors.Is(err, fs.ErrNotExist) {
			break
		}
		n.mu.Lock()
		if n.all == nil {
			n.all = map[string]bool{}
		}
		n.all[filepath.Dir(at)] = true
		n.mu.Unlock()
	}
	return os.MkdirAll(dir, 0o777)
}

// sync makes the names last.
func (n *newDirs) sync() error {
	n.mu.Lock()
	all := n.all
	n.all = nil
	n.mu.Unlock()
	for dir := range all {
		if err := syncDir(dir); err != nil && !errors.Is(err, fs.ErrNotExist) { // or an Abort took it away again
			return err
		}
	}
	return nil
}
