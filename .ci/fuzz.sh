#!/usr/bin/env bash
# Runs every fuzz target for a few seconds: a smoke test, not a campaign. FUZZTIME=1m for longer.
set -euo pipefail
cd "$(dirname "$0")/.."
grep -rlE '^func Fuzz' --include='*_test.go' . | xargs -n1 dirname | sort -u | while read -r dir; do
  for f in $(grep -hoE '^func Fuzz[A-Za-z0-9_]+' "$dir"/*_test.go | sed 's/func //' | sort -u); do
    (cd "$dir" && go test -run '^$' -fuzz "^$f\$" -fuzztime "${FUZZTIME:-5s}" -fuzzminimizetime 1s . | tail -n 1)
  done
done
