// Package layers holds the house's one law, that imports run downward only, as a test.
package layers

import (
	"bufio"
	"bytes"
	"os/exec"
	"strings"
	"testing"
)

const module = "github.com/sluice-data/sluice/"

// floors are the packages from the top of the house to its bottom: a package may import those of lower floors, and of its
// own only where its own folder says so (a registry's folder imports the registry).
var floors = []struct {
	name     string
	prefixes []string
}{
	{"command", []string{"cmd/", "deploy/"}},
	{"job", []string{"internal/job"}},
	{"part", []string{"sources/", "transforms", "sinks/"}},
	{"files", []string{"sinks/files"}}, // what the formats of files have in common
	{"registry", []string{"sources", "sinks"}},
	{"engine", []string{"pipeline"}},
	{"small", []string{"internal/"}},
}

// floorOf is that of the longest prefix.
func floorOf(pkg string) int {
	floor, longest := -1, 0
	for i, f := range floors {
		for _, p := range f.prefixes {
			if len(p) > longest && (pkg == p || strings.HasPrefix(pkg, p) && (strings.HasSuffix(p, "/") || strings.HasPrefix(pkg, p+"/"))) {
				floor, longest = i, len(p)
			}
		}
	}
	return floor
}

// only lists the packages that alone may import the key.
var only = map[string][]string{
	"github.com/aws/aws-sdk-go-v2":                            {"internal/awsconf", "internal/objstore", "internal/s3test", "sinks/redshift", "internal/redshifttest", "sinks/events", "sinks/glue", "sinks/stepfunctions"},
	"github.com/aws/aws-sdk-go-v2/config":                     {"internal/awsconf"},
	"github.com/aws/smithy-go":                                {"internal/awsconf", "internal/objstore", "internal/s3test", "internal/redshifttest", "sinks/events", "sinks/glue"},
	"github.com/parquet-go/parquet-go":                        {"sources/parquet", "sinks/parquet", "internal/badcorpus", "internal/redshifttest"},
	"github.com/goccy/go-yaml":                                {"internal/spec"},
	"github.com/jackc/pgx/v5":                                 {"internal/pg", "internal/pgtest", "sinks/redshift", "internal/redshifttest"},
	"github.com/spf13/pflag":                                  {"cmd/worker"},
	"github.com/KimMachineGun/automemlimit":                   {"internal/memlimit"},
	"github.com/apache/arrow/go/v17/parquet":                  {}, // hides failed footers, panics in goroutines (docs/adr/0003)
	"github.com/apache/arrow/go/v17/arrow/compute":            {},
	"github.com/aws/aws-sdk-go-v2/feature/s3/transfermanager": {},
}

type pkg struct {
	path    string
	imports []string
}

func packages(t *testing.T) []pkg {
	t.Helper()
	cmd := exec.Command("go", "list", "-f", `{{.ImportPath}} {{join .Imports " "}}`, module+"...")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, stderr.String())
	}
	var pkgs []pkg
	for sc := bufio.NewScanner(bytes.NewReader(out)); sc.Scan(); {
		f := strings.Fields(sc.Text())
		pkgs = append(pkgs, pkg{f[0], f[1:]})
	}
	if len(pkgs) < 10 {
		t.Fatalf("go list found only %d packages", len(pkgs))
	}
	return pkgs
}

func TestImportsRunDownward(t *testing.T) {
	for _, p := range packages(t) {
		from := strings.TrimPrefix(p.path, module)
		at := floorOf(from)
		if at < 0 {
			t.Errorf("%s stands on no floor: add it to the table", from)
			continue
		}
		for _, imp := range p.imports {
			to, ours := strings.CutPrefix(imp, module)
			if !ours {
				continue
			}
			below := floorOf(to)
			sameHouse := strings.HasPrefix(to, from+"/") || strings.HasPrefix(from, to+"/") || family(from) == family(to)
			if below < at || below == at && floors[at].name != "small" && !sameHouse {
				t.Errorf("%s (%s) imports %s (%s): imports run downward only, siblings do not import each other", from, floors[at].name, to, floors[below].name)
			}
		}
	}
}

// family is the first two elements of a path: sources/csv/index is of sources/csv. All of transforms is one.
func family(p string) string {
	parts := strings.SplitN(p, "/", 3)
	if parts[0] == "transforms" || len(parts) == 1 {
		return parts[0]
	}
	return parts[0] + "/" + parts[1]
}

func TestImportersOfLibraries(t *testing.T) {
	for _, p := range packages(t) {
		from := strings.TrimPrefix(p.path, module)
		for _, imp := range p.imports {
			best := ""
			for lib := range only {
				if (imp == lib || strings.HasPrefix(imp, lib+"/")) && len(lib) > len(best) {
					best = lib
				}
			}
			if best == "" {
				continue
			}
			allowed := false
			for _, a := range only[best] {
				allowed = allowed || from == a || strings.HasPrefix(from, a+"/")
			}
			if !allowed {
				t.Errorf("%s imports %s: only %v may", from, imp, only[best])
			}
		}
	}
}
