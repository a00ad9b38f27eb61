package workload

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sluice-data/sluice/bench"
	"github.com/sluice-data/sluice/bench/data"
	"github.com/sluice-data/sluice/bench/trips"
)

const everything = "SELECT * FROM {in}"

const zoneSteps = `
  - filter: fare > 0 AND trip_distance > 0
  - derive: {day: "date_trunc('day', pickup_at)", tip_rate: "tip / fare * 100"}
  - aggregate:
      by: [day, pu_location]
      measures: {n: count(*), revenue: sum(total), tip_pct: avg(tip_rate), dests: approx_count_distinct(do_location), min_fare: min(fare), max_fare: max(fare)}`

// zoneSQL is zoneSteps, with SQL for the number of destinations.
func zoneSQL(dests string) string {
	return `SELECT date_trunc('day', pickup_at) AS day, pu_location, count(*) AS n, sum(total) AS revenue, avg(tip / fare * 100) AS tip_pct, ` + dests +
		` AS dests, min(fare) AS min_fare, max(fare) AS max_fare FROM {in} WHERE fare > 0 AND trip_distance > 0 GROUP BY ALL`
}

const orderSteps = `
  - derive: {k: "substring(order_id, 1, 9)"}
  - aggregate:
      by: [k]
      measures: {n: count(*), revenue: sum(total), max_fare: max(fare)}`

const orderSQL = "SELECT substring(order_id, 1, 9) AS k, count(*) AS n, sum(total) AS revenue, max(fare) AS max_fare FROM {in} GROUP BY ALL"

// byZone is a filter, two derived columns and a group by day and zone.
func byZone(w Workload) Workload {
	w.Steps, w.SQL, w.Exact = zoneSteps, zoneSQL("approx_count_distinct(do_location)"), zoneSQL("count(DISTINCT do_location)")
	w.Keys, w.Approx = []string{"day", "pu_location"}, []string{"dests"}
	return w
}

// byOrder is a group by nearly as many keys as there are rows.
func byOrder(w Workload) Workload {
	w.Steps, w.SQL, w.Keys = orderSteps, orderSQL, []string{"k"}
	return w
}

// beside is w inside a memory limit, set against another.
func beside(w Workload, other, memory string) Workload {
	w.Beside, w.Memory = other, memory
	return w
}

// partitioned writes n partitions, whose rows come in random order, inside a memory limit of 512 MiB.
func partitioned(name, title string, n int) Workload {
	p := fmt.Sprintf("(pu_location * 263 + do_location) %% %d", n)
	return Workload{Name: name, Title: title, Set: "trips.csv", Columns: trips.Floats, Partition: "p", Memory: "512MiB",
		Steps: "  - derive: {p: \"" + p + "\"}", SQL: "SELECT *, " + p + " AS p FROM {in}"}
}

// sniffed are the types that keep every value of trips.csv, the narrowest that a file tells: order numbers have leading zeros.
func sniffed() [][2]string {
	out := slices.Clone(trips.Floats)
	for i, c := range out {
		if c[1] == "int32" {
			out[i][1] = "int64"
		}
	}
	return out
}

// all are the workloads in the order of the table. To add one is to add an entry to one of its lists.
var all = slices.Concat(whole, steps, functions)

// whole are whole jobs: formats, group by, partitions.
var whole = []Workload{
	{Name: "W1", Title: "CSV → Parquet", Set: "trips.csv", Columns: trips.Floats, SQL: everything},
	{Name: "W1gz", Title: "CSV.gz → Parquet", Set: "trips.csv.gz", Columns: trips.Floats, SQL: everything},
	{Name: "W1zst", Title: "CSV.zst → Parquet", Set: "trips.csv.zst", Columns: trips.Floats, SQL: everything},
	byZone(Workload{Name: "W2", Title: "CSV.gz → filter, derive, group by day and zone", Set: "trips.csv.gz", Columns: trips.Floats}),
	byZone(Workload{Name: "W2p", Title: "the same from plain CSV", Set: "trips.csv", Columns: trips.Floats}),
	{Name: "W3", Title: "JSON Lines → Parquet", Set: "trips.jsonl", Columns: trips.Floats, SQL: everything},
	{Name: "W3gz", Title: "JSON Lines.gz → Parquet", Set: "trips.jsonl.gz", Columns: trips.Floats, SQL: everything},
	byZone(Workload{Name: "W4", Title: "Parquet (zstd) → filter, derive, group by day and zone", Set: "trips.zstd.parquet"}),
	byZone(Workload{Name: "W4s", Title: "the same from Parquet (snappy)", Set: "trips.snappy.parquet"}),
	byOrder(Workload{Name: "W5", Title: "CSV → group by nearly every order", Set: "trips.csv", Columns: trips.Floats}),
	byOrder(Workload{Name: "W5p", Title: "the same from Parquet (zstd)", Set: "trips.zstd.parquet"}),
	byOrder(Workload{Name: "W5-256M", Title: "W5 inside a memory limit of 256 MiB", Set: "trips.csv", Columns: trips.Floats, Memory: "256MiB", Beside: "W5"}),
	{Name: "W6", Title: "CSV → Parquet in 365 Hive partitions", Set: "trips.csv", Columns: trips.Floats, Partition: "day",
		Steps: `  - derive: {day: "date_trunc('day', pickup_at)::date"}`, SQL: "SELECT *, date_trunc('day', pickup_at)::DATE AS day FROM {in}"},
	partitioned("parts-1", "CSV → Parquet, one partition, inside 512 MiB", 1),
	partitioned("parts-365", "CSV → Parquet in 365 partitions in random order, inside 512 MiB", 365),
	partitioned("parts-10k", "CSV → Parquet in 10,000 partitions in random order, inside 512 MiB", 10_000),
	{Name: "infer", Title: "CSV without a declared schema → Parquet", Set: "trips.csv", SQL: everything, Want: everything, WantColumns: sniffed(),
		WantWhy: "held to DuckDB's typed reading: its sniffing makes numbers of order_id and loses their leading zeros"},
	{Name: "wide", Title: "CSV of 1,000 columns → Parquet", Set: "wide.csv", Columns: trips.ManyColumns, SQL: everything},
	{Name: "narrow", Title: "CSV of 3 columns → Parquet", Set: "narrow.csv", Columns: trips.FewColumns, SQL: everything},
	{Name: "nested", Title: "Parquet with lists and structs → filter → Parquet", Set: "nested.parquet",
		Steps: "  - filter: id % 10 <> 3", SQL: "SELECT * FROM {in} WHERE id % 10 <> 3"},
	{Name: "objects", Title: "many CSV objects of 100 KB → Parquet, one run", Set: "objects/", Columns: trips.Floats, SQL: everything},
	{Name: "demo", Title: "the demo pipeline: CSV.gz → filter, derive, group by state and year", Set: data.Strikes, Columns: bench.DemoColumns,
		File: "testdata/demo/strikes.yaml", SQL: bench.DemoSQL("{in}"), Keys: []string{"state", "year"}},
}

// All are the workloads, checked: each has a name of its own and a set that is there.
func All() ([]Workload, error) {
	out := slices.Clone(all)
	seen := map[string]bool{}
	for i := range out {
		w := &out[i]
		set, err := data.Find(w.Set)
		if err != nil {
			return nil, fmt.Errorf("workload %s: %w", w.Name, err)
		}
		if seen[w.Name] {
			return nil, fmt.Errorf("two workloads %s", w.Name)
		}
		if w.Ref != "" {
			if _, err := data.Find(w.Ref); err != nil {
				return nil, fmt.Errorf("workload %s: %w", w.Name, err)
			}
		}
		w.Format, seen[w.Name] = set.Format, true
	}
	return out, nil
}

// Pick is the workloads of those names (comma between them) in the table's order; all of them for "".
func Pick(names string) ([]Workload, error) {
	out, err := All()
	if err != nil || names == "" {
		return out, err
	}
	want := strings.Split(names, ",")
	for _, n := range want {
		if !slices.ContainsFunc(out, func(w Workload) bool { return w.Name == n }) {
			return nil, fmt.Errorf("no workload %q", n)
		}
	}
	return slices.DeleteFunc(out, func(w Workload) bool { return !slices.Contains(want, w.Name) }), nil
}
