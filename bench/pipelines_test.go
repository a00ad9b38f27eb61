package bench

import (
	"compress/gzip"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sluice-data/sluice/bench/trips"
)

const wideRows = 20_000

// comparison is steps of a pipeline file and the same in SQL over the table t. Without order the rows come in the order of the input.
type comparison struct {
	name, steps, sql, order string
	rows                    int     // at least that many
	bad                     string  // which rows of t are rejected
	tolerance               float64 // of floats
}

var pipelines = []comparison{
	{name: "all columns", steps: `[]`, sql: `SELECT * FROM t`, rows: wideRows},

	{name: "filter", rows: 500,
		steps: `
  - filter: fare > 10 AND passenger_count IS NOT NULL AND (note LIKE '%airport%' OR note ILIKE 'CAFÉ%')
  - filter: NOT (tolls > 0) AND pickup_at >= '2023-03-01'`,
		sql: `SELECT * FROM t WHERE fare > 10 AND passenger_count IS NOT NULL AND (note LIKE '%airport%' OR note ILIKE 'CAFÉ%')
  AND NOT (tolls > 0) AND pickup_at >= '2023-03-01'`},

	{name: "filter out everything", steps: `
  - filter: fare > 1000000
  - aggregate: {measures: {n: count(*), nt: count(tip), s: sum(total), a: avg(fare), lo: min(note), hi: max(day), d: count(distinct zone)}}`,
		sql: `SELECT count(*) AS n, count(tip) AS nt, sum(total) AS s, avg(fare) AS a, min(note) AS lo, max(day) AS hi, count(DISTINCT zone) AS d FROM t WHERE fare > 1000000`, rows: 1},

	{name: "derive numbers", rows: 15000, steps: `
  - derive:
      net: total - tip - tolls
      tip_pct: tip::float8 / nullif(fare, 0)::float8
      dist: round(trip_distance * 1.609344, 3)
      pay: CASE payment_type WHEN 1 THEN 'card' WHEN 2 THEN 'cash' ELSE 'other' END
      loc: pu_location * 1000 + do_location
      odd: (big % 2)::int
      product: tiny::bigint * big
      net2: net * 2 + extra
      scaled: price * 1.5
  - select: [order_id, net, tip_pct, pay, loc, odd, product, net2, scaled]`,
		sql: `SELECT order_id, total - tip - tolls AS net, tip::DOUBLE / nullif(fare, 0)::DOUBLE AS tip_pct,
  CASE payment_type WHEN 1 THEN 'card' WHEN 2 THEN 'cash' ELSE 'other' END AS pay, pu_location * 1000 + do_location AS loc, (big % 2)::INT AS odd,
  (tiny::HUGEINT * big)::BIGINT AS product, (total - tip - tolls) * 2 + extra AS net2, price * 1.5 AS scaled
  FROM t WHERE tiny IS NULL OR big IS NULL OR tiny::HUGEINT * big BETWEEN -9223372036854775808 AND 9223372036854775807`,
		bad: "tiny::HUGEINT * big NOT BETWEEN -9223372036854775808 AND 9223372036854775807"},

	{name: "derive text and times", rows: wideRows, steps: `
  - derive:
      word: upper(split_part(note, ' ', 1))
      len: length(memo)
      key: order_id || '/' || coalesce(zone, '-')
      digits: right(order_id, 4)
      minutes: (extract(epoch FROM dropoff_at) - extract(epoch FROM pickup_at))::int / 60
      month: date_trunc('month', pickup_at)
      dow: extract(dow FROM pickup_at)
      week: extract(week FROM day)
      next: day + 1
      due: seen + INTERVAL '1 month'
      has: strpos(memo, 'a')
      clean: trim(replace(memo, 'l', ''))
      same: memo = zone
  - drop: [memo, note, zone, ratio, single, huge]`,
		sql: `SELECT * EXCLUDE (memo, note, zone, ratio, single, huge), upper(split_part(note, ' ', 1)) AS word, length(memo) AS len, order_id || '/' || coalesce(zone, '-') AS key,
  right(order_id, 4) AS digits, date_diff('second', pickup_at, dropoff_at) // 60 AS minutes, date_trunc('month', pickup_at) AS month, extract(dow FROM pickup_at) AS dow,
  extract(week FROM day) AS week, day + 1 AS next, seen + INTERVAL '1 month' AS due, strpos(memo, 'a') AS has, trim(replace(memo, 'l', '')) AS clean, memo = zone AS same
  FROM t`},

	{name: "aggregate integers", order: "payment_type, passenger_count", rows: 30, steps: `
  - aggregate:
      by: [payment_type, passenger_count]
      measures: {n: count(*), nt: count(tiny), s: sum(tiny), a: avg(tiny), lo: min(tiny), hi: max(tiny), d: count(distinct tiny),
                 nb: count(big), ab: avg(big), lob: min(big), hib: max(big), db: count(distinct big), lou: min(whole), hiu: max(whole), au: avg(whole), du: count(distinct whole)}`,
		sql: `SELECT payment_type, passenger_count, count(*) AS n, count(tiny) AS nt, sum(tiny) AS s, avg(tiny) AS a, min(tiny) AS lo, max(tiny) AS hi, count(DISTINCT tiny) AS d,
  count(big) AS nb, avg(big) AS ab, min(big) AS lob, max(big) AS hib, count(DISTINCT big) AS db, min(whole) AS lou, max(whole) AS hiu, avg(whole) AS au, count(DISTINCT whole) AS du
  FROM t GROUP BY ALL`},

	{name: "aggregate decimals", order: "vendor_id, ratecode", rows: 12, steps: `
  - aggregate:
      by: [vendor_id, ratecode]
      measures: {n: count(price), s: sum(price), a: avg(price), lo: min(price), hi: max(price), d: count(distinct price),
                 sh: sum(huge), loh: min(huge), hih: max(huge), dh: count(distinct huge), rev: sum(total), tips: sum(tip + tolls)}`,
		sql: `SELECT vendor_id, ratecode, count(price) AS n, sum(price) AS s, ` + exactMean("price") + ` AS a, min(price) AS lo, max(price) AS hi, count(DISTINCT price) AS d,
  sum(huge) AS sh, min(huge) AS loh, max(huge) AS hih, count(DISTINCT huge) AS dh, sum(total) AS rev, sum(tip + tolls) AS tips FROM t GROUP BY ALL`},

	{name: "aggregate floats", order: "store_and_fwd, flag", rows: 6, steps: `
  - aggregate:
      by: [store_and_fwd, flag]
      measures: {n: count(ratio), lo: min(ratio), hi: max(ratio), d: count(distinct ratio), s: sum(trip_distance), a: avg(trip_distance),
                 ss: sum(single), sa: avg(single), sl: min(single), sh: max(single), sd: count(distinct single)}`,
		sql: `SELECT store_and_fwd, flag, count(ratio) AS n, min(ratio) AS lo, max(ratio) AS hi, count(DISTINCT ratio) AS d, sum(trip_distance) AS s, avg(trip_distance) AS a,
  sum(single::DOUBLE) AS ss, avg(single::DOUBLE) AS sa, min(single) AS sl, max(single) AS sh, count(DISTINCT single) AS sd FROM t GROUP BY ALL`},

	{name: "aggregate text, times, truth", order: "zone", rows: 7, steps: `
  - aggregate:
      by: [zone]
      measures: {n: count(memo), lo: min(memo), hi: max(memo), d: count(distinct memo), nd: count(day), lod: min(day), hid: max(day), dd: count(distinct day),
                 lot: min(seen), hit: max(seen), dt: count(distinct seen), loi: min(instant), hii: max(instant), di: count(distinct instant),
                 lof: min(flag), hif: max(flag), df: count(distinct flag), words: count(distinct lower(note))}`,
		sql: `SELECT zone, count(memo) AS n, min(memo) AS lo, max(memo) AS hi, count(DISTINCT memo) AS d, count(day) AS nd, min(day) AS lod, max(day) AS hid, count(DISTINCT day) AS dd,
  min(seen) AS lot, max(seen) AS hit, count(DISTINCT seen) AS dt, min(instant) AS loi, max(instant) AS hii, count(DISTINCT instant) AS di,
  min(flag) AS lof, max(flag) AS hif, count(DISTINCT flag) AS df, count(DISTINCT lower(note)) AS words FROM t GROUP BY ALL`},

	{name: "aggregate everything", rows: 1, steps: `
  - aggregate: {measures: {n: count(*), s: sum(passenger_count), a: avg(passenger_count), f: avg(fare), d: count(distinct order_id), m: count(distinct memo), r: count(distinct ratio), lo: min(pickup_at), hi: max(dropoff_at)}}`,
		sql: `SELECT count(*) AS n, sum(passenger_count) AS s, avg(passenger_count) AS a, ` + exactMean("fare") + ` AS f, count(DISTINCT order_id) AS d, count(DISTINCT memo) AS m,
  count(DISTINCT ratio) AS r, min(pickup_at) AS lo, max(dropoff_at) AS hi FROM t`},

	{name: "a group a row", order: "order_id", rows: wideRows, steps: `
  - aggregate: {by: [order_id], measures: {n: count(*), t: sum(total), m: max(memo), b: max(big)}}`,
		sql: `SELECT order_id, count(*) AS n, sum(total) AS t, max(memo) AS m, max(big) AS b FROM t GROUP BY ALL`},

	{name: "group by text of many lines", order: "memo, day", rows: 10000, steps: `
  - aggregate: {by: [memo, day], measures: {n: count(*), f: sum(fare)}}`,
		sql: `SELECT memo, day, count(*) AS n, sum(fare) AS f FROM t GROUP BY ALL`},

	{name: "group by expressions", order: "month, bucket, tiny3", rows: 100, steps: `
  - filter: total BETWEEN 5 AND 100
  - aggregate:
      by: {month: "date_trunc('month', pickup_at)::date", bucket: "CASE WHEN trip_distance < 1 THEN 'short' WHEN trip_distance < 5 THEN 'middle' ELSE 'long' END", tiny3: tiny % 3}
      measures: {n: count(*), revenue: sum(fare + extra), tip: max(tip), zones: "count(distinct coalesce(zone, 'none'))"}`,
		sql: `SELECT date_trunc('month', pickup_at)::DATE AS month, CASE WHEN trip_distance < 1 THEN 'short' WHEN trip_distance < 5 THEN 'middle' ELSE 'long' END AS bucket, tiny % 3 AS tiny3,
  count(*) AS n, sum(fare + extra) AS revenue, max(tip) AS tip, count(DISTINCT coalesce(zone, 'none')) AS zones FROM t WHERE total BETWEEN 5 AND 100 GROUP BY ALL`},

	{name: "group by floats, decimals and times", order: "ratio, price, instant", rows: 15000, steps: `
  - derive: {ratio: "CASE WHEN abs(ratio) < 100 THEN ratio END", price: "round(price, 0)"}
  - aggregate: {by: [ratio, price, instant], measures: {n: count(*), k: count(distinct vendor_id)}}`,
		sql: `SELECT CASE WHEN abs(ratio) < 100 THEN ratio + 0 END AS ratio, round(price, 0) AS price, instant, count(*) AS n, count(DISTINCT vendor_id) AS k FROM t GROUP BY ALL`},

	{name: "steps after an aggregate", order: "pu", rows: 50, steps: `
  - derive: {km: trip_distance * 1.609344}
  - aggregate: {by: [pu_location], measures: {trips: count(*), fares: sum(fare), far: max(km)}}
  - filter: trips >= 80 AND fares > 500
  - derive: {per_trip: "(fares * 100)::bigint / trips", label: "'zone ' || pu_location::text"}
  - rename: {pu_location: pu}
  - drop: [fares]`,
		sql: `SELECT pu_location AS pu, count(*) AS trips, max(trip_distance * 1.609344) AS far, (sum(fare) * 100)::BIGINT // count(*) AS per_trip, 'zone ' || pu_location AS label
  FROM t GROUP BY ALL HAVING trips >= 80 AND sum(fare) > 500`},

	{name: "aggregate of an aggregate", order: "trips", rows: 20, steps: `
  - aggregate: {by: [pu_location, do_location], measures: {trips: count(*), fares: sum(fare)}}
  - aggregate: {by: [pu_location], measures: {trips: sum(trips), pairs: count(*), best: max(fares)}}
  - aggregate: {by: [trips], measures: {n: count(*), pairs: sum(pairs), best: max(best)}}`,
		sql: `SELECT trips::BIGINT AS trips, count(*) AS n, sum(pairs)::BIGINT AS pairs, max(best) AS best FROM
  (SELECT pu_location, sum(trips) AS trips, count(*) AS pairs, max(fares) AS best FROM (SELECT pu_location, do_location, count(*) AS trips, sum(fare) AS fares FROM t GROUP BY ALL) GROUP BY pu_location) GROUP BY trips`},

	{name: "sort", rows: wideRows, steps: `
  - sort: [zone, {ratio: desc}, "round(price, 0) desc nulls last", flag, order_id]`,
		sql: `SELECT * FROM t ORDER BY zone NULLS LAST, ratio DESC NULLS FIRST, round(price, 0) DESC NULLS LAST, flag NULLS LAST, order_id`},

	{name: "sort by texts and times, limit", rows: 4000, steps: `
  - sort: [memo, {instant: asc nulls first}, huge desc, order_id]
  - limit: {rows: 4000, offset: 9000}`,
		sql: `SELECT * FROM t ORDER BY memo NULLS LAST, instant NULLS FIRST, huge DESC NULLS FIRST, order_id LIMIT 4000 OFFSET 9000`},

	{name: "limit", rows: 777, steps: `
  - filter: fare > 5
  - limit: {rows: 777, offset: 1234}`,
		sql: `SELECT * FROM t WHERE fare > 5 LIMIT 777 OFFSET 1234`},

	{name: "top", rows: 400, order: "pu_location, total DESC, order_id", steps: `
  - top: {n: 2, by: [pu_location], order_by: "total desc, order_id"}`,
		sql: `SELECT * FROM t QUALIFY row_number() OVER (PARTITION BY pu_location ORDER BY total DESC NULLS FIRST, order_id) <= 2`},

	{name: "dedupe", rows: 1000, order: "order_id", steps: `
  - dedupe: {keys: [pu_location, day, passenger_count], keep: last, order_by: [fare, order_id]}`,
		sql: `SELECT * FROM t QUALIFY row_number() OVER (PARTITION BY pu_location, day, passenger_count ORDER BY fare DESC NULLS FIRST, order_id DESC) = 1`},

	{name: "window ranks and offsets", rows: wideRows, order: "order_id", steps: `
  - window:
      partition_by: [zone, payment_type]
      order_by: ["pickup_at desc", order_id]
      columns: {rn: row_number(), nt: ntile(7), before: "lag(memo, 2)", after: "lead(fare, 1, 0)", first: first_value(day), last: last_value(order_id) rows between current row and unbounded following, third: "nth_value(tiny, 3)"}
  - window: {partition_by: [pu_location], order_by: [total], columns: {rk: rank(), dr: dense_rank(), pr: percent_rank(), cd: cume_dist()}}`,
		sql: `SELECT *, row_number() OVER w AS rn, ntile(7) OVER w AS nt, lag(memo, 2) OVER w AS before, lead(fare, 1, 0) OVER w AS after, first_value(day) OVER w AS first,
  last_value(order_id) OVER (PARTITION BY zone, payment_type ORDER BY pickup_at DESC NULLS FIRST, order_id ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING) AS last, nth_value(tiny, 3) OVER w AS third,
  rank() OVER v AS rk, dense_rank() OVER v AS dr, percent_rank() OVER v AS pr, cume_dist() OVER v AS cd
  FROM t WINDOW w AS (PARTITION BY zone, payment_type ORDER BY pickup_at DESC NULLS FIRST, order_id), v AS (PARTITION BY pu_location ORDER BY total NULLS LAST)`},

	{name: "window aggregates", rows: wideRows, order: "order_id", steps: `
  - window:
      partition_by: [day]
      order_by: [pickup_at, order_id]
      columns: {n: count(*), c: count(tiny) rows between 3 preceding and 1 preceding, s: sum(tiny) rows between 2 preceding and current row, p: sum(price) rows unbounded preceding,
                lo: min(memo) rows between 4 preceding and 4 following, hi: max(instant) rows between current row and 5 following, f: sum(trip_distance), d: max(huge)}
  - window: {partition_by: [vendor_id], columns: {all: sum(fare), least: min(zone), k: count(distinct pu_location)}}
  - drop: [ratio]`,
		sql: `SELECT * EXCLUDE (ratio), count(*) OVER w AS n, count(tiny) OVER (PARTITION BY day ORDER BY pickup_at, order_id ROWS BETWEEN 3 PRECEDING AND 1 PRECEDING) AS c,
  sum(tiny) OVER (PARTITION BY day ORDER BY pickup_at, order_id ROWS 2 PRECEDING)::BIGINT AS s, sum(price) OVER (PARTITION BY day ORDER BY pickup_at, order_id ROWS UNBOUNDED PRECEDING) AS p,
  min(memo) OVER (PARTITION BY day ORDER BY pickup_at, order_id ROWS BETWEEN 4 PRECEDING AND 4 FOLLOWING) AS lo, max(instant) OVER (PARTITION BY day ORDER BY pickup_at, order_id ROWS BETWEEN CURRENT ROW AND 5 FOLLOWING) AS hi,
  sum(trip_distance) OVER w AS f, max(huge) OVER w AS d, sum(fare) OVER v AS all, min(zone) OVER v AS least, count(DISTINCT pu_location) OVER v AS k
  FROM t WINDOW w AS (PARTITION BY day ORDER BY pickup_at, order_id), v AS (PARTITION BY vendor_id)`},

	{name: "unpivot", rows: 3 * wideRows / 2, steps: `
  - filter: fare IS NOT NULL
  - select: [order_id, fare, tip, tolls]
  - unpivot: {columns: [fare, tip, tolls], name: part, value: amount}`,
		sql: `SELECT order_id, part, amount FROM (SELECT order_id, unnest(['fare', 'tip', 'tolls']) AS part, unnest([fare, tip, tolls]) AS amount FROM t WHERE fare IS NOT NULL)`},

	{name: "pivot", order: "pu_location", rows: 50, steps: `
  - pivot: {on: payment_type, values: {card: 1, cash: 2}, using: {n: count(*), total: sum(total)}, by: [pu_location]}`,
		sql: `SELECT pu_location, count(*) FILTER (payment_type = 1) AS card_n, sum(total) FILTER (payment_type = 1) AS card_total,
  count(*) FILTER (payment_type = 2) AS cash_n, sum(total) FILTER (payment_type = 2) AS cash_total FROM t GROUP BY ALL`},

	{name: "select and rename", rows: wideRows, steps: `
  - select: [total, order_id, memo, huge]
  - rename: {order_id: id, memo: "Memo of the Trip"}`,
		sql: `SELECT total, order_id AS id, memo AS "Memo of the Trip", huge FROM t`},

	{name: "cast", rows: wideRows, steps: `
  - select: [order_id, passenger_count, fare, total, day, pickup_at, flag, big, tiny, whole, price]
  - cast: {order_id: int64, passenger_count: float64, fare: "decimal(12,4)", total: string, day: timestamp, flag: string, big: "decimal(38,0)", tiny: int64, whole: string, price: float64}`,
		sql: `SELECT order_id::BIGINT AS order_id, passenger_count::DOUBLE AS passenger_count, fare::DECIMAL(12,4) AS fare, total::VARCHAR AS total, day::TIMESTAMP AS day, pickup_at, flag::VARCHAR AS flag,
  big::DECIMAL(38,0) AS big, tiny::BIGINT AS tiny, whole::VARCHAR AS whole, price::DOUBLE AS price FROM t`},
}

// exactMean is avg of a decimal(18,2) as the worker gives it: four more places, rounded half away from zero.
func exactMean(col string) string {
	v := "(sum(" + col + ") * 100)::HUGEINT * 10000"
	return fmt.Sprintf("(sign(%[1]s) * ((2 * abs(%[1]s) + count(%[2]s)) // (2 * count(%[2]s))))::DECIMAL(38,0) / 1000000", v, col)
}

// TestPipelines runs each pipeline over the same rows as CSV, CSV.gz, JSON Lines and Parquet and holds what DuckDB reads from the worker's Parquet against
// what DuckDB makes of the CSV.
func TestPipelines(t *testing.T) { compareAll(t, pipelines, "csv", "csv.gz", "jsonl", "parquet") }

func compareAll(t *testing.T, cases []comparison, formats ...string) {
	t.Helper()
	dir := t.TempDir()
	db := openDuckDB(t)
	execute(t, db, "SET TimeZone = 'UTC'")
	csv := filepath.Join(dir, "in.csv")
	f, err := os.Create(csv)
	if err != nil {
		t.Fatal(err)
	}
	if err := trips.WriteWide(f, wideRows); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	execute(t, db, "CREATE TABLE t AS SELECT * FROM "+ReadCSV(csv, trips.WideColumns, ""))
	inputs := map[string]string{"csv": csv, "csv.gz": csv + ".gz", "jsonl": filepath.Join(dir, "in.jsonl"), "parquet": filepath.Join(dir, "in.parquet")}
	compress(t, csv, inputs["csv.gz"])
	execute(t, db, "COPY t TO "+Quote(inputs["jsonl"])+" (FORMAT json)")
	execute(t, db, "COPY t TO "+Quote(inputs["parquet"])+" (FORMAT parquet, ROW_GROUP_SIZE 6000)")

	for n, p := range cases {
		sql, order := p.sql, ""
		if p.order != "" {
			order = " ORDER BY " + p.order
		}
		want := query(t, db, sql+order)
		if len(want.Rows) < p.rows {
			t.Errorf("%s: compares only %d rows, at least %d are wanted", p.name, len(want.Rows), p.rows)
		}
		bad := int64(0)
		if p.bad != "" {
			bad = query(t, db, "SELECT count(*) FROM t WHERE "+p.bad).Rows[0][0].(int64)
		}
		for _, format := range formats {
			in := inputs[format]
			t.Run(p.name+"/"+format, func(t *testing.T) {
				out := filepath.Join(t.TempDir(), "out")
				file := filepath.Join(dir, "p.yaml")
				write(t, file, fmt.Sprintf("version: 1\nname: p\n%serrors: {quarantine: %s, max_rate: 100%%}\nsteps: %s\nsink: {uri: %s}\n",
					schemaYAML(trips.WideColumns), Quote(out+"-bad/"), p.steps, Quote(out+"/")))
				rec := runWorker(t, "run", "-p", file, "--input", in, "--lanes", fmt.Sprint(1+n%3))
				if rec.Rows.Read != wideRows || rec.Rows.Rejected != bad {
					t.Errorf("receipt: read %d rows of %d, rejected %d of %d", rec.Rows.Read, wideRows, rec.Rows.Rejected, bad)
				}
				tolerance := p.tolerance
				if tolerance == 0 && (strings.Contains(p.steps, "aggregate") || strings.Contains(p.steps, "window") || strings.Contains(p.steps, "pivot")) {
					tolerance = FloatSums
				}
				if diff := Diff(want, query(t, db, "SELECT * FROM "+parts(out)+order), tolerance); diff != "" {
					t.Error(diff)
				}
				if p.name == "all columns" {
					for _, q := range []string{"SELECT * FROM t EXCEPT ALL SELECT * FROM " + parts(out), "SELECT * FROM " + parts(out) + " EXCEPT ALL SELECT * FROM t"} {
						if left := query(t, db, q); len(left.Rows) > 0 {
							t.Errorf("%d rows differ, such as %v", len(left.Rows), left.Rows[0])
						}
					}
				}
			})
		}
	}
}

func compress(t *testing.T, from, to string) {
	t.Helper()
	f, err := os.Create(to)
	if err != nil {
		t.Fatal(err)
	}
	z := gzip.NewWriter(f)
	if _, err := z.Write([]byte(read(t, from))); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}
