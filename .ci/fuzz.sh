#!/usr/bin/env bash
# Runs every fuzz target for a few seconds: a smoke test, not a campaign. FUZZTIME=1m for longer.
set -euo pipefail
cd "$(dirname "$0")/.."
out=$(mktemp)
trap 'rm -f "$out"' EXIT

fuzz() { # DIR TARGET
  (cd "$1" && go test -run '^$' -fuzz "^$2\$" -fuzztime "${FUZZTIME:-5s}" -fuzzminimizetime 1s .) >"$out" 2>&1
}

grep -rlE '^func Fuzz' --include='*_test.go' . | xargs -n1 dirname | sort -u | while read -r dir; do
  for f in $(grep -hoE '^func Fuzz[A-Za-z0-9_]+' "$dir"/*_test.go | sed 's/func //' | sort -u); do
    # A worker that is busy when the time is over fails the run with the deadline alone: that is no finding, and is tried again.
    for try in 1 2 3; do
      if fuzz "$dir" "$f"; then break; fi
      if [ $try = 3 ] || ! grep -q 'context deadline exceeded' "$out" || grep -q 'Failing input written' "$out"; then
        cat "$out" >&2
        exit 1
      fi
    done
    tail -n 1 "$out"
  done
done
