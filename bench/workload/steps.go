package workload

import "github.com/sluice-data/sluice/bench/trips"

// inOrder is a sort of all trips by one column.
func inOrder(name, title, column string) Workload {
	return Workload{Name: name, Title: title, Set: "trips.zstd.parquet", Steps: "\n  - sort: [" + column + "]", SQL: everything + " ORDER BY " + column + " NULLS LAST"}
}

// steps are workloads of one step each, over Parquet unless the title says otherwise.
var steps = []Workload{
	{Name: "lookup", Title: "Parquet (zstd) → join with 1,000 zones twice → Parquet", Set: "trips.zstd.parquet", Ref: "zones.csv", Steps: `
  - lookup: {uri: {ref}, schema: {columns: {id: int32, zone: string, borough: string}}, on: {pu_location: id}, add: {pu_zone: zone, pu_borough: borough}, join: left}
  - lookup: {uri: {ref}, schema: {columns: {id: int32, zone: string, borough: string}}, on: {do_location: id}, add: {do_zone: zone}, join: inner}`,
		SQL: `SELECT i.*, p.zone AS pu_zone, p.borough AS pu_borough, d.zone AS do_zone FROM {in} i LEFT JOIN read_csv({ref}, columns = {'id': 'INTEGER', 'zone': 'VARCHAR', 'borough': 'VARCHAR'}, header = true) p ON i.pu_location = p.id
  JOIN read_csv({ref}, columns = {'id': 'INTEGER', 'zone': 'VARCHAR', 'borough': 'VARCHAR'}, header = true) d ON i.do_location = d.id`},
	{Name: "lookup-large", Title: "Parquet (zstd) → join with as many orders as there are rows → group by", Set: "trips.zstd.parquet", Ref: "orders.parquet", Steps: `
  - lookup: {uri: {ref}, on: [order_id], add: [segment, discount], join: inner}
  - aggregate: {by: [segment], measures: {n: count(*), discount: sum(discount), revenue: sum(total)}}`,
		SQL: `SELECT segment, count(*) AS n, sum(discount) AS discount, sum(total) AS revenue FROM {in} JOIN read_parquet({ref}) USING (order_id) GROUP BY ALL`, Keys: []string{"segment"}},
	inOrder("sort-time", "Parquet → sorted by a timestamp", "pickup_at"),
	inOrder("sort-float", "Parquet → sorted by a float", "total"),
	inOrder("sort-text", "Parquet → sorted by a text", "order_id"),
	beside(inOrder("sort-512M", "the same inside a memory limit of 512 MiB", "order_id"), "sort-text", "512MiB"),
	{Name: "top", Title: "Parquet → the 3 longest trips of each zone", Set: "trips.zstd.parquet", Steps: "\n  - top: {n: 3, by: [pu_location], order_by: \"trip_distance desc, order_id\"}",
		SQL: everything + " QUALIFY row_number() OVER (PARTITION BY pu_location ORDER BY trip_distance DESC, order_id) <= 3"},
	{Name: "dedupe", Title: "CSV → one row of each order", Set: "trips.csv", Columns: trips.Floats, Steps: "\n  - dedupe: {keys: [order_id]}", SQL: "SELECT DISTINCT ON (order_id) * FROM {in}"},
	beside(Workload{Name: "dedupe-512M", Title: "the same inside a memory limit of 512 MiB", Set: "trips.csv", Columns: trips.Floats, Steps: "\n  - dedupe: {keys: [order_id]}",
		SQL: "SELECT DISTINCT ON (order_id) * FROM {in}"}, "dedupe", "512MiB"),
	{Name: "dedupe-last", Title: "Parquet → the last trip of each zone and minute", Set: "trips.zstd.parquet",
		Steps: "\n  - dedupe: {keys: [pu_location, \"date_trunc('minute', pickup_at)\"], keep: last, order_by: order_id}",
		SQL:   everything + " QUALIFY row_number() OVER (PARTITION BY pu_location, date_trunc('minute', pickup_at) ORDER BY order_id DESC) = 1"},
	{Name: "window", Title: "Parquet → each trip's number in its zone, the fare before and their sum so far", Set: "trips.zstd.parquet",
		Steps: "\n  - window: {partition_by: [pu_location], order_by: [pickup_at, order_id], columns: {rn: row_number(), prev: lag(fare), run: sum(fare) rows unbounded preceding}}",
		SQL: "SELECT *, row_number() OVER w AS rn, lag(fare) OVER w AS prev, sum(fare) OVER (PARTITION BY pu_location ORDER BY pickup_at, order_id ROWS UNBOUNDED PRECEDING) AS run FROM {in} " +
			"WINDOW w AS (PARTITION BY pu_location ORDER BY pickup_at, order_id)", Keys: []string{"order_id"}},
	{Name: "unnest", Title: "Parquet with lists → a row for each element → group by", Set: "nested.parquet",
		Steps: "\n  - unnest: {column: tags, as: tag}\n  - aggregate: {by: [tag], measures: {n: count(*), least: min(id), most: max(id)}}",
		SQL:   "SELECT tag, count(*) AS n, min(id) AS least, max(id) AS most FROM (SELECT id, unnest(tags) AS tag FROM {in}) GROUP BY ALL", Keys: []string{"tag"}},
	{Name: "unpivot", Title: "Parquet → a row for each of five amounts → group by", Set: "trips.zstd.parquet", Steps: `
  - select: [vendor_id, fare, extra, mta_tax, tip, tolls]
  - unpivot: {columns: [fare, extra, mta_tax, tip, tolls], name: kind, value: amount}
  - aggregate: {by: [vendor_id, kind], measures: {n: count(*), least: min(amount), most: max(amount), total: sum(amount)}}`,
		SQL: `SELECT vendor_id, kind, count(*) AS n, min(amount) AS least, max(amount) AS most, sum(amount) AS total FROM (
    UNPIVOT (SELECT vendor_id, fare, extra, mta_tax, tip, tolls FROM {in}) ON fare, extra, mta_tax, tip, tolls INTO NAME kind VALUE amount) GROUP BY ALL`, Keys: []string{"vendor_id", "kind"},
		Want: `SELECT vendor_id, kind, count(*) AS n, min(amount) AS least, max(amount) AS most, fsum(amount) AS total FROM (
    UNPIVOT (SELECT vendor_id, fare, extra, mta_tax, tip, tolls FROM {in}) ON fare, extra, mta_tax, tip, tolls INTO NAME kind VALUE amount) GROUP BY ALL`,
		WantWhy: "held to DuckDB's fsum: over ten million rows its sum is up to 3 parts in 10^12 off the exact one"},
	{Name: "pivot", Title: "Parquet → trips of each zone by payment type, in columns", Set: "trips.zstd.parquet",
		Steps: "\n  - pivot: {on: payment_type, values: [1, 2, 3, 4, 5], using: count(*), by: [pu_location]}",
		SQL: `SELECT pu_location, count(*) FILTER (WHERE payment_type = 1) AS "1", count(*) FILTER (WHERE payment_type = 2) AS "2", count(*) FILTER (WHERE payment_type = 3) AS "3",
    count(*) FILTER (WHERE payment_type = 4) AS "4", count(*) FILTER (WHERE payment_type = 5) AS "5" FROM {in} GROUP BY ALL`, Keys: []string{"pu_location"}},
	{Name: "fill", Title: "Parquet → the last note of a zone carried forward", Set: "trips.zstd.parquet", Steps: `
  - select: [order_id, pu_location, pickup_at, note]
  - fill: {forward: [note], by: [pu_location], order_by: [pickup_at, order_id]}`,
		SQL: `SELECT order_id, pu_location, pickup_at, last_value(note IGNORE NULLS) OVER (PARTITION BY pu_location ORDER BY pickup_at, order_id ROWS UNBOUNDED PRECEDING) AS note FROM {in}`},
	{Name: "union", Title: "Parquet twice → group by", Set: "trips.zstd.parquet", Ref: "trips.snappy.parquet", Again: 1, Steps: `
  - union: {uri: {ref}}
  - aggregate: {by: [pu_location], measures: {n: count(*), longest: max(trip_distance), total: sum(total)}}`,
		SQL:  "SELECT pu_location, count(*) AS n, max(trip_distance) AS longest, sum(total) AS total FROM (FROM {in} UNION ALL BY NAME FROM read_parquet({ref})) GROUP BY ALL",
		Keys: []string{"pu_location"}},
	{Name: "rollup", Title: "Parquet → group by day and zone, by day, and in all", Set: "trips.zstd.parquet", Steps: `
  - derive: {day: "date_trunc('day', pickup_at)"}
  - aggregate: {rollup: [day, pu_location], measures: {n: count(*), total: sum(total)}}`,
		SQL:  "SELECT date_trunc('day', pickup_at) AS day, pu_location, count(*) AS n, sum(total) AS total FROM {in} GROUP BY ROLLUP (day, pu_location)",
		Keys: []string{"day", "pu_location"}},
	{Name: "sessions", Title: "Parquet → sessions of each zone with pauses of ten minutes", Set: "trips.zstd.parquet",
		Steps: "\n  - aggregate: {by: [pu_location], window: {session: 10m, on: pickup_at}, measures: {n: count(*), longest: max(trip_distance)}}",
		SQL: `SELECT pu_location, min(pickup_at) AS window_start, max(pickup_at) + INTERVAL 10 MINUTE AS window_end, count(*) AS n, max(trip_distance) AS longest FROM (
    SELECT *, sum(starts) OVER (PARTITION BY pu_location ORDER BY pickup_at ROWS UNBOUNDED PRECEDING) AS session FROM (
      SELECT *, CASE WHEN pickup_at < lag(pickup_at) OVER (PARTITION BY pu_location ORDER BY pickup_at) + INTERVAL 10 MINUTE THEN 0 ELSE 1 END AS starts FROM {in}))
    GROUP BY pu_location, session`, Keys: []string{"pu_location", "window_start"}},
}
