package job

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/memory"
	"golang.org/x/sync/errgroup"

	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/internal/objstore"
	"github.com/sluice-data/sluice/internal/spec"
	"github.com/sluice-data/sluice/pipeline"
	"github.com/sluice-data/sluice/sinks"
	"github.com/sluice-data/sluice/transforms"
)

// committer is the run's sink: the quarantine, the data and the manifest, published in that order: bad rows that can be
// seen before the commit mislead nobody, data might.
//
// Attempts at one run may overlap, and write the same keys. Only one that has claimed the run (see claim) completes uploads.
// With its own data complete it aborts the open uploads of all others, and then looks whether one that had claimed before it has
// completed any over its own: after that look, nobody can. It deletes nothing before it has committed: until then another
// attempt may commit with what is there.
type committer struct {
	data  sinks.Sink
	dest  sinks.Destination
	quar  *quarantine // nil when the first bad row fails the run
	store objstore.Store
	dir   objstore.Ref
	runID string
	in    intakes
	force bool
	// partitioned says that files go to folders.
	partitioned bool
	mode        string // of the sink: append, replace_partitions or replace
	onConflict  string
	log         *slog.Logger
	manifest    func(l *pipeline.Ledger, files, quar []FileRef) *Manifest
	verify      func() ([]transforms.Finding, error) // what the steps found; an error commits nothing

	attempt   string        // names this attempt among those at the run
	lease     time.Duration // what an attempt that has claimed the run gets to commit, or to renew its claim
	dead      time.Duration // see deadAfter
	renew     time.Duration // how often it does
	renewals  []func()      // stop those that go on
	waiting   func()        // is told when this attempt waits for another; may be nil
	announced bool          // its folders
	folders   []string      // which it announced
	turn      int           // its number among the commits that replace files, once it has one
	replaces  []Replaced    // what it found to replace then
	merge     *merge        // of a commit that merges files of a folder; else nil
	claimed   int           // its entry in the log, once it has one
	account   *account      // as it was right after the claim
	// generation is how many fences the run had when this attempt began: its files' numbers are above those that may be deleted for them.
	generation int
	fence      bool // it claims a run for another one that is about to delete what it left

	done *Manifest // set when this attempt committed
}

var (
	errCommittedElsewhere = fail.Newf(fail.Temporary, "another attempt committed this run")
	errOverwritten        = fail.Newf(fail.Temporary, "another attempt at this run replaced a file before the commit")
	errTurnLost           = fail.Newf(fail.Temporary, "this run's turn to replace files was given up for dead")
	errFenced             = fail.Newf(fail.Temporary, "a run that replaces files of this table took this run for dead: its next attempt writes to other names")
	errSuperseded         = fail.Newf(fail.Temporary, "another attempt at this run took it over")
)

func (c *committer) NewEncoder(mem memory.Allocator) (pipeline.Encoder, error) {
	return c.data.NewEncoder(mem)
}

// Apart is the data's, for a sink of several places.
func (c *committer) Apart(a, b arrow.Record) bool {
	d, ok := c.data.(pipeline.Divider)
	return ok && d.Apart(a, b)
}

func (c *committer) Write(ctx context.Context, b pipeline.Block) error { return c.data.Write(ctx, b) }

// Commit holds the ledger against the inputs before anything becomes visible and against the store before the manifest
// says so.
func (c *committer) Commit(ctx context.Context, l *pipeline.Ledger) error {
	err := c.precheck(l)
	var checks []transforms.Finding
	if err == nil {
		checks, err = c.verify()
	}
	if err == nil { // before the claim: who comes after it aborts the uploads that are open, and none may be begun later
		if err = c.data.Flush(ctx); err != nil {
			return errors.Join(err, c.Abort(ctx))
		}
		// A turn may be waited for, and who has claimed the run does not wait.
		if err = c.takeTurn(ctx); err == nil {
			err = c.claim(ctx)
		}
		if err == nil && c.account.fences != c.generation {
			err = errFenced
		}
	}
	sealed := false
	defer func() {
		c.stopRenewing()
		if c.turn > 0 && !sealed {
			c.table().endTurn(context.WithoutCancel(ctx), c.turn, "")
		}
	}()
	var folders []string
	if err == nil {
		folders, err = c.places(ctx)
	}
	var quar []FileRef
	if err == nil && c.quar != nil {
		quar, err = c.quar.Commit(ctx)
	}
	if err != nil {
		aborted := c.Abort(ctx)
		if c.announced && aborted == nil { // every upload was begun, and is given up: nothing is where the announcement says
			c.forget(context.WithoutCancel(ctx), announcementRef(c.dir, c.runID, c.attempt))
		}
		return errors.Join(err, aborted)
	}
	if err := c.data.Commit(ctx, l); err != nil {
		if gone(err) {
			err = fmt.Errorf("%w: %w", errOverwritten, err)
		}
		return err
	}
	if err := l.Check(); err != nil {
		return fail.Wrap(fail.Data, err) // the files are for the next attempt to replace or delete, once it has committed
	}
	m := c.manifest(l, fileRefs(c.data.Files()), quar)
	m.Checks = checks
	if m.Ledger == nil {
		m.Ledger = []pipeline.StepCount{} // no steps: an empty account, not none
	}
	m.Turn, m.Replaces = c.turn, c.replaces
	if m.Turn > 0 {
		m.Mode = c.mode
	}
	if err := c.shutOut(ctx, m, folders); err != nil {
		return err
	}
	sealed = true // from here on it may be: the answer may be lost
	if err := c.seal(ctx, m); err != nil {
		sealed = !errors.Is(err, errSuperseded)
		return err
	}
	if !c.alone() {
		if err := c.superseded(ctx, c.claimed+1); err != nil { // a forced run replaces this commit: its files are not to be deleted
			return err
		}
		if err := c.tidy(ctx, m, folders); err != nil {
			return err
		}
	}
	publish := c.publish
	if c.force {
		publish = func(ctx context.Context, m *Manifest) error { return c.publishOver(ctx, m, c.claimed+1) }
	}
	if err := publish(ctx, m); err != nil {
		return err
	}
	if err := c.table().clear(ctx, m); err != nil {
		return fmt.Errorf("the run is committed, and what it replaces is still there; its next attempt deletes that: %w", err)
	}
	c.done = m
	c.stopRenewing() // or it writes a claim while that is cleared, which a directory does not keep apart
	c.clear(ctx, !c.alone())
	return nil
}

func (c *committer) stopRenewing() {
	for _, stop := range c.renewals {
		stop()
	}
	c.renewals = nil
}

func (c *committer) table() *output { return &output{store: c.store, dir: c.dir, log: c.log} }

// takeTurn waits for this attempt's turn where it replaces files, and finds which.
func (c *committer) takeTurn(ctx context.Context) error {
	switch c.mode {
	case spec.Append:
		return nil
	case compactMode:
		return c.takeTurnToCompact(ctx)
	}
	t := turn{RunID: c.runID, Attempt: c.attempt, scope: scope{All: c.mode == spec.Replace, Folders: c.folders}}
	if t.All {
		t.Folders = nil
	}
	if err := c.enterTurn(ctx, t); err != nil {
		return err
	}
	out := c.table()
	if err := out.await(ctx, c.turn, t, c.onConflict, c.lease, c.waiting); err != nil {
		return err
	}
	var err error
	var left map[string][]string
	if c.replaces, left, err = out.replaceable(ctx, c.runID, c.mode, t.scope); err != nil {
		return err
	}
	dead, err := c.abandoned(ctx, left, t.scope)
	if err != nil {
		return err
	}
	c.replaces = append(c.replaces, dead...)
	// One of a later turn, which took this one for dead, may have committed: it replaces this commit, and not the other way round.
	later, err := out.turns(ctx)
	c.replaces = slices.DeleteFunc(c.replaces, func(r Replaced) bool {
		return slices.ContainsFunc(later, func(e takenTurn) bool { return e.n > c.turn && e.n == r.turn })
	})
	return err
}

// enterTurn puts t into the table's log, and renews it from then on.
func (c *committer) enterTurn(ctx context.Context, t turn) error {
	n, info, err := c.table().takeTurn(ctx, t)
	if err != nil {
		return err
	}
	c.turn = n
	c.renewals = append(c.renewals, renewing(ctx, c.store, c.renew, info, func(times int) any {
		again := t
		again.Renewed = times
		return again
	}))
	return nil
}

// places are the folders where this attempt, others and the commit that is replaced may have files or open uploads.
func (c *committer) places(ctx context.Context) ([]string, error) {
	if !c.partitioned {
		return []string{c.merge.place()}, nil
	}
	if c.alone() {
		return nil, nil // its own it knows
	}
	folders, err := c.account.folders(ctx, c.store)
	if err != nil {
		return nil, err
	}
	if c.force {
		m, err := readManifest(ctx, c.store, manifestRef(c.dir, c.runID))
		switch {
		case fail.KindOf(err) == fail.Data && err != nil:
			c.log.Warn("files of the commit that is replaced may be left in folders that this run does not write to", "run_id", c.runID, "error", err.Error())
		case err != nil:
			return nil, err
		}
		for _, f := range m.files() {
			if key, ok := strings.CutPrefix(f.Key, c.dir.Key); ok {
				folders = append(folders, key[:strings.LastIndexByte(key, '/')+1])
			}
		}
		slices.Sort(folders)
	}
	return slices.Compact(folders), nil
}

// shutOut sees to it that no attempt that claimed the run before this one completes an upload any more, and that none has
// over this one's files. If one has claimed it since, that one is left in peace.
func (c *committer) shutOut(ctx context.Context, m *Manifest, folders []string) error {
	if err := c.superseded(ctx, c.claimed); err != nil {
		return err
	}
	if c.turn > 0 {
		if mine, err := c.table().hasTurn(ctx, c.turn, c.attempt); err != nil {
			return err
		} else if !mine {
			return errTurnLost
		}
	}
	err := c.abortOthers(ctx, m, folders)
	if c.claimed == 1 {
		if err != nil { // nobody has claimed the run who could complete them
			c.log.Warn("open uploads of earlier attempts may be left; a lifecycle rule that aborts incomplete multipart uploads removes them",
				"run_id", m.RunID, "error", err.Error())
		}
		return nil
	}
	if err != nil {
		return err
	}
	err = verifyFiles(ctx, c.store, m.RunID, slices.Concat(m.Files, m.Quarantine))
	if fail.KindOf(err) == fail.Data {
		return fmt.Errorf("%w: %w", errOverwritten, err)
	}
	return err
}

// precheck is what can be known before the data is visible: accounts that balance, all bytes consumed, few enough bad
// rows.
func (c *committer) precheck(l *pipeline.Ledger) error {
	if c.quar != nil {
		if err := c.quar.check(l.Read); err != nil {
			return err
		}
	}
	before := *l
	before.Written = before.Encoded
	if err := before.Check(); err != nil {
		return fail.Wrap(fail.Data, err)
	}
	if got, want := c.in.consumed(), c.in.size(); got != want {
		return fail.Newf(fail.Data, "ledger does not balance: %d bytes were consumed, the inputs have %d", got, want)
	}
	return nil
}

// publish writes the report and the manifest of a run that the log says is committed.
func (c *committer) publish(ctx context.Context, m *Manifest) error {
	ref := manifestRef(c.dir, m.RunID)
	// The report goes first: once the manifest stands, nothing may be missing.
	if err := c.putReport(ctx, m); err != nil {
		return err
	}
	err := putJSON(ctx, c.store, ref, m, true)
	if err == nil {
		return nil
	}
	err = fmt.Errorf("write manifest: %w", err)
	if !errors.Is(err, objstore.ErrExists) && !errors.Is(err, objstore.ErrLost) {
		return err
	}
	first, rerr := readManifest(ctx, c.store, ref)
	switch {
	case rerr != nil:
		return rerr
	case same(first, m):
		return nil // another attempt found the log and wrote this one's, and may have cleared away what was to become it
	case first == nil:
		return err
	}
	return errCommittedElsewhere
}

func (c *committer) putReport(ctx context.Context, m *Manifest) error {
	if _, err := c.store.Put(ctx, reportRef(manifestRef(c.dir, m.RunID)), m.report(), "text/html; charset=utf-8", false); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	return nil
}

// same reports whether a, which may be nil, is the commit that b is.
func same(a, b *Manifest) bool {
	return a != nil && a.CommittedAt.Equal(b.CommittedAt) &&
		slices.EqualFunc(a.Files, b.Files, func(a, b FileRef) bool { return a.URI == b.URI && a.ETag == b.ETag })
}

// publishOver writes the manifest m, which entry n of the log commits, over whatever stands there, unless a later entry commits: then that one's, for the files are its
// own, and errSuperseded. It replaces only the manifest that was there before its look at the log, so of several at once none brings back an earlier one.
func (c *committer) publishOver(ctx context.Context, m *Manifest, n int) error {
	ref := manifestRef(c.dir, m.RunID)
	for first := n; ; {
		was, err := c.store.Stat(ctx, ref, objstore.Pin{})
		there := err == nil
		if err != nil && !errors.Is(err, objstore.ErrNotExist) {
			return fmt.Errorf("look for an earlier commit: %w", err)
		}
		later, at, err := c.laterCommit(ctx, n)
		if err != nil {
			return err
		}
		if later != nil {
			m, n = later, at
		}
		if there {
			stands, err := readManifest(ctx, c.store, ref)
			if err != nil && fail.KindOf(err) != fail.Data { // one that says nothing is written over
				return err
			}
			if err == nil && same(stands, m) {
				if n > first {
					return errSuperseded
				}
				return nil
			}
		}
		if err := c.putReport(ctx, m); err != nil {
			return err
		}
		b, err := encodeJSON(ref, m)
		if err != nil {
			return err
		}
		if there {
			_, err = c.store.Replace(ctx, was, b, "application/json")
		} else {
			_, err = c.store.Put(ctx, ref, b, "application/json", true)
		}
		if err != nil && !errors.Is(err, objstore.ErrChanged) && !errors.Is(err, objstore.ErrExists) && !errors.Is(err, objstore.ErrLost) {
			return fmt.Errorf("write manifest: %w", err)
		}
	}
}

// laterCommit is the last commit in the log after entry n, and its number; nil if there is none.
func (c *committer) laterCommit(ctx context.Context, n int) (*Manifest, int, error) {
	a, err := readAccount(ctx, c.store, c.dir, c.runID)
	if err != nil {
		return nil, 0, err
	}
	for i := a.last; i > n; i-- {
		if e, err := readClaim(ctx, c.store, claimRef(c.dir, c.runID, i)); err != nil {
			return nil, 0, err
		} else if e != nil && e.Manifest != nil {
			return e.Manifest, i, nil
		}
	}
	return nil, 0, nil
}

// tidy deletes completed objects that other attempts left and the committed one, whose manifest m is, does not have.
func (c *committer) tidy(ctx context.Context, m *Manifest, folders []string) error {
	keep := map[string]bool{}
	for _, f := range slices.Concat(m.Files, m.Quarantine) {
		keep[f.Key] = true
	}
	if err := c.dest.Tidy(ctx, c.store, c.dir, c.runID, folders, keep); err != nil {
		return fmt.Errorf("clear files of an earlier attempt: %w", err)
	}
	if c.quar == nil {
		return nil
	}
	for info, err := range c.store.List(ctx, c.quar.prefix) {
		if err == nil && !keep[info.Key] {
			err = c.store.Delete(ctx, info.Ref)
		}
		switch {
		case err != nil && len(m.Quarantine) == 0: // its place need not be there, nor open to this run
			c.log.Warn("quarantined rows of an earlier attempt may be left", "run_id", c.runID, "error", err.Error())
			return nil
		case err != nil:
			return fmt.Errorf("clear quarantine of an earlier attempt: %w", err)
		}
	}
	return nil
}

// abortOthers aborts the open uploads that other attempts have on the run's keys: they can never commit any more.
func (c *committer) abortOthers(ctx context.Context, m *Manifest, folders []string) error {
	var g errgroup.Group // without a context of its own: each goes on, whatever the others find
	for _, f := range []func() error{
		func() error {
			if c.alone() {
				return nil
			}
			_, err := c.store.AbortUploads(ctx, reportRef(manifestRef(c.dir, m.RunID))) // one of those may have died in the middle of it
			return err
		},
		func() error {
			if c.partitioned && c.alone() {
				return nil // a partitioned attempt announces its folders before it opens an upload
			}
			return c.data.AbortOthers(ctx, folders)
		},
		func() error { return c.abortQuarantines(ctx, len(m.Quarantine)) },
	} {
		g.Go(func() error { return fail.Guard("abort uploads", f) })
	}
	if err := g.Wait(); err != nil {
		return fmt.Errorf("abort uploads of an earlier attempt: %w", err)
	}
	return nil
}

// abortQuarantines aborts those of other attempts. A dead one may have had more files than the n of this one: numbers are tried
// until none is open.
func (c *committer) abortQuarantines(ctx context.Context, n int) error {
	if c.quar == nil {
		return nil
	}
	for i := 0; ; i++ {
		open, err := c.store.AbortUploads(ctx, quarantineRef(c.quar.prefix, i))
		switch {
		case n == 0 && errors.Is(err, objstore.ErrNotExist):
			return nil // where nothing is quarantined, its place need not be there
		case err != nil:
			return err
		case open == 0 && i >= n:
			return nil
		}
	}
}

// Abort gives up the quarantine and the data, within the time there is for that and whatever state ctx is in.
func (c *committer) Abort(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), pipeline.AbortTimeout)
	defer cancel()
	var err error
	if c.quar != nil {
		err = c.quar.Abort(ctx)
	}
	return errors.Join(err, c.data.Abort(ctx))
}

func fileRefs(files []sinks.File) []FileRef {
	out := make([]FileRef, len(files))
	for i, f := range files {
		out[i] = FileRef{URI: f.URI, Key: keyOf(f.URI), Size: f.Size, Rows: f.Rows, ETag: f.ETag, Partition: f.Partition}
	}
	return out
}

// keyOf is the object's key in its bucket; a plain path is its own.
func keyOf(uri string) string {
	rest, ok := strings.CutPrefix(uri, "s3://")
	if !ok {
		return uri
	}
	_, key, _ := strings.Cut(rest, "/")
	return key
}
