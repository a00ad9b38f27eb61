package job

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/internal/hive"
	"github.com/sluice-data/sluice/internal/objstore"
	"github.com/sluice-data/sluice/internal/spec"
	"github.com/sluice-data/sluice/pipeline"
	"github.com/sluice-data/sluice/transforms"
)

// compactMode is the mode of a commit that merges files: it takes the place of files with files of the same rows.
const compactMode = "compact"

// Compaction is what to compact.
type Compaction struct {
	URI            string
	TargetFileSize int64    // bytes
	Partitions     []string // parts of the folders' names, such as day=2024-01-01; none is all
	DryRun         bool     // say what would be done, and write nothing
}

// Compacted is the result of a compaction: one line of JSON on stdout.
type Compacted struct {
	Status     Status         `json:"status"` // compacted, nothing_to_do, dry_run or failed
	Table      string         `json:"table"`
	Partitions []MergedFolder `json:"partitions"`
	Files      struct {
		Before int `json:"before"`
		After  int `json:"after"` // of a dry run about
	} `json:"files"` // of those partitions, as far as they were small
	Rows    int64         `json:"rows"`
	Bytes   Bytes         `json:"bytes"`
	Seconds float64       `json:"seconds"`
	Error   *ReceiptError `json:"error,omitempty"`
}

// The ways a compaction ends, beside Failed.
const (
	CompactedFiles Status = "compacted"
	NothingToDo    Status = "nothing_to_do"
	DryRun         Status = "dry_run"
)

// MergedFolder is what became of the small files of a partition.
type MergedFolder struct {
	Folder   string   `json:"folder"` // below the table, "" is the table itself
	Merged   []string `json:"merged"` // the files that went
	Files    []string `json:"files"`  // those that took their place; of a dry run none
	Rows     int64    `json:"rows"`
	Bytes    int64    `json:"bytes"` // of the files merged
	Manifest string   `json:"manifest,omitempty"`
	Error    string   `json:"error,omitempty"` // why nothing was merged
}

// JSON is the result as one line with its newline.
func (c *Compacted) JSON() []byte {
	if c.Partitions == nil {
		c.Partitions = []MergedFolder{}
	}
	b, err := json.Marshal(c)
	if err != nil {
		panic(err) // strings and numbers
	}
	return append(b, '\n')
}

// merge is a run that merges files of one folder.
type merge struct {
	folder  string
	files   []FileRef  // in the order of their rows
	sources []Replaced // the same by run
	columns []ManifestColumn
	rows    int64
	size    int64
}

// standingFile is a file that a manifest names, and that is there.
type standingFile struct {
	FileRef
	of    *Manifest
	order int // in its manifest
}

// Compact merges the small files of a table that runs wrote, folder by folder, each in a commit of its own. A folder's rows keep their order: that of the commits, and within
// one that of its files. It returns the result also when it failed, with the error beside it.
func Compact(ctx context.Context, opt Options, c Compaction) (*Compacted, error) {
	started := time.Now()
	res := &Compacted{Status: NothingToDo, Table: c.URI}
	err := fail.Guard("compact", func() error { return compact(ctx, opt, c, res) })
	if err != nil && ctx.Err() != nil && errors.Is(err, context.Canceled) {
		err = context.Cause(ctx)
	}
	res.Seconds = time.Since(started).Seconds()
	if err != nil {
		var rec Receipt
		rec.Fail(err)
		res.Status, res.Error = Failed, rec.Error
	}
	return res, err
}

func compact(ctx context.Context, opt Options, c Compaction, res *Compacted) error {
	dir, err := folder(&c.URI)
	if err != nil {
		return err
	}
	res.Table = c.URI
	store, err := openStore(ctx, &opt)
	if err != nil {
		return err
	}
	if opt.test.store != nil {
		store = opt.test.store(store)
	}
	out := &output{store: store, dir: dir, log: opt.Log}
	if !c.DryRun {
		if err := out.finish(ctx); err != nil {
			return err
		}
	}
	merges, uncommitted, err := out.merges(ctx, c)
	if err != nil {
		return err
	}
	if !c.DryRun {
		lease := cmp.Or(opt.test.patience, commitLease)
		first := &committer{store: store, dir: dir, attempt: rand.Text(), mode: compactMode, lease: lease, dead: lease, renew: cmp.Or(opt.test.renew, commitLease/3), waiting: opt.test.waiting, log: opt.Log}
		if _, err := first.giveUp(ctx, uncommitted); err != nil {
			return err
		}
	}
	if len(merges) > 0 {
		res.Status = CompactedFiles
	}
	if c.DryRun {
		res.Status = DryRun
	}
	var unmerged []error
	for _, m := range merges {
		done := MergedFolder{Folder: m.folder, Files: []string{}, Rows: m.rows, Bytes: m.size}
		for _, f := range m.files {
			done.Merged = append(done.Merged, f.URI)
		}
		after := int(math.Ceil(float64(m.size) / float64(c.TargetFileSize)))
		if !c.DryRun {
			rec, err := m.run(ctx, opt, store, c)
			if err != nil && ctx.Err() == nil && !errors.Is(err, errMerged) && (fail.KindOf(err) == fail.Data || errors.Is(err, errMergedElsewhere)) { // this folder's own trouble
				opt.Log.Warn("the files of a folder are not merged", "folder", m.folder, "error", err.Error())
				unmerged = append(unmerged, fail.Newf(fail.KindOf(err), "%s is not merged: %w", cmp.Or(m.folder, "the table's own folder"), err))
				done.Merged, done.Rows, done.Bytes, done.Error = []string{}, 0, 0, err.Error()
				res.Partitions = append(res.Partitions, done)
				continue
			}
			if err != nil {
				return err
			}
			for _, f := range rec.Files {
				done.Files = append(done.Files, f.URI)
			}
			done.Manifest, after = rec.Manifest, len(rec.Files)
			res.Bytes.Read += rec.Bytes.Read
			res.Bytes.Written += rec.Bytes.Written
			opt.Log.Info("compacted", "folder", m.folder, "files_before", len(m.files), "files_after", after, "rows", m.rows, "manifest", rec.Manifest)
		}
		res.Partitions = append(res.Partitions, done)
		res.Files.Before += len(m.files)
		res.Files.After += after
		res.Rows += m.rows
	}
	return notMerged(unmerged)
}

// notMerged is one error about folders whose files stay as they are, which the others are done without. It is of kind Data if one of them is: another attempt
// would find that folder as it is.
func notMerged(errs []error) error {
	switch len(errs) {
	case 0:
		return nil
	case 1:
		return errs[0]
	}
	kind, parts := fail.Temporary, make([]string, len(errs))
	for i, err := range errs {
		if parts[i] = err.Error(); fail.KindOf(err) == fail.Data {
			kind = fail.Data
		}
	}
	return fail.Newf(kind, "%d folders are not merged, all others are: %s", len(errs), strings.Join(parts, "; "))
}

// finish clears what commits replace that were killed before they could: their rows would be taken for two.
func (o *output) finish(ctx context.Context) error {
	all, err := o.turns(ctx)
	if err != nil {
		return err
	}
	for _, e := range all {
		if e.Done {
			continue
		}
		if m, err := o.committed(ctx, e.RunID); err != nil {
			return err
		} else if m != nil && m.Turn == e.n {
			if err := o.clear(ctx, m); err != nil {
				return err
			}
		}
	}
	return nil
}

// merges are the folders that have small files to merge. uncommitted are the files of runs that have not committed, by run.
func (o *output) merges(ctx context.Context, c Compaction) (out []*merge, uncommitted map[string][]string, err error) {
	byRun, _, err := o.standing(ctx, scope{All: true})
	if err != nil {
		return nil, nil, err
	}
	uncommitted = map[string][]string{}
	var mu sync.Mutex
	folders := map[string][]standingFile{}
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(statsAtOnce)
	for id, keys := range byRun {
		g.Go(func() error {
			return fail.Guard("look for files to merge", func() error {
				m, err := o.committed(gctx, id)
				if err != nil {
					return err
				}
				if m == nil {
					mu.Lock()
					defer mu.Unlock()
					uncommitted[id] = keys
					return nil
				}
				if target, err := o.owed(gctx, m); err != nil {
					return err
				} else if target != "" {
					o.log.Warn("files of a run are not merged: they are not delivered yet; its next attempt delivers them", "run_id", m.RunID, "target", target)
					return nil
				}
				there := map[string]bool{}
				for _, k := range keys {
					there[k] = true
				}
				mu.Lock()
				defer mu.Unlock()
				for i, f := range m.Files {
					if rel := strings.TrimPrefix(f.Key, o.dir.Key); there[f.Key] && strings.HasSuffix(rel, ".parquet") {
						folder := rel[:strings.LastIndexByte(rel, '/')+1]
						folders[folder] = append(folders[folder], standingFile{f, m, i})
					}
				}
				return nil
			})
		})
	}
	if err := g.Wait(); err != nil {
		return nil, nil, err
	}
	matched := len(c.Partitions) == 0
	for folder, files := range folders {
		if len(c.Partitions) > 0 && !slices.ContainsFunc(c.Partitions, func(p string) bool { return strings.Contains("/"+folder, "/"+strings.Trim(p, "/")+"/") }) {
			continue
		}
		matched = true
		if m := mergeOf(folder, files, c.TargetFileSize); m != nil {
			out = append(out, m)
		}
	}
	if !matched {
		return nil, nil, fail.Newf(fail.Usage, "no partition of the table is named %s: give it as its folder is named, such as day=2024-01-01", strings.Join(c.Partitions, " or ")).In(o.dir.String())
	}
	slices.SortFunc(out, func(a, b *merge) int { return strings.Compare(a.folder, b.folder) })
	return out, uncommitted, nil
}

// owed is a target that has not been given the files of m yet; "" if there is none.
func (o *output) owed(ctx context.Context, m *Manifest) (string, error) {
	for _, name := range m.Targets {
		note, err := readNote(ctx, o.store, noteRef(o.dir, m.RunID, name))
		if err != nil {
			return "", err
		}
		if note == nil || !note.CommittedAt.Equal(m.CommittedAt) {
			return name, nil
		}
	}
	return "", nil
}

// mergeOf is what there is to merge of a folder's files, or nil: small ones, if they make fewer files.
func mergeOf(folder string, files []standingFile, target int64) *merge {
	small := slices.DeleteFunc(slices.Clone(files), func(f standingFile) bool { return f.Size >= target-target/4 })
	slices.SortFunc(small, func(a, b standingFile) int {
		return cmp.Or(a.of.CommittedAt.Compare(b.of.CommittedAt), strings.Compare(a.of.RunID, b.of.RunID), a.order-b.order)
	})
	m := &merge{folder: folder}
	settled := true // what one compaction made of its files is as good as it gets
	for _, f := range small {
		m.files = append(m.files, f.FileRef)
		m.rows += f.Rows
		m.size += f.Size
		settled = settled && f.of.Mode == compactMode && f.of == small[0].of
		if i := slices.IndexFunc(m.sources, func(r Replaced) bool { return r.RunID == f.of.RunID }); i >= 0 {
			m.sources[i].Keys = append(m.sources[i].Keys, f.Key)
		} else {
			m.sources = append(m.sources, Replaced{RunID: f.of.RunID, CommittedAt: f.of.CommittedAt, Keys: []string{f.Key}})
		}
		m.columns = f.of.Schema
	}
	if len(small) < 2 || settled || int64(len(small)) <= (m.size+target-1)/target {
		return nil
	}
	return m
}

// run commits the merge.
func (m *merge) run(ctx context.Context, opt Options, store objstore.Store, c Compaction) (*Receipt, error) {
	opt.Inputs, opt.Event, opt.Pipeline, opt.Output, opt.Force = nil, "", "", c.URI, false
	opt.test.store = nil                           // store has been through it
	opt.Getenv = func(string) string { return "" } // what names the input of a run names none here
	j := &job{opt: &opt, started: time.Now(), progress: &pipeline.Progress{}, merge: m,
		text: fmt.Appendf(nil, "version: 1\nname: compact\nsource: {format: parquet}\nsink: {target_file_size: %dB}\n", c.TargetFileSize)}
	defer j.refs.close()
	if err := j.prepare(ctx); err != nil {
		return nil, err
	}
	j.store = store
	var err error
	refs, pins := make([]objstore.Ref, len(m.files)), make([]objstore.Pin, len(m.files))
	for i, f := range m.files {
		if refs[i], err = objstore.ParseRef(f.URI); err != nil {
			return nil, err
		}
		pins[i] = objstore.Pin{ETag: f.ETag}
	}
	if j.infos, err = stat(ctx, store, refs, pins, j.req.head); err != nil {
		return nil, elsewhere(err)
	}
	kept, differ := keepAs(j.infos)
	if differ {
		opt.Log.Warn("files to merge are kept in different ways: what is merged is encrypted as the strongest of them is, and has the storage class of the last", "folder", m.folder, "sse", kept.SSE, "kms_key_id", kept.KMSKeyID, "storage_class", kept.StorageClass)
	}
	j.pipe.Sink.Writes = spec.Writes(kept)
	if err := j.findReferences(ctx); err != nil {
		return nil, err
	}
	if err := j.settleSink(); err != nil {
		return nil, err
	}
	done, err := j.settled(ctx)
	if err == nil && done == nil {
		done, err = j.attempt(ctx, false)
	}
	if err != nil {
		return nil, elsewhere(err)
	}
	rec, err := j.already(ctx, done)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errMerged, err)
	}
	return rec, nil
}

// keepAs is how files are to be kept that are made of others, in the order of their commits: as those are. Where they differ it is encrypted as the strongest is, of several by the key of the
// last one, and has the storage class of the last.
func keepAs(infos []objstore.Info) (as objstore.Writes, differ bool) {
	var before objstore.Writes
	for i, info := range infos {
		w := info.Kept
		if w.SSE == "AES256" { // S3 says so of whatever nobody asked to be encrypted: the bucket's default is never weaker, and may be stronger by now
			w.SSE = ""
		}
		if !as.Stronger(w) {
			as.SSE, as.KMSKeyID = w.SSE, w.KMSKeyID
		}
		as.StorageClass = w.StorageClass
		differ = differ || i > 0 && w != before
		before = w
	}
	return as, differ
}

// elsewhere is err, or errMergedElsewhere where a file that was to be merged is not there as it was.
func elsewhere(err error) error {
	if gone(err) {
		return fmt.Errorf("%w: %w", errMergedElsewhere, err)
	}
	return err
}

// version tells a merge from an earlier one of files with the same names and bytes, whose runs were committed anew since. It is "" of none.
func (m *merge) version() string {
	if m == nil {
		return ""
	}
	var v strings.Builder
	for _, r := range m.sources {
		fmt.Fprintf(&v, "%s at %d;", r.RunID, r.CommittedAt.UnixNano())
	}
	return v.String()
}

// place is the folder of a merge, and "" of none.
func (m *merge) place() string {
	if m == nil {
		return ""
	}
	return m.folder
}

// check holds the rows that were read against those that the manifests say.
func (m *merge) check(p *pipeline.Progress) ([]transforms.Finding, error) {
	if read := p.RowsRead.Load(); read != m.rows {
		return nil, fail.Newf(fail.Data, "the files of %q have %d rows, the manifests of their runs say %d: nothing is merged", m.folder, read, m.rows)
	}
	return nil, nil
}

// describe gives the manifest of the merge what its files, which have no partition columns, do not tell.
func (m *merge) describe(to *Manifest) {
	var partition map[string]hive.Value
	for _, f := range m.files {
		partition = f.Partition
	}
	for i := range to.Files {
		to.Files[i].Partition = partition
	}
	for _, c := range m.columns {
		if c.Partition {
			to.Schema = append(to.Schema, c)
		}
	}
}

// checkMerged refuses to write a run anew whose rows stand in files that it cannot replace: they would be there twice.
func (j *job) checkMerged(ctx context.Context) error {
	if !j.opt.Force || j.pipe.Sink.Mode == spec.Replace {
		return nil
	}
	out := &output{store: j.store, dir: j.dir, log: j.opt.Log}
	m, err := readManifest(ctx, j.store, manifestRef(j.dir, j.runID))
	if m == nil || err != nil && fail.KindOf(err) == fail.Data { // one that cannot be read is written over
		return nil
	}
	if err != nil {
		return err
	}
	into, err := out.mergedInto(ctx, m)
	if err == nil && into != "" {
		err = fail.Newf(fail.Usage, "--force cannot write run %s anew: its rows were merged into files of the compaction %s, where they stay; use mode: replace, or replace the partitions by a run of another name", m.RunID, into)
	}
	return err
}

// mergedInto is a compaction that has rows of m in files that stand; "" if there is none.
func (o *output) mergedInto(ctx context.Context, m *Manifest) (string, error) {
	by, err := o.replacements(ctx, m)
	if err != nil {
		return "", err
	}
	seen := map[string]bool{}
	for _, r := range by {
		if r.Mode != compactMode || seen[r.By] {
			continue
		}
		seen[r.By] = true
		k, err := o.committed(ctx, r.By)
		if err != nil {
			return "", err
		}
		if k == nil { // somebody has taken its manifest away: its files may be there
			return r.By, nil
		}
		gone, err := o.replacements(ctx, k)
		if err != nil {
			return "", err
		}
		if len(gone) < len(k.Files) {
			return r.By, nil
		}
		if into, err := o.mergedInto(ctx, k); into != "" || err != nil {
			return into, err
		}
	}
	return "", nil
}

// errMerged is of a merge that is committed all the same.
var errMerged = fail.Newf(fail.Data, "the merge is committed, but its files are not as it left them")

var errMergedElsewhere = fail.Newf(fail.Temporary, "files that were to be merged are about to be replaced, or have been; nothing is merged, try again later")

// takeTurnToCompact waits for the turn of a merge. It takes over none but merges that were killed: rows that come back with merged files after another has replaced them would be worse than
// files that stay small for a day.
func (c *committer) takeTurnToCompact(ctx context.Context) error {
	t := turn{RunID: c.runID, Attempt: c.attempt, Compact: true, scope: (&Manifest{Files: c.merge.files}).scope(c.dir)}
	out, err := c.table(), error(nil)
	if err = c.enterTurn(ctx, t); err != nil {
		return err
	}
	if err = out.await(ctx, c.turn, t, spec.Wait, c.lease, c.waiting); err != nil {
		return err
	}
	if err = out.finish(ctx); err != nil {
		return err
	}
	all, err := out.turns(ctx)
	if err != nil {
		return err
	}
	for _, e := range all {
		if e.n == c.turn || e.RunID == c.runID || e.Done || !e.overlaps(t.scope) {
			continue
		}
		m, err := out.committed(ctx, e.RunID)
		if err != nil {
			return err
		}
		if m == nil {
			if dead, err := c.giveUpTurn(ctx, e); err != nil {
				return err
			} else if dead {
				continue
			}
		}
		if m == nil || e.n > c.turn {
			return fmt.Errorf("run %s: %w", e.RunID, errMergedElsewhere)
		}
	}
	found, uncommitted, err := out.replaceable(ctx, c.runID, compactMode, t.scope)
	if err != nil {
		return err
	}
	alive, err := c.giveUp(ctx, uncommitted)
	if err != nil {
		return err
	}
	if len(alive) > 0 { // it would be the next compaction that takes its files away
		return fmt.Errorf("run %s: %w", alive[0], errMergedElsewhere)
	}
	for _, r := range c.merge.sources {
		i := slices.IndexFunc(found, func(f Replaced) bool { return f.RunID == r.RunID && f.CommittedAt.Equal(r.CommittedAt) })
		if i < 0 || slices.ContainsFunc(r.Keys, func(k string) bool { return !slices.Contains(found[i].Keys, k) }) {
			return fmt.Errorf("run %s: %w", r.RunID, errMergedElsewhere)
		}
	}
	c.replaces = c.merge.sources
	return nil
}

// share reports whether two commits take the place of a file both.
func share(a, b []Replaced) bool {
	taken := map[string]time.Time{}
	for _, r := range a {
		for _, k := range r.Keys {
			taken[k] = r.CommittedAt
		}
	}
	for _, r := range b {
		for _, k := range r.Keys {
			if at, ok := taken[k]; ok && at.Equal(r.CommittedAt) {
				return true
			}
		}
	}
	return false
}
