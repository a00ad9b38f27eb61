package job

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"

	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/internal/objstore"
	"github.com/sluice-data/sluice/sinks"
	_ "github.com/sluice-data/sluice/sources/parquet"
)

// fakes are the places that the targets of these tests deliver to, by the name in the block.
var fakes sync.Map

// fakePlace takes whole commits: it holds the last one of each run, and counts what it was told.
type fakePlace struct {
	mu       sync.Mutex
	held     map[string]heldCommit // by run
	written  int                   // commits that changed what is held
	told     int                   // notices
	again    int
	last     string // what the last notice said
	failures []string
	enter    func(call string) (do, answer bool)
	most     int // bytes of zone; 0 for any number
	err      error
}

type heldCommit struct {
	at  string
	ids []int64
}

func init() {
	for name, rank := range map[string]sinks.Rank{"fake_table": sinks.RankLoad, "fake_catalog": sinks.RankCatalog, "fake_notice": sinks.RankNotice} {
		t := sinks.Target{Name: name, Rank: rank, Always: rank == sinks.RankNotice, Open: func(req sinks.TargetRequest) (sinks.Delivery, error) {
			entries, err := req.At.Map("place")
			if err != nil {
				return nil, err
			}
			place, _ := entries[0].Value.Str()
			p, ok := fakes.Load(place)
			if !ok {
				return nil, entries[0].Value.Errorf("no place %q", place)
			}
			return &fakeDelivery{p.(*fakePlace), req, name}, nil
		}}
		if rank == sinks.RankNotice {
			t.Failed = func(_ context.Context, req sinks.TargetRequest, f sinks.Failure) error {
				place, _ := req.At.Get("place").Str()
				if p, ok := fakes.Load(place); ok {
					p.(*fakePlace).failures = append(p.(*fakePlace).failures, fail.KindOf(f.Err).String())
				}
				return nil
			}
		}
		sinks.RegisterTarget(t)
	}
}

type fakeDelivery struct {
	p    *fakePlace
	req  sinks.TargetRequest
	name string
}

// call is a request to the place, which may be refused, or its answer lost.
func (d *fakeDelivery) call(what string, f func()) error {
	do, answer := d.p.enter(d.name + " " + what)
	if do {
		d.p.mu.Lock()
		f()
		d.p.mu.Unlock()
	}
	if !answer {
		return d.p.err
	}
	return nil
}

func (d *fakeDelivery) Explain() []string {
	return []string{"PUT " + d.name + " run " + d.req.RunID + "\nof " + d.req.Schema.Field(0).Name}
}

func (d *fakeDelivery) Preflight(context.Context) ([]sinks.Constraint, error) {
	if err := d.call("preflight", func() {}); err != nil || d.p.most == 0 {
		return nil, err
	}
	return []sinks.Constraint{sinks.MaxBytes("zone", d.p.most, "column zone is short")}, nil
}

func (d *fakeDelivery) Deliver(ctx context.Context, c sinks.Commit) (string, error) {
	if d.req.RunID != c.RunID {
		return "", fail.Newf(fail.Internal, "opened for run %s, told of %s", d.req.RunID, c.RunID)
	}
	if d.name != "fake_table" {
		return "told", d.call("tell", func() {
			d.p.told++
			bytes := int64(0)
			for _, f := range c.Files {
				bytes += f.Size
			}
			d.p.last = fmt.Sprintf("%d rows, %d files, %d bytes, replaced by %v", c.Rows, len(c.Files), bytes, c.ReplacedBy)
			if c.Again {
				d.p.again++
			}
		})
	}
	var ids []int64
	if err := c.Read(ctx, func(rec arrow.Record) error {
		ids = append(ids, rec.Column(rec.Schema().FieldIndices("id")[0]).(*array.Int64).Int64Values()...)
		if rec.Schema().NumFields() != d.req.Schema.NumFields() {
			return fmt.Errorf("%s, want %s", rec.Schema(), d.req.Schema)
		}
		return nil
	}); err != nil {
		return "", err
	}
	at := c.At.String()
	there := false
	if err := d.call("look", func() { there = d.p.held[c.RunID].at == at }); err != nil {
		return "", err
	}
	if there {
		return fmt.Sprintf("%d rows were there", c.Rows), nil
	}
	return fmt.Sprintf("%d rows", c.Rows), d.call("put", func() { d.p.held[c.RunID] = heldCommit{at, ids}; d.p.written++ })
}

func (d *fakeDelivery) Close() error { return nil }

// deliveryRig is a rig with targets at a place of its own.
func deliveryRig(t *testing.T, partition string, targets ...string) (*rig, *fakePlace) {
	r := newRig(t, "")
	if partition != "" {
		r.partition(t, partition)
	}
	p := &fakePlace{}
	p.clear()
	fakes.Store(t.Name(), p)
	t.Cleanup(func() { fakes.Delete(t.Name()) })
	text, err := os.ReadFile(r.pipeline)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range targets {
		text = []byte(strings.Replace(string(text), "target_file_size: 1B", fmt.Sprintf("target_file_size: 1B, %s: {place: %s}", name, t.Name()), 1))
	}
	r.write(t, "p.yaml", string(text))
	return r, p
}

func (p *fakePlace) clear() {
	p.held, p.written, p.told, p.again, p.failures, p.err = map[string]heldCommit{}, 0, 0, 0, nil, errFault
	p.enter = func(string) (bool, bool) { return true, true }
}

// statuses are those of the receipt's deliveries.
func statuses(rec *Receipt) string {
	var out []string
	for _, d := range rec.Deliveries {
		out = append(out, d.Name+" "+d.Status)
	}
	return strings.Join(out, ", ")
}

// check holds what the place has against what the receipt says.
func (p *fakePlace) check(t *testing.T, r *rig, rec *Receipt) {
	t.Helper()
	held, ok := p.held[rec.RunID]
	slices.Sort(held.ids)
	want := slices.Clone(r.want)
	slices.Sort(want)
	if !ok || len(p.held) != 1 || p.written != 1 || !slices.Equal(held.ids, want) {
		t.Errorf("the place has %d runs, written %d times, %d rows; want one, once, %d", len(p.held), p.written, len(held.ids), len(want))
	}
}

// TestDeliveries: targets get the commit in the order of their turns and have it once; those that want to hear again do.
func TestDeliveries(t *testing.T) {
	r, p := deliveryRig(t, "zone", "fake_notice", "fake_table", "fake_catalog")
	defer r.mem.AssertSize(t, 0)
	rec, err := r.run(t, t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := statuses(rec), "fake_table delivered, fake_catalog delivered, fake_notice delivered"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	p.check(t, r, rec)
	again, err := r.run(t, t.Context(), nil)
	if err != nil || again.Status != AlreadyCommitted {
		t.Fatalf("%s, %v", again.JSON(), err)
	}
	if got, want := statuses(again), "fake_table already_delivered, fake_catalog already_delivered, fake_notice already_delivered"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if p.again != 1 || again.Deliveries[0].Detail != rec.Deliveries[0].Detail {
		t.Errorf("told again %d times, %s", p.again, again.JSON())
	}
	p.check(t, r, rec)
	r.force = true
	forced, err := r.run(t, t.Context(), nil)
	if err != nil || statuses(forced) != statuses(rec) || p.written != 2 || len(p.held) != 1 {
		t.Errorf("forced: %s, %v, %d times written", forced.JSON(), err, p.written)
	}
	if len(p.failures) != 0 {
		t.Errorf("told of failures: %v", p.failures)
	}
	out, err := Explain(t.Context(), Options{Pipeline: r.pipeline, LocalRoot: r.dir, Getenv: r.env(), Log: slog.New(slog.DiscardHandler)})
	if err != nil || !strings.Contains(out, "target  fake_table\n  PUT fake_table run "+rec.RunID+"\n  of id\n") {
		t.Errorf("%s, %v", out, err)
	}
}

// TestDemandsOfTargets: what a target does not take is rejected with its place while the rows stream, and counted.
func TestDemandsOfTargets(t *testing.T) {
	r, p := deliveryRig(t, "", "fake_table")
	defer r.mem.AssertSize(t, 0)
	r.write(t, "in/c.csv", "id,zone,fare\n9001,a long zone,1\n")
	p.most = 6
	rec, err := r.run(t, t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if rec.Rows.Rejected != r.rejected+1 || rec.Rows.Written != int64(len(r.want)) {
		t.Errorf("%s", rec.JSON())
	}
	p.check(t, r, rec)
	text, err := os.ReadFile(r.pipeline)
	if err != nil {
		t.Fatal(err)
	}
	r.write(t, "p.yaml", strings.Replace(string(text), `errors: {quarantine: "s3://bad/"}`, "", 1))
	for _, name := range []string{"a.csv", "b.csv"} {
		if err := os.Remove(filepath.Join(r.dir, "in", name)); err != nil {
			t.Fatal(err)
		}
	}
	rec, err = r.run(t, t.Context(), nil)
	if want := "sink.fake_table: 11 bytes are more than 6: column zone is short"; err == nil || fail.KindOf(err) != fail.Data || !strings.Contains(err.Error(), want) ||
		rec.Error.Line != 2 || rec.Error.Value != "a long zone" {
		t.Errorf("%v, %s", err, rec.JSON())
	}
}

// TestDeliveryFaultAtEveryCall fails call 0, 1, 2 … of the store and the targets, each in three ways. Whatever the first run comes to, the next
// one ends well and every target has the commit once.
func TestDeliveryFaultAtEveryCall(t *testing.T) {
	r, p := deliveryRig(t, "", "fake_notice", "fake_table", "fake_catalog")
	defer r.mem.AssertSize(t, 0)
	count := &faultStore{at: -1}
	p.enter = count.enter
	if _, err := r.run(t, t.Context(), func(under objstore.Store) objstore.Store { count.Store = under; return count }); err != nil {
		t.Fatal(err)
	}
	first := slices.Index(count.calls, "fake_table preflight") // what comes between it and the commit is TestFaultAtEveryCall's
	committing := slices.IndexFunc(count.calls, func(c string) bool { return strings.HasPrefix(c, "put ") && strings.Contains(c, "/claim-00002") })
	if first < 0 || committing < first {
		t.Fatalf("calls: %v", count.calls)
	}
	resumed, failed := 0, 0
	for _, kind := range []fault{refused, lost, dead} {
		for at := first; ; at++ {
			if at == first+3 {
				at = committing
			}
			if testing.Short() && at%3 != int(kind) && at < len(count.calls) {
				continue
			}
			r.clear(t)
			p.clear()
			s := &faultStore{at: at, kind: kind}
			p.enter, p.err = s.enter, kind.err()
			rec, err := r.run(t, t.Context(), func(under objstore.Store) objstore.Store { s.Store = under; return s })
			if at >= len(s.calls) {
				break
			}
			where := fmt.Sprintf("call %d, %q, %s", at, s.calls[at], kind)
			p.enter = func(string) (bool, bool) { return true, true }
			if err != nil {
				failed++
				if fail.KindOf(err) != kind.err().Kind || rec.Status != Failed || len(p.failures) != 1 {
					t.Errorf("%s: %v, %s, told of %v", where, err, rec.JSON(), p.failures)
				}
			}
			opened := len(s.calls)
			count := &faultStore{at: -1}
			again, err := r.run(t, t.Context(), func(under objstore.Store) objstore.Store { count.Store = under; return count })
			if err != nil {
				t.Fatalf("%s: the next run: %v", where, err)
			}
			if again.Status == AlreadyCommitted {
				resumed++
				if slices.ContainsFunc(count.calls, func(c string) bool { return strings.HasPrefix(c, "read a.csv") || strings.HasPrefix(c, "open a.csv") }) {
					t.Errorf("%s: the next run reads the input: %v", where, count.calls[:min(opened, len(count.calls))])
				}
			}
			if len(again.Deliveries) != 3 || p.told < 2 {
				t.Errorf("%s: the next run: %s, told %d times", where, again.JSON(), p.told)
			}
			p.check(t, r, again)
			if t.Failed() {
				t.Fatalf("%s\n%s", where, &r.log)
			}
		}
	}
	if resumed < 10 || failed < 13 {
		t.Errorf("%d failed, %d went on after the commit", failed, resumed)
	}
}

// TestFailedDelivery: the files stay, the receipt says which target failed and why, and has the error's kind.
func TestFailedDelivery(t *testing.T) {
	r, p := deliveryRig(t, "", "fake_table", "fake_catalog")
	p.err = fail.Newf(fail.Permission, "INSERT on table x is denied")
	p.enter = func(call string) (bool, bool) { return call != "fake_table put", call != "fake_table put" }
	rec, err := r.run(t, t.Context(), nil)
	if fail.KindOf(err) != fail.Permission || rec.Status != Failed || len(rec.Files) == 0 || statuses(rec) != "fake_table failed" || !strings.Contains(rec.Error.Message, "sink.fake_table") {
		t.Errorf("%v, %s", err, rec.JSON())
	}
	var doc map[string]any
	if err := json.Unmarshal(rec.JSON(), &doc); err != nil || doc["error"].(map[string]any)["kind"] != "permission" {
		t.Errorf("%s", rec.JSON())
	}
	p.enter = func(call string) (bool, bool) { return call != "fake_table preflight", call != "fake_table preflight" }
	again, err := r.run(t, t.Context(), nil)
	if err != nil || again.Status != AlreadyCommitted || statuses(again) != "fake_table delivered, fake_catalog delivered" {
		t.Errorf("%v, %s", err, again.JSON())
	}
	p.check(t, r, again)
	r.clear(t)
	p.clear()
	p.err = fail.Newf(fail.Usage, "table x has no column zone")
	p.enter = func(call string) (bool, bool) { return false, false }
	count := &faultStore{at: -1}
	rec, err = r.run(t, t.Context(), func(under objstore.Store) objstore.Store { count.Store = under; return count })
	if fail.KindOf(err) != fail.Usage || len(rec.Files) != 0 || rec.Rows.Read != 0 || slices.ContainsFunc(count.calls, func(c string) bool { return strings.HasPrefix(c, "upload ") }) {
		t.Errorf("a preflight that fails: %v, %s", err, rec.JSON())
	}
}

// TestInterruptedDelivery: a cancel reaches the delivery, and the next attempt goes on.
func TestInterruptedDelivery(t *testing.T) {
	r, p := deliveryRig(t, "", "fake_table")
	ctx, cancel := context.WithCancelCause(t.Context())
	p.err = fail.Newf(fail.Temporary, "x")
	p.enter = func(call string) (bool, bool) {
		if call == "fake_table look" {
			cancel(fail.Newf(fail.Temporary, "interrupted by SIGTERM"))
		}
		return true, true
	}
	rec, err := r.run(t, ctx, nil)
	if fail.KindOf(err) != fail.Temporary || rec.Status != Failed || !strings.Contains(err.Error(), "cancel") && !strings.Contains(err.Error(), "interrupted") {
		t.Errorf("%v, %s", err, rec.JSON())
	}
	p.enter = func(string) (bool, bool) { return true, true }
	if again, err := r.run(t, t.Context(), nil); err != nil || again.Status != AlreadyCommitted {
		t.Errorf("%v, %s", err, again.JSON())
	} else {
		p.check(t, r, again)
	}
}
