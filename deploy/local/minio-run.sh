#!/bin/sh
# Starts MinIO on loopback, puts the demo object into it, runs the demo event against it, and stops MinIO.
set -eu
go=${GO:-go}
port=${MINIO_PORT:-19000}
dir=$(mktemp -d)
export AWS_ACCESS_KEY_ID=sluice AWS_SECRET_ACCESS_KEY=sluice-local-only AWS_REGION=us-east-1
export MINIO_ROOT_USER=$AWS_ACCESS_KEY_ID MINIO_ROOT_PASSWORD=$AWS_SECRET_ACCESS_KEY
for bucket in raw curated quarantine; do mkdir -p "$dir/data/$bucket"; done
.bin/minio server --quiet --address "127.0.0.1:$port" --console-address 127.0.0.1:0 "$dir/data" >"$dir/log" 2>&1 &
minio=$!
trap 'kill $minio 2>/dev/null; wait $minio 2>/dev/null || true; rm -rf "$dir"' EXIT
trap 'exit 130' INT TERM
endpoint=http://127.0.0.1:$port
# The worker itself puts the object there: no other S3 client is needed.
$go run ./deploy/local/put --endpoint-url "$endpoint" testdata/demo/birdstrikes.csv.gz s3://raw/strikes/birdstrikes.csv.gz
$go run ./cmd/worker run -p testdata/demo/strikes.yaml --event testdata/demo/event.json --endpoint-url "$endpoint" --path-style
echo "again: the same event, delivered twice" >&2
$go run ./cmd/worker run -p testdata/demo/strikes.yaml --event testdata/demo/event.json --endpoint-url "$endpoint" --path-style
