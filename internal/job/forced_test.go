package job

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/internal/objstore"
)

// puts says whether a call writes the object of that name.
func puts(call, name string) bool {
	return (strings.HasPrefix(call, "put ") || strings.HasPrefix(call, "replace ")) && strings.HasSuffix(call, "/"+name)
}

// A forced run comes and goes while another is about to put its manifest: the one that stands is that of the files, and who put the
// other says that it has not committed.
func TestOverlappingForcedRuns(t *testing.T) {
	o := newOverlap(t)
	if _, err := o.run(t.Context(), 2, nil); err != nil {
		t.Fatal(err)
	}
	once := false
	first, err := o.force(t.Context(), 1, func(call string) error {
		if puts(call, "manifest.json") && !once {
			once = true
			if second, err := o.force(t.Context(), 2, nil); err != nil || second.Status != Committed {
				t.Errorf("the second forced run: %s, %v", second.Status, err)
			}
		}
		return nil
	})
	if fail.KindOf(err) != fail.Temporary {
		t.Errorf("the first forced run: %s, %v", first.Status, err)
	}
	o.check(t)
	for range 2 {
		if rec, err := o.force(t.Context(), 1, nil); err != nil || rec.Status != Committed {
			t.Fatalf("forced again: %s, %v", rec.Status, err)
		}
		o.check(t)
	}
}

// Of two forced runs that overlap the one that commits later in the log also has its manifest stand when the other one is killed as soon as it has tried to write its own, and
// when it is itself killed before it could.
func TestForcedRunsAreKilled(t *testing.T) {
	t.Run("the earlier, after its manifest", func(t *testing.T) {
		o := newOverlap(t)
		if _, err := o.run(t.Context(), 2, nil); err != nil {
			t.Fatal(err)
		}
		var second *Receipt
		tried := false
		_, err := o.force(t.Context(), 1, func(call string) error {
			if tried {
				return errKilled
			}
			if puts(call, "manifest.json") {
				var err error
				tried = true
				if second, err = o.force(t.Context(), 2, nil); err != nil || second.Status != Committed {
					t.Errorf("the second forced run: %s, %v", second.Status, err)
				}
			}
			return nil
		})
		if err == nil {
			t.Error("the first forced run was not killed")
		}
		o.check(t)
		if rec, err := o.run(t.Context(), 2, nil); err != nil || !slices.EqualFunc(rec.Files, second.Files, func(a, b FileRef) bool { return a.ETag == b.ETag }) {
			t.Errorf("%s, %v", rec.JSON(), err)
		}
	})
	t.Run("the later, before its manifest", func(t *testing.T) {
		o := newOverlap(t)
		if _, err := o.run(t.Context(), 2, nil); err != nil {
			t.Fatal(err)
		}
		dead := false
		if _, err := o.force(t.Context(), 1, func(call string) error {
			if dead = dead || puts(call, "manifest.json"); dead {
				return errKilled
			}
			return nil
		}); err == nil {
			t.Error("the forced run was not killed")
		}
		o.check(t)
		o.check(t)
	})
}

// A forced run that another takes over has committed nothing, and does not pass the commit that it was to replace off as its own.
func TestForcedRunIsTakenOver(t *testing.T) {
	o := newOverlap(t)
	if _, err := o.run(t.Context(), 2, nil); err != nil {
		t.Fatal(err)
	}
	dead := false
	rec, err := o.force(t.Context(), 2, func(call string) error {
		if puts(call, "claim-00002.json") && !dead {
			_, err := o.force(t.Context(), 2, func(call string) error {
				if dead = dead || strings.HasPrefix(call, "complete"); dead {
					return errKilled
				}
				return nil
			})
			if err == nil {
				t.Error("the other forced run was not killed")
			}
		}
		return nil
	})
	if fail.KindOf(err) != fail.Temporary || rec.Status != Failed {
		t.Errorf("the forced run that was taken over: %s, %v", rec.Status, err)
	}
}

// A forced run replaces a commit that is in the log and not yet published: its owner finds that.
func TestForcedOverASealedRun(t *testing.T) {
	o := newOverlap(t)
	once := false
	rec, err := o.run(t.Context(), 2, func(call string) error {
		if puts(call, "manifest.json") && !once {
			once = true
			if forced, err := o.force(t.Context(), 1, nil); err != nil || forced.Status != Committed {
				t.Errorf("the forced run: %s, %v", forced.Status, err)
			}
		}
		return nil
	})
	if err != nil || rec.Status != AlreadyCommitted {
		t.Errorf("the sealed run: %s, %v", rec.Status, err)
	}
	o.check(t)
	if rec, err := o.force(t.Context(), 2, nil); err != nil || rec.Status != Committed {
		t.Fatalf("forced again: %s, %v", rec.Status, err)
	}
	o.check(t)
}

// A run that was killed between log and manifest is committed: the next attempt finds it before it reads the input, publishes it, and
// leaves no note.
func TestSealedRunIsFoundFirst(t *testing.T) {
	r := newRig(t, "")
	r.partition(t, "zone")
	defer r.mem.AssertSize(t, 0)
	gone := false
	_, err := r.run(t, t.Context(), func(under objstore.Store) objstore.Store {
		return &faultStore{Store: under, kind: dead, fail: func(call string) bool {
			gone = gone || puts(call, "report.html")
			return gone
		}}
	})
	if err == nil || !r.sealed(t) {
		t.Fatalf("the first attempt: %v", err)
	}
	s := &faultStore{at: -1}
	rec, err := r.run(t, t.Context(), func(under objstore.Store) objstore.Store { s.Store = under; return s })
	if err != nil || rec.Status != AlreadyCommitted {
		t.Fatalf("%s, %v", rec.JSON(), err)
	}
	for _, call := range s.calls {
		if strings.HasPrefix(call, "upload ") || strings.HasPrefix(call, "open in/") {
			t.Errorf("the run was carried out again: %s", call)
		}
	}
	r.checkCommitted(t, rec)
	r.checkNoNotes(t)
}

func (r *rig) checkNoNotes(t *testing.T) {
	t.Helper()
	for _, f := range r.files(t) {
		if strings.Contains(f, "/claim-") || strings.Contains(f, "/attempt-") {
			t.Errorf("%s is left", f)
		}
	}
}

// --force writes a run anew whose manifest says nothing any more, as the error of a run without it advises.
func TestForceOverAnUnreadableManifest(t *testing.T) {
	for _, by := range []string{"", "zone"} {
		r := newRig(t, "")
		if by != "" {
			r.partition(t, by)
		}
		rec, err := r.run(t, t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		r.write(t, strings.TrimPrefix(rec.Manifest, "s3://"), "{")
		if _, err := r.run(t, t.Context(), nil); fail.KindOf(err) != fail.Data || !strings.Contains(err.Error(), "--force") {
			t.Errorf("partitioned by %q, not forced: %v", by, err)
		}
		r.force = true
		rec, err = r.run(t, t.Context(), nil)
		if err != nil || rec.Status != Committed {
			t.Fatalf("partitioned by %q: %s, %v", by, rec.JSON(), err)
		}
		if warned := strings.Contains(r.log.String(), "level=WARN"); warned != (by != "") {
			t.Errorf("partitioned by %q, the log: %s", by, &r.log)
		}
		r.checkCommitted(t, rec)
		r.mem.AssertSize(t, 0)
	}
}

// Another attempt, which was shut out, had bad rows and this one has none: what it left of them goes.
func TestQuarantineOfAnotherAttempt(t *testing.T) {
	r := newRig(t, "")
	defer r.mem.AssertSize(t, 0)
	r.rejected, r.want = 0, []int64{1, 2}
	for _, name := range []string{"in/a.csv", "in/b.csv"} {
		r.write(t, name, "id,zone,fare\n"+map[bool]string{true: "1,a,1\n2,b,2\n"}[name == "in/a.csv"])
	}
	rec, err := r.run(t, t.Context(), nil)
	if err != nil || len(rec.Quarantine) != 0 {
		t.Fatalf("%s, %v", rec.JSON(), err)
	}
	r.clear(t)
	runs := filepath.Dir(strings.TrimPrefix(rec.Manifest, "s3://"))
	r.write(t, runs+"/claim-00001.json", `{"attempt": "another"}`)
	bad := "bad/" + rec.RunID + "/"
	r.write(t, bad+"part-00000.jsonl.gz", "complete")
	r.write(t, bad+"part-00001.jsonl.gz", "complete")
	up, err := objstore.NewDir(r.dir).Upload(t.Context(), objstore.Ref{Bucket: "bad", Key: rec.RunID + "/part-00000.jsonl.gz"}, "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := up.Write([]byte("open")); err != nil {
		t.Fatal(err)
	}
	defer up.Abort(t.Context())
	rec, err = r.run(t, t.Context(), nil)
	if err != nil || rec.Status != Committed {
		t.Fatalf("%s, %v", rec.JSON(), err)
	}
	if _, err := os.Stat(filepath.Join(r.dir, "bad")); err == nil {
		for _, f := range r.files(t) {
			if strings.HasPrefix(f, "s3://bad/") {
				t.Errorf("%s is left", f)
			}
		}
	}
}

// A sink.uri so long that no folder fits under it is an error, and not one of each row.
func TestNoRoomForFolders(t *testing.T) {
	r := newRig(t, "")
	r.partition(t, "zone")
	text, err := os.ReadFile(r.pipeline)
	if err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat(strings.Repeat("x", 200)+"/", 25)
	r.write(t, "p.yaml", strings.Replace(string(text), "s3://out/data/", "s3://out/data/"+long, 1))
	if _, err := r.run(t, t.Context(), nil); fail.KindOf(err) != fail.Usage || !strings.Contains(err.Error(), "sink.uri") {
		t.Errorf("%v", err)
	}
}

// A commit has cleared its part of the log while a forced run was about to take the number after it: no number below a commit stays
// free, for who claimed before it would commit there.
func TestLogHasNoHoles(t *testing.T) {
	r := newRig(t, "")
	defer r.mem.AssertSize(t, 0)
	rec, err := r.run(t, t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	runs := filepath.Dir(strings.TrimPrefix(rec.Manifest, "s3://"))
	r.write(t, runs+"/claim-00003.json", `{"attempt": "another"}`)
	r.force = true
	rec, err = r.run(t, t.Context(), nil)
	if err != nil || rec.Status != Committed {
		t.Fatalf("%s, %v", rec.JSON(), err)
	}
	a, err := readAccount(t.Context(), objstore.NewDir(r.dir), objstore.Ref{Bucket: "out", Key: "data/"}, rec.RunID)
	if err != nil || a.last != 5 || a.free() != 6 {
		t.Errorf("the last entry is %d, the first free number %d, %v", a.last, a.free(), err)
	}
	r.checkCommitted(t, rec)
}
