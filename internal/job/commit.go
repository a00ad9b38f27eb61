package job

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/internal/objstore"
	"github.com/sluice-data/sluice/pipeline"
	"github.com/sluice-data/sluice/sinks"
)

// committer is the run's sink: the quarantine, the data and the manifest, published in that order: bad rows that can be
// seen before the commit mislead nobody, data might.
//
// Two attempts at one run may overlap. Both write the same keys, so whoever puts the manifest first has committed the
// run. Before that, with its own data complete, it aborts the open uploads of the other, and then looks whether the other
// has completed any over its own: after that look, nobody can. Nobody aborts uploads or deletes objects earlier: the other
// attempt might be about to commit.
type committer struct {
	data  sinks.Sink
	quar  *quarantine // nil when the first bad row fails the run
	store objstore.Store
	dir   objstore.Ref
	runID string
	in    *intake
	force bool
	// partitioned says that files go to folders.
	partitioned bool
	log         *slog.Logger
	manifest    func(l *pipeline.Ledger, files, quar []FileRef) *Manifest

	done *Manifest // set when this attempt committed
}

var (
	errCommittedElsewhere = fail.Newf(fail.Temporary, "another attempt committed this run")
	errOverwritten        = fail.Newf(fail.Temporary, "another attempt at this run replaced a file before the commit")
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
	if err == nil {
		err = c.uncommitted(ctx)
	}
	if err != nil {
		return errors.Join(err, c.Abort(ctx))
	}
	var quar []FileRef
	if c.quar != nil {
		var err error
		if quar, err = c.quar.Commit(ctx); err != nil {
			return errors.Join(err, c.Abort(ctx))
		}
	}
	folders, err := c.announce(ctx)
	if err != nil {
		return errors.Join(err, c.Abort(ctx))
	}
	if err := c.data.Commit(ctx, l); err != nil {
		if errors.Is(err, objstore.ErrChanged) {
			err = fmt.Errorf("%w: %w", errOverwritten, err)
		}
		return err
	}
	if err := l.Check(); err != nil {
		return errors.Join(fail.Wrap(fail.Data, err), c.withdraw(ctx))
	}
	m := c.manifest(l, fileRefs(c.data.Files()), quar)
	if m.Ledger == nil {
		m.Ledger = []pipeline.StepCount{} // no steps: an empty account, not none
	}
	if err := c.tidy(ctx, m, folders); err != nil {
		return err
	}
	if err := c.abortOthers(ctx, m, folders); err != nil {
		c.log.Warn("open uploads of earlier attempts may be left; a lifecycle rule that aborts incomplete multipart uploads removes them",
			"run_id", m.RunID, "error", err.Error())
	}
	// The report goes first: once the manifest stands, nothing may be missing.
	if _, err := c.store.Put(ctx, reportRef(manifestRef(c.dir, m.RunID)), m.report(), "text/html; charset=utf-8", false); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	if err := m.verify(ctx, c.store); fail.KindOf(err) == fail.Data {
		return fmt.Errorf("%w: %w", errOverwritten, err)
	} else if err != nil {
		return err
	}
	if err := c.mark(ctx, m); err != nil {
		return err
	}
	c.done = m
	c.retract(ctx)
	return nil
}

// uncommitted fails if another attempt has committed the run while this one was reading: then not one of its files may
// come to stand between those of the commit.
func (c *committer) uncommitted(ctx context.Context) error {
	if c.force {
		return nil
	}
	first, err := readManifest(ctx, c.store, manifestRef(c.dir, c.runID))
	if err == nil && first != nil {
		return errCommittedElsewhere
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

// mark writes the manifest. If another attempt was first, the run is committed; should our files have replaced its own
// with different bytes (another number of lanes gives groups in another order), the manifest has to name ours.
func (c *committer) mark(ctx context.Context, m *Manifest) error {
	b, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return fail.Newf(fail.Internal, "encode manifest: %w", err)
	}
	ref := manifestRef(c.dir, m.RunID)
	_, err = c.store.Put(ctx, ref, append(b, '\n'), "application/json", !c.force)
	if !errors.Is(err, objstore.ErrExists) {
		if err != nil {
			return fmt.Errorf("write manifest: %w", err)
		}
		return nil
	}
	first, err := readManifest(ctx, c.store, ref)
	if err == nil && first != nil {
		if err = first.verify(ctx, c.store); err == nil {
			return errCommittedElsewhere
		}
		if fail.KindOf(err) == fail.Data { // broken for certain
			err = m.verify(ctx, c.store)
		}
	}
	if err != nil {
		return err
	}
	if _, err := c.store.Put(ctx, ref, append(b, '\n'), "application/json", false); err != nil {
		return fmt.Errorf("write manifest: %w", err)
	}
	return errCommittedElsewhere
}

// withdraw removes our completed files when their accounts do not balance, unless another attempt has committed them
// meanwhile.
func (c *committer) withdraw(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), pipeline.AbortTimeout)
	defer cancel()
	if first, err := readManifest(ctx, c.store, manifestRef(c.dir, c.runID)); first != nil || err != nil {
		return err
	}
	for _, f := range c.data.Files() {
		if err := c.store.Delete(ctx, f.Ref); err != nil {
			return fmt.Errorf("remove uncommitted file: %w", err)
		}
	}
	return nil
}

// tidy deletes completed objects that a dead attempt left and this one does not have.
func (c *committer) tidy(ctx context.Context, m *Manifest, folders []string) error {
	if err := c.data.Tidy(ctx, folders); err != nil {
		return fmt.Errorf("clear files of an earlier attempt: %w", err)
	}
	if len(m.Quarantine) == 0 {
		return nil // where nothing is quarantined, its place need not be there
	}
	keep := map[string]bool{}
	for _, f := range m.Quarantine {
		keep[f.URI] = true
	}
	for info, err := range c.store.List(ctx, c.quar.prefix) {
		if err != nil {
			return fmt.Errorf("look for files of an earlier attempt: %w", err)
		}
		if !keep[info.Ref.String()] {
			if err := c.store.Delete(ctx, info.Ref); err != nil {
				return fmt.Errorf("delete file of an earlier attempt: %w", err)
			}
		}
	}
	return nil
}

// abortOthers aborts the open uploads that other attempts have on the run's keys: they can never commit any more. A
// dead attempt may have had more files than this one: numbers are tried until none is open.
func (c *committer) abortOthers(ctx context.Context, m *Manifest, folders []string) error {
	if _, err := c.store.AbortUploads(ctx, reportRef(manifestRef(c.dir, m.RunID))); err != nil {
		return fmt.Errorf("abort uploads of an earlier attempt: %w", err)
	}
	if err := c.data.AbortOthers(ctx, folders); err != nil {
		return fmt.Errorf("abort uploads of an earlier attempt: %w", err)
	}
	for i := 0; len(m.Quarantine) > 0; i++ {
		n, err := c.store.AbortUploads(ctx, quarantineRef(c.quar.prefix, i))
		if err != nil {
			return fmt.Errorf("abort uploads of an earlier attempt: %w", err)
		}
		if n == 0 && i >= len(m.Quarantine) {
			break
		}
	}
	return nil
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
