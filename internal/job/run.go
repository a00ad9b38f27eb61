package job

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/sluice-data/sluice/internal/event"
	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/internal/hive"
	"github.com/sluice-data/sluice/internal/memlimit"
	"github.com/sluice-data/sluice/internal/objstore"
	"github.com/sluice-data/sluice/internal/recycle"
	"github.com/sluice-data/sluice/internal/spec"
	"github.com/sluice-data/sluice/internal/usage"
	"github.com/sluice-data/sluice/pipeline"
	"github.com/sluice-data/sluice/sinks"
	"github.com/sluice-data/sluice/sources"
	"github.com/sluice-data/sluice/transforms"
)

// job is a run being prepared and carried out.
type job struct {
	opt      *Options
	started  time.Time
	sizes    sizes
	store    objstore.Store
	req      request
	pipe     *spec.Pipeline
	refs     references
	env      transforms.Env
	infos    []objstore.Info
	unions   []*united
	progress *pipeline.Progress
	dest     sinks.Destination
	dir      objstore.Ref // sink.uri as a prefix
	runID    string
	// generation is of its files: see sinks.Request.
	generation int
	targets    []delivery // as far as they are open
	text       []byte     // the pipeline file, where there is none to read
	merge      *merge     // of a run that merges files
}

// Run carries out one run and returns its receipt, also when it failed (with the error beside it).
func Run(ctx context.Context, opt Options) (*Receipt, error) {
	j := &job{opt: &opt, started: time.Now(), progress: &pipeline.Progress{}}
	defer j.refs.close()
	defer j.closeTargets()
	var rec *Receipt
	err := fail.Guard("run", func() (err error) { // a panic before the engine's own guards: while the head is looked at, say
		rec, err = j.run(ctx)
		return err
	})
	if err != nil && ctx.Err() != nil && errors.Is(err, context.Canceled) {
		err = context.Cause(ctx) // what was going on when the signal came does not matter
	}
	if rec == nil {
		rec = &Receipt{RunID: j.runID, Input: j.inputs(), Lanes: j.sizes.lanes}
		if j.pipe != nil {
			rec.Name = j.pipe.Name
		}
		rec.Rows.Read, rec.Rows.Rejected = j.progress.RowsRead.Load(), j.progress.RowsRejected.Load()
		rec.Bytes.Read = j.progress.Bytes.Load()
	}
	if rec.Status != AlreadyCommitted {
		took := time.Since(j.started)
		rec.Seconds = took.Seconds()
		rec.Stages, rec.CPU = stagesOf(&j.progress.Stages, took), usage.CPUSeconds()
		rec.PeakMemory = usage.PeakRSS()
	}
	if err != nil {
		rec.Fail(err)
		j.tellFailure(ctx, rec, err)
	}
	return rec, err
}

func (j *job) run(ctx context.Context) (*Receipt, error) {
	if err := j.prepare(ctx); err != nil {
		return nil, err
	}
	if err := j.resolve(ctx); err != nil {
		return nil, err
	}
	if err := j.findReferences(ctx); err != nil {
		return nil, err
	}
	if err := j.findUnions(ctx); err != nil {
		return nil, err
	}
	if err := j.settleSink(); err != nil {
		return nil, err
	}
	if err := j.pinReferences(ctx); err != nil {
		return nil, err
	}
	ref := manifestRef(j.dir, j.runID)
	if !j.opt.Force {
		m, err := j.settled(ctx)
		if err != nil {
			return nil, err
		}
		if m != nil {
			j.opt.Log.Info("already committed", "run_id", j.runID, "manifest", ref.String())
			if j.opt.UpdateLock { // the run that committed may not have come to it
				if err := j.lockHeads(ctx); err != nil {
					return nil, err
				}
			}
			return j.already(ctx, m)
		}
	} else {
		a, err := readAccount(ctx, j.store, j.dir, j.runID)
		if err != nil {
			return nil, err
		}
		j.generation = a.fences
	}
	if err := j.checkMerged(ctx); err != nil {
		return nil, err
	}
	m, err := j.attempt(ctx, false)
	var misfit *sources.Misfit
	if errors.As(err, &misfit) {
		j.opt.Log.Info("the types inferred from the head do not hold for every value: reading all of the input for its types",
			"input", misfit.Input, "line", misfit.Line, "column", misfit.Column, "inferred", misfit.Type)
		m, err = j.attempt(ctx, true)
		if errors.As(err, &misfit) {
			err = fail.Newf(fail.Data, "%w; declare its type in schema.columns", misfit)
		}
	}
	beaten := errors.Is(err, objstore.ErrLost) || errors.Is(err, errCommittedElsewhere) || errors.Is(err, errOverwritten) || errors.Is(err, errSuperseded)
	if beaten && !j.opt.Force { // another's commit is not what a forced run was to do: it may be the one that it was to replace
		other, rerr := j.await(ctx)
		if rerr != nil {
			return nil, rerr
		}
		if other != nil {
			j.opt.Log.Info("another attempt committed this run", "run_id", j.runID, "manifest", ref.String())
			return j.already(ctx, other)
		}
	}
	if err != nil {
		return nil, err
	}
	rec := m.receipt(ref)
	rec.Status = Committed
	if m.Turn > 0 || len(j.pipe.Sink.Targets) > 0 { // of a later turn another may have committed before this one, which then has given its files up
		if _, err := j.leaveOut(ctx, m, rec); err != nil {
			return rec, err
		}
		j.sayReplaced(m, rec)
	}
	return rec, j.deliver(ctx, m, rec)
}

// leaveOut takes the files out of rec that runs have replaced, and says whether these are more than it knew of.
func (j *job) leaveOut(ctx context.Context, m *Manifest, rec *Receipt) (more bool, err error) {
	by, err := (&output{store: j.store, dir: j.dir, log: j.opt.Log}).replacements(ctx, m)
	if err != nil {
		return false, err
	}
	before := len(rec.Files)
	rec.leaveOut(m, by)
	return len(rec.Files) < before, nil
}

// sayReplaced says in the log which runs have replaced files of m.
func (j *job) sayReplaced(m *Manifest, rec *Receipt) {
	for _, r := range rec.ReplacedBy {
		if r.Mode == compactMode {
			j.opt.Log.Info("files of this run were merged with others since", "run_id", m.RunID, "merged_by", r.RunID, "files", r.Files, "rows", r.Rows)
			continue
		}
		j.opt.Log.Warn("another run has replaced files of this one since: its rows stand, and nothing is written", "run_id", m.RunID, "replaced_by", r.RunID, "files", r.Files, "rows", r.Rows)
	}
}

// commitLease is what an attempt that has its data complete gets to commit, or to renew its claim, before others go on as if it were dead.
const commitLease = 5 * time.Second

func (j *job) lease() time.Duration { return cmp.Or(j.opt.test.patience, commitLease) }

// already is what a run reports that is committed. It finishes what the commit replaces, says what replaced the commit,
// and brings it to the targets that do not have it yet.
func (j *job) already(ctx context.Context, m *Manifest) (*Receipt, error) {
	rec := m.receipt(manifestRef(j.dir, j.runID))
	if err := (&output{store: j.store, dir: j.dir, log: j.opt.Log}).clear(ctx, m); err != nil {
		return rec, err
	}
	_, err := j.leaveOut(ctx, m, rec)
	for err == nil {
		if err = verifyFiles(ctx, j.store, m.RunID, rec.Files); fail.KindOf(err) != fail.Data || err == nil {
			break
		}
		// A run may be replacing them just now: it says so before it does.
		more, rerr := j.leaveOut(ctx, m, rec)
		if rerr != nil || !more {
			break
		}
		err = nil
	}
	if fail.KindOf(err) == fail.Data && err != nil {
		if over, rerr := j.overwritten(ctx, m); rerr != nil || over != nil {
			if rerr != nil {
				return rec, rerr
			}
			return j.already(ctx, over)
		}
	}
	j.sayReplaced(m, rec)
	if err != nil {
		return rec, err
	}
	return rec, j.deliver(ctx, m, rec)
}

// overwritten is the commit of a forced run that was killed before it could write its manifest over m; nil if there is none. It is published.
func (j *job) overwritten(ctx context.Context, m *Manifest) (*Manifest, error) {
	c := &committer{store: j.store, dir: j.dir, runID: j.runID, log: j.opt.Log}
	last, n, err := c.laterCommit(ctx, 0)
	if err != nil || last == nil || same(m, last) {
		return nil, err
	}
	if err := c.publishOver(ctx, last, n); err != nil && !errors.Is(err, errSuperseded) {
		return nil, err
	}
	return readManifest(ctx, j.store, manifestRef(j.dir, j.runID))
}

// await waits for the commit of another attempt; nil if it does not come.
func (j *job) await(ctx context.Context) (*Manifest, error) {
	for wait := newWait(j.lease(), j.opt.test.waiting); ; {
		m, err := j.settled(ctx)
		if m != nil || err != nil {
			return m, err
		}
		if over, err := wait.next(ctx); over || err != nil {
			return nil, err
		}
	}
}

// prepare reads what needs no input object: limits, event, pipeline file.
func (j *job) prepare(ctx context.Context) (err error) {
	o := j.opt
	if j.sizes, err = settle(o); err != nil {
		return err
	}
	memlimit.Apply(j.sizes.limit)
	if err := checkTmp(o.TmpDir, o.Log); err != nil {
		return err
	}
	if j.store, err = openStore(ctx, o); err != nil {
		return err
	}
	if o.test.store != nil {
		j.store = o.test.store(j.store)
	}
	if j.req, err = readRequest(ctx, o); err != nil {
		return err
	}
	text := j.text
	if text == nil {
		if text, err = j.pipelineText(ctx); err != nil {
			return err
		}
	}
	if j.pipe, err = spec.Load(o.Pipeline, text, j.req.vars, targetNames()...); err != nil {
		return err
	}
	if j.pipe.Steps, err = statement(j.pipe, nil); err != nil {
		return err
	}
	if o.UpdateLock && j.pipe.Schema.Lock == "" {
		return errNoLock
	}
	if o.Output != "" {
		j.pipe.Sink.URI = o.Output
	}
	j.env = transforms.Env{MemoryBudget: j.sizes.foldBytes, TempDir: o.TmpDir, Relation: j.relation}
	j.env.Expr, err = envOf(j.req.vars, j.started)
	return err
}

// openStore is S3 and plain paths, or with --local-root a directory for both.
func openStore(ctx context.Context, o *Options) (objstore.Store, error) {
	if o.LocalRoot != "" {
		if st, err := os.Stat(o.LocalRoot); err != nil || !st.IsDir() {
			return nil, fail.Newf(fail.Usage, "--local-root %s is not a directory", o.LocalRoot)
		}
		return objstore.NewDir(o.LocalRoot), nil
	}
	return objstore.NewRouter(objstore.NewDir(""), func() (objstore.Store, error) {
		return objstore.NewS3(ctx, objstore.S3Options{Endpoint: o.EndpointURL, PathStyle: o.PathStyle})
	}), nil
}

// maxPipeline is far above what anybody writes by hand.
const maxPipeline = 4 << 20

func (j *job) pipelineText(ctx context.Context) ([]byte, error) {
	o := j.opt
	if o.Pipeline == "" {
		return nil, fail.Newf(fail.Usage, "no pipeline file: give -p FILE or WORKER_PIPELINE")
	}
	if !strings.HasPrefix(o.Pipeline, "s3://") {
		b, err := os.ReadFile(o.Pipeline)
		if pe := (*os.PathError)(nil); errors.As(err, &pe) {
			err = pe.Err // the name stands before it
		}
		if err != nil {
			kind := fail.Usage
			if errors.Is(err, os.ErrPermission) {
				kind = fail.Permission
			}
			return nil, fail.Newf(kind, "read pipeline file: %w", err).In(o.Pipeline)
		}
		return b, nil
	}
	ref, err := objstore.ParseRef(o.Pipeline)
	if err != nil {
		return nil, err
	}
	info, err := j.store.Stat(ctx, ref, objstore.Pin{})
	if fail.KindOf(err) == fail.Input && err != nil {
		return nil, fail.Newf(fail.Usage, "read pipeline file: %w", err) // Input is for what the pipeline is to read
	}
	if err != nil {
		return nil, fmt.Errorf("read pipeline file: %w", err)
	}
	if info.Size > maxPipeline {
		return nil, fail.Newf(fail.Usage, "pipeline file has %d bytes: is it one?", info.Size).In(o.Pipeline)
	}
	return readObject(ctx, j.store, info)
}

// checkTmp finds out before the run whether it can spill. A run may not have to: without --tmp-dir it goes on.
func checkTmp(dir string, log *slog.Logger) error {
	f, err := os.CreateTemp(dir, ".sluice-*")
	if err != nil && dir == "" {
		log.Warn("steps that need more than memory will fail: nothing can be written to the directory for temporary files; set --tmp-dir or TMPDIR", "dir", os.TempDir(), "error", err.Error())
		return nil
	}
	if err != nil {
		return fail.Newf(fail.Usage, "--tmp-dir is not writable: %w", err)
	}
	f.Close()
	return os.Remove(f.Name())
}

// resolve finds the objects to read.
func (j *job) resolve(ctx context.Context) (err error) {
	j.infos, err = resolve(ctx, j.store, j.req, j.pipe)
	return err
}

// settleSink checks the sink: block and computes the run id.
func (j *job) settleSink() error {
	s := &j.pipe.Sink
	if err := j.findDestination(); err != nil {
		return err
	}
	if s.URIErr != nil && j.opt.Output == "" {
		return s.URIErr
	}
	if event.Unset(s.URI) {
		return errNoSink
	}
	var err error
	if j.dir, err = folder(&s.URI); err != nil {
		return err
	}
	if len(s.PartitionBy) > 0 && j.limits().Path <= 0 { // else every row would be rejected
		return fail.Newf(fail.Usage, "sink.uri is too long: it leaves no room for the folders of sink.partition_by").In(s.URI)
	}
	j.store = objstore.WithWrites(j.store, objstore.Writes(s.Writes))
	if q := &j.pipe.Errors.Quarantine; *q != "" {
		if _, err := folder(q); err != nil {
			return err
		}
	}
	j.nameRun()
	return nil
}

// nameRun computes the run's id, of what is known of the inputs.
func (j *job) nameRun() {
	j.runID = runID(j.pipe.Canonical(), j.pipe.Name, inputRefs(j.infos), j.unions, j.refs.lookups(), j.merge.version())
}

// folder reads uri as a folder and writes it in one way, whether it ended in a slash or not: the run's id is made of it.
func folder(uri *string) (objstore.Ref, error) {
	ref, err := objstore.ParseRef(*uri)
	if err != nil {
		return ref, err
	}
	if ref.Key != "" && !strings.HasSuffix(ref.Key, "/") {
		ref.Key += "/"
	}
	*uri = ref.String()
	return ref, nil
}

var errNoSink = fail.Newf(fail.Usage, "no destination: set sink.uri in the pipeline file or give --output")

// attempt reads, transforms, writes and commits once.
func (j *job) attempt(ctx context.Context, fullScan bool) (*Manifest, error) {
	*j.progress = pipeline.Progress{}
	in := j.intakes()
	defer in.close()
	var c *committer
	b := &binder{pipe: j.pipe, in: in[0], unions: j.unions, sizes: j.sizes, env: j.env, relock: j.opt.UpdateLock, table: transforms.Table{Limits: j.limits()}}
	b.table.Found = func(ctx context.Context, folders []string) error { return c.announce(ctx, folders) }
	if err := j.describeReferences(ctx, true); err != nil {
		return nil, err
	}
	p, err := b.bind(ctx, fullScan)
	if err != nil {
		return nil, err
	}
	if err := j.checkForeign(ctx); err != nil {
		return nil, errors.Join(err, p.close())
	}
	if err := j.preflight(ctx, b, p); err != nil {
		return nil, errors.Join(err, p.close())
	}
	if err := j.loadReferences(ctx, b, p); err != nil {
		return nil, errors.Join(err, p.close())
	}
	in.reset()
	if c, err = j.committer(ctx, p, in); err != nil {
		return nil, errors.Join(err, p.close())
	}
	stop := j.watch(in)
	defer stop()
	plan := pipeline.Plan{Source: p.source, Segments: p.segments, Sink: c, Lanes: j.sizes.lanes,
		BlockRows: j.sizes.blockRows, BlockBytes: j.sizes.blockBytes, ColumnBytes: j.sizes.columnBytes, EncodeBytes: j.sizes.encodeBytes, Mem: recycle.New(j.sizes.idle), Progress: j.progress}
	if j.opt.test.mem != nil {
		plan.Mem = j.opt.test.mem
	}
	if c.quar != nil {
		plan.Rejects = c.quar
	}
	read := p.read
	if _, err := pipeline.Run(ctx, plan); err != nil {
		return nil, err
	}
	if j.opt.UpdateLock { // the run stands, whatever comes of the lock
		if err := updateLock(ctx, j.store, j.pipe, read); err != nil {
			return nil, fmt.Errorf("the run is committed, its schema is not locked: %w", err)
		}
	}
	return c.done, nil
}

// checkForeign finds before the input is read that the table cannot be replaced. What stands in partitions is looked at when those are known.
func (j *job) checkForeign(ctx context.Context) error {
	if j.pipe.Sink.Mode != spec.Replace {
		return nil
	}
	_, foreign, err := (&output{store: j.store, dir: j.dir, log: j.opt.Log}).standing(ctx, scope{All: true})
	if err != nil {
		return err
	}
	return refuseForeign(spec.Replace, foreign)
}

// What a partition's path has to leave room for: the file's name, with numbers of up to nine digits, or in a directory the hidden
// name that it has while it is written.
const (
	longestKey  = 1024 // of S3, in bytes (user guide, "Naming Amazon S3 objects")
	longestName = 255  // NAME_MAX of Linux' file systems
	longestPath = 4095 // PATH_MAX without the final zero
	fileName    = 64
)

// limits are how long the names of the sink's folders may be where they go.
func (j *job) limits() hive.Limits {
	if j.dir.Bucket != "" && j.opt.LocalRoot == "" {
		return hive.Limits{Path: longestKey - len(j.dir.Key) - fileName}
	}
	root := filepath.Join(j.opt.LocalRoot, j.dir.Bucket, j.dir.Key)
	return hive.Limits{Name: longestName, Path: longestPath - len(root) - 1 - fileName}
}

func (j *job) committer(ctx context.Context, p *plan, in intakes) (*committer, error) {
	s := j.pipe.Sink
	order, err := transforms.Layout{SortBy: s.SortBy}.Order(j.env, p.out)
	if err != nil {
		return nil, err
	}
	sorted := make([]sinks.Order, len(order))
	for i, o := range order {
		sorted[i] = sinks.Order(o)
	}
	data, err := j.dest.Open(ctx, sinks.Request{Schema: p.out, PartitionBy: s.PartitionBy, SortedBy: sorted, Store: j.store, Dir: j.dir.Join(j.merge.place()), RunID: j.runID, Generation: j.generation, TargetFileSize: s.TargetFileSize,
		Options:   s.Options,
		KeyValue:  map[string]string{"sluice.run_id": j.runID, "sluice.pipeline": j.pipe.Name},
		CreatedBy: "sluice version " + j.opt.Version})
	if err != nil {
		return nil, err
	}
	c := &committer{data: data, dest: j.dest, attempt: rand.Text(), generation: j.generation, store: j.store, dir: j.dir, runID: j.runID, in: in, force: j.opt.Force, log: j.opt.Log, partitioned: len(s.PartitionBy) > 0,
		mode: s.Mode, onConflict: s.OnConflict, lease: j.lease(), dead: cmp.Or(j.opt.test.patience, deadAfter), renew: cmp.Or(j.opt.test.renew, commitLease/3), waiting: j.opt.test.waiting}
	if c.quar, err = j.quarantine(); err != nil {
		return nil, err
	}
	c.verify = func() ([]transforms.Finding, error) { return verdict(p, j.opt.Log) }
	if j.merge != nil {
		c.mode, c.merge = compactMode, j.merge
		c.verify = func() ([]transforms.Finding, error) { return j.merge.check(j.progress) }
	}
	c.manifest = func(l *pipeline.Ledger, files, quar []FileRef) *Manifest {
		m := &Manifest{Version: 1, RunID: j.runID, Name: j.pipe.Name, CommittedAt: time.Now().UTC(), Engine: j.opt.Version, Lanes: j.sizes.lanes,
			Input: j.inputs(), Lookups: j.refs.lookups(), Files: files, Quarantine: quar, Schema: columnsOf(p.out, s.PartitionBy), Rows: rowsOf(l), Ledger: l.Steps,
			Seconds: time.Since(j.started).Seconds(), PeakMemory: usage.PeakRSS(), CPU: usage.CPUSeconds(),
			Stages: stagesOf(&j.progress.Stages, time.Since(j.started))}
		m.Bytes.Read = in.consumed()
		for _, f := range files {
			m.Bytes.Written += f.Size
		}
		for _, t := range s.Targets {
			m.Targets = append(m.Targets, t.Key)
		}
		if j.merge != nil {
			j.merge.describe(m)
		}
		return m
	}
	return c, nil
}

// quarantine takes the bad rows to errors.quarantine, or beside the data, so that none is lost; nil where the first one fails the run.
func (j *job) quarantine() (*quarantine, error) {
	if j.pipe.Errors.At == nil {
		return nil, nil
	}
	ref := objstore.Ref{Bucket: j.dir.Bucket, Key: j.dir.Key + "_quarantine/"}
	if uri := j.pipe.Errors.Quarantine; uri != "" {
		var err error
		if ref, err = folder(&uri); err != nil {
			return nil, err
		}
	}
	ref.Key += j.runID + "/"
	return &quarantine{store: j.store, prefix: ref, runID: j.runID, limit: j.pipe.Errors}, nil
}
