package parquet

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/sluice-data/sluice/internal/objstore"
)

// Tidy deletes completed objects that dead attempts left and this one does not have, in its own folders and those given.
func (s *Sink) Tidy(ctx context.Context, folders []string) error {
	keep := make(map[string]bool, len(s.published))
	for _, f := range s.published {
		keep[f.Ref.Key] = true
	}
	all := s.places(folders)
	var mu sync.Mutex
	return each(len(all), filesAtOnce, func(i int) error {
		last, err := deleteParts(ctx, s.req.Store, s.req.Dir.Join(all[i]+"part-"+s.req.RunID+"-"), keep)
		mu.Lock()
		defer mu.Unlock()
		s.numbers[all[i]] = max(s.numbers[all[i]], last+1)
		return err
	})
}

// AbortOthers aborts the open uploads of other attempts, in this one's folders and those given.
func (s *Sink) AbortOthers(ctx context.Context, folders []string) error {
	all := s.places(folders)
	var mu sync.Mutex
	var first error
	err := each(len(all), filesAtOnce, func(i int) error {
		if err := abortParts(ctx, s.req.Store, s.req.Dir, all[i], s.req.RunID, s.numbers[all[i]]); err != nil {
			mu.Lock()
			defer mu.Unlock()
			if first == nil {
				first = err
			}
		}
		return nil // the other folders have their turn
	})
	return errors.Join(first, err)
}

// places are the folders to look into: "" is that of a sink without partitions.
func (s *Sink) places(folders []string) []string {
	if s.parts == nil {
		return []string{""}
	}
	all := append(slices.Clone(s.folders), folders...)
	slices.Sort(all)
	return slices.Compact(all)
}

// deleteParts deletes the parts below prefix that are not in keep. It goes on after an error, so that one stuck object does
// not hide the others, and returns the first; last is the highest number it saw, or -1.
func deleteParts(ctx context.Context, store objstore.Store, prefix objstore.Ref, keep map[string]bool) (last int, first error) {
	last = -1
	for info, err := range store.List(ctx, prefix) {
		if errors.Is(err, objstore.ErrNotExist) {
			break // nor does anything below it
		}
		if err == nil {
			n, ok := partNumber(info.Key, prefix.Key)
			last = max(last, n)
			if ok && !keep[info.Key] {
				err = store.Delete(ctx, info.Ref)
			}
		}
		if first == nil {
			first = err
		}
	}
	return last, first
}

// abortParts aborts the open uploads to a folder's parts. A dead attempt may have had more of them than this one: numbers are
// tried until none is open, for an attempt opens its uploads in order. It goes on after an error and returns the first.
func abortParts(ctx context.Context, store objstore.Store, dir objstore.Ref, folder, runID string, have int) error {
	var first error
	for n := 0; ; n++ {
		found, err := store.AbortUploads(ctx, part(dir, folder, runID, n))
		if first == nil {
			first = err
		}
		if found == 0 && (n >= have || ctx.Err() != nil) {
			return first
		}
	}
}

// partNumber is n of a key that part made, below the given prefix; else -1.
func partNumber(key, prefix string) (int, bool) {
	digits, ok := strings.CutSuffix(strings.TrimPrefix(key, prefix), ".parquet")
	if n, err := strconv.Atoi(digits); ok && len(digits) >= 5 && err == nil && n >= 0 {
		return n, true
	}
	return -1, false
}
