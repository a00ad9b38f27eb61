package parquet

import (
	"context"
	"errors"
	"strconv"
	"strings"

	"github.com/sluice-data/sluice/internal/objstore"
	"github.com/sluice-data/sluice/sinks"
)

// Leftovers clears what earlier attempts of the run left below dir: it deletes the run's completed files that are not in
// keep, and aborts open uploads to the run's keys. The caller must know that no other attempt is at work or may still
// commit: it is for after the run's own Commit (before the manifest is written) and for after a failure for good (keep
// nil). It goes on after an error, so that one stuck object does not hide the others, and returns the first.
func Leftovers(ctx context.Context, store objstore.Store, dir objstore.Ref, runID string, keep []sinks.File) error {
	kept := make(map[string]bool, len(keep))
	for _, f := range keep {
		kept[f.Ref.Key] = true
	}
	prefix := dir.Join("part-" + runID + "-")
	var first error
	note := func(err error) {
		if first == nil {
			first = err
		}
	}
	last := len(keep) - 1
	for info, err := range store.List(ctx, prefix) {
		if errors.Is(err, objstore.ErrNotExist) {
			break // nor does anything below it
		}
		if err != nil {
			note(err)
			break
		}
		n, ok := partNumber(info.Key, prefix.Key)
		if !ok {
			continue
		}
		last = max(last, n)
		if !kept[info.Key] {
			if err := store.Delete(ctx, info.Ref); err != nil {
				note(err)
			}
		}
	}
	// An attempt opens its uploads in order and completes them in order, so the open ones follow the completed without a gap.
	for n := 0; ; n++ {
		found, err := store.AbortUploads(ctx, part(dir, runID, n))
		if err != nil {
			note(err)
			if n > last {
				break
			}
			continue
		}
		if found == 0 && n > last {
			break
		}
	}
	return first
}

// partNumber is n of a key that part made, below the given prefix.
func partNumber(key, prefix string) (int, bool) {
	digits, ok := strings.CutSuffix(strings.TrimPrefix(key, prefix), ".parquet")
	if !ok || len(digits) < 5 {
		return 0, false
	}
	n, err := strconv.Atoi(digits)
	return n, err == nil && n >= 0
}
