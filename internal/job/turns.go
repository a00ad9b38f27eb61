package job

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/internal/objstore"
	"github.com/sluice-data/sluice/internal/spec"
)

// Commits that replace files take turns, in a log of the table: <sink.uri>/_runs/_table/turn-<nnnnn>.json, each entry put on the condition that its number
// is free. Of two commits that replace the same folder the one with the later turn stands. Who waits for an earlier turn to end does so for good order alone: each, once it has
// committed, looks at the turns of the others, and as a commit is in its run's log before that look, of two at least one finds the other.
type turn struct {
	RunID   string `json:"run_id"`
	Attempt string `json:"attempt"`
	scope
	Compact bool `json:"compact,omitempty"` // it is a merge's
	Renewed int  `json:"renewed,omitempty"` // how often: who waits sees that it is alive
	Done    bool `json:"done,omitempty"`    // the attempt has ended, or what its run replaces is gone
}

// takenTurn is an entry of the log.
type takenTurn struct {
	turn
	n    int
	info objstore.Info
}

// oldTurn is how long the entry of a turn that never ended stays: nothing that was sent to a store is still on its way then.
const oldTurn = 24 * time.Hour

func (o *output) turnRef(n int) objstore.Ref {
	return o.dir.Join(fmt.Sprintf("_runs/_table/turn-%05d.json", n))
}

// turns are the entries of the log, first to last.
func (o *output) turns(ctx context.Context) ([]takenTurn, error) {
	var out []takenTurn
	prefix := o.dir.Join("_runs/_table/turn-")
	for info, err := range o.store.List(ctx, prefix) {
		if errors.Is(err, objstore.ErrNotExist) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("look for other runs that replace files: %w", err)
		}
		digits, isJSON := strings.CutSuffix(strings.TrimPrefix(info.Key, prefix.Key), ".json")
		n, err := strconv.Atoi(digits)
		if err != nil || !isJSON {
			continue
		}
		t := takenTurn{n: n, info: info}
		there, err := readJSON(ctx, o.store, info.Ref, &t.turn)
		if err != nil {
			return nil, err
		}
		if there {
			out = append(out, t)
		}
	}
	slices.SortFunc(out, func(a, b takenTurn) int { return a.n - b.n })
	return out, nil
}

// takeTurn puts an entry for t behind all others, and returns its number and version.
func (o *output) takeTurn(ctx context.Context, t turn) (int, objstore.Info, error) {
	for {
		all, err := o.turns(ctx)
		if err != nil {
			return 0, objstore.Info{}, err
		}
		n := 1
		if len(all) > 0 {
			n = all[len(all)-1].n + 1
		}
		ref := o.turnRef(n)
		b, err := encodeJSON(ref, t)
		if err != nil {
			return 0, objstore.Info{}, err
		}
		info, err := o.store.Put(ctx, ref, b, "application/json", true)
		if errors.Is(err, objstore.ErrExists) { // another's, or this one's whose answer was lost: then the next number is as good
			continue
		}
		if err != nil {
			return 0, objstore.Info{}, fmt.Errorf("take a turn to replace files: %w", err)
		}
		return n, info, nil
	}
}

// await waits until no turn before n, of another run and in the same part of the table, is alive any more. Under on_conflict: fail one that is alive is an error.
func (o *output) await(ctx context.Context, n int, t turn, onConflict string, lease time.Duration, waiting func()) error {
	if onConflict == spec.LastWins {
		return nil
	}
	seen := map[int]string{} // versions of turns, to see which are renewed
	for w := newWait(lease, waiting); ; {
		all, err := o.turns(ctx)
		if err != nil {
			return err
		}
		var first *takenTurn
		renewed := false
		for i := range all {
			e := &all[i]
			if e.n >= n || e.Done || e.RunID == t.RunID || !e.overlaps(t.scope) {
				continue
			}
			if seen[e.n] != "" && seen[e.n] != e.info.ETag {
				renewed = true
			} else if max(0, time.Since(e.info.ModTime)) >= lease {
				continue // by two clocks, as in giveWay: it is for progress alone
			}
			seen[e.n] = e.info.ETag
			if first == nil {
				first = e
			}
		}
		if first == nil {
			return nil
		}
		if onConflict == spec.FailOnConflict {
			return fail.Newf(fail.Temporary, "run %s is about to replace files of the same %s; try again when it has ended, or set sink.on_conflict to wait", first.RunID, place(t.scope)).
				In(o.dir.String())
		}
		if renewed {
			w = newWait(lease, waiting)
		}
		if over, err := w.next(ctx); over || err != nil {
			return err
		}
	}
}

func place(s scope) string {
	if s.All {
		return "table"
	}
	return "partitions"
}

// endTurn marks turn n as ended, with those before it of the run committed, if that is not "": its attempts cannot commit any more. Then it removes entries that
// nobody needs: the log keeps its last one, so that no number comes again. It is no error if that does not work out.
func (o *output) endTurn(ctx context.Context, n int, committed string) {
	err := func() error {
		all, err := o.turns(ctx)
		if err != nil {
			return err
		}
		ended := true  // all up to here
		var over []int // entries that nobody needs once none is alive: one that is may have looked before these had committed, and must find them
		alive := false
		for i, e := range all {
			if (e.n == n || e.n < n && e.RunID == committed) && !e.Done {
				e.Done = true
				if err := putJSON(ctx, o.store, e.info.Ref, e.turn, false); err != nil {
					return err
				}
			}
			if ended && !e.Done && e.n < n { // who was killed right before it said so
				m, err := o.committed(ctx, e.RunID)
				if err == nil && m != nil && m.Turn == e.n {
					e.Done, err = o.cleared(ctx, m)
				}
				if err != nil {
					return err
				}
			}
			old := false
			if !e.Done && time.Since(e.info.ModTime) > oldTurn { // nobody comes back to it, unless it has committed and not cleared
				m, err := o.committed(ctx, e.RunID)
				if err != nil {
					return err
				}
				old = m == nil || m.Turn != e.n
			}
			alive = alive || !e.Done && !old
			ended = ended && (e.Done || old)
			if ended && i < len(all)-1 {
				over = append(over, i)
			}
		}
		if alive {
			return nil
		}
		for _, i := range over {
			if err := o.store.Delete(ctx, all[i].info.Ref); err != nil {
				return err
			}
		}
		return nil
	}()
	if err != nil {
		o.log.Warn("the end of this run's turn to replace files was not noted: others wait for it for some seconds", "object", o.turnRef(n).String(), "error", err.Error())
	}
}

// contest finds, once the commit m is in its run's log, those that took turns while m had its own: more is what m replaces besides, by are the commits that
// replace m. A commit of a later turn may have been made without a look at m, and one of an earlier turn after m's look.
func (o *output) contest(ctx context.Context, m *Manifest) (more []Replaced, by []*Manifest, err error) {
	all, err := o.turns(ctx)
	if err != nil {
		return nil, nil, err
	}
	mine := m.scope(o.dir)
	for _, e := range all {
		if e.RunID == m.RunID || !e.overlaps(mine) {
			continue
		}
		other, err := o.committed(ctx, e.RunID)
		if err != nil {
			return nil, nil, err
		}
		if other == nil || other.Turn != e.n {
			continue // it came to nothing, or was written anew
		}
		switch {
		case m.Mode == compactMode:
			// A merge gives way to whoever has taken the place of one of its files meanwhile, whatever the turns: what it merged is still there. Another merge that
			// sees this one does so, too; then none of the two stands, and no row is lost.
			if share(m.Replaces, other.Replaces) {
				by = append(by, other)
			}
			continue
		case e.n > m.Turn && other.Mode == compactMode:
			continue // it has looked, and gives way
		case e.n > m.Turn:
			by = append(by, other)
			continue
		}
		if keys := other.in(mine, o.dir); len(keys) > 0 {
			more = append(more, Replaced{RunID: other.RunID, CommittedAt: other.CommittedAt, Keys: keys})
		}
	}
	return more, by, nil
}

// hasTurn reports whether the entry n is still there.
func (o *output) hasTurn(ctx context.Context, n int, attempt string) (bool, error) {
	var t turn
	there, err := readJSON(ctx, o.store, o.turnRef(n), &t)
	return there && t.Attempt == attempt, err
}
