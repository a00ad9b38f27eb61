package bench

// DemoSQL is testdata/demo/strikes.yaml in DuckDB's SQL over the table from.
func DemoSQL(from string) string {
	return `SELECT upper("Origin State") AS state, extract(year FROM "Flight Date") AS year, count(*) AS strikes,
       count(DISTINCT "Wildlife Species") AS species, max("Speed IAS in knots") AS fastest,
       avg(power("Speed IAS in knots" / 100.0, 2)) AS mean_energy, sum("Cost Total $") AS cost
FROM ` + from + `
WHERE "Speed IAS in knots" IS NOT NULL
GROUP BY ALL`
}

// DemoColumns are the columns of the demo's file with the types that the demo has them in.
var DemoColumns = [][2]string{{"Airport Name", "string"}, {"Aircraft Make Model", "string"}, {"Effect Amount of damage", "string"},
	{"Flight Date", "date"}, {"Aircraft Airline Operator", "string"}, {"Origin State", "string"}, {"Phase of flight", "string"},
	{"Wildlife Size", "string"}, {"Wildlife Species", "string"}, {"Time of day", "string"}, {"Cost Other", "int64"}, {"Cost Repair", "int64"},
	{"Cost Total $", "decimal(18,2)"}, {"Speed IAS in knots", "int32"}}
