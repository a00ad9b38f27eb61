package data

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/sluice-data/sluice/bench"
	"github.com/sluice-data/sluice/bench/trips"
)

func newStore(t *testing.T, rows int) *Store {
	duck := func(ctx context.Context, sql string) error {
		db, err := bench.OpenDuckDB(1)
		if err != nil {
			return err
		}
		defer db.Close()
		_, err = db.ExecContext(ctx, sql)
		return err
	}
	return &Store{Dir: t.TempDir(), Root: "../..", Size: Size{Trips: rows}, DuckDB: duck, Log: t.Output()}
}

func get(t *testing.T, s *Store, name string) File {
	t.Helper()
	f, err := s.Get(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func read(t *testing.T, glob string) []byte {
	t.Helper()
	files, err := filepath.Glob(glob)
	if err != nil || len(files) == 0 {
		t.Fatalf("%s: %v, %v", glob, files, err)
	}
	var all []byte
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, text...)
	}
	return all
}

// The seeded texts are the same bytes everywhere and always: a change of one here makes older numbers incomparable.
func TestSetsAreTheSameEverywhere(t *testing.T) {
	s := newStore(t, 2000)
	for name, want := range map[string]string{
		"trips.csv":   "df041249",
		"trips.jsonl": "3c54990e",
		"wide.csv":    "ed42d51e",
		"narrow.csv":  "f6ed80f2",
		"objects/":    "c2cc8957",
	} {
		sum := sha256.Sum256(read(t, get(t, s, name).Path))
		if got := hex.EncodeToString(sum[:4]); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
}

// Each set has the rows and sizes that its description says; DuckDB counts.
func TestSets(t *testing.T) {
	s := newStore(t, 2000)
	db, err := bench.OpenDuckDB(1)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, set := range Sets {
		f := get(t, s, set.Name)
		reader := map[string]string{"csv": "read_csv", "jsonl": "read_json", "parquet": "read_parquet"}[set.Format]
		res, err := bench.Query(t.Context(), db, "SELECT count(*) FROM "+reader+"("+bench.Quote(f.Path)+")")
		if err != nil {
			t.Fatal(err)
		}
		if n := res.Rows[0][0].(int64); n != f.Rows || n != int64(set.Rows(s.Size)) {
			t.Errorf("%s has %d rows, said are %d", set.Name, n, f.Rows)
		}
		stored := read(t, f.Path)
		var plain io.Reader = bytes.NewReader(stored)
		switch {
		case strings.HasSuffix(f.Path, ".gz"):
			plain, err = gzip.NewReader(plain)
		case strings.HasSuffix(f.Path, ".zst"):
			plain, err = zstd.NewReader(plain)
		}
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.Copy(io.Discard, plain)
		if err != nil || text != f.Text || int64(len(stored)) != f.Bytes {
			t.Errorf("%s: %d bytes of text in %d, said are %d in %d; %v", set.Name, text, len(stored), f.Text, f.Bytes, err)
		}
	}
}

// A set that is there is not made again, one that was half made is, and a discarded one is gone.
func TestStore(t *testing.T) {
	s := newStore(t, 100)
	f := get(t, s, "trips.csv")
	if err := os.WriteFile(f.Path, []byte("mine\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if got := read(t, get(t, s, "trips.csv").Path); string(got) != "mine\n" {
		t.Error("made again")
	}
	if err := os.Remove(f.Path + ".json"); err != nil {
		t.Fatal(err)
	}
	if got := read(t, get(t, s, "trips.csv").Path); int64(len(got)) != f.Bytes {
		t.Error("a half-made set was taken for a whole one")
	}
	if err := s.Discard("trips.csv"); err != nil {
		t.Fatal(err)
	}
	if _, ok := s.Has("trips.csv"); ok {
		t.Error("still there")
	}
	if left, err := os.ReadDir(s.Dir); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
	if _, err := s.Get(t.Context(), "nonesuch"); err == nil {
		t.Error("a set that is none")
	}
}

// A set whose making fails leaves nothing behind.
func TestMakingFails(t *testing.T) {
	s := newStore(t, 100)
	broken := errors.New("broken")
	s.DuckDB = func(context.Context, string) error { return broken }
	if _, err := s.Get(t.Context(), "nested.parquet"); !errors.Is(err, broken) {
		t.Fatalf("%v", err)
	}
	if left, err := os.ReadDir(s.Dir); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
	s.Size.Trips = 1 << 50
	if _, err := s.Get(t.Context(), "narrow.csv"); err == nil || !strings.Contains(err.Error(), "MB are free") {
		t.Errorf("larger than the disk: %v", err)
	}
}

// The JSON Lines have the rows of the CSV.
func TestJSONIsTheCSV(t *testing.T) {
	dir := t.TempDir()
	csv, jsonl := filepath.Join(dir, "in.csv"), filepath.Join(dir, "in.jsonl")
	for name, write := range map[string]func(io.Writer, int) error{csv: trips.Write, jsonl: trips.WriteJSON} {
		if err := create(name, func(w io.Writer) error { return write(w, 3000) }); err != nil {
			t.Fatal(err)
		}
	}
	db, err := bench.OpenDuckDB(1)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	want, err := bench.Query(t.Context(), db, "SELECT * FROM "+bench.ReadCSV(csv, trips.Columns, ""))
	if err != nil {
		t.Fatal(err)
	}
	types := make([]string, len(trips.Columns))
	for i, c := range trips.Columns {
		types[i] = c[0] + ": " + bench.Quote(bench.DuckType(c[1]))
	}
	got, err := bench.Query(t.Context(), db, "SELECT * FROM read_json("+bench.Quote(jsonl)+", format = 'newline_delimited', columns = {"+strings.Join(types, ", ")+"})")
	if err != nil {
		t.Fatal(err)
	}
	if diff := bench.Diff(want, got, 0); diff != "" {
		t.Error(diff)
	}
}
