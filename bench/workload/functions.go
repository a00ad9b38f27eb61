package workload

import (
	"fmt"
	"strings"
)

// class is a class of functions: n columns are computed of each trip and folded to a few numbers, so that little but the functions is timed. Each
// expression is a number, in the worker's SQL and, where that is other, in DuckDB's, whose sum is cast to typ: it writes sums of integers as floats.
func class(name, title, typ string, exprs ...[2]string) Workload {
	var ours, theirs []string
	for i, e := range exprs {
		if e[1] == "" {
			e[1] = e[0]
		}
		ours = append(ours, fmt.Sprintf(`s%d: "sum(%s)"`, i, e[0]))
		theirs = append(theirs, fmt.Sprintf("sum(%s)%s AS s%d", e[1], typ, i))
	}
	return Workload{Name: "fn-" + name, Title: "Parquet → " + title + " → sums by vendor", Set: "trips.zstd.parquet", Keys: []string{"vendor_id"},
		Steps: "\n  - aggregate: {by: [vendor_id], measures: {" + strings.Join(ours, ", ") + "}}",
		SQL:   "SELECT vendor_id, " + strings.Join(theirs, ", ") + " FROM {in} GROUP BY ALL"}
}

// functions are workloads of the classes of functions, scalar ones and aggregates.
var functions = []Workload{
	class("text", "functions of texts", "::BIGINT", [2]string{"length(upper(note))"}, [2]string{"strpos(note, 'north')"}, [2]string{"length(split_part(note, ' ', 3))"},
		[2]string{"length(replace(note, 'gate', 'door no.'))"}, [2]string{"length(trim(substring(order_id, 3, 6)) || left(note, 4))"},
		[2]string{"CASE WHEN note LIKE '%gate%' THEN 1 ELSE 0 END"}),
	class("regexp", "regular expressions", "::BIGINT", [2]string{"length(regexp_replace(note, '[aeiou]+', '_', 'g'))"}, [2]string{"CASE WHEN regexp_like(order_id, '7[0-9]*1$') THEN 1 ELSE 0 END", "CASE WHEN regexp_matches(order_id, '7[0-9]*1$') THEN 1 ELSE 0 END"},
		[2]string{"length(regexp_extract(note, 'gate ([0-9]+)', 1))"}),
	class("time", "functions of times", "::BIGINT", [2]string{"extract(hour FROM pickup_at)"}, [2]string{"date_diff('minute', pickup_at, dropoff_at)"}, [2]string{"extract(doy FROM date_trunc('week', pickup_at))"},
		[2]string{"extract(day FROM pickup_at + INTERVAL '1 month')"}, [2]string{"extract(year FROM last_day(dropoff_at::date))"}),
	class("print-time", "times printed", "::BIGINT", [2]string{"length(strftime(pickup_at, '%d.%m.%Y %H:%M'))"}, [2]string{"length(dropoff_at::text)"}),
	class("decimal", "exact decimals", "", [2]string{"round(total::decimal(18,2) * 1.0825, 2)"}, [2]string{"fare::decimal(18,2) * passenger_count - tip::decimal(18,2)"}, [2]string{"abs(total::decimal(18,2) - fare::decimal(18,2))"}),
	class("cast", "texts and numbers cast", "::BIGINT", [2]string{"order_id::bigint % 1000"}, [2]string{"length(total::decimal(18,2)::text)"}, [2]string{"right(order_id, 5)::int"}, [2]string{"length((pu_location * 1000 + do_location)::text)"}),
	class("choose", "CASE, coalesce, greatest", "::BIGINT", [2]string{"CASE WHEN passenger_count > 3 THEN pu_location WHEN payment_type = 2 THEN do_location ELSE 0 END"}, [2]string{"coalesce(nullif(passenger_count, 1), 7)"},
		[2]string{"greatest(pu_location, do_location, 50)"}, [2]string{"CASE WHEN pu_location IN (1, 5, 9, 13, 99, 200) THEN 1 ELSE 0 END"}),
	class("hash", "hashes", "::BIGINT", [2]string{"length(md5(order_id))"}, [2]string{"ascii(sha256(order_id))"}),
	class("json", "json", "::BIGINT", [2]string{"length(json_extract_string(('{\\\"id\\\":\\\"' || order_id || '\\\",\\\"n\\\":[1,2,' || passenger_count || ']}')::json, '$.id'))",
		"length(json_extract_string(('{\"id\":\"' || order_id || '\",\"n\":[1,2,' || passenger_count || ']}')::json, '$.id'))"}),
	class("list", "lists", "::BIGINT", [2]string{"array_length(string_to_array(note, ' '))", "len(string_to_array(note, ' '))"}, [2]string{"length((string_to_array(note, ' '))[1])"}),
	{Name: "group-text", Title: "Parquet → group by a text", Set: "trips.zstd.parquet", Keys: []string{"note"},
		Steps: "\n  - aggregate: {by: [note], measures: {n: count(*), revenue: sum(total)}}", SQL: "SELECT note, count(*) AS n, sum(total) AS revenue FROM {in} GROUP BY ALL"},
	aggregates("spread", "spreads and covariances", "stddev_samp(fare)", "covar_pop(fare, total)", "var_pop(trip_distance)"),
	aggregates("median", "exact percentiles", "median(fare)", "percentile_cont(0.9) WITHIN GROUP (ORDER BY trip_distance)"),
	aggregates("distinct", "exact distinct counts", "count(DISTINCT note)", "count(DISTINCT trip_distance)"),
	aggregates("extremes", "rows at extremes", "arg_max(order_id, total)", "arg_min(order_id, pickup_at)", "max(note)"),
}

// aggregates are aggregate functions by zone.
func aggregates(name, title string, exprs ...string) Workload {
	var ours, theirs []string
	for i, e := range exprs {
		ours = append(ours, fmt.Sprintf(`a%d: "%s"`, i, e))
		theirs = append(theirs, fmt.Sprintf("%s AS a%d", e, i))
	}
	return Workload{Name: "agg-" + name, Title: "Parquet → " + title + " by zone", Set: "trips.zstd.parquet", Keys: []string{"pu_location"},
		Steps: "\n  - aggregate: {by: [pu_location], measures: {" + strings.Join(ours, ", ") + "}}",
		SQL:   "SELECT pu_location, " + strings.Join(theirs, ", ") + " FROM {in} GROUP BY ALL"}
}
