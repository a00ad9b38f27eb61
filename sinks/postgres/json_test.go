package postgres

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/internal/pgtest"
)

// TestJSONNumbers: a value is refused if PostgreSQL has no jsonb for it, and only then.
func TestJSONNumbers(t *testing.T) {
	db := pgtest.Start(t).Database(t)
	conn, err := pgconn.Connect(t.Context(), db)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	zeros, nines := strings.Repeat("0", 16384), strings.Repeat("9", 131073)
	values := []string{"1", "-0", "1.5e3", "1e131071", "1e131072", "-1e131072", "9.9E+131071", "0.1e131072", "0.1e131073", "1e-16383", "1e-16384", "1.0e-16382", "1.0e-16383", "0e200000", "0e-16383", "0e-16384",
		"0e1073741822", "0e1073741823", "0e-1073741823", "0e99999999999999999999", "1e00000000000000000001", "0.00001e131076", "0.00001e131077", "12345e131067", "12345e131068",
		nines, nines[1:], "0." + zeros, "0." + zeros[1:], "1." + zeros + "e1", `{"a": [true, false, null, 1e131072]}`, `{"1e131072": "1e131072", "x\"1e131072": "\\"}`, `["\\", 1e131072]`, `[1e131071, 1e-16384]`, `{"e": 1e5}`}
	r := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		n := strings.Repeat("0", r.IntN(2)*r.IntN(4)) + fmt.Sprint(r.IntN(3)*r.IntN(1000))
		whole := fmt.Sprint(r.IntN(3) * r.IntN(100_000))
		exp := []int{131_072, -16_383}[r.IntN(2)] + r.IntN(20) - 10
		values = append(values, fmt.Sprintf("%s.%se%d", whole, n, exp))
	}
	b := array.NewStringBuilder(memory.DefaultAllocator)
	defer b.Release()
	b.AppendValues(values, nil)
	texts := b.NewArray()
	defer texts.Release()
	refused := map[int]string{}
	checkJSON(texts, func(row int, reason string) { refused[row] = reason })
	for i, v := range values {
		res := conn.ExecParams(t.Context(), "SELECT $1::jsonb IS NULL", [][]byte{[]byte(v)}, nil, nil, nil).Read()
		if (res.Err != nil) != (refused[i] != "") {
			t.Errorf("%s: refused %q, PostgreSQL says %v", fail.Shorten(v), refused[i], res.Err)
		}
	}
	if want := "a number with more than 131072 digits before the point, or 16383 behind it, is refused in jsonb"; refused[4] != want {
		t.Errorf("%q, want %q", refused[4], want)
	}
}

// TestIndexRow: a value that an index has no room for is a matter of the data.
func TestIndexRow(t *testing.T) {
	db := pgtest.Start(t).Database(t)
	pgtest.Exec(t, db, "CREATE TABLE people (id bigint, name text PRIMARY KEY)")
	var long strings.Builder
	r := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		fmt.Fprintf(&long, "%016x", r.Uint64())
	}
	_, err := mustOpen(t, db, "table: people\n", people).Deliver(t.Context(), commitOf(t, people, `{"id": 1, "name": "`+long.String()+`"}`))
	if fail.KindOf(err) != fail.Data || !strings.Contains(err.Error(), "index row") {
		t.Errorf("%v: %v", fail.KindOf(err), err)
	}
}
