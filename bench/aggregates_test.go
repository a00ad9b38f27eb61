package bench

import "testing"

// aggregates are the functions and clauses of the aggregate step beside DuckDB's.
var aggregates = []comparison{
	{name: "spreads", order: "payment_type", rows: 4, tolerance: 1e-9, steps: `
  - aggregate:
      by: [payment_type]
      measures: {vp: var_pop(tiny), vs: var_samp(tiny), sp: stddev_pop(whole % 1000), ss: stddev(tiny), f: stddev_samp(trip_distance), d: variance(fare), x: stddev(DISTINCT tiny)}`,
		sql: `SELECT payment_type, var_pop(tiny) AS vp, var_samp(tiny) AS vs, stddev_pop(whole % 1000) AS sp, stddev(tiny) AS ss, stddev_samp(trip_distance) AS f, variance(fare) AS d, stddev(DISTINCT tiny) AS x
  FROM t GROUP BY ALL`},

	{name: "correlation", order: "zone", rows: 7, tolerance: 1e-7, steps: `
  - aggregate:
      by: [zone]
      measures: {c: "corr(fare, trip_distance)", cp: "covar_pop(fare, trip_distance)", cs: "covar_samp(tip, fare)", s: "regr_slope(total, trip_distance)", i: "regr_intercept(total, trip_distance)",
                 r: "regr_r2(total, trip_distance)", n: "regr_count(tip, passenger_count)", ax: "regr_avgx(tip, passenger_count)", ay: "regr_avgy(tip, passenger_count)", xx: "regr_sxx(tip, passenger_count)", xy: "regr_sxy(tip, passenger_count)", yy: "regr_syy(tip, passenger_count)"}`,
		sql: `SELECT zone, corr(fare, trip_distance) AS c, covar_pop(fare, trip_distance) AS cp, covar_samp(tip, fare) AS cs, regr_slope(total, trip_distance) AS s, regr_intercept(total, trip_distance) AS i,
  regr_r2(total, trip_distance) AS r, regr_count(tip, passenger_count)::BIGINT AS n, regr_avgx(tip, passenger_count) AS ax, regr_avgy(tip, passenger_count) AS ay, regr_sxx(tip, passenger_count) AS xx,
  regr_sxy(tip, passenger_count) AS xy, regr_syy(tip, passenger_count) AS yy FROM t GROUP BY ALL`},

	{name: "percentiles", order: "zone, flag", rows: 20, steps: `
  - aggregate:
      by: [zone, flag]
      measures: {mid: median(tiny), cont: percentile_cont(0.95) WITHIN GROUP (ORDER BY tiny), back: percentile_cont(0.1) WITHIN GROUP (ORDER BY tiny DESC), ratio: percentile_cont(0.25) WITHIN GROUP (ORDER BY trip_distance),
                 disc: percentile_disc(0.3) WITHIN GROUP (ORDER BY price), text: percentile_disc(0.5) WITHIN GROUP (ORDER BY memo), seen: percentile_disc(0.9) WITHIN GROUP (ORDER BY seen), fare: median(fare), few: median(DISTINCT tiny)}`,
		sql: `SELECT zone, flag, median(tiny) AS mid, percentile_cont(0.95) WITHIN GROUP (ORDER BY tiny) AS cont, percentile_cont(0.1) WITHIN GROUP (ORDER BY tiny DESC) AS back,
  percentile_cont(0.25) WITHIN GROUP (ORDER BY trip_distance) AS ratio, percentile_disc(0.3) WITHIN GROUP (ORDER BY price) AS disc, percentile_disc(0.5) WITHIN GROUP (ORDER BY memo) AS text,
  percentile_disc(0.9) WITHIN GROUP (ORDER BY seen) AS seen, median(fare::DOUBLE)::DECIMAL(38,6) AS fare, median(DISTINCT tiny) AS few FROM t GROUP BY ALL`},

	{name: "truth and bits", order: "vendor_id, ratecode", rows: 12, steps: `
  - aggregate:
      by: [vendor_id, ratecode]
      measures: {a: bool_and(fare > 3), o: bool_or(flag), e: every(tip > 0), n: count_if(flag), ba: bit_and(whole), bo: bit_or(tiny), bx: bit_xor(big), p: product(ratecode)}`,
		sql: `SELECT vendor_id, ratecode, bool_and(fare > 3) AS a, bool_or(flag) AS o, bool_and(tip > 0) AS e, count_if(flag)::BIGINT AS n, bit_and(whole) AS ba, bit_or(tiny) AS bo, bit_xor(big) AS bx,
  product(ratecode) AS p FROM t GROUP BY ALL`},

	{name: "first, last and their kin", order: "pu_location", rows: 50, steps: `
  - aggregate:
      by: [pu_location]
      measures: {f: first(memo), l: last(big), fo: first(memo ORDER BY order_id DESC), lo: "last(tiny ORDER BY day, order_id)", amin: "arg_min(order_id, trip_distance)", amax: "max_by(memo, order_id)", any: any_value(zone), mode: mode(vendor_id)}`,
		sql: `SELECT pu_location, first(memo ORDER BY n) AS f, last(big ORDER BY n) AS l, first(memo ORDER BY order_id DESC) AS fo, last(tiny ORDER BY day, order_id) AS lo,
  first(order_id ORDER BY trip_distance, n) FILTER (WHERE trip_distance IS NOT NULL) AS amin, arg_max(memo, order_id) AS amax, any_value(zone ORDER BY n) AS any, first(vendor_id ORDER BY k DESC, vendor_id) FILTER (WHERE vendor_id IS NOT NULL) AS mode
  FROM (SELECT *, row_number() OVER () AS n, count(*) OVER (PARTITION BY pu_location, vendor_id) AS k FROM t) GROUP BY ALL`},

	{name: "lists", order: "do_location", rows: 30, steps: `
  - aggregate:
      by: [do_location]
      measures: {texts: "string_agg(memo, '|' ORDER BY order_id)", zones: "string_agg(DISTINCT zone, ', ')", ids: "array_agg(tiny ORDER BY big DESC, order_id)", days: array_agg(DISTINCT day ORDER BY day DESC NULLS LAST), all: array_agg(order_id),
                 top: "top_k(payment_type, 1)", hist: histogram(payment_type)}
  - filter: do_location % 7 = 1`,
		sql: `SELECT do_location, string_agg(memo, '|' ORDER BY order_id) AS texts, string_agg(DISTINCT zone, ', ' ORDER BY zone) AS zones, array_agg(tiny ORDER BY big DESC NULLS FIRST, order_id) AS ids,
  array_agg(DISTINCT day ORDER BY day DESC NULLS LAST) AS days, array_agg(order_id ORDER BY n) AS all, [first(payment_type ORDER BY k DESC, payment_type)] AS top,
  list_transform(list_sort(map_entries(histogram(payment_type))), e -> {'value': e.key, 'count': e.value::BIGINT}) AS hist
  FROM (SELECT *, row_number() OVER () AS n, count(*) OVER (PARTITION BY do_location, payment_type) AS k FROM t) WHERE do_location % 7 = 1 GROUP BY ALL`},

	{name: "filter, distinct and expressions", order: "payment_type", rows: 4, steps: `
  - aggregate:
      by: [payment_type]
      measures: {n: count(*) FILTER (WHERE fare > 20), s: sum(tip) FILTER (WHERE flag), d: sum(DISTINCT tiny), m: avg(DISTINCT tiny), k: count(DISTINCT zone) FILTER (WHERE fare > 20),
                 share: "count(*) FILTER (WHERE flag) * 100 / count(*)", rate: "sum(tip) FILTER (WHERE fare > 0) > sum(fare) / 10", label: "payment_type::text || ':' || max(zone)", x: "coalesce(max(tiny) FILTER (WHERE fare > 100000), 0)"}
      having: count(*) > 100 AND n > 1`,
		sql: `SELECT payment_type, count(*) FILTER (WHERE fare > 20) AS n, sum(tip) FILTER (WHERE flag) AS s, sum(DISTINCT tiny)::BIGINT AS d, avg(DISTINCT tiny) AS m, count(DISTINCT zone) FILTER (WHERE fare > 20) AS k,
  count(*) FILTER (WHERE flag) * 100 // count(*) AS share, sum(tip) FILTER (WHERE fare > 0) > sum(fare) / 10 AS rate, payment_type::VARCHAR || ':' || max(zone) AS label, coalesce(max(tiny) FILTER (WHERE fare > 100000), 0) AS x
  FROM t GROUP BY payment_type HAVING count(*) > 100 AND n > 1`},

	{name: "arguments that fail where FILTER is not true", order: "zone", rows: 7, steps: `
  - aggregate:
      by: [zone]
      measures: {n: count(*), q: sum(1000 / (tiny % 3)) FILTER (WHERE tiny % 3 <> 0), d: "count(DISTINCT 1000 / (tiny % 3)) FILTER (WHERE tiny % 3 <> 0)", l: "string_agg((1000 / (tiny % 3))::text, ',' ORDER BY 10 / (tiny % 3), order_id) FILTER (WHERE tiny % 3 > 0 AND fare > 60)",
                 c: "max(replace(payment_type::text, '1', 'one')::int) FILTER (WHERE payment_type <> 1)", p: percentile_disc(0.5) WITHIN GROUP (ORDER BY 1000 / (tiny % 3)) FILTER (WHERE tiny % 3 <> 0)}`,
		sql: `SELECT zone, count(*) AS n, sum(1000 // (tiny % 3))::BIGINT AS q, count(DISTINCT 1000 // (tiny % 3)) AS d, string_agg((1000 // (tiny % 3))::VARCHAR, ',' ORDER BY 10 // (tiny % 3), order_id) FILTER (WHERE tiny % 3 > 0 AND fare > 60) AS l,
  max(payment_type) FILTER (WHERE payment_type <> 1)::INT AS c, percentile_disc(0.5) WITHIN GROUP (ORDER BY 1000 // (tiny % 3))::BIGINT AS p FROM t GROUP BY ALL`},

	{name: "rollup", order: "level, vendor_id, payment_type, flag", rows: 30, steps: `
  - aggregate: {rollup: [vendor_id, payment_type, flag], measures: {n: count(*), s: sum(fare), k: count(distinct zone), level: "grouping(vendor_id, payment_type, flag)"}}`,
		sql: `SELECT vendor_id, payment_type, flag, count(*) AS n, sum(fare) AS s, count(DISTINCT zone) AS k, grouping(vendor_id, payment_type, flag)::INT AS level FROM t GROUP BY ROLLUP (vendor_id, payment_type, flag)`},

	{name: "cube beside a key", order: "level, vendor_id, payment_type, zone", rows: 60, steps: `
  - aggregate: {by: [vendor_id], cube: [payment_type, zone], measures: {n: count(*), most: max(memo), level: "grouping(payment_type, zone)"}, having: n > 3}`,
		sql: `SELECT vendor_id, payment_type, zone, count(*) AS n, max(memo) AS most, grouping(payment_type, zone)::INT AS level FROM t GROUP BY vendor_id, CUBE (payment_type, zone) HAVING count(*) > 3`},

	{name: "grouping sets of many groups", order: "level, order_id, zone", rows: wideRows, steps: `
  - aggregate: {grouping_sets: [order_id, [zone], []], measures: {n: count(*), s: sum(total), level: "grouping(order_id, zone)"}}`,
		sql: `SELECT order_id, zone, count(*) AS n, sum(total) AS s, grouping(order_id, zone)::INT AS level FROM t GROUP BY GROUPING SETS (order_id, zone, ())`},

	{name: "tumbling windows", order: "vendor_id, window_start", rows: 100, steps: `
  - aggregate: {by: [vendor_id], window: {tumbling: 1w, on: pickup_at}, measures: {n: count(*), s: sum(fare)}}`,
		sql: `SELECT vendor_id, time_bucket(INTERVAL '7 days', pickup_at) AS window_start, time_bucket(INTERVAL '7 days', pickup_at) + INTERVAL '7 days' AS window_end, count(*) AS n, sum(fare) AS s FROM t GROUP BY ALL`},

	{name: "hopping windows", order: "window_start", rows: 100, steps: `
  - aggregate: {window: {hopping: {size: 1d, every: 8h}, on: pickup_at}, measures: {n: count(*), s: sum(fare), k: count(distinct vendor_id)}}`,
		sql: `SELECT time_bucket(INTERVAL '8 hours', pickup_at) - i * INTERVAL '8 hours' AS window_start, time_bucket(INTERVAL '8 hours', pickup_at) - i * INTERVAL '8 hours' + INTERVAL '1 day' AS window_end,
  count(*) AS n, sum(fare) AS s, count(DISTINCT vendor_id) AS k FROM t, generate_series(0, 2) g(i) GROUP BY ALL`},

	{name: "sessions", order: "pu_location, window_start", rows: 1000, steps: `
  - aggregate: {by: [pu_location], window: {session: 12h, on: pickup_at}, measures: {n: count(*), s: sum(fare), f: first(order_id ORDER BY order_id), m: median(tiny)}}`,
		sql: `SELECT pu_location, min(pickup_at) AS window_start, max(pickup_at) + INTERVAL '12 hours' AS window_end, count(*) AS n, sum(fare) AS s, min(order_id) AS f, median(tiny) AS m FROM (
  SELECT *, sum(fresh) OVER (PARTITION BY pu_location ORDER BY pickup_at RANGE UNBOUNDED PRECEDING) AS session FROM (
    SELECT *, CASE WHEN pickup_at - lag(pickup_at) OVER (PARTITION BY pu_location ORDER BY pickup_at) < INTERVAL '12 hours' THEN 0 ELSE 1 END AS fresh FROM t)) GROUP BY pu_location, session`},
}

// TestAggregates holds the worker's groups against DuckDB's.
func TestAggregates(t *testing.T) { compareAll(t, aggregates, "csv", "parquet") }
