#!/usr/bin/env bash
# Builds the worker image with a real Docker engine and runs the demo event in it, against MinIO, as Batch would: read-only
# root, no root user, 256 MiB. No registry is needed: the build's base image is made here from the Go on this machine.
set -euo pipefail
cd "$(dirname "$0")/.."
work=$(mktemp -d)
pids=()
cleanup() {
  for p in "${pids[@]:-}"; do [ -n "$p" ] && kill "$p" 2>/dev/null && wait "$p" 2>/dev/null; done
  rm -rf "$work" 2>/dev/null || true
}
trap cleanup EXIT

if ! docker info >/dev/null 2>&1; then
  dockerd >"$work/dockerd.log" 2>&1 &
  pids+=($!)
  for _ in $(seq 60); do docker info >/dev/null 2>&1 && break; sleep 0.5; done
  docker info >/dev/null || { tail -5 "$work/dockerd.log"; exit 1; }
fi

base=$(sed -nE 's/^FROM .*(golang:[^ ]+) AS build$/\1/p' Dockerfile)
sum=$(cat go.sum <(go version) | sha256sum | cut -c1-16) # another set of modules wants another base
if [ "$(docker image inspect -f '{{index .Config.Labels "modules"}}' "$base" 2>/dev/null)" != "$sum" ]; then
  echo "making $base from this machine's Go, a static busybox and the CA certificates"
  root=$work/base
  mkdir -p "$root"/{bin,tmp,usr/local,etc/ssl/certs,go/cache}
  cp "$(command -v busybox)" "$root/bin/busybox"
  for c in sh mkdir cp rm cat ls; do ln -s busybox "$root/bin/$c"; done
  cp -a "$(go env GOROOT)" "$root/usr/local/go"
  rm -rf "$root/usr/local/go/"{test,doc,api,misc}
  cp -L /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"
  GOMODCACHE=$work/modules GOFLAGS=-modcacherw GOPROXY="file://$(go env GOMODCACHE)/cache/download,$(go env GOPROXY)" go mod download
  mv "$work/modules/cache/download" "$root/go/download" # the build reads modules from here, and no others
  tar c -C "$root" . | docker import -c "LABEL modules=$sum" -c 'ENV PATH=/usr/local/go/bin:/bin GOPATH=/go GOPROXY=file:///go/download GOSUMDB=off GOTOOLCHAIN=local HOME=/tmp' - "$base" >/dev/null
  rm -rf "$root"
fi

for arch in amd64 arm64; do
  DOCKER_BUILDKIT=0 docker build -q --build-arg TARGETOS=linux --build-arg TARGETARCH=$arch --build-arg VERSION=ci -t "sluice:ci-$arch" . 2>/dev/null
  size=$(docker image inspect -f '{{.Size}}' "sluice:ci-$arch")
  printf 'image %s: %d.%02d MB\n' $arch $((size / 1000000)) $((size % 1000000 / 10000))
  [ "$size" -le 34000000 ] || { echo "the image is over 34 MB"; exit 1; }
done

image=sluice:ci-amd64
start=$(date +%s%N); docker run --rm "$image" version; end=$(date +%s%N)
echo "version through docker run: $(((end - start) / 1000000)) ms, the engine's start of a container included"

# The event against MinIO, as Batch runs it.
make -s .bin/minio
export AWS_ACCESS_KEY_ID=sluice AWS_SECRET_ACCESS_KEY=sluice-ci-only
mkdir -p "$work/data"/{raw,curated,quarantine}
MINIO_ROOT_USER=$AWS_ACCESS_KEY_ID MINIO_ROOT_PASSWORD=$AWS_SECRET_ACCESS_KEY \
  .bin/minio server --quiet --address 127.0.0.1:19100 --console-address 127.0.0.1:0 "$work/data" >"$work/minio.log" 2>&1 &
pids+=($!)
for _ in $(seq 100); do (exec 3<>/dev/tcp/127.0.0.1/19100) 2>/dev/null && break; sleep 0.1; done
go run ./deploy/local/put --endpoint-url http://127.0.0.1:19100 testdata/demo/birdstrikes.csv.gz s3://raw/strikes/birdstrikes.csv.gz
for expected in committed already_committed; do
  docker run --rm --network host --read-only --memory 256m --user 65532 \
    -e AWS_ACCESS_KEY_ID -e AWS_SECRET_ACCESS_KEY -e AWS_REGION=us-east-1 \
    -e WORKER_ENDPOINT_URL=http://127.0.0.1:19100 -e WORKER_PATH_STYLE=true -e WORKER_PIPELINE=/demo/strikes.yaml \
    -e WORKER_EVENT="$(cat testdata/demo/event.json)" -v "$PWD/testdata/demo:/demo:ro" "$image" >"$work/receipt"
  cat "$work/receipt"
  grep -q "\"status\":\"$expected\"" "$work/receipt"
done
