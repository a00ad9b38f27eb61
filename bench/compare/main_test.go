package main

import (
	"context"
	"os"
	"strings"
	"testing"
)

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == peerCommand {
		exit(peer(context.Background(), os.Args[2:]))
	}
	os.Exit(m.Run())
}

// A small comparison: both engines run, their results are equal, and the table has their numbers.
func TestCompare(t *testing.T) {
	var out strings.Builder
	if err := compare(t.Context(), &out, options{mb: 5, runs: 2, threads: 2, cache: t.TempDir(), root: "../.."}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"50000 rows, 6 MB of CSV", "370 groups, equal in value", "\n| Sluice  ", "\n| DuckDB  ", "DuckDB / Sluice"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
	if strings.Contains(out.String(), "  0 |\n") {
		t.Errorf("no peak memory:\n%s", out.String())
	}
}
