package redshift

import "testing"

const tripColumns = "id int64; city string; fare decimal(8,2); at timestamp"

func TestModes(t *testing.T) {
	for way, to := range ways {
		t.Run(way, func(t *testing.T) {
			r := newRig(t)
			s := columns(t, tripColumns)
			r.Exec(t, "CREATE SCHEMA stg")
			first := []string{`[{"id":1,"city":"Köln","fare":"1.50","at":"2026-11-01T10:00:00.123456"},{"id":2,"city":null,"fare":"-0.05","at":null}]`, `[{"id":3,"city":"a\tb\\c","fare":"999999.99","at":"1969-12-31T23:59:59"}]`}
			second := []string{`[{"id":2,"city":"Bonn","fare":"2","at":null},{"id":4,"city":"Ulm","fare":"4","at":null}]`}
			all := "SELECT * FROM stg.%s ORDER BY 1, 2"
			_ = all
			for _, c := range []struct{ table, mode, want string }{
				{"app", "mode: append", "[1|Köln|1.50|2026-11-01 10:00:00.123456 2|NULL|-0.05|NULL 2|Bonn|2.00|NULL 3|a\tb\\c|999999.99|1969-12-31 23:59:59 4|Ulm|4.00|NULL]"},
				{"byrun", "mode: append, run_id_column: run", "[1|Köln|1.50|2026-11-01 10:00:00.123456|" + run1 + " 2|NULL|-0.05|NULL|" + run1 + " 2|Bonn|2.00|NULL|" + run2 + " 3|a\tb\\c|999999.99|1969-12-31 23:59:59|" + run1 + " 4|Ulm|4.00|NULL|" + run2 + "]"},
				{"rep", "mode: replace", "[2|Bonn|2.00|NULL 4|Ulm|4.00|NULL]"},
				{"mrg", "mode: merge, keys: [id]", "[1|Köln|1.50|2026-11-01 10:00:00.123456 2|Bonn|2.00|NULL 3|a\tb\\c|999999.99|1969-12-31 23:59:59 4|Ulm|4.00|NULL]"},
				{"del", "mode: merge, keys: id, merge_by: delete_insert", "[1|Köln|1.50|2026-11-01 10:00:00.123456 2|Bonn|2.00|NULL 3|a\tb\\c|999999.99|1969-12-31 23:59:59 4|Ulm|4.00|NULL]"},
			} {
				block := "{" + to + ", table: stg." + c.table + ", ensure: create, " + c.mode + "}"
				for range 2 { // the second time each has nothing to do
					for i, files := range [][]string{first, second} {
						if _, err := r.deliver(t, []string{run1, run2}[i], block, s, files...); err != nil {
							t.Fatal(c.mode, err)
						}
					}
				}
				equal(t, c.mode, r.Query(t, "SELECT * FROM stg."+c.table+" ORDER BY 1, 2 DESC"), c.want)
				equal(t, "ledger", r.Query(t, "SELECT run_id, row_count FROM stg."+c.table+"_sluice_loads ORDER BY 1"), "["+run1+"|3 "+run2+"|2]")
			}
		})
	}
}
