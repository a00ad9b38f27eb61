package job

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/apache/arrow/go/v17/arrow"

	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/internal/objstore"
	"github.com/sluice-data/sluice/internal/spec"
	"github.com/sluice-data/sluice/pipeline"
	"github.com/sluice-data/sluice/sinks"
)

// A run's targets get its files once these are committed, one after the other. What a target has been given is noted beside the manifest, in
// _runs/<run_id>/delivered-<name>.json, so that an attempt which finds the run committed goes on with the next. A note that is missing
// costs a repetition, which targets make nothing of; a note that is there belongs to the commit that it names.

// delivery is a target of the run, opened.
type delivery struct {
	sinks.Delivery
	target sinks.Target
	schema *arrow.Schema
}

// delivered is the note of a delivery that is done.
type delivered struct {
	Target      string    `json:"target"`
	RunID       string    `json:"run_id"`
	CommittedAt time.Time `json:"committed_at"` // of the manifest: --force makes another
	DeliveredAt time.Time `json:"delivered_at"`
	Detail      string    `json:"detail"`
	Superseded  bool      `json:"superseded,omitempty"` // nothing was brought: a later commit has taken its place. The target may be asked again
}

// How a delivery ended.
const (
	Delivered        = "delivered"
	AlreadyDelivered = "already_delivered"
	FailedDelivery   = "failed"
	Skipped          = "skipped" // other runs have replaced this one's files, or its rows in the target: what stands is theirs
)

// DeliveryRef is a target and what became of it.
type DeliveryRef struct {
	Name    string  `json:"name"`
	Status  string  `json:"status"`
	Detail  string  `json:"detail,omitempty"`
	Seconds float64 `json:"seconds"`
}

func noteRef(dir objstore.Ref, runID, target string) objstore.Ref {
	return runRef(dir, runID, "delivered-"+target+".json")
}

// targetNames are the blocks that sink: may have.
func targetNames() []string {
	var out []string
	for _, t := range sinks.Targets() {
		out = append(out, t.Name)
	}
	return out
}

// targetRequest is what a target gets, with the columns of the rows, which may be nil.
func (j *job) targetRequest(block *spec.Node, s *arrow.Schema) sinks.TargetRequest {
	return sinks.TargetRequest{At: block, Schema: s, PartitionBy: j.pipe.Sink.PartitionBy, Format: j.pipe.Sink.Format, Options: j.pipe.Sink.Options, Store: j.store, Dir: j.dir, RunID: j.runID,
		Pipeline: j.pipe.Name, Version: j.opt.Version, Mode: j.pipe.Sink.Mode, Forced: j.opt.Force, Getenv: j.opt.Getenv, Log: j.opt.Log}
}

// openTargets opens the targets of the sink: block, in the order of their turns, in place of those that are open.
func (j *job) openTargets(columns []ManifestColumn) error {
	j.closeTargets()
	if len(j.pipe.Sink.Targets) == 0 {
		return nil
	}
	s, err := rowSchema(columns)
	if err != nil {
		return err
	}
	for _, t := range sinks.Targets() {
		for _, block := range j.pipe.Sink.Targets {
			if block.Key != t.Name {
				continue
			}
			d, err := t.Open(j.targetRequest(block.Value, s))
			if err != nil {
				return fail.Wrap(fail.Usage, err)
			}
			j.targets = append(j.targets, delivery{d, t, s})
		}
	}
	return nil
}

func (j *job) closeTargets() {
	for _, t := range j.targets {
		if err := t.Close(); err != nil {
			j.opt.Log.Warn("a target was not closed", "target", t.target.Name, "error", err.Error())
		}
	}
	j.targets = nil
}

// preflight opens the targets for the plan's rows and holds them against these. What they demand becomes a step of the plan.
func (j *job) preflight(ctx context.Context, b *binder, p *plan) error {
	if err := j.openTargets(columnsOf(p.out, j.pipe.Sink.PartitionBy)); err != nil || len(j.targets) == 0 {
		return err
	}
	b.demands = nil
	for _, t := range j.targets {
		var found []sinks.Constraint
		err := fail.Guard("preflight of "+t.target.Name, func() (err error) {
			found, err = t.Preflight(ctx)
			return err
		})
		if err != nil {
			return fmt.Errorf("preflight of sink.%s: %w", t.target.Name, err)
		}
		b.demands = append(b.demands, demandsOf(t.target.Name, found)...)
	}
	if len(b.demands) == 0 {
		return nil
	}
	in := p.read
	if p.source != nil {
		in = p.source.Schema()
	}
	return b.steps(p, in)
}

// deliver brings the commit m to the targets that do not have it yet, and says so in rec. It ends with the first that fails.
func (j *job) deliver(ctx context.Context, m *Manifest, rec *Receipt) error {
	if len(j.pipe.Sink.Targets) == 0 {
		return nil
	}
	if len(j.targets) == 0 || rec.Status == AlreadyCommitted { // another attempt's commit may have other columns than this one's rows
		if err := j.openTargets(m.Schema); err != nil {
			return err
		}
	}
	for _, t := range j.targets {
		started := time.Now()
		d := DeliveryRef{Name: t.target.Name}
		err := j.deliverTo(ctx, t, m, rec, &d)
		for err != nil { // a run that replaces files takes them away whether they are just being read or not, and says so before
			more, rerr := j.leaveOut(ctx, m, rec)
			if rerr != nil || !more {
				break
			}
			j.sayReplaced(m, rec)
			j.opt.Log.Info("a delivery failed while files were replaced: it is tried again with those that stand", "target", d.Name, "error", err.Error())
			err = j.deliverTo(ctx, t, m, rec, &d)
		}
		d.Seconds = time.Since(started).Seconds()
		if err != nil {
			d.Status, d.Detail = FailedDelivery, fail.Shorten(err.Error())
			err = fmt.Errorf("the run is committed, but not delivered to sink.%s; the next attempt goes on there: %w", t.target.Name, err)
		}
		rec.Deliveries = append(rec.Deliveries, d)
		if err != nil {
			return err
		}
		j.opt.Log.Info("delivered", "target", d.Name, "status", d.Status, "detail", d.Detail, "seconds", d.Seconds)
	}
	return nil
}

// mostReplaced is how many runs that have replaced a commit its targets are told: an event holds no more than 256 KB.
const mostReplaced = 50

// commitFor is the commit m as the target gets it. A notice says what was committed; a load and a catalog get what stands of it, and a catalog also files that were merged: others with their rows stand in
// the same folders.
func (j *job) commitFor(t delivery, m *Manifest, rec *Receipt) (sinks.Commit, error) {
	files, err := committedFiles(m)
	if err != nil {
		return sinks.Commit{}, err
	}
	rows := m.Rows.Written
	if len(rec.ReplacedBy) > 0 && t.target.Rank < sinks.RankNotice { // what others have taken the place of is theirs to deliver
		stand := map[string]bool{}
		for _, f := range rec.Files {
			stand[f.URI] = true
		}
		if t.target.Rank == sinks.RankCatalog {
			for _, f := range rec.merged {
				stand[f.URI] = true
			}
		}
		files = slices.DeleteFunc(files, func(f sinks.File) bool { return !stand[f.URI] })
		rows = 0
		for _, f := range files {
			rows += f.Rows
		}
	}
	c := sinks.Commit{RunID: m.RunID, At: m.CommittedAt, Manifest: manifestRef(j.dir, m.RunID), Files: files, Rows: rows, Replaced: m.Mode != "",
		ReplacedBy: slices.Clone(rec.ReplacedBy[:min(len(rec.ReplacedBy), mostReplaced)]), Receipt: rec.JSON()}
	c.Read = func(ctx context.Context, emit func(arrow.Record) error) error {
		return j.readBack(ctx, files, t.schema, emit)
	}
	return c, nil
}

// refuseMerged is the error for a run that can be loaded only in part: rows of it are in files of a compaction, among those of other runs. What a compaction merged had been loaded before, so somebody
// wants that done again.
func (j *job) refuseMerged(ctx context.Context, m *Manifest, rec *Receipt) error {
	into, err := (&output{store: j.store, dir: j.dir, log: j.opt.Log}).mergedInto(ctx, m)
	if err != nil || into == "" { // the merged ones have been replaced since, and these rows with them
		return err
	}
	rows := int64(0)
	for _, f := range rec.merged {
		rows += f.Rows
	}
	return fail.Newf(fail.Data, "run %s cannot be loaded again: %d of its %d files, with %d of its %d rows, were merged with those of other runs (compaction %s), and the rest alone is not loaded; run its input with another --output, which is loaded as another run, or load the table by hand from all of its files",
		m.RunID, len(rec.merged), len(m.Files), rows, m.Rows.Written, into).In(manifestRef(j.dir, into).String())
}

// deliverTo is deliver for one target.
func (j *job) deliverTo(ctx context.Context, t delivery, m *Manifest, rec *Receipt, d *DeliveryRef) error {
	c, err := j.commitFor(t, m, rec)
	if err != nil {
		return err
	}
	ref := noteRef(j.dir, c.RunID, t.target.Name)
	d.Status = Delivered
	var note *delivered
	if rec.Status == AlreadyCommitted { // an earlier attempt may have left a note
		if note, err = readNote(ctx, j.store, ref); err != nil {
			return err
		}
		if note != nil && !note.CommittedAt.Equal(c.At) {
			note = nil
		}
		if note != nil && !note.Superseded {
			d.Status, d.Detail = AlreadyDelivered, note.Detail
			if !t.target.Always {
				return nil
			}
			c.Again = true
		}
	}
	if t.target.Rank == sinks.RankLoad && len(rec.merged) > 0 {
		if err := j.refuseMerged(ctx, m, rec); err != nil {
			if note == nil || fail.KindOf(err) != fail.Data {
				return err
			}
			d.Status, d.Detail = Skipped, note.Detail // it was superseded when it was still whole
			return nil
		}
	}
	if !c.Again && len(rec.ReplacedBy) > 0 && len(c.Files) == 0 && t.target.Rank < sinks.RankNotice { // who waits to hear of the run hears of it all the same
		d.Status, d.Detail = Skipped, "run "+rec.ReplacedBy[0].RunID+" has replaced all files of this one"
		if rec.ReplacedBy[0].Mode == compactMode {
			d.Detail = "the files of this run were merged with others (compaction " + rec.ReplacedBy[0].RunID + "), and have been replaced since"
		}
		return nil
	}
	err = fail.Guard("delivery to "+t.target.Name, func() (err error) {
		d.Detail, err = t.Deliver(ctx, c)
		return err
	})
	var superseded sinks.Superseded
	late := errors.As(err, &superseded)
	if late {
		d.Status, d.Detail, err = Skipped, superseded.Why, nil
	}
	if err != nil || c.Again {
		return err
	}
	b, err := json.MarshalIndent(delivered{t.target.Name, c.RunID, c.At, time.Now().UTC(), d.Detail, late}, "", "  ")
	if err != nil {
		return fail.Newf(fail.Internal, "encode %s: %w", ref, err)
	}
	if _, err := j.store.Put(ctx, ref, append(b, '\n'), "application/json", false); err != nil {
		return fmt.Errorf("note the delivery: %w", err)
	}
	return nil
}

// readNote is the note at ref; nil if there is none, or none that can be read.
func readNote(ctx context.Context, store objstore.Store, ref objstore.Ref) (*delivered, error) {
	info, err := store.Stat(ctx, ref, objstore.Pin{})
	var b []byte
	if err == nil {
		b, err = readObject(ctx, store, info)
	}
	if gone(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("look for an earlier delivery: %w", err)
	}
	note := &delivered{}
	if json.Unmarshal(b, note) != nil {
		return nil, nil //nolint:nilerr // the delivery is repeated, and makes nothing of it
	}
	return note, nil
}

// tellFailure tells the targets that want to know that the run failed.
func (j *job) tellFailure(ctx context.Context, rec *Receipt, err error) {
	if j.pipe == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), pipeline.AbortTimeout)
	defer cancel()
	for _, t := range sinks.Targets() {
		for _, block := range j.pipe.Sink.Targets {
			if block.Key != t.Name || t.Failed == nil {
				continue
			}
			told := fail.Guard("notice of the failure to "+t.Name, func() error {
				return t.Failed(ctx, j.targetRequest(block.Value, nil), sinks.Failure{Err: err, Receipt: rec.JSON()})
			})
			if told != nil {
				j.opt.Log.Warn("a target was not told of the failure", "target", t.Name, "error", told.Error())
			}
		}
	}
}

// explainTargets is what the targets are going to do, for the plan.
func (j *job) explainTargets() string {
	var out strings.Builder
	for _, t := range j.targets {
		fmt.Fprintf(&out, "target  %s\n", t.target.Name)
		for _, text := range t.Explain() {
			for line := range strings.Lines(strings.TrimRight(text, "\n") + "\n") {
				out.WriteString("  " + line)
			}
		}
	}
	return out.String()
}
