#!/bin/sh
# Runs the Go benchmarks of all packages (PKG=./sources/csv: of those) and has benchstat compare them with bench/record/go, a file a package.
# With "record" as argument the numbers are kept there instead. No time is asserted. BENCHTIME and COUNT say how long and how often.
set -eu
cd "$(dirname "$0")/.."
GO=${GO:-go}
new=out/bench-go old=bench/record/go
rm -rf "$new"
mkdir -p "$new" "$old"

packages=${PKG:-$(grep -rlE '^func Benchmark' --include='*_test.go' . | grep -v '^./bench/' | xargs -n1 dirname | sort -u)}
for p in $packages; do
  name=$(printf %s "${p#./}" | tr / -)
  echo "== $p" >&2
  $GO test -run '^$' -bench . -benchmem -benchtime "${BENCHTIME:-100ms}" -count "${COUNT:-6}" -timeout 30m "$p" >"$new/$name.txt" ||
    { cat "$new/$name.txt" >&2; exit 1; }
  grep -q '^Benchmark' "$new/$name.txt" || { echo "$p: no benchmark ran" >&2; exit 1; }
done

if [ "${1:-}" = record ]; then
  for f in "$new"/*.txt; do grep -E '^(goos|goarch|pkg|cpu|Benchmark)' "$f" >"$old/${f##*/}"; done
  [ -n "${PKG:-}" ] || for f in "$old"/*.txt; do [ -e "$new/${f##*/}" ] || rm "$f"; done # a package without benchmarks has no record
  echo "kept in $old" >&2
  exit
fi
# Only packages that were run are compared.
kept=$(mktemp) fresh=$(mktemp)
trap 'rm -f "$kept" "$fresh"' EXIT
for f in "$new"/*.txt; do
  cat "$f" >>"$fresh"
  if [ -e "$old/${f##*/}" ]; then cat "$old/${f##*/}" >>"$kept"; fi
done
cd bench && $GO tool benchstat "record=$kept" "now=$fresh"
