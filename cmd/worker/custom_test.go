package main

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sluice-data/sluice/internal/job"
)

// A user's own build: a module that requires this one, with a step of its own (docs/custom.md), built and run.
func TestABuildWithAStepOfItsOwn(t *testing.T) {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	read := func(name string) string {
		t.Helper()
		b, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	_, requires, _ := strings.Cut(read("go.mod"), "\nrequire")
	write("go.mod", "module example.com/worker-with-vat\n\ngo 1.26.0\n\nrequire github.com/sluice-data/sluice v0.0.0\n\nreplace github.com/sluice-data/sluice => "+root+"\n\nrequire"+requires)
	write("go.sum", read("go.sum"))
	write("main.go", read("testdata/custom/main.go"))
	write("in.csv", "net\n100\n\"\"\n-1\n50\n")
	write("p.yaml", "version: 1\nname: vat\nschema: {columns: {net: float64}}\nerrors: {max_rows: 1}\nsteps:\n  - vat: {amount: net, percent: 19}\n  - filter: gross > 100\nsink: {uri: out/}\n")
	write("wrong.yaml", "version: 1\nname: vat\nschema: {columns: {net: float64}}\nsteps:\n  - vat: {amount: gross, percent: 19}\nsink: {uri: out/}\n")
	run := func(name string, args ...string) (string, string, error) {
		var stdout, stderr bytes.Buffer
		cmd := exec.Command(name, args...)
		cmd.Dir, cmd.Stdout, cmd.Stderr = dir, &stdout, &stderr
		err := cmd.Run()
		return stdout.String(), stderr.String(), err
	}
	if _, said, err := run("go", "build", "-mod=mod", "-o", "worker", "."); err != nil {
		t.Fatalf("build: %v\n%s", err, said)
	}
	out, said, err := run("./worker", "run", "-p", "p.yaml", "--input", "in.csv")
	var rec job.Receipt
	if err != nil || json.Unmarshal([]byte(out), &rec) != nil {
		t.Fatalf("run: %v\n%s%s", err, out, said)
	}
	if r := rec.Rows; r.Read != 4 || r.Rejected != 1 || r.Filtered != 2 || r.Written != 1 {
		t.Errorf("of 4 rows one is bad, one has no amount and one is filtered: %+v", r)
	}
	if _, said, err := run("./worker", "validate", "-p", "wrong.yaml"); err == nil || !strings.Contains(said, `wrong.yaml:5:10: vat: amount "gross" is no float64 column`) {
		t.Errorf("a wrong argument has its place: %v\n%s", err, said)
	}
	if v, _, _ := run("./worker", "version"); v != "worker with-vat\n" {
		t.Errorf("version is %q", v)
	}
}
