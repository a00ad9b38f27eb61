package bench

// DemoSQL is testdata/demo/strikes.yaml in DuckDB's SQL over the CSV file in.
func DemoSQL(in string) string {
	return `SELECT upper("Origin State") AS state, extract(year FROM "Flight Date") AS year, count(*) AS strikes,
       count(DISTINCT "Wildlife Species") AS species, max("Speed IAS in knots") AS fastest,
       avg(power("Speed IAS in knots" / 100.0, 2)) AS mean_energy, sum("Cost Total $") AS cost
FROM read_csv('` + in + `', header = true, delim = ',', quote = '"', escape = '"', auto_detect = false, columns = {
  'Airport Name': 'VARCHAR', 'Aircraft Make Model': 'VARCHAR', 'Effect Amount of damage': 'VARCHAR', 'Flight Date': 'DATE',
  'Aircraft Airline Operator': 'VARCHAR', 'Origin State': 'VARCHAR', 'Phase of flight': 'VARCHAR', 'Wildlife Size': 'VARCHAR',
  'Wildlife Species': 'VARCHAR', 'Time of day': 'VARCHAR', 'Cost Other': 'BIGINT', 'Cost Repair': 'BIGINT',
  'Cost Total $': 'DECIMAL(18,2)', 'Speed IAS in knots': 'INTEGER'})
WHERE "Speed IAS in knots" IS NOT NULL
GROUP BY ALL`
}
