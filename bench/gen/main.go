// Command gen writes the seeded "trips" data set to standard output.
//
//	gen -rows 10000000 > trips.csv
package main

import (
	"flag"
	"fmt"
	"os"

	"github.com/sluice-data/sluice/bench/trips"
)

func main() {
	rows := flag.Int("rows", 1_000_000, "rows to write")
	flag.Parse()
	if err := trips.Write(os.Stdout, *rows); err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1)
	}
}
