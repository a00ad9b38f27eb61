package main

import (
	"strings"
	"testing"
)

// A command line that asks for what is not there is refused before anything is measured.
func TestRefused(t *testing.T) {
	for line, want := range map[string]string{
		"":                               "which command",
		"nonesuch":                       `no command "nonesuch"`,
		"table -only W1,nonesuch":        `no workload "nonesuch"`,
		"table -rows 0":                  "at least 1",
		"table -record elsewhere":        "laptop or large",
		"table -record laptop -worker x": "leave -worker out",
		"table W1":                       `what is "W1"`,
		"scaling -lanes 1,,2":            "no list of numbers",
		"scaling -over many":             "no list of numbers",
		"s3 -record laptop":              "recorded as s3",
		"s3 -apart -record s3":           "recorded as s3-apart",
		"s3 -apart -endpoint x":          "not with -endpoint",
		"peers":                          "which CSV",
		"duckdb 2":                       "want threads",
	} {
		if err := run(t.Context(), strings.Fields(line)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", line, err, want)
		}
	}
}

// What is kept as the command makes the same table again, wherever the inputs are.
func TestCommand(t *testing.T) {
	f := newFlags("scaling", 1000)
	if err := f.parse(strings.Fields("-rows 5 -data elsewhere -record scaling -runs 7")); err != nil {
		t.Fatal(err)
	}
	if got := f.command(); got != "cd bench && go run ./run scaling -rows 5 -runs 7" {
		t.Error(got)
	}
	f = newFlags("s3", 1000)
	f.Bool("apart", false, "")
	if err := f.parse([]string{"-apart", "-runs", "2"}); err != nil {
		t.Fatal(err)
	}
	if got := f.command(); got != "cd bench && go run ./run s3 -apart=true -runs 2" {
		t.Error(got)
	}
}
