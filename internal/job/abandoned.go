package job

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/sinks"
)

// A run that replaces files finds some that a dead attempt at another run completed and never committed. It may delete them if that run cannot commit them any more, not now and not
// by a later attempt, which would write files of the same names: a delete has no condition, and may be late. So it puts a fence, _runs/<run_id>/fence-<attempt>.json, and then claims the
// run. The claim shuts out who claimed before; an attempt that claims later looks at the run's notes after that, and commits only if there is no fence that it did not find when it
// began; and the numbers of its files begin at sinks.GenerationSize for each fence that it found then. So whoever commits has no file of a generation below the number of fences
// that stood when the claim was the last.

// Nobody can tell a dead attempt from one that has not come to its commit yet, which has hours of work to lose. So a run has to be silent for deadAfter first, by clocks that may differ.

// A merge has none: what it merged is still there until it has committed. And unlike any other run it may never be tried again, since one file more in its folder makes another merge, while the
// files that it completed have rows which stand elsewhere. So the silence of a lease is enough for it, and what it left goes at once, not with a commit: fenced off it cannot be committed any more.

// deadAfter is how long nothing must have been heard of a run before another may delete what it left.
const deadAfter = 24 * time.Hour

// abandoned are the files of runs that have not committed them, in s, which this commit may delete. left has them by run.
func (c *committer) abandoned(ctx context.Context, left map[string][]string, s scope) ([]Replaced, error) {
	var out []Replaced
	for _, id := range slices.Sorted(maps.Keys(left)) {
		keys, _, err := c.abandon(ctx, id, left[id], s, nil)
		if cause := context.Cause(ctx); cause != nil {
			return nil, cause
		}
		if err != nil && !errors.Is(err, errMayLive) { // another run's trouble, and its files have stood there until now
			c.log.Warn("files of a run that has not committed them stay: they cannot be taken over", "run_id", id, "error", err)
			continue
		}
		if len(keys) == 0 {
			c.table().stay(id, left[id])
			continue
		}
		c.log.Info("files that a run left and did not commit are deleted with those that are replaced: its next attempt writes new ones", "run_id", id, "files", len(keys))
		slices.Sort(keys)
		out = append(out, Replaced{RunID: id, Keys: keys, Abandoned: true})
	}
	return out, nil
}

// abandon fences the run off and aborts its uploads. The keys are those of its files in s; it is not fenced if it may be alive. of is as for fenceOff.
func (c *committer) abandon(ctx context.Context, runID string, left []string, s scope, of *takenTurn) (keys []string, fenced bool, err error) {
	a, err := c.fenceOff(ctx, runID, of)
	if a == nil || err != nil {
		return nil, false, err
	}
	folders, err := a.folders(ctx, c.store)
	if err != nil {
		return nil, false, err
	}
	for _, key := range left {
		rel := strings.TrimPrefix(key, c.dir.Key)
		folders = append(folders, rel[:strings.LastIndexByte(rel, '/')+1])
	}
	slices.Sort(folders)
	in := s.set()
	folders = slices.DeleteFunc(slices.Compact(folders), func(f string) bool { return !s.All && !within(f, in) })
	for _, name := range sinks.Names() {
		d, _ := sinks.Lookup(name)
		refs, err := d.Abandon(ctx, c.store, c.dir, runID, folders, left, a.fences)
		if err != nil {
			return nil, false, err
		}
		for _, ref := range refs {
			keys = append(keys, ref.Key)
		}
	}
	return keys, true, nil
}

// errMayLive is of a merge that was heard of not long ago.
var errMayLive = fail.Newf(fail.Temporary, "a compaction may be about to commit")

// giveUp takes what merges that were killed left, by run, out of the table; that of other runs, and of merges that may be alive, stays. It is what a compaction begins with: the next merge of
// their folder is another run, and would stand beside their files. alive are the latter merges.
func (c *committer) giveUp(ctx context.Context, left map[string][]string) (alive []string, err error) {
	for _, id := range slices.Sorted(maps.Keys(left)) {
		dead, err := c.giveUpMerge(ctx, id, left[id], nil)
		cause := context.Cause(ctx)
		switch {
		case cause != nil:
			return nil, cause
		case errors.Is(err, errMayLive):
			alive = append(alive, id)
			fallthrough
		case err == nil && !dead:
			c.table().stay(id, left[id])
		case err != nil && fail.KindOf(err) == fail.Data:
			c.log.Warn("files that a compaction may have left stay: its notes cannot be read", "run_id", id, "files", len(left[id]), "first", left[id][0], "error", err.Error())
		case err != nil:
			return nil, fmt.Errorf("give up the compaction %s, which was killed before its commit: %w", id, err)
		}
	}
	return alive, nil
}

// giveUpTurn gives up the merge that took the turn, and says whether it cannot commit any more.
func (c *committer) giveUpTurn(ctx context.Context, e takenTurn) (bool, error) {
	if !e.Compact {
		return false, nil
	}
	var left []string // it may have completed none yet: these names say in which folders to look, and of what format
	folders := e.Folders
	if e.All { // the table's own
		folders = []string{""}
	}
	for _, folder := range folders {
		left = append(left, c.dir.Join(folder+"part-"+e.RunID+"-00000.parquet").Key)
	}
	dead, err := c.giveUpMerge(ctx, e.RunID, left, &e)
	if errors.Is(err, errMayLive) {
		return false, nil
	}
	if !dead || err != nil {
		return false, err
	}
	e.Done = true
	return true, putJSON(ctx, c.store, e.info.Ref, e.turn, false)
}

func (c *committer) giveUpMerge(ctx context.Context, runID string, left []string, of *takenTurn) (bool, error) {
	keys, fenced, err := c.abandon(ctx, runID, left, scope{All: true}, of)
	if !fenced || err != nil {
		return false, err
	}
	if len(keys) > 0 {
		c.log.Info("files of a compaction that was killed before its commit are deleted: what it merged is there", "run_id", runID, "files", len(keys))
	}
	return true, c.table().remove(ctx, Replaced{RunID: runID, Keys: keys})
}

// fenceOff is the run's notes once no attempt that began before can commit it; nil if one may be alive, or has committed. of is the turn that says that the run is a merge, where it is known by that; a merge
// itself fences off none but merges.
func (c *committer) fenceOff(ctx context.Context, runID string, of *takenTurn) (*account, error) {
	a, err := readAccount(ctx, c.store, c.dir, runID)
	if err != nil || a.committed {
		return nil, err
	}
	var last *claim
	merges := of != nil
	for n, info := range a.claims {
		e, err := readClaim(ctx, c.store, info.Ref)
		if err != nil {
			return nil, err
		}
		if e == nil || e.Manifest != nil {
			return nil, nil // something is happening, or a forced run that was killed hides a commit
		}
		merges = merges || e.Compact
		if n == a.last {
			last = e
		}
	}
	silent, heard := c.dead, a.heard()
	switch {
	case merges:
		silent = c.lease
	case c.mode == compactMode:
		return nil, nil
	}
	if of != nil && of.info.ModTime.After(heard) {
		heard = of.info.ModTime
	}
	if last == nil && of == nil {
		return nil, nil // who completes a file has claimed its run before: these are of another table, or were brought here
	}
	if of == nil && last != nil && last.Fence && a.free() > a.last { // one that replaced was killed behind its fence; who took a turn behind it may be alive
		now, err := readAccount(ctx, c.store, c.dir, runID)
		if err != nil || now.committed || now.last != a.last {
			return nil, err
		}
		now.fences = a.fences // those that stood before the claim was seen to be the last: a list is not of one moment
		return now, nil
	}
	if time.Since(heard) < silent {
		if merges {
			return nil, errMayLive
		}
		return nil, nil
	}
	if err := putJSON(ctx, c.store, runRef(c.dir, runID, "fence-"+c.attempt+".json"), claim{Attempt: c.attempt, Fence: true}, false); err != nil {
		return nil, err
	}
	before, err := readAccount(ctx, c.store, c.dir, runID)
	if err != nil {
		return nil, err
	}
	taken := &committer{store: c.store, dir: c.dir, runID: runID, attempt: c.attempt, lease: c.lease, renew: c.renew, waiting: c.waiting, log: c.log, fence: true}
	err = taken.claim(ctx)
	taken.stopRenewing()
	if errors.Is(err, errCommittedElsewhere) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	taken.account.fences = min(taken.account.fences, before.fences)
	return taken.account, nil
}

// heard is when an attempt at the run last gave a sign of life, by the store's clock.
func (a *account) heard() (last time.Time) {
	for _, info := range slices.AppendSeq(slices.Clone(a.announced), maps.Values(a.claims)) {
		if info.ModTime.After(last) {
			last = info.ModTime
		}
	}
	return last
}
