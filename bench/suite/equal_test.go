package suite

import (
	"database/sql"
	"strings"
	"testing"

	"github.com/sluice-data/sluice/bench"
)

func openDB(t *testing.T) *sql.DB {
	t.Helper()
	db, err := bench.OpenDuckDB(1)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func relate(t *testing.T, db *sql.DB, query string) relation {
	t.Helper()
	r, err := describe(t.Context(), db, "("+query+")")
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// Every way in which two bags of rows can differ is seen, and what only looks different is not.
func TestSameRows(t *testing.T) {
	db := openDB(t)
	const want = "VALUES (1, 'a', 1.5::DOUBLE, {'x': [1, NULL]}), (2, 'b', NULL, NULL), (2, 'b', NULL, NULL)"
	const named = "SELECT * FROM (%) t(i, s, f, n)"
	for _, c := range []struct{ got, wrong string }{
		{want, ""},
		{"VALUES (2, 'b', NULL, NULL), (1, 'a', 1.5::DOUBLE, {'x': [1, NULL]}), (2, 'b', NULL, NULL)", ""},                                             // another order
		{"VALUES (1::BIGINT, 'a', 1.5::DOUBLE, {'x': [1, NULL]}), (2, 'b', NULL, NULL), (2, 'b', NULL, NULL)", ""},                                     // a wider integer
		{"VALUES (1, 'a', 1.5::DOUBLE, {'x': [1, NULL]}), (2, 'b', NULL, NULL)", "2 rows, want 3"},                                                     // a row lost
		{"VALUES (1, 'a', 1.5::DOUBLE, {'x': [1, NULL]}), (1, 'a', 1.5, {'x': [1, NULL]}), (2, 'b', NULL, NULL)", "values of column i differ"},         // another row twice
		{"VALUES (1, 'a', 1.5::DOUBLE, {'x': [1, NULL]}), (3, 'b', NULL, NULL), (2, 'b', NULL, NULL)", "values of column i differ: 3"},                 // a number
		{"VALUES (1, 'a ', 1.5::DOUBLE, {'x': [1, NULL]}), (2, 'b', NULL, NULL), (2, 'b', NULL, NULL)", `values of column s differ: "a " should not`},  // a text
		{"VALUES (1, 'a', 1.5000000000000002::DOUBLE, {'x': [1, NULL]}), (2, 'b', NULL, NULL), (2, 'b', NULL, NULL)", "values of column f differ"},     // a float's last bit
		{"VALUES (1, 'a', 1.5::DOUBLE, {'x': [1, 0]}), (2, 'b', NULL, NULL), (2, 'b', NULL, NULL)", "values of column n differ"},                       // inside a list
		{"VALUES (1, 'a', 1.5::DOUBLE, NULL), (2, 'b', NULL, NULL), (2, 'b', NULL, {'x': [1, NULL]})", "not in the same rows"},                         // values changed places
		{"VALUES (1, 'a', 1.5::FLOAT, {'x': [1, NULL]}), (2, 'b', NULL, NULL), (2, 'b', NULL, NULL)", "column f is FLOAT, want DOUBLE"},                // another kind of number
		{"VALUES ('1', 'a', 1.5::DOUBLE, {'x': [1, NULL]}), ('2', 'b', NULL, NULL), ('2', 'b', NULL, NULL)", "column i is VARCHAR, want INTEGER"},      // a number as text
		{"SELECT * FROM (VALUES (1, 'a', 1.5::DOUBLE, {'x': [1, NULL]})) WHERE false", "0 rows, want 3"},                                               // nothing
		{"SELECT 1, 'a', 1.5::DOUBLE, {'y': [1, NULL]} UNION ALL SELECT 2, 'b', NULL, NULL UNION ALL SELECT 2, 'b', NULL, NULL", "column n is STRUCT"}, // a field's name
	} {
		n, err := sameRows(t.Context(), db, relate(t, db, strings.Replace(named, "%", want, 1)), relate(t, db, strings.Replace(named, "%", c.got, 1)))
		if c.wrong == "" && (err != nil || n != 3) {
			t.Errorf("%s: %d rows, %v", c.got, n, err)
		}
		if c.wrong != "" && (err == nil || !strings.Contains(err.Error(), c.wrong)) {
			t.Errorf("%s: %v, want %q", c.got, err, c.wrong)
		}
	}
	swapped := relate(t, db, "SELECT * FROM (VALUES (1, 2), (2, 1), (5, 6)) t(a, b)")
	if _, err := sameRows(t.Context(), db, swapped, relate(t, db, "SELECT * FROM (VALUES (2, 1), (1, 2), (6, 5)) t(a, b)")); err == nil {
		t.Error("two columns' values changed places: no difference seen")
	}
	empty := relate(t, db, "SELECT 1 AS i WHERE false")
	if _, err := sameRows(t.Context(), db, empty, empty); err == nil {
		t.Error("nothing compared, and no word of it")
	}
	if _, err := sameRows(t.Context(), db, relate(t, db, "SELECT 1 AS i"), relate(t, db, "SELECT 1 AS j")); err == nil {
		t.Error("another column's name: no difference seen")
	}
}

// Groups are equal by key, floats within what the order of a sum's terms may do.
func TestSameGroups(t *testing.T) {
	db := openDB(t)
	const named = "SELECT * FROM (%) t(k, n, f, a)"
	const want = "VALUES ('x', 1, 1e6::DOUBLE, 10), ('y', 2, 'nan'::DOUBLE, 10), (NULL, 3, NULL, 10)"
	for _, c := range []struct{ got, wrong string }{
		{want, ""},
		{"VALUES (NULL, 3, NULL, 7), ('y', 2, 'nan'::DOUBLE, 10), ('x', 1, 1e6::DOUBLE + 1e-7, 10)", ""}, // order, the last bits, an approximation
		{"VALUES ('x', 1, 1e6::DOUBLE + 1e-5, 10), ('y', 2, 'nan'::DOUBLE, 10), (NULL, 3, NULL, 10)", "column f differs in 1 of 3 groups"},
		{"VALUES ('x', 1, 1e6::DOUBLE, 10), ('y', 2, 1, 10), (NULL, 3, NULL, 10)", "column f differs in 1"},
		{"VALUES ('x', 1, 1e6::DOUBLE, 10), ('y', 2, NULL, 10), (NULL, 3, NULL, 10)", "column f differs in 1"},
		{"VALUES ('x', 1, 'inf'::DOUBLE, 10), ('y', 2, 'nan'::DOUBLE, 10), (NULL, 3, NULL, 10)", "column f differs in 1"},
		{"VALUES ('x', 2, 1e6::DOUBLE, 10), ('y', 1, 'nan'::DOUBLE, 10), (NULL, 3, NULL, 10)", "column n differs in 2"},
		{"VALUES ('x', 1, 1e6::DOUBLE, 10), ('z', 2, 'nan'::DOUBLE, 10), (NULL, 3, NULL, 10)", "have no counterpart"},
		{"VALUES ('x', 1, 1e6::DOUBLE, 10), ('y', 2, 'nan'::DOUBLE, 10)", "2 groups, want 3"},
		{want + ", ('z', 4, 1, 10)", "4 groups, want 3"},
	} {
		n, err := sameGroups(t.Context(), db, relate(t, db, strings.Replace(named, "%", want, 1)), relate(t, db, strings.Replace(named, "%", c.got, 1)), []string{"k"}, []string{"a"})
		if c.wrong == "" && (err != nil || n != 3) {
			t.Errorf("%s: %d groups, %v", c.got, n, err)
		}
		if c.wrong != "" && (err == nil || !strings.Contains(err.Error(), c.wrong)) {
			t.Errorf("%s: %v, want %q", c.got, err, c.wrong)
		}
	}
	// A group that comes twice is not a group.
	twice := relate(t, db, strings.Replace(named, "%", want+", ('x', 1, 1e6, 10)", 1))
	if _, err := sameGroups(t.Context(), db, relate(t, db, strings.Replace(named, "%", want, 1)), twice, []string{"k"}, []string{"a"}); err == nil {
		t.Error("a group twice: no difference seen")
	}
}

// How far an approximation is, is the farthest of all groups.
func TestFarthest(t *testing.T) {
	db := openDB(t)
	exact := relate(t, db, "SELECT * FROM (VALUES ('x', 100), ('y', 50), (NULL, 10)) t(k, d)")
	got := relate(t, db, "SELECT * FROM (VALUES (NULL, 10), ('y', 49), ('x', 104)) t(k, d)")
	far, err := farthest(t.Context(), db, exact, got, []string{"k"}, "d")
	if err != nil || far != 0.04 {
		t.Errorf("%v, %v", far, err)
	}
}

// An integer may be wider and a decimal longer; nothing else may be another type.
func TestCommonType(t *testing.T) {
	for _, c := range []struct {
		a, b, want string
	}{
		{"VARCHAR", "VARCHAR", "VARCHAR"}, {"INTEGER", "BIGINT", "HUGEINT"}, {"UTINYINT", "HUGEINT", "HUGEINT"}, {"DECIMAL(18,2)", "DECIMAL(38,4)", "DECIMAL(38,4)"},
		{"INTEGER", "VARCHAR", ""}, {"DOUBLE", "FLOAT", ""}, {"DOUBLE", "BIGINT", ""}, {"DECIMAL(18,2)", "DOUBLE", ""}, {"DATE", "TIMESTAMP", ""}, {"INTEGER[]", "BIGINT[]", ""},
	} {
		for _, p := range [][2]string{{c.a, c.b}, {c.b, c.a}} {
			typ, ok := common(p[0], p[1])
			if ok != (c.want != "") || ok && typ != c.want {
				t.Errorf("%s and %s: %s %v, want %q", p[0], p[1], typ, ok, c.want)
			}
		}
	}
}
