// Package data makes the inputs of the benchmark, each from a seed or from another one, and keeps them in a folder. The same set of the same
// size is the same bytes on any machine (Parquet: the same values; DuckDB writes it).
package data

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// Size says how large the sets are: all follow from the rows of trips.
type Size struct {
	Trips int `json:"trips"` // rows of trips.csv, 118 bytes each
	Wide  int `json:"wide"`  // rows of wide.csv, 8.8 KB each; 0 is one for 50 of Trips
}

// Set is an input of the benchmark.
type Set struct {
	Name   string         // of its file in the store, with the rows before its ending; a folder's ends in /
	Format string         // csv, jsonl or parquet
	From   string         // the set that it is made of, if any
	Rows   func(Size) int // how many it has
	Row    int            // bytes a row takes on disk, about
	build  func(ctx context.Context, b *build) error
}

// build is one set being made.
type build struct {
	root string // the checkout
	path string // of the file (or existing folder) to write
	rows int
	text int64 // set by the builder: bytes before compression, where they are not those on disk
	from File  // what it is made of
	duck func(ctx context.Context, sql string) error
}

// File is a set that is there.
type File struct {
	Path  string `json:"-"`     // the file, or a glob of a folder's
	Rows  int64  `json:"rows"`  // without headers
	Bytes int64  `json:"bytes"` // on disk
	Text  int64  `json:"text"`  // of the text before compression; of Parquet, what is on disk
}

// Store is a folder of sets.
type Store struct {
	Dir, Root string // Root is the checkout
	Size      Size
	DuckDB    func(ctx context.Context, sql string) error // executes a statement in a process of its own
	Log       io.Writer                                   // says what is being made
}

// Find is the set of that name.
func Find(name string) (Set, error) {
	for _, s := range Sets {
		if s.Name == name {
			return s, nil
		}
	}
	return Set{}, fmt.Errorf("no data set %q", name)
}

// path is where a set of the store's size is.
func (s *Store) path(set Set) string {
	stem, ending, _ := strings.Cut(strings.TrimSuffix(set.Name, "/"), ".")
	name := fmt.Sprintf("%s-%d", stem, set.Rows(s.Size))
	if ending != "" {
		name += "." + ending
	}
	return filepath.Join(s.Dir, name)
}

// Get is the named set, made if it is not there. One that was half made is made again.
func (s *Store) Get(ctx context.Context, name string) (File, error) {
	set, err := Find(name)
	if err != nil {
		return File{}, err
	}
	path := s.path(set)
	if f, err := s.known(set, path); err == nil {
		return f, nil
	}
	b := &build{root: s.Root, path: path + ".making", rows: set.Rows(s.Size), duck: s.DuckDB}
	if set.From != "" {
		if b.from, err = s.Get(ctx, set.From); err != nil {
			return File{}, err
		}
	}
	if err := s.make(ctx, set, b, path); err != nil {
		return File{}, fmt.Errorf("make %s: %w", filepath.Base(path), err)
	}
	return s.known(set, path)
}

// Has is the named set, if it was made.
func (s *Store) Has(name string) (File, bool) {
	set, err := Find(name)
	if err != nil {
		return File{}, false
	}
	f, err := s.known(set, s.path(set))
	return f, err == nil
}

// known is a set that was made before: what it is stands beside it, written last.
func (s *Store) known(set Set, path string) (f File, err error) {
	text, err := os.ReadFile(path + ".json")
	if err != nil {
		return f, err
	}
	if err := json.Unmarshal(text, &f); err != nil {
		return f, fmt.Errorf("read %s.json: %w", path, err)
	}
	if _, err := os.Stat(path); err != nil {
		return f, err
	}
	f.Path = path
	if set.folder() {
		f.Path = filepath.Join(path, "*."+set.Format)
	}
	return f, nil
}

func (set Set) folder() bool { return strings.HasSuffix(set.Name, "/") }

func (s *Store) make(ctx context.Context, set Set, b *build, path string) (err error) {
	if err := os.MkdirAll(s.Dir, 0o755); err != nil {
		return err
	}
	if want, free := int64(b.rows)*int64(set.Row), s.free(); free < want+want/2 {
		return fmt.Errorf("about %d MB are wanted and %d MB are free in %s", want/1e6, free/1e6, s.Dir)
	}
	fmt.Fprintf(s.Log, "making %s (%d rows)\n", filepath.Base(path), b.rows)
	if err := os.RemoveAll(b.path); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(b.path))
		}
	}()
	if set.folder() {
		if err := os.Mkdir(b.path, 0o755); err != nil {
			return err
		}
	}
	if err := set.build(ctx, b); err != nil {
		return err
	}
	f := File{Rows: int64(b.rows)}
	if f.Bytes, err = treeSize(b.path); err != nil {
		return err
	}
	if f.Text = f.Bytes; b.text > 0 {
		f.Text = b.text
	}
	if err := os.Rename(b.path, path); err != nil {
		return err
	}
	text, err := json.Marshal(f)
	if err != nil {
		return err
	}
	return os.WriteFile(path+".json", text, 0o644)
}

// Discard removes a set. One that is not there is no error.
func (s *Store) Discard(name string) error {
	set, err := Find(name)
	if err != nil {
		return err
	}
	path := s.path(set)
	if err := os.RemoveAll(path + ".json"); err != nil {
		return err
	}
	return os.RemoveAll(path)
}

// free is how many bytes the store's disk has left.
func (s *Store) free() int64 {
	var st syscall.Statfs_t
	if err := syscall.Statfs(s.Dir, &st); err != nil {
		return 1 << 62 // not known: the disk itself will say
	}
	return int64(st.Bavail) * int64(st.Bsize) //nolint:unconvert // it is an uint32 elsewhere
}

// treeSize is the size of a file or of all files of a folder.
func treeSize(path string) (n int64, err error) {
	err = filepath.Walk(path, func(_ string, info os.FileInfo, err error) error {
		if err == nil && info.Mode().IsRegular() {
			n += info.Size()
		}
		return err
	})
	return n, err
}
