package suite

import (
	"os"
	"strings"
	"testing"

	"github.com/sluice-data/sluice/bench"
)

// RESULTS.md and the tables of performance.md are what the records give: nobody wrote into them.
func TestDocumentsAreWrittenFromRecords(t *testing.T) {
	r, err := Load("../record")
	if err != nil {
		t.Fatal(err)
	}
	want, err := r.Results()
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile("../RESULTS.md")
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Error("bench/RESULTS.md is not what bench/record gives: make bench-render")
	}
	doc, err := os.ReadFile("../../docs/performance.md")
	if err != nil {
		t.Fatal(err)
	}
	filled, err := r.Fill(string(doc))
	if err != nil {
		t.Fatal(err)
	}
	if string(doc) != filled {
		t.Error("docs/performance.md is not what bench/record gives: make bench-render")
	}
	if strings.Count(want, "<!-- bench ") != 6 || strings.Count(filled, "<!-- bench ") < 4 {
		t.Error("blocks are missing")
	}
}

func TestFill(t *testing.T) {
	r := &Records{}
	const doc = "a\n<!-- bench laptop -->\nold\n<!-- end -->\nb\n"
	once, err := r.Fill(doc)
	if err != nil || strings.Contains(once, "old") || !strings.HasPrefix(once, "a\n") || !strings.HasSuffix(once, "<!-- end -->\nb\n") {
		t.Errorf("%q, %v", once, err)
	}
	if twice, err := r.Fill(once); err != nil || twice != once {
		t.Errorf("%q, %v", twice, err)
	}
	for _, bad := range []string{"<!-- bench laptop -->\n", "<!-- bench nonesuch -->\n<!-- end -->", "<!-- bench laptop"} {
		if _, err := r.Fill(bad); err == nil {
			t.Errorf("%q: no error", bad)
		}
	}
}

func side(out int64, walls ...float64) Side {
	return Side{Wall: walls, CPU: walls, Peak: []int64{100 << 20}, Out: out}
}

// A record that is saved and loaded gives the same documents; medians, ratios and losses are right.
func TestRecord(t *testing.T) {
	dir := t.TempDir()
	rec := Record{Head: Head{Command: "the command", Date: "2026-11-22", Machine: bench.Machine{CPU: "the processor", CPUs: 2}}, Threads: 2, Results: []Result{
		{Workload: "won", Title: "faster", Rows: 1e6, Text: 2e8, Worker: side(50, 3, 1, 2), DuckDB: side(100, 5, 9, 1), Values: "equal; with a remark",
			Stages: &Stages{BoundBy: "cpu", Times: map[string]StageTime{"decode": {Busy: 1.25}}}},
		{Workload: "lost", Title: "slower", Beside: "won", Rows: 1e6, Text: 2e8, Worker: side(100, 3), DuckDB: side(100, 1.5), Values: "equal"},
		{Workload: "alone", Title: "the peer gave up", Rows: 1e6, Text: 2e8, Worker: side(100, 3), DuckDB: Side{Failed: "out of memory"}, Values: "equal"},
		{Workload: "broken", Title: "none", Failed: "the reason"},
	}}
	if err := Save(dir, "large", rec); err != nil {
		t.Fatal(err)
	}
	r, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	text, err := r.Fill("<!-- bench large -->\n<!-- end -->\n<!-- bench large-losses -->\n<!-- end -->")
	if err != nil {
		t.Fatal(err)
	}
	flat := strings.Join(strings.Fields(text), " ")
	for _, want := range []string{"the command", "the processor, 2 CPUs", "| won | faster | 2.50 | 2.00 | 5.00 |", "| 100 | 100 | 100 | 0.50 | – | – | 0.50 | equal |", "- won: equal; with a remark", "- lost: the worker takes 1.50 times as long as for won",
		"| lost | slower | 0.50 | 3.00 | 1.50 |", "| alone | the peer gave up | – | 3.00 | out of memory |", "- broken failed: the reason", "| won | 1000000 | 3.00 1.00 2.00 | 5.00 9.00 1.00 |",
		"| won | – | – | – | 1.25 | – | – | – | – | – | cpu |", "- lost (slower): wall time 2.00 times DuckDB's, CPU time 2.00 times DuckDB's"} {
		if !strings.Contains(flat, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if strings.Contains(text, "- won (faster)") {
		t.Errorf("a loss that is none:\n%s", text)
	}
	if err := rec.Failed(); err == nil || !strings.Contains(err.Error(), "broken: the reason") {
		t.Errorf("%v", err)
	}
}

// A run of some workloads takes their place in the record and leaves the others.
func TestMerge(t *testing.T) {
	old := Record{Head: Head{Command: "table", Date: "2026-11-22", Machine: bench.Machine{CPU: "an older processor"}}, Results: []Result{{Workload: "a", Rows: 1}, {Workload: "b", Rows: 1}}}
	got := Record{Head: Head{Command: "table -only b,c"}, Results: []Result{{Workload: "b", Rows: 2}, {Workload: "c", Rows: 2}}}.Merge(&old)
	if got.Command != "table\ntable -only b,c" || len(got.Results) != 3 || got.Results[0].Rows != 1 || got.Results[1].Rows != 2 || got.Results[2].Workload != "c" || old.Results[1].Rows != 1 {
		t.Errorf("%+v, %+v", got, old)
	}
	var b strings.Builder
	got.Table(&b)
	if !strings.Contains(b.String(), "- a: measured 2026-11-22, an older processor") {
		t.Errorf("what is of another machine is not said to be:\n%s", b.String())
	}
}

func TestReadPeers(t *testing.T) {
	p, err := ReadPeers(strings.NewReader("peer,workload,run,wall_s,user_s,sys_s,peak_kb,exit\nduck,W1,1,6,7,1,2048,0\nworker,W1,1,3,4,1,1024,0\nduck,W1,2,4,5,1,2048,0\nduck,W1,3,5,6,1,2048,0\nother,W1,1,\nother,W2,1,9,9,9,1024,1\n"), Head{})
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	p.Markdown(&b)
	flat := strings.Join(strings.Fields(b.String()), " ")
	for _, want := range []string{"| W1 | duck | 3 | 5.00 | 7.00 | 2 |", "| W1 | worker | 1 | 3.00 | 5.00 | 1 | 1.67 (duck) |", "| W1 | other | 1 | failed |", "| W2 | other | 1 | failed |"} {
		if !strings.Contains(flat, want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
	for _, bad := range []string{"", "duck,W1", "duck,W1,1,x,7,1,2048,0"} {
		if _, err := ReadPeers(strings.NewReader(bad), Head{}); err == nil {
			t.Errorf("%q: no error", bad)
		}
	}
}

func TestProfileTotal(t *testing.T) {
	for text, want := range map[string]int64{
		"File: worker\nType: alloc_space\nShowing nodes accounting for 10B, 50% of 20B total\n": 20,
		"Showing nodes accounting for 7, 7% of 100 total":                                       100,
	} {
		if got, err := profileTotal(text); err != nil || got != want {
			t.Errorf("%q: %d, %v", text, got, err)
		}
	}
	for _, bad := range []string{"", "of much total"} {
		if _, err := profileTotal(bad); err == nil {
			t.Errorf("%q: no error", bad)
		}
	}
}

func TestReadStages(t *testing.T) {
	s := readStages([]byte(`{"bound_by":"decompress","read":{"busy_s":0.1234567,"wait_s":1}}`))
	if s == nil || s.BoundBy != "decompress" || s.Times["read"] != (StageTime{0.123, 1}) {
		t.Errorf("%+v", s)
	}
	if readStages(nil) != nil {
		t.Error("stages of none")
	}
}

// The table of S3 has walls, the worker's processor time and the server's beside each other.
func TestRemoteTable(t *testing.T) {
	r := Records{S3: &Remote{Head: Head{Command: "the command", Date: "2026-11-23"}, Rows: 1000, Server: "MinIO", Tiny: 54.5, Times: []RemoteTime{
		{Workload: "W1", Title: "all of it", Local: side(1, 2, 4, 3), S3: side(1, 3, 6, 4.5), Server: []float64{1, 1.25, 2}, Plain: []float64{0.5}, PlainCPU: []float64{0.75}, Values: "equal"}}}}
	text, err := r.Fill("<!-- bench s3 -->\n<!-- end -->")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"the command", "1000 rows", "|    3.00 | 4.50 |       1.50 |", "|           1.25 |        0.50 |             0.75 | ", "equal |", "54.5 ms"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}
