package main

import (
	"fmt"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/sluice-data/sluice/internal/job"
	"github.com/sluice-data/sluice/internal/pgtest"
	"github.com/sluice-data/sluice/internal/redshifttest"
)

// loadRig is a double of Redshift beside the S3 server, for the worker as a process.
type loadRig struct {
	*s3rig
	*redshifttest.Server
}

const loadPipeline = `version: 1
name: rides
source: {format: csv}
schema: {columns: {id: int64, zone: string, fare: float64}}
steps: [{filter: fare > 0}]
sink:
  uri: "s3://BUCKET/out/"
  redshift: {TO, table: stg.rides, MODE}
`

func newLoadRig(t *testing.T) *loadRig {
	t.Helper()
	pg := pgtest.Start(t).Database(t)
	r := &loadRig{s3rig: newS3Rig(t)}
	r.Server = redshifttest.Start(t, pg, r.srv)
	r.Exec(t, "CREATE SCHEMA stg")
	r.Exec(t, "CREATE TABLE stg.rides (zone varchar(8), id bigint NOT NULL, fare double precision, src varchar(10) DEFAULT 'sluice') DISTKEY(id) SORTKEY(id)")
	return r
}

// ways are the two to Redshift.
var loadWays = map[string]string{"data api": "workgroup: analytics, database: dev", "direct": `dsn: "DSN"`}

func (r *loadRig) load(t *testing.T, to, mode string) {
	t.Helper()
	r.pipeline(t, strings.NewReplacer("TO", strings.Replace(to, "DSN", r.DSN, 1), "MODE", mode).Replace(loadPipeline))
}

func (r *loadRig) worker(t *testing.T, event string, args ...string) *exec.Cmd {
	cmd := r.s3rig.worker(t.Context(), event, args...)
	cmd.Env = append(cmd.Env, r.Env()...)
	return cmd
}

// checkLoaded checks that the table has the rows of n rides each once.
func (r *loadRig) checkLoaded(t *testing.T, n int) {
	t.Helper()
	want := fmt.Sprintf("[%d|%d]", n-(n+9)/10, n-(n+9)/10)
	if got := fmt.Sprint(r.Query(t, "SELECT count(*), count(DISTINCT id) FROM stg.rides")); got != want {
		t.Fatalf("rows|ids %s, want %s", got, want)
	}
}

func delivery(t *testing.T, rec job.Receipt, status string) {
	t.Helper()
	if len(rec.Deliveries) != 1 || rec.Deliveries[0].Name != "redshift" || rec.Deliveries[0].Status != status {
		t.Fatalf("deliveries %+v, want redshift %s", rec.Deliveries, status)
	}
}

func TestRedshiftEventIsLoadedOnce(t *testing.T) {
	for way, to := range loadWays {
		t.Run(way, func(t *testing.T) {
			r := newLoadRig(t)
			r.load(t, to, "mode: append")
			r.srv.Put(t, r.bucket, "in.csv", rides(1000))
			event := r.event("in.csv", "", "")
			code, rec := finish(t, r.worker(t, event))
			if code != 0 || rec.Status != job.Committed {
				t.Fatalf("exit %d, %+v", code, rec.Error)
			}
			delivery(t, rec, job.Delivered)
			r.checkLoaded(t, 1000)
			code, rec = finish(t, r.worker(t, event))
			if code != 0 || rec.Status != job.AlreadyCommitted {
				t.Fatalf("exit %d, %+v", code, rec.Error)
			}
			delivery(t, rec, job.AlreadyDelivered)
			// the note of it may get lost: the ledger in the database knows
			ref := rec.Manifest[:strings.LastIndexByte(rec.Manifest, '/')] + "/delivered-redshift.json"
			r.remove(t, ref)
			code, rec = finish(t, r.worker(t, event))
			if code != 0 || !strings.Contains(rec.Deliveries[0].Detail, "has the 900 rows already") {
				t.Fatalf("exit %d, %+v, %+v", code, rec.Error, rec.Deliveries)
			}
			r.checkLoaded(t, 1000)
		})
	}
}

func (r *loadRig) remove(t *testing.T, uri string) {
	t.Helper()
	rest, _ := strings.CutPrefix(uri, "s3://")
	bucket, key, _ := strings.Cut(rest, "/")
	if r.srv.Get(t, bucket, key) == nil {
		t.Fatalf("there is no %s", uri)
	}
	r.srv.Delete(t, bucket, key)
}

// A text that is too long for its column is found while the rows stream: its line is named, or it goes to the quarantine, and nothing is staged that cannot be loaded.
func TestRedshiftLengths(t *testing.T) {
	r := newLoadRig(t)
	r.load(t, loadWays["data api"], "mode: append")
	body := strings.Replace(string(rides(1000)), "zone-237", "Zürich-237", 1)
	r.srv.Put(t, r.bucket, "in.csv", []byte(body))
	event := r.event("in.csv", "", "")
	code, rec := finish(t, r.worker(t, event))
	if code != 65 || rec.Error.Line != 239 || rec.Error.Column != "zone" || !strings.Contains(rec.Error.Message, "column zone of stg.rides is varchar(8)") || !strings.Contains(rec.Error.Message, "11 bytes") {
		t.Fatalf("exit %d, %+v", code, rec.Error)
	}
	for _, k := range r.srv.Keys(t, r.bucket) {
		if strings.HasPrefix(k, "out/") {
			t.Fatalf("%s is left", k)
		}
	}
	r.pipeline(t, strings.Replace(strings.NewReplacer("TO", loadWays["data api"], "MODE", "mode: append").Replace(loadPipeline), "steps:", "errors: {quarantine: \"s3://BUCKET/bad/\"}\nsteps:", 1))
	code, rec = finish(t, r.worker(t, event))
	if code != 0 || rec.Rows.Rejected != 1 {
		t.Fatalf("exit %d, %+v, %+v", code, rec.Error, rec.Rows)
	}
	if got := fmt.Sprint(r.Query(t, "SELECT count(*), count(DISTINCT id) FROM stg.rides")); got != "[899|899]" {
		t.Fatal(got)
	}
}

// A table that does not take the rows is found before any input is read, and shown.
func TestRedshiftMisfit(t *testing.T) {
	r := newLoadRig(t)
	r.Exec(t, "DROP TABLE stg.rides")
	r.Exec(t, "CREATE TABLE stg.rides (id integer, zone varchar(8), fare double precision)")
	r.load(t, loadWays["data api"], "mode: append")
	r.srv.Put(t, r.bucket, "in.csv", rides(10))
	cmd := r.worker(t, r.event("in.csv", "", ""), "--log-format", "text")
	out, err := cmd.CombinedOutput()
	if err == nil || cmd.ProcessState.ExitCode() != 65 || !strings.Contains(string(out), "id      int64      integer    cast: {id: int32}; or make the column bigint") {
		t.Fatalf("%v\n%s", err, out)
	}
}

// The worker is killed, or told to stop, in the middle of the load: the next attempt reads no input and loads what is committed, once.
func TestRedshiftKilledAndStopped(t *testing.T) {
	for way, to := range loadWays {
		for _, mode := range []string{"mode: append", "mode: merge, keys: [id]", "mode: replace"} {
			for _, sig := range []syscall.Signal{syscall.SIGKILL, syscall.SIGTERM} {
				t.Run(fmt.Sprint(way, "/", mode, "/", sig), func(t *testing.T) {
					r := newLoadRig(t)
					r.load(t, to, mode)
					r.srv.Put(t, r.bucket, "in.csv", rides(1000))
					event := r.event("in.csv", "", "")
					inCopy, release := make(chan struct{}), make(chan struct{})
					var once sync.Once
					r.SetFault(func(event string) redshifttest.Fault {
						if strings.HasPrefix(event, "sql: COPY") {
							once.Do(func() { close(inCopy); <-release })
						}
						return redshifttest.None
					})
					cmd := r.worker(t, event)
					if err := cmd.Start(); err != nil {
						t.Fatal(err)
					}
					<-inCopy
					if err := cmd.Process.Signal(sig); err != nil {
						t.Fatal(err)
					}
					err := cmd.Wait()
					close(release)
					if code := cmd.ProcessState.ExitCode(); sig == syscall.SIGTERM && code != 75 {
						t.Fatalf("exit %d, %v", code, err)
					}
					code, rec := finish(t, r.worker(t, event))
					if code != 0 || rec.Status != job.AlreadyCommitted {
						t.Fatalf("exit %d, %+v", code, rec.Error)
					}
					delivery(t, rec, job.Delivered)
					r.Idle(t)
					r.checkLoaded(t, 1000)
				})
			}
		}
	}
}

// One event delivered three times at once, beside another for the same table: each is loaded once.
func TestRedshiftRace(t *testing.T) {
	for way, to := range loadWays {
		t.Run(way, func(t *testing.T) {
			r := newLoadRig(t)
			r.load(t, to, "mode: append")
			body := string(rides(1000))
			r.srv.Put(t, r.bucket, "a.csv", []byte(body))
			r.srv.Put(t, r.bucket, "b.csv", []byte("id,zone,fare\n5000,z,1\n"))
			var all sync.WaitGroup
			for _, key := range []string{"a.csv", "a.csv", "b.csv", "a.csv"} {
				cmd := r.worker(t, r.event(key, "", ""))
				all.Go(func() {
					if code, rec := finish(t, cmd); code != 0 {
						t.Errorf("%s: exit %d, %+v", key, code, rec.Error)
					}
				})
			}
			all.Wait()
			if got := fmt.Sprint(r.Query(t, "SELECT count(*), count(DISTINCT id) FROM stg.rides")); got != "[901|901]" {
				t.Fatal(got)
			}
		})
	}
}
