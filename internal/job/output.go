package job

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/internal/objstore"
	"github.com/sluice-data/sluice/internal/spec"
)

// output is the table below sink.uri: the files of many runs, each named by the manifest of its own.
type output struct {
	store objstore.Store
	dir   objstore.Ref
	log   *slog.Logger
}

// Replaced are files of an earlier run that a commit takes the place of: they go once it stands.
type Replaced struct {
	RunID string `json:"run_id"`
	// CommittedAt is that of the commit that is meant: a run that was written anew since has other files.
	CommittedAt time.Time `json:"committed_at"`
	Keys        []string  `json:"keys"`
	// Abandoned says that the run had not committed them, and cannot any more; CommittedAt is zero then.
	Abandoned bool `json:"abandoned,omitempty"`
	turn      int  // of that commit
}

// replacement is what a commit puts into the folder of a run that it replaces files of, before it deletes them: <sink.uri>/_runs/<run_id>/replaced-<by>.json. A
// redelivered event of that run finds it.
type replacement struct {
	By          string    `json:"by"`
	Mode        string    `json:"mode"`
	At          time.Time `json:"at"`
	CommittedAt time.Time `json:"committed_at"` // of the commit that it is about
	Keys        []string  `json:"keys"`
}

func replacementRef(dir objstore.Ref, runID, by string) objstore.Ref {
	return runRef(dir, runID, "replaced-"+by+".json")
}

// clearedRef is the object that says that what a commit replaces is gone.
func clearedRef(dir objstore.Ref, runID string) objstore.Ref {
	return runRef(dir, runID, "cleared.json")
}

// scope is the part of a table that a commit replaces.
type scope struct {
	All     bool     `json:"all,omitempty"`
	Folders []string `json:"folders,omitempty"` // below the table, each with its slash; what is in folders below them belongs to them
}

// set is the folders for look-ups.
func (s scope) set() map[string]bool {
	set := make(map[string]bool, len(s.Folders))
	for _, f := range s.Folders {
		set[f] = true
	}
	return set
}

// within reports whether the object or folder at path, relative to the table, is in one of the folders.
func within(path string, folders map[string]bool) bool {
	for i := range len(path) {
		if path[i] == '/' && folders[path[:i+1]] {
			return true
		}
	}
	return false
}

// overlaps reports whether there can be a file in both.
func (s scope) overlaps(o scope) bool {
	if s.All || o.All {
		return true
	}
	mine, others := s.set(), o.set()
	return slices.ContainsFunc(s.Folders, func(f string) bool { return within(f, others) }) ||
		slices.ContainsFunc(o.Folders, func(f string) bool { return within(f, mine) })
}

// scope is what the commit m replaces.
func (m *Manifest) scope(dir objstore.Ref) scope {
	if m.Mode == spec.Replace {
		return scope{All: true}
	}
	var s scope
	for _, f := range m.Files {
		rel := strings.TrimPrefix(f.Key, dir.Key)
		s.Folders = append(s.Folders, rel[:strings.LastIndexByte(rel, '/')+1])
	}
	slices.Sort(s.Folders)
	s.Folders = slices.Compact(s.Folders)
	if slices.Contains(s.Folders, "") { // the table's own, which all others are in
		return scope{All: true}
	}
	return s
}

// in are the keys of m's files in s.
func (m *Manifest) in(s scope, dir objstore.Ref) []string {
	var keys []string
	folders := s.set()
	for _, f := range m.Files {
		if s.All || within(strings.TrimPrefix(f.Key, dir.Key), folders) {
			keys = append(keys, f.Key)
		}
	}
	return keys
}

// committed is the commit of a run, also one that is in its log and not yet published; nil if there is none.
func (o *output) committed(ctx context.Context, runID string) (*Manifest, error) {
	m, err := readManifest(ctx, o.store, manifestRef(o.dir, runID))
	if m != nil || err != nil {
		return m, err
	}
	a, err := readAccount(ctx, o.store, o.dir, runID)
	if err != nil || a.last == 0 {
		return nil, err
	}
	last, err := readClaim(ctx, o.store, claimRef(o.dir, runID, a.last))
	if err == nil && last == nil { // cleared since: then it is published
		return readManifest(ctx, o.store, manifestRef(o.dir, runID))
	}
	if err != nil {
		return nil, err
	}
	return last.Manifest, nil
}

// runFile is the name of a file that a run writes.
var runFile = regexp.MustCompile(`^part-([0-9a-f]{16})-[0-9]{5,}\.`)

// standing are the keys of the data files in s, by the run that wrote them; foreign are those whose names say that no run did.
func (o *output) standing(ctx context.Context, s scope) (byRun map[string][]string, foreign []objstore.Ref, err error) {
	byRun = map[string][]string{}
	folders := s.Folders
	if s.All {
		folders = []string{""}
	}
	var mu sync.Mutex
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(statsAtOnce)
	for _, folder := range folders {
		g.Go(func() error {
			return fail.Guard("look for files to replace", func() error {
				for info, err := range o.store.List(gctx, o.dir.Join(folder)) {
					if errors.Is(err, objstore.ErrNotExist) {
						return nil
					}
					if err != nil {
						return fmt.Errorf("look for files to replace: %w", err)
					}
					rel := strings.TrimPrefix(info.Key, o.dir.Key)
					if hidden(rel) {
						continue
					}
					mu.Lock()
					if name := runFile.FindStringSubmatch(rel[strings.LastIndexByte(rel, '/')+1:]); name != nil {
						byRun[name[1]] = append(byRun[name[1]], info.Key)
					} else {
						foreign = append(foreign, info.Ref)
					}
					mu.Unlock()
				}
				return nil
			})
		})
	}
	return byRun, foreign, g.Wait()
}

// hidden reports whether readers of tables pass over the path: a part of it begins with _ or a dot.
func hidden(rel string) bool {
	for part := range strings.SplitSeq(rel, "/") {
		if strings.HasPrefix(part, "_") || strings.HasPrefix(part, ".") {
			return true
		}
	}
	return false
}

// refuseForeign is the error for files that no run wrote: they would stay among the new ones, and nobody said that they may go.
func refuseForeign(mode string, foreign []objstore.Ref) error {
	if len(foreign) == 0 {
		return nil
	}
	slices.SortFunc(foreign, func(a, b objstore.Ref) int { return strings.Compare(a.Key, b.Key) })
	more := ""
	if n := len(foreign) - 1; n > 0 {
		more = fmt.Sprintf(" (nor were %d more)", n)
	}
	return fail.Newf(fail.Data, "mode: %s: this file was not written by Sluice%s: it would stay among the new ones; move or delete it, or write to another folder", mode, more).
		In(foreign[0].String())
}

// replaceable are the committed files of other runs that stand in s. uncommitted are those of runs that have not committed, by run.
func (o *output) replaceable(ctx context.Context, runID, mode string, s scope) (out []Replaced, uncommitted map[string][]string, err error) {
	byRun, foreign, err := o.standing(ctx, s)
	if err != nil {
		return nil, nil, err
	}
	if mode != compactMode {
		if err := refuseForeign(mode, foreign); err != nil {
			return nil, nil, err
		}
	}
	delete(byRun, runID)
	uncommitted = map[string][]string{}
	var mu sync.Mutex
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(statsAtOnce)
	for id, keys := range byRun {
		g.Go(func() error {
			return fail.Guard("look for files to replace", func() error {
				m, err := o.committed(gctx, id)
				if err != nil {
					return err
				}
				var r Replaced
				var left []string
				if m != nil {
					if r, left, err = o.stands(gctx, m, s, keys); err != nil {
						return err
					}
				}
				mu.Lock()
				defer mu.Unlock()
				switch {
				case m == nil:
					uncommitted[id] = keys
				case len(left) > 0:
					o.stay(id, left)
				}
				if len(r.Keys) > 0 {
					out = append(out, r)
				}
				return nil
			})
		})
	}
	err = g.Wait()
	slices.SortFunc(out, func(a, b Replaced) int { return strings.Compare(a.RunID, b.RunID) })
	return out, uncommitted, err
}

// stands are m's files in s that stand, and left those of the listed files of its run that are not m's.
func (o *output) stands(ctx context.Context, m *Manifest, s scope, listed []string) (r Replaced, left []string, err error) {
	r = Replaced{RunID: m.RunID, CommittedAt: m.CommittedAt, turn: m.Turn}
	found := map[string]bool{}
	for _, key := range listed {
		found[key] = true
	}
	r.Keys = m.in(s, o.dir)
	for _, key := range r.Keys {
		if !found[key] { // it was replaced before, or came since the list was made: of a commit all files go, or none
			var gone map[string]replacement
			if gone, err = o.replacements(ctx, m); err != nil {
				return r, nil, err
			}
			r.Keys = slices.DeleteFunc(r.Keys, func(k string) bool { return gone[k].By != "" && !found[k] })
			break
		}
	}
	for _, key := range m.in(scope{All: true}, o.dir) {
		delete(found, key)
	}
	slices.Sort(r.Keys)
	return r, slices.Sorted(maps.Keys(found)), nil
}

// stay warns of files that are not committed and not deleted.
func (o *output) stay(runID string, left []string) {
	o.log.Warn("files of a run that has not committed them stay: it may be about to, and its next attempt replaces or deletes them", "run_id", runID, "files", len(left), "first", left[0])
}

// retire takes files of a commit out of the table: its run's folder says so first.
func (o *output) retire(ctx context.Context, r Replaced, by *Manifest) error {
	if len(r.Keys) == 0 {
		return nil
	}
	if r.Abandoned { // whatever has become of the run since, it has other files
		return o.remove(ctx, r)
	}
	now, err := o.committed(ctx, r.RunID)
	if err != nil {
		return err
	}
	if now == nil || !now.CommittedAt.Equal(r.CommittedAt) {
		return nil // written anew since
	}
	if err := putJSON(ctx, o.store, replacementRef(o.dir, r.RunID, by.RunID), replacement{By: by.RunID, Mode: by.Mode, At: time.Now().UTC(), CommittedAt: r.CommittedAt, Keys: r.Keys}, false); err != nil {
		return fmt.Errorf("tell run %s that it is replaced: %w", r.RunID, err)
	}
	return o.remove(ctx, r)
}

// remove deletes the files.
func (o *output) remove(ctx context.Context, r Replaced) error {
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(statsAtOnce)
	for _, key := range r.Keys {
		if !strings.HasPrefix(key, o.dir.Key) {
			return fail.Newf(fail.Data, "run %s has a file that is not below %s: it is not deleted; is this a copy of another table?", r.RunID, o.dir).In(key)
		}
	}
	for _, key := range r.Keys {
		g.Go(func() error {
			return fail.Guard("delete a replaced file", func() error {
				if err := o.store.Delete(gctx, objstore.Ref{Bucket: o.dir.Bucket, Key: key}); err != nil {
					return fmt.Errorf("delete a file of run %s, which is replaced: %w", r.RunID, err)
				}
				return nil
			})
		})
	}
	return g.Wait()
}

// clear deletes what the published commit m replaces. It may be called any number of times, and does nothing once it has come to its end.
func (o *output) clear(ctx context.Context, m *Manifest) error {
	if m.Turn == 0 {
		return nil
	}
	ref := clearedRef(o.dir, m.RunID)
	if done, err := o.cleared(ctx, m); done || err != nil {
		return err
	}
	more, by, err := o.contest(ctx, m)
	if err != nil {
		return err
	}
	replaces := union(m.Replaces, more)
	if m.Mode == compactMode && len(by) > 0 { // what it merged is another's to replace, and still there
		replaces = nil
	}
	for _, r := range replaces {
		if err := o.retire(ctx, r, m); err != nil {
			return err
		}
	}
	for _, winner := range by {
		in := winner.scope(o.dir)
		if m.Mode == compactMode {
			in.All = true
		}
		if err := o.retire(ctx, Replaced{RunID: m.RunID, CommittedAt: m.CommittedAt, Keys: m.in(in, o.dir)}, winner); err != nil {
			return err
		}
	}
	if err := putJSON(ctx, o.store, ref, cleared{m.CommittedAt}, false); err != nil {
		return fmt.Errorf("note that replaced files are gone: %w", err)
	}
	o.endTurn(ctx, m.Turn, m.RunID)
	return nil
}

// union is both, each run once.
func union(a, b []Replaced) []Replaced {
	out := slices.Clone(a)
	for _, r := range b {
		i := slices.IndexFunc(out, func(o Replaced) bool { return o.RunID == r.RunID && o.CommittedAt.Equal(r.CommittedAt) })
		if i < 0 {
			out = append(out, r)
			continue
		}
		keys := slices.Concat(out[i].Keys, r.Keys)
		slices.Sort(keys)
		out[i].Keys = slices.Compact(keys)
	}
	return out
}

// cleared is the content of clearedRef.
type cleared struct {
	CommittedAt time.Time `json:"committed_at"`
}

// cleared reports whether what m replaces is gone.
func (o *output) cleared(ctx context.Context, m *Manifest) (bool, error) {
	var c cleared
	there, err := readJSON(ctx, o.store, clearedRef(o.dir, m.RunID), &c)
	return there && c.CommittedAt.Equal(m.CommittedAt), err
}

// replacements are those of m's files that other commits took the place of, by key.
func (o *output) replacements(ctx context.Context, m *Manifest) (map[string]replacement, error) {
	by := map[string]replacement{}
	for info, err := range o.store.List(ctx, runRef(o.dir, m.RunID, "replaced-")) {
		if err != nil {
			return nil, fmt.Errorf("look for what replaced the run: %w", err)
		}
		var r replacement
		there, err := readJSON(ctx, o.store, info.Ref, &r)
		if err != nil {
			return nil, err
		}
		if !there || !r.CommittedAt.Equal(m.CommittedAt) {
			continue
		}
		for _, key := range r.Keys {
			by[key] = r
		}
	}
	return by, nil
}

// readJSON reads the object at ref into v; false if there is none.
func readJSON(ctx context.Context, store objstore.Store, ref objstore.Ref, v any) (bool, error) {
	info, err := store.Stat(ctx, ref, objstore.Pin{})
	var b []byte
	if err == nil {
		b, err = readObject(ctx, store, info)
	}
	if gone(err) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if err := json.Unmarshal(b, v); err != nil {
		return false, fail.Newf(fail.Data, "what a run wrote beside its data cannot be read: %w", err).In(ref.String())
	}
	return true, nil
}

// putJSON writes v.
func putJSON(ctx context.Context, store objstore.Store, ref objstore.Ref, v any, ifAbsent bool) error {
	b, err := encodeJSON(ref, v)
	if err != nil {
		return err
	}
	_, err = store.Put(ctx, ref, b, "application/json", ifAbsent)
	return err
}

func encodeJSON(ref objstore.Ref, v any) ([]byte, error) {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return nil, fail.Newf(fail.Internal, "encode %s: %w", ref, err)
	}
	return append(b, '\n'), nil
}
