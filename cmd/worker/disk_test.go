package main

import (
	"bytes"
	"fmt"
	"hash/fnv"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// diskFault is a disk that takes no more, or nothing at all, where the worker wants to write.
type diskFault struct {
	name  string
	mount string   // options of the file system on DISK
	args  []string // of worker run; DISK, HERE and IN stand for folders and the input
	exit  int
	words []string // of the error's message
}

var diskFaults = []diskFault{
	{"output full", "size=1m", []string{"-p", "HERE/rows.yaml", "--output", "DISK/out/"}, 75, []string{"DISK/out/part-", "the disk is full"}},
	{"output full with many folders", "size=1m", []string{"-p", "HERE/folders.yaml", "--output", "DISK/out/"}, 75, []string{"DISK/out/k=", "the disk is full"}},
	{"output has no room for a file's name", "size=64k,nr_inodes=2", []string{"-p", "HERE/rows.yaml", "--output", "DISK/out/"}, 75, []string{"DISK/out/", "the disk is full"}},
	{"output read-only", "ro", []string{"-p", "HERE/rows.yaml", "--output", "DISK/out/"}, 77, []string{"DISK/out/", "read-only file system"}},
	{"bad rows full", "size=64k", []string{"-p", "HERE/bad.yaml", "--output", "HERE/out/"}, 75, []string{"DISK/bad/", "the disk is full"}},
	{"groups spill to a full disk", "size=1m", []string{"-p", "HERE/groups.yaml", "--output", "HERE/out/", "--memory-limit", "64MiB", "--tmp-dir", "DISK"}, 2,
		[]string{"no space left on device", "--tmp-dir"}},
	{"a sort spills to a full disk", "size=1m", []string{"-p", "HERE/sorted.yaml", "--output", "HERE/out/", "--memory-limit", "64MiB", "--tmp-dir", "DISK"}, 2,
		[]string{"no space left on device", "--tmp-dir"}},
	{"nowhere to spill", "ro", []string{"-p", "HERE/rows.yaml", "--output", "HERE/out/", "--tmp-dir", "DISK"}, 2, []string{"--tmp-dir is not writable", "read-only file system"}},
}

// TestDiskFaults runs the worker over small and read-only file systems, in a mount namespace of its own: the error names the
// file, and neither a file nor a manifest stays (where it announced to write may: the next attempt clears that). Where the machine allows no mount it cannot; with SLUICE_E2E that is an error.
func TestDiskFaults(t *testing.T) {
	if out, err := exec.CommandContext(t.Context(), "unshare", "-rm", "mount", "-t", "tmpfs", "tmpfs", "/mnt").CombinedOutput(); err != nil {
		if os.Getenv("SLUICE_E2E") != "" {
			t.Fatalf("no file system can be mounted: %v: %s", err, out)
		}
		t.Skipf("no file system can be mounted: %v: %s", err, out)
	}
	const head = "version: 1\nname: disk\nsource: {format: csv}\nschema: {columns: {id: int64, key: string}}\n"
	here := t.TempDir()
	disk := filepath.Join(here, "disk")
	write := func(name string, text []byte) {
		if err := os.WriteFile(filepath.Join(here, name), text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(disk, 0o755); err != nil {
		t.Fatal(err)
	}
	write("in.csv", unlike(300_000))
	write("rows.yaml", []byte(head))
	write("folders.yaml", []byte(head+"steps: [{derive: {k: id % 40}}]\nsink: {partition_by: [k]}\n"))
	write("bad.yaml", []byte(strings.Replace(head, "key: string", "key: int64", 1)+"errors: {quarantine: "+disk+"/bad/}\n"))
	write("groups.yaml", []byte(head+"steps: [{aggregate: {by: [key], measures: {n: count(*), ids: array_agg(id)}}}]\n"))
	write("sorted.yaml", []byte(head+"steps: [{sort: [key]}]\n"))
	for _, f := range diskFaults {
		t.Run(f.name, func(t *testing.T) {
			place := strings.NewReplacer("DISK", disk, "HERE", here)
			args := []string{"-rm", "sh", "-c", fmt.Sprintf(`mount -t tmpfs -o %s tmpfs %s && { worker run "$@"; code=$?; find %s/out %s -type f ! -name 'attempt-*.json' >%s/left 2>/dev/null; exit $code; }`, f.mount, disk, here, disk, here), "sh"}
			for _, a := range append(f.args, "--input", "HERE/in.csv", "--lanes", "2") {
				args = append(args, place.Replace(a))
			}
			cmd := exec.CommandContext(t.Context(), "unshare", args...)
			var out, log bytes.Buffer
			cmd.Stdout, cmd.Stderr = &out, &log
			if err := cmd.Run(); cmd.ProcessState == nil {
				t.Fatal(err)
			}
			rec := parseReceipt(t, out.Bytes(), log.String())
			if code := cmd.ProcessState.ExitCode(); code != f.exit {
				t.Fatalf("exit %d, want %d: %+v", code, f.exit, rec.Error)
			}
			for _, w := range f.words {
				if !strings.Contains(rec.Error.Message, place.Replace(w)) {
					t.Errorf("the error does not say %q: %s", place.Replace(w), rec.Error.Message)
				}
			}
			left, err := os.ReadFile(filepath.Join(here, "left"))
			if err != nil || len(left) > 0 {
				t.Errorf("the run left %s %v", left, err)
			}
		})
	}
}

// unlike is a CSV of n rows whose keys have nothing in common that would make them small.
func unlike(n int) []byte {
	b := []byte("id,key\n")
	for i := range n {
		h := fnv.New128a()
		fmt.Fprint(h, i)
		b = fmt.Appendf(b, "%d,%x\n", i, h.Sum(nil))
	}
	return b
}
