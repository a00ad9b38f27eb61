package files

import (
	"context"
	"errors"
	"iter"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/sluice-data/sluice/internal/objstore"
	"github.com/sluice-data/sluice/sinks"
)

// prefixOf is what the names of a run's files begin with.
func prefixOf(runID string) string { return "part-" + runID + "-" }

// tidy deletes a run's completed objects in the folders, but for those in keep.
func (f Format) tidy(ctx context.Context, store objstore.Store, dir objstore.Ref, runID string, folders []string, keep map[string]bool) error {
	return inAll(folders, func(folder string) error {
		prefix := dir.Join(folder + prefixOf(runID))
		var first error
		for info, err := range f.parts(ctx, store, prefix) {
			if err == nil && !keep[info.Key] {
				err = store.Delete(ctx, info.Ref)
			}
			if first == nil {
				first = err
			}
		}
		return first
	})
}

// AbortOthers aborts the open uploads of other attempts, in this one's folders and those given.
func (s *Sink) AbortOthers(ctx context.Context, folders []string) error {
	gap := 1
	if s.parts != nil && s.size < 2*wholeFile {
		gap = filesAtOnce // files of a folder may have been sent side by side, in any order
	}
	places := s.places(folders)
	atOnce := max(2, filesAtOnce/max(1, len(places)))
	return inAll(places, func(folder string) error {
		have := make([]int, s.req.Generation+1)
		have[s.req.Generation] = s.numbers[folder]
		prefix := s.req.Dir.Join(folder + prefixOf(s.req.RunID))
		var unlisted error
		for info, err := range s.format.parts(ctx, s.req.Store, prefix) {
			if unlisted = err; err == nil {
				n, _ := s.format.number(info.Key, prefix.Key)
				count(have, n)
			}
		}
		part := func(n int) objstore.Ref { return partRef(s.req.Dir, folder, s.req.RunID, n, s.writer.Extension()) }
		return errors.Join(unlisted, abortGenerations(ctx, s.req.Store, part, have, gap, atOnce))
	})
}

// count notes that there is a file of number n: have is how many numbers of each generation are taken.
func count(have []int, n int) {
	if g := n / sinks.GenerationSize; g < len(have) {
		have[g] = max(have[g], n%sinks.GenerationSize+1)
	}
}

// abortGenerations is abortParts for each generation, of which have says how many numbers are known.
func abortGenerations(ctx context.Context, store objstore.Store, part func(n int) objstore.Ref, have []int, gap, atOnce int) error {
	var first error
	for g, n := range have {
		err := abortParts(ctx, store, func(i int) objstore.Ref { return part(g*sinks.GenerationSize + i) }, n, gap, atOnce)
		if first == nil {
			first = err
		}
	}
	return first
}

// abandon aborts a run's open uploads of the generations below the given one, and returns the completed objects of those.
func (f Format) abandon(ctx context.Context, store objstore.Store, dir objstore.Ref, runID string, folders, left []string, below int) ([]objstore.Ref, error) {
	var exts []string
	for _, ext := range f.Extensions {
		if slices.ContainsFunc(left, func(key string) bool {
			_, ok := Format{Extensions: []string{ext}}.number(key[strings.LastIndexByte(key, '/')+1:], prefixOf(runID))
			return ok
		}) {
			exts = append(exts, ext)
		}
	}
	var mu sync.Mutex
	var stand []objstore.Ref
	err := inAll(folders, func(folder string) error {
		for _, ext := range exts {
			one, prefix := Format{Extensions: []string{ext}}, dir.Join(folder+prefixOf(runID))
			have := make([]int, below)
			for _, key := range left {
				if rest, ok := strings.CutPrefix(key, prefix.Key); ok {
					if n, ok := one.number(rest, ""); ok {
						count(have, n)
					}
				}
			}
			if err := abortGenerations(ctx, store, func(n int) objstore.Ref { return partRef(dir, folder, runID, n, ext) }, have, max(1, filesAtOnce/len(folders)), max(2, filesAtOnce/len(folders))); err != nil {
				return err
			}
			for info, err := range one.parts(ctx, store, prefix) {
				if err != nil {
					return err
				}
				if n, _ := one.number(info.Key, prefix.Key); n < below*sinks.GenerationSize {
					mu.Lock()
					stand = append(stand, info.Ref)
					mu.Unlock()
				}
			}
		}
		return nil
	})
	return stand, err
}

// inAll calls f for each folder, some at a time, whatever it returns, and returns the first error.
func inAll(folders []string, f func(folder string) error) error {
	var mu sync.Mutex
	var first error
	err := each(len(folders), filesAtOnce, func(i int) error {
		if err := f(folders[i]); err != nil {
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

// parts are the completed parts below prefix.
func (f Format) parts(ctx context.Context, store objstore.Store, prefix objstore.Ref) iter.Seq2[objstore.Info, error] {
	return func(yield func(objstore.Info, error) bool) {
		for info, err := range store.List(ctx, prefix) {
			if errors.Is(err, objstore.ErrNotExist) {
				return // nor does anything below it
			}
			if _, ok := f.number(info.Key, prefix.Key); (ok || err != nil) && !yield(info, err) {
				return
			}
		}
	}
}

// abortParts aborts the open uploads to a folder's parts, of some numbers side by side. A dead attempt may have had more of them than the
// numbers that this one has: they are tried until for a gap of them none is open. It goes on after an error and returns the first.
func abortParts(ctx context.Context, store objstore.Store, part func(n int) objstore.Ref, have, gap, atOnce int) error {
	var mu sync.Mutex
	var first error
	for tried := 0; tried < have+gap && (tried <= have || ctx.Err() == nil); {
		from := tried
		tried = have + gap
		if err := each(tried-from, atOnce, func(i int) error {
			open, err := store.AbortUploads(ctx, part(from+i))
			mu.Lock()
			defer mu.Unlock()
			if open > 0 {
				have = max(have, from+i+1)
			}
			if first == nil {
				first = err
			}
			return nil // the others have their turn
		}); err != nil {
			return err // a panic
		}
	}
	return first
}

// number is n of a key that part made, below the given prefix.
func (f Format) number(key, prefix string) (int, bool) {
	name := strings.TrimPrefix(key, prefix)
	for _, ext := range f.Extensions {
		digits, ok := strings.CutSuffix(name, ext)
		if n, err := strconv.Atoi(digits); ok && len(digits) >= 5 && err == nil && n >= 0 {
			return n, true
		}
	}
	return -1, false
}
