package redshift

import (
	"fmt"
	"strings"
	"testing"

	"github.com/sluice-data/sluice/internal/fail"
)

// A direct connection is encrypted unless the URL or the environment says otherwise, and goes to Redshift's port.
func TestDirectNeedsTLS(t *testing.T) {
	t.Setenv("PGSSLMODE", "")
	t.Setenv("PGPORT", "")
	for dsn, want := range map[string]struct {
		clear bool
		port  uint16
	}{
		"postgres://u@analytics.example.com/dev":                 {false, 5439},
		"postgres://u@analytics.example.com:5432/dev":            {false, 5432},
		"postgres://u@127.0.0.1/dev":                             {false, 5439},
		"postgres://u@analytics.example.com/dev?sslmode=disable": {true, 5439},
		"postgres://u@analytics.example.com/dev?sslmode=prefer":  {true, 5439},
	} {
		d, err := newDirect(dsn)
		if err != nil {
			t.Fatal(err)
		}
		clear := d.conf.TLSConfig == nil
		for _, f := range d.conf.Fallbacks {
			clear = clear || f.TLSConfig == nil
		}
		if clear != want.clear || d.conf.Port != want.port || d.conf.TLSConfig != nil && d.conf.TLSConfig.ServerName == "" && !strings.Contains(dsn, "sslmode") {
			t.Errorf("%s: in clear %v, port %d", dsn, clear, d.conf.Port)
		}
	}
}

// A load of more SQL than one call of the Data API takes is refused before the run; a direct connection takes it.
func TestTooMuchSQL(t *testing.T) {
	var cols []string
	for i := range 600 {
		cols = append(cols, fmt.Sprintf("a_column_with_a_long_name_%d int64", i))
	}
	s := columns(t, strings.Join(cols, "; "))
	merge := ", table: t, mode: merge, keys: [a_column_with_a_long_name_0]}"
	if _, err := open(request(t, nil, "b", run1, "{workgroup: w, database: dev"+merge, s)); fail.KindOf(err) != fail.Usage || !strings.Contains(err.Error(), "the Data API takes 40 of 102400: use a direct connection (dsn), or fewer columns") {
		t.Error(err)
	}
	for _, block := range []string{"{workgroup: w, database: dev, table: t}", `{dsn: "postgres://u@h/dev"` + merge} {
		if _, err := open(request(t, nil, "b", run1, block, s)); err != nil {
			t.Errorf("%s: %v", block, err)
		}
	}
}

// Messages about a DSN show no password, whether it is refused for having one or cannot be read.
func TestNoPasswordOfADSN(t *testing.T) {
	t.Setenv("PGPASSWORD", "geheim")
	s := columns(t, "id int64")
	for _, dsn := range []string{"postgres://u:geheim@h/dev", "postgres://u:geheim%zz@h/dev", "postgres://u@h/dev?password=geheim", "host=h password=geheim", "postgres://u:geheim@h:port/dev", "postgres://u:ge heim@h/dev"} {
		if _, err := open(request(t, nil, "b", run1, `{dsn: "`+dsn+`", table: t}`, s)); fail.KindOf(err) != fail.Usage || strings.Contains(err.Error(), "heim") {
			t.Errorf("%s: %v", dsn, err)
		}
	}
	d, err := open(request(t, nil, "b", run1, `{dsn: "postgres://u@127.0.0.1:1/dev", table: t}`, s))
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	d.(*delivery).db, err = newDirect("postgres://u@127.0.0.1:1/dev")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.(*delivery).db.query(t.Context(), "SELECT 1"); fail.KindOf(err) != fail.Temporary || strings.Contains(err.Error(), "heim") {
		t.Error(err)
	}
}
