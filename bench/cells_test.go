package bench

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// TestCSVCells: a text that a column of some type may hold or not gives the same value in DuckDB, or an error there too. The texts that
// docs/dialect.md lists give what it says.
func TestCSVCells(t *testing.T) {
	d := newDifferential(t)
	byType := map[string][]string{}
	for _, l := range lines(t, "testdata/cells.txt") {
		typ, text, ok := strings.Cut(l, "\t")
		if !ok {
			t.Fatalf("cells.txt: %q", l)
		}
		byType[typ] = append(byType[typ], strings.ReplaceAll(text, `\t`, "\t"))
	}
	compared := 0
	for typ, texts := range byType {
		ours := d.sluiceCSV(t, typ, texts)
		for i, text := range texts {
			if theirs := d.duckCSV(t, typ, text); ours[i] != theirs {
				t.Errorf("%q as %s: got %s, want %s", text, typ, ours[i], theirs)
			}
			compared++
		}
	}
	if compared < 120 {
		t.Errorf("compared only %d texts", compared)
	}
	listed := 0
	for _, x := range differences(t) {
		if x.as == "" {
			continue
		}
		listed++
		if got := d.sluiceCSV(t, x.as, []string{x.expr})[0]; got != x.sluice {
			t.Errorf("%s:%d: %q as %s: Sluice gives %s, not %s", dialectDoc, x.line, x.expr, x.as, got, x.sluice)
		}
		if got := d.duckCSV(t, x.as, x.expr); got != x.duck {
			t.Errorf("%s:%d: %q as %s: DuckDB gives %s, not %s", dialectDoc, x.line, x.expr, x.as, got, x.duck)
		}
	}
	if listed < 30 {
		t.Errorf("%s lists only %d texts", dialectDoc, listed)
	}
}

// sluiceCSV is what the worker reads from quoted fields of a CSV column, as cell writes it; "error" if it rejects the row.
func (d *differential) sluiceCSV(t *testing.T, typ string, texts []string) []string {
	t.Helper()
	d.runs++
	in, file := filepath.Join(d.dir, "cells.csv"), filepath.Join(d.dir, "p.yaml")
	out := filepath.Join(d.dir, fmt.Sprint("out", d.runs))
	var b strings.Builder
	b.WriteString("k,x\n")
	for i, s := range texts {
		fmt.Fprintf(&b, "%d,\"%s\"\n", i, s)
	}
	write(t, in, b.String())
	write(t, file, fmt.Sprintf("version: 1\nname: cells\n%ssource: {format: csv, csv: {null_values: ['NULL'], header: true, delimiter: ','}}\nerrors: {quarantine: %s, max_rate: 100%%}\nsink: {uri: %s}\n",
		schemaYAML([][2]string{{"k", "int32"}, {"x", typ}}), Quote(out+"-bad/"), Quote(out+"/")))
	rec := runWorker(t, "run", "-p", file, "--input", in)
	res := make([]string, len(texts))
	bad, err := ReadQuarantine(out+"-bad", rec.RunID)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range bad {
		k, _, _ := strings.Cut(r.Raw, ",")
		i, err := strconv.Atoi(k)
		if err != nil || r.Column != "x" {
			t.Fatalf("quarantined: %+v", r)
		}
		res[i] = "error"
	}
	good := query(t, d.db, "SELECT k, x FROM "+parts(out))
	for _, r := range good.Rows {
		res[r[0].(int32)] = cell(r[1], good.Classes[1])
	}
	if len(good.Rows)+len(bad) != len(texts) {
		t.Fatalf("%d rows and %d bad ones of %d", len(good.Rows), len(bad), len(texts))
	}
	return res
}

func (d *differential) duckCSV(t *testing.T, typ, text string) string {
	t.Helper()
	in := filepath.Join(d.dir, "cell.csv")
	write(t, in, fmt.Sprintf("k,x\n1,\"%s\"\n", text))
	res, err := Query(t.Context(), d.db, "SELECT x FROM "+ReadCSV(in, [][2]string{{"k", "int32"}, {"x", typ}}, "NULL"))
	if err != nil {
		return "error"
	}
	return cell(res.Rows[0][0], res.Classes[0])
}
