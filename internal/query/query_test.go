package query

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/internal/spec"
)

var update = flag.Bool("update", false, "rewrite the expected output in testdata")

var aggregates = map[string]bool{"count": true, "sum": true, "avg": true, "min": true, "max": true, "grouping": true, "string_agg": true, "percentile_cont": true}

// TestStatements runs the cases of testdata/*.txt: a statement, and the steps it comes to or its error. A line "columns: a, b" before it says what the rows are known to have.
func TestStatements(t *testing.T) {
	for _, file := range []string{"testdata/select.txt", "testdata/group.txt", "testdata/window.txt", "testdata/join.txt", "testdata/union.txt", "testdata/wrong.txt"} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		cases := strings.Split(string(text), "\n== ")
		out := cases[0]
		for _, c := range cases[1:] {
			name, body, _ := strings.Cut(c, "\n")
			statement, want, _ := strings.Cut(body, "\n--\n")
			got := steps(t, statement)
			out += "\n== " + name + "\n" + statement + "\n--\n" + got
			if got != want && !*update {
				t.Errorf("%s: %s\n%s\ngives\n%s\nwant\n%s", file, name, statement, got, want)
			}
		}
		if *update {
			if err := os.WriteFile(file, []byte(out), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func steps(t *testing.T, statement string) string {
	t.Helper()
	fns := Functions{Aggregate: func(n string) bool { return aggregates[n] }, Tables: []string{"zones", "rates"}}
	if list, ok := strings.CutPrefix(statement, "columns: "); ok {
		list, statement, _ = strings.Cut(list, "\n")
		fns.Columns = strings.Split(list, ", ")
	}
	root, err := spec.Parse("p.yaml", []byte("sql: |\n  "+strings.ReplaceAll(statement, "\n", "\n  ")+"\n"))
	if err != nil {
		t.Fatalf("%s\n%v", statement, err)
	}
	list, err := Steps(root.Get("sql"), fns)
	if err != nil {
		var e *fail.Error
		if !errors.As(err, &e) || e.Kind != fail.Usage || e.Line == 0 {
			t.Fatalf("%s\nan error without kind or place: %v", statement, err)
		}
		return fmt.Sprintf("error: %d:%d: %v\n", e.Line-1, e.Column-2, e.Err)
	}
	var b strings.Builder
	for _, s := range list {
		line, col := s.At.Lines()
		fmt.Fprintf(&b, "- %s: %s  # %d:%d\n", s.Name, show(t, s.Node), line-1, col-2)
	}
	return b.String()
}

func show(t *testing.T, n *spec.Node) string {
	switch {
	case n.IsMap():
		entries, err := n.Map()
		if err != nil {
			t.Fatal(err)
		}
		var parts []string
		for _, e := range entries {
			parts = append(parts, e.Key+": "+show(t, e.Value))
		}
		return "{" + strings.Join(parts, "; ") + "}"
	case n.IsList():
		items, err := n.List()
		if err != nil {
			t.Fatal(err)
		}
		var parts []string
		for _, it := range items {
			parts = append(parts, show(t, it))
		}
		return "[" + strings.Join(parts, "; ") + "]"
	}
	s, err := n.Str()
	if err != nil {
		t.Fatal(err)
	}
	return s
}
