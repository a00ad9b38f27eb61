package job

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/internal/objstore"
)

// A run's attempts settle in a log which of them commits: <sink.uri>/_runs/<run_id>/claim-<nnnnn>.json, each entry put on the
// condition that its number is free. An attempt claims the run with entry n before it completes its first upload, and commits it
// with entry n+1, which it gets only if no other attempt has claimed the run meanwhile. So once an attempt has claimed, those
// before it cannot commit any more; and once one has committed, nobody claims.
type claim struct {
	Attempt string `json:"attempt"`
	// Renewed counts up while the attempt is about to commit: who waits for it sees that it is alive.
	Renewed int `json:"renewed,omitempty"`
	// Fence says that the attempt is at another run, and never commits this one.
	Fence bool `json:"fence,omitempty"`
	// Compact says that the run merges files: what it left uncommitted is to be deleted soon.
	Compact bool `json:"compact,omitempty"`
	// Manifest is set in the entry that commits: whoever finds it can write the manifest where it should be.
	Manifest *Manifest `json:"manifest,omitempty"`
}

// account is what the attempts at a run have written beside its data.
type account struct {
	committed bool // the manifest is there
	claims    map[int]objstore.Info
	last      int             // the highest claim's number; 0 is none
	fences    int             // how many runs that replace took this one for dead: see abandoned.go
	announced []objstore.Info // see announcement
}

// announcement is what a partitioned attempt puts as <sink.uri>/_runs/<run_id>/attempt-<attempt>.json before it opens its first
// upload: where a later one has to look for what it left.
type announcement struct {
	Folders []string `json:"folders"`
}

func runRef(dir objstore.Ref, runID, name string) objstore.Ref {
	return objstore.Ref{Bucket: dir.Bucket, Key: dir.Key + "_runs/" + runID + "/" + name}
}

func claimRef(dir objstore.Ref, runID string, n int) objstore.Ref {
	return runRef(dir, runID, fmt.Sprintf("claim-%05d.json", n))
}

func announcementRef(dir objstore.Ref, runID, attempt string) objstore.Ref {
	return runRef(dir, runID, "attempt-"+attempt+".json")
}

func readAccount(ctx context.Context, store objstore.Store, dir objstore.Ref, runID string) (*account, error) {
	a := &account{claims: map[int]objstore.Info{}}
	prefix := runRef(dir, runID, "")
	for info, err := range store.List(ctx, prefix) {
		if errors.Is(err, objstore.ErrNotExist) {
			break // nobody has written anything
		}
		if err != nil {
			return nil, fmt.Errorf("look for other attempts: %w", err)
		}
		kind, name, _ := strings.Cut(strings.TrimPrefix(info.Key, prefix.Key), "-")
		name, isJSON := strings.CutSuffix(name, ".json")
		n, err := strconv.Atoi(name)
		switch {
		case kind == "manifest.json":
			a.committed = true
		case kind == "claim" && isJSON && err == nil && n > 0:
			a.claims[n] = info
			a.last = max(a.last, n)
		case kind == "fence" && isJSON:
			a.fences++
		case kind == "attempt" && isJSON:
			a.announced = append(a.announced, info)
		}
	}
	return a, nil
}

// readClaim reads an entry of the log; nil if it is gone.
func readClaim(ctx context.Context, store objstore.Store, ref objstore.Ref) (*claim, error) {
	info, err := store.Stat(ctx, ref, objstore.Pin{})
	var b []byte
	if err == nil {
		b, err = readObject(ctx, store, info)
	}
	if gone(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("look for other attempts: %w", err)
	}
	c := &claim{}
	if err := json.Unmarshal(b, c); err != nil {
		return nil, fail.Newf(fail.Data, "the claim of an earlier attempt cannot be read: %w", err).In(ref.String())
	}
	return c, nil
}

// gone says that an object which an attempt wrote is not there as it was: another has removed or replaced it.
func gone(err error) bool {
	return errors.Is(err, objstore.ErrNotExist) || errors.Is(err, objstore.ErrChanged)
}

// folders are those that attempts have announced, each once.
func (a *account) folders(ctx context.Context, store objstore.Store) ([]string, error) {
	var all []string
	for _, info := range a.announced {
		b, err := readObject(ctx, store, info)
		if gone(err) {
			continue // that attempt has left nothing
		}
		if err != nil {
			return nil, fmt.Errorf("read where an earlier attempt wrote: %w", err)
		}
		var an announcement
		if err := json.Unmarshal(b, &an); err != nil {
			return nil, fail.Newf(fail.Data, "an earlier attempt's list of folders cannot be read: %w", err).In(info.Ref.String())
		}
		all = append(all, an.Folders...)
	}
	slices.Sort(all)
	return slices.Compact(all), nil
}

// announce says where this attempt will have files, before it has any.
func (c *committer) announce(ctx context.Context, folders []string) error {
	c.announced = true // before it is: the answer may be lost
	c.folders = folders
	if err := putJSON(ctx, c.store, announcementRef(c.dir, c.runID, c.attempt), announcement{folders}, true); err != nil {
		return fmt.Errorf("write the list of partitions: %w", err)
	}
	return nil
}

// enter puts entry n of the log and says whether it is this attempt's.
func (c *committer) enter(ctx context.Context, n int, entry claim) (bool, error) {
	ref := claimRef(c.dir, c.runID, n)
	err := putJSON(ctx, c.store, ref, entry, true)
	if !errors.Is(err, objstore.ErrExists) {
		return err == nil, err
	}
	// The store may have been asked twice, because its first answer was lost.
	there, err := readClaim(ctx, c.store, ref)
	return there != nil && there.Attempt == c.attempt, err
}

// claim makes this attempt the only one that can commit the run, until another claims it. It fails if the run is committed. To an
// attempt that has claimed the run and may be alive it leaves the time to commit: two that shut each other out would both end in nothing.
func (c *committer) claim(ctx context.Context) error {
	mine := 0 // the highest entry that is this attempt's
	for n := 1; ; {
		ours, err := c.enter(ctx, n, claim{Attempt: c.attempt, Fence: c.fence, Compact: c.merge != nil})
		if err != nil {
			return fmt.Errorf("claim the run: %w", err)
		}
		if ours {
			mine = max(mine, n)
		}
		// Looked at after the claim: a commit that is not there now can only be this attempt's, or that of a later claim.
		a, err := readAccount(ctx, c.store, c.dir, c.runID)
		if err != nil {
			return err
		}
		if a.committed && !c.force {
			if ours {
				c.forget(ctx, claimRef(c.dir, c.runID, n))
			}
			return errCommittedElsewhere
		}
		if n = a.free(); n <= a.last { // a commit has cleared its part of the log: who claims there anew must not commit beside this one
			continue
		}
		if mine > 0 && mine == a.last {
			c.claimed, c.account = mine, a
			c.renewals = append(c.renewals, renewing(ctx, c.store, c.renew, a.claims[mine], func(times int) any {
				return claim{Attempt: c.attempt, Fence: c.fence, Compact: c.merge != nil, Renewed: times}
			}))
			return nil
		}
		if a.last > 0 {
			if a, err = c.giveWay(ctx, a); err != nil {
				return err
			}
			n = a.free()
		}
	}
}

// free is the lowest number that no entry of the log has.
func (a *account) free() int {
	n := 1
	for a.claims[n].Key != "" {
		n++
	}
	return n
}

// giveWay waits until the attempt that has the last entry of the log a has committed, or has had its lease. It returns the log as it
// is then, and errCommittedElsewhere if the run is committed; under force it waits for what is committed to be published.
func (c *committer) giveWay(ctx context.Context, a *account) (*account, error) {
	for wait := newWait(c.lease, c.waiting); ; {
		ref := claimRef(c.dir, c.runID, a.last)
		last, err := readClaim(ctx, c.store, ref)
		switch {
		case err != nil && !c.force:
			return nil, err
		case err != nil: // whatever it says, it can only be waited for
			c.log.Warn("an earlier attempt's claim cannot be read", "run_id", c.runID, "error", err.Error())
		case last != nil && last.Manifest != nil:
			if !c.force {
				return nil, errCommittedElsewhere
			}
			if m, err := readManifest(ctx, c.store, manifestRef(c.dir, c.runID)); err == nil && same(m, last.Manifest) {
				return a, nil
			}
		}
		// By the clock of this machine, which the store's may be behind or before: then an attempt gets more time than its lease, or
		// less, which costs one of the two, and never a commit.
		if age := max(0, time.Since(a.claims[a.last].ModTime)); age >= c.lease {
			return a, nil
		}
		if over, err := wait.next(ctx); over || err != nil {
			return a, err
		}
		before := a.claims[a.last]
		if a, err = readAccount(ctx, c.store, c.dir, c.runID); err != nil {
			return nil, err
		}
		if a.committed && !c.force {
			return nil, errCommittedElsewhere
		}
		if a.last == 0 {
			return a, nil
		}
		if now := a.claims[a.last]; now.Ref != before.Ref || now.ETag != before.ETag {
			wait = newWait(c.lease, c.waiting)
		}
	}
}

// superseded is errSuperseded if another attempt has claimed the run after entry n.
func (c *committer) superseded(ctx context.Context, n int) error {
	a, err := readAccount(ctx, c.store, c.dir, c.runID)
	if err == nil && a.last > n {
		err = errSuperseded
	}
	return err
}

// seal commits the run with m in the log, unless another attempt has claimed it.
func (c *committer) seal(ctx context.Context, m *Manifest) error {
	ours, err := c.enter(ctx, c.claimed+1, claim{Attempt: c.attempt, Manifest: m})
	if err != nil {
		return fmt.Errorf("commit the run: %w", err)
	}
	if !ours {
		return errSuperseded
	}
	return nil
}

// alone reports whether nothing of another attempt can be there.
func (c *committer) alone() bool {
	return c.claimed == 1 && !c.force && !slices.ContainsFunc(c.account.announced, func(i objstore.Info) bool {
		return i.Ref != announcementRef(c.dir, c.runID, c.attempt)
	})
}

// clear removes what the attempts have written for each other: the manifest says more. That it stays does no harm. Where
// an earlier attempt has claimed the run the log must stay, for that one may be alive, and find its next entry free; and where the run
// may be written anew, for the log says which commit is the last. Of other attempts it also aborts what they may have died in the
// middle of writing.
func (c *committer) clear(ctx context.Context, others bool) {
	g := errgroup.Group{}
	g.SetLimit(statsAtOnce)
	tell := func(ref objstore.Ref, err error) {
		if err != nil {
			c.log.Warn("an attempt's note was not removed", "run_id", c.runID, "object", ref.String(), "error", err.Error())
		}
	}
	do := func(ref objstore.Ref, remove func(context.Context, objstore.Ref) error) {
		g.Go(func() error {
			return fail.Guard("remove a note", func() error { tell(ref, remove(ctx, ref)); return nil })
		})
	}
	abort := func(ctx context.Context, ref objstore.Ref) error {
		_, err := c.store.AbortUploads(ctx, ref)
		return err
	}
	if others {
		do(manifestRef(c.dir, c.runID), abort)
		for n := range c.claimed + 1 {
			do(claimRef(c.dir, c.runID, n+1), abort)
		}
	}
	for _, info := range c.account.announced {
		do(info.Ref, c.store.Delete)
	}
	if c.claimed == 1 && !c.force {
		do(claimRef(c.dir, c.runID, 2), c.store.Delete)
		do(claimRef(c.dir, c.runID, 1), c.store.Delete)
	}
	tell(runRef(c.dir, c.runID, ""), g.Wait())
}

func (c *committer) forget(ctx context.Context, ref objstore.Ref) {
	if err := c.store.Delete(ctx, ref); err != nil {
		c.log.Warn("an attempt's note was not removed", "run_id", c.runID, "object", ref.String(), "error", err.Error())
	}
}

// settled is the commit of another attempt at the run: nil if there is none. One that came no further than the log is
// carried through: its leftovers are cleared and its manifest written.
func (j *job) settled(ctx context.Context) (*Manifest, error) {
	ref := manifestRef(j.dir, j.runID)
	if m, err := readManifest(ctx, j.store, ref); m != nil || err != nil {
		return m, err
	}
	a, err := readAccount(ctx, j.store, j.dir, j.runID)
	if err != nil {
		return nil, err
	}
	if j.generation = a.fences; a.last == 0 {
		return nil, nil
	}
	last, err := readClaim(ctx, j.store, claimRef(j.dir, j.runID, a.last))
	if err != nil || last == nil || last.Manifest == nil {
		return nil, err
	}
	folders, err := a.folders(ctx, j.store)
	if err != nil {
		return nil, err
	}
	if len(j.pipe.Sink.PartitionBy) == 0 {
		folders = []string{j.merge.place()}
	}
	c := &committer{store: j.store, dir: j.dir, runID: j.runID, dest: j.dest, log: j.opt.Log, claimed: a.last - 1, account: a}
	if c.quar, err = j.quarantine(); err != nil {
		return nil, err
	}
	if err := c.tidy(ctx, last.Manifest, folders); err != nil {
		return nil, err
	}
	if err := c.publish(ctx, last.Manifest); err != nil && !errors.Is(err, errCommittedElsewhere) {
		return nil, err
	}
	c.clear(ctx, true)
	return readManifest(ctx, j.store, ref)
}
