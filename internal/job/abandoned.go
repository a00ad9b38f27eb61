package job

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/sluice-data/sluice/sinks"
)

// A run that replaces files finds some that a dead attempt at another run completed and never committed. It may delete them if that run cannot commit them any more, not now and not
// by a later attempt, which would write files of the same names: a delete has no condition, and may be late. So it puts a fence, _runs/<run_id>/fence-<attempt>.json, and then claims the
// run. The claim shuts out who claimed before; an attempt that claims later looks at the run's notes after that, and commits only if there is no fence that it did not find when it
// began; and the numbers of its files begin at sinks.GenerationSize for each fence that it found then. So whoever commits has no file of a generation below the number of fences
// that stood when the claim was the last.

// Nobody can tell a dead attempt from one that has not come to its commit yet, which has hours of work to lose. So a run has to be silent for deadAfter first, by clocks that may differ.

// deadAfter is how long nothing must have been heard of a run before another may delete what it left.
const deadAfter = 24 * time.Hour

// abandoned are the files of runs that have not committed them, in s, which this commit may delete. left has them by run.
func (c *committer) abandoned(ctx context.Context, left map[string][]string, s scope) ([]Replaced, error) {
	var out []Replaced
	for _, id := range slices.Sorted(maps.Keys(left)) {
		keys, err := c.abandon(ctx, id, left[id], s)
		if cause := context.Cause(ctx); cause != nil {
			return nil, cause
		}
		if err != nil { // another run's trouble, and its files have stood there until now
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

// abandon fences the run off and aborts its uploads. The keys are those of its files in s; none if it may be alive.
func (c *committer) abandon(ctx context.Context, runID string, left []string, s scope) ([]string, error) {
	a, err := c.fenceOff(ctx, runID)
	if a == nil || err != nil {
		return nil, err
	}
	folders, err := a.folders(ctx, c.store)
	if err != nil {
		return nil, err
	}
	for _, key := range left {
		rel := strings.TrimPrefix(key, c.dir.Key)
		folders = append(folders, rel[:strings.LastIndexByte(rel, '/')+1])
	}
	slices.Sort(folders)
	in := s.set()
	folders = slices.DeleteFunc(slices.Compact(folders), func(f string) bool { return !s.All && !within(f, in) })
	var keys []string
	for _, name := range sinks.Names() {
		d, _ := sinks.Lookup(name)
		refs, err := d.Abandon(ctx, c.store, c.dir, runID, folders, left, a.fences)
		if err != nil {
			return nil, err
		}
		for _, ref := range refs {
			keys = append(keys, ref.Key)
		}
	}
	return keys, nil
}

// fenceOff is the run's notes once no attempt that began before can commit it; nil if one may be alive, or has committed.
func (c *committer) fenceOff(ctx context.Context, runID string) (*account, error) {
	a, err := readAccount(ctx, c.store, c.dir, runID)
	if err != nil || a.committed {
		return nil, err
	}
	var last *claim
	for n, info := range a.claims {
		e, err := readClaim(ctx, c.store, info.Ref)
		if err != nil {
			return nil, err
		}
		if e == nil || e.Manifest != nil {
			return nil, nil // something is happening, or a forced run that was killed hides a commit
		}
		if n == a.last {
			last = e
		}
	}
	if last == nil {
		return nil, nil // who completes a file has claimed its run before: these are of another table, or were brought here
	}
	if last.Fence && a.free() > a.last { // one that replaced was killed behind its fence
		now, err := readAccount(ctx, c.store, c.dir, runID)
		if err != nil || now.committed || now.last != a.last {
			return nil, err
		}
		now.fences = a.fences // those that stood before the claim was seen to be the last: a list is not of one moment
		return now, nil
	}
	if time.Since(a.heard()) < c.dead {
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
