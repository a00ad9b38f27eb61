package badcorpus

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sluice-data/sluice/internal/compress"
	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/internal/spec"
)

var rewrite = flag.Bool("rewrite", false, "write testdata/bad anew")

const dir = "../../testdata/bad"

// TestCommitted: testdata/bad holds exactly what this package makes.
func TestCommitted(t *testing.T) {
	files := Files()
	if *rewrite {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range files {
		path := filepath.Join(dir, name)
		if *rewrite {
			if err := os.WriteFile(path, want, 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		got, err := os.ReadFile(path)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s is not what is made (%v): run with -rewrite", name, err)
		}
		if len(got) > 200<<10 {
			t.Errorf("%s is too large to keep: %d bytes", name, len(got))
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if _, ok := files[e.Name()]; !ok {
			t.Errorf("%s is of no case: remove it", e.Name())
		}
	}
}

// TestTable: cases have names of their own, pipelines that there are, and words to look for.
func TestTable(t *testing.T) {
	seen := map[string]bool{}
	files := Files()
	for _, c := range Cases() {
		if seen[c.Name] {
			t.Errorf("%s is there twice", c.Name)
		}
		seen[c.Name] = true
		for _, name := range []string{c.Pipeline, c.Input()} {
			if _, ok := files[name]; !ok && !c.Large {
				t.Errorf("%s: no file %s", c.Name, name)
			}
		}
		if len(c.Words) == 0 || c.Words[0] == "" || c.Wrong == "" || strings.ContainsAny(strings.Join(c.Words, ""), ";|\"\n") {
			t.Errorf("%s: words %q, wrong %q", c.Name, c.Words, c.Wrong)
		}
	}
	if len(seen) < 70 {
		t.Errorf("%d cases", len(seen))
	}
}

// TestPipelines: the sound pipeline files load. The bad ones that a reader without steps can judge are usage errors with the promised words.
func TestPipelines(t *testing.T) {
	for name, text := range pipelines() {
		if _, err := spec.Load(name, []byte(text), nil); err != nil {
			t.Error(err)
		}
	}
	for _, c := range pipelineCases() {
		p, err := spec.Load(c.Name, c.Bytes(), nil)
		if err == nil {
			if len(p.Steps) == 0 {
				t.Errorf("%s loads", c.Name)
			}
			continue
		}
		check(t, c, err)
	}
}

// TestCompressed: decompression alone finds what is wrong with the compressed and the foreign inputs, with the promised words.
func TestCompressed(t *testing.T) {
	for _, c := range append(compressedCases(), foreignCases()...) {
		name := "auto"
		switch {
		case c.Pipeline == "gzip.yaml":
			name = "gzip"
		case c.Pipeline == "parquet.yaml", c.Name == "zlib.csv", c.Name == "gzip-in-gzip.csv.gz", c.Name == "parquet.csv":
			continue // for the formats to find
		}
		r, _, err := compress.Open(name, c.Name, bytes.NewReader(c.Bytes()))
		if err == nil {
			_, err = io.Copy(io.Discard, r)
			err = errors.Join(err, r.Close())
		}
		if err == nil {
			t.Errorf("%s: no error", c.Name)
			continue
		}
		check(t, c, err)
	}
}

func check(t *testing.T, c Case, err error) {
	t.Helper()
	if got := fail.KindOf(err).ExitCode(); got != c.Exit {
		t.Errorf("%s: exit %d, want %d: %v", c.Name, got, c.Exit, err)
	}
	for _, w := range c.Words {
		if !strings.Contains(strings.ToLower(err.Error()), strings.ToLower(w)) {
			t.Errorf("%s: %q is not in: %v", c.Name, w, err)
		}
	}
}

// TestLarge: large inputs are made the same every time, without being held in memory.
func TestLarge(t *testing.T) {
	for _, c := range largeCases() {
		if c.Name != "keys-100000.jsonl" && c.Name != "deep-3mb.jsonl" && c.Name != "members-100000.csv.gz" {
			continue // alike, and slow
		}
		a, b := sha256.New(), sha256.New()
		if err := errors.Join(c.Write(a), c.Write(b)); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(a.Sum(nil), b.Sum(nil)) {
			t.Errorf("%s differs from one time to the next", c.Name)
		}
	}
	to := t.TempDir()
	c := Case{Name: "x", write: func(w io.Writer) error { return parts(w, "a", fill("bc", 7), "d\n") }}
	if err := writeFile(filepath.Join(to, c.Name), c); err != nil {
		t.Fatal(err)
	}
	if got, _ := os.ReadFile(filepath.Join(to, c.Name)); string(got) != "abcbcbcbd\n" {
		t.Errorf("wrote %q", got)
	}
}
