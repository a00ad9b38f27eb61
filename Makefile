# Sluice. `make help` lists the targets. Only Go is needed for run, build and test.
SHELL   := /bin/sh
GO      ?= go
BIN     := .bin
OUT     := out
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null)
MODULE  := github.com/sluice-data/sluice
LDFLAGS := -s -w -X main.release=$(VERSION)

# Pins of the tools that are built from source into .bin.
MINIO_VERSION := v0.0.0-20260212201848-7aac2a2c5b7c
LINT_VERSION  := v2.6.2

# Benchmarks: where inputs are kept, and further flags, such as BENCH='-rows 100000 -only W1,W4'. RECORD=1 keeps the numbers.
BENCH_DATA ?= $(CURDIR)/.cache/bench
BENCH      ?=
RECORD     ?=
BENCH_RUN   = cd bench && $(GO) run ./run

.PHONY: help run test race lint e2e minio-run build image fuzz clean bench bench-large bench-scaling bench-s3 bench-peers bench-record bench-render bench-go bench-go-record bench-clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## /{printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: ## the main job on bundled real data, in a directory as the store
	@mkdir -p $(OUT)/store/raw/strikes $(OUT)/store/curated
	@cp testdata/demo/birdstrikes.csv.gz $(OUT)/store/raw/strikes/
	@$(GO) run ./cmd/worker run -p testdata/demo/strikes.yaml --event testdata/demo/event.json --local-root $(OUT)/store
	@echo "the result is in $(OUT)/store/curated/strikes/" >&2

test: ## all tests; S3 is a real server, built from source on first use
	$(GO) test -timeout 20m ./...

race: ## all tests under the race detector (needs a C compiler), released Arrow memory overwritten
	$(GO) test -race -ldflags "-X $(MODULE)/internal/recycle.poison=on" -timeout 30m ./...

e2e: $(BIN)/minio ## the tests of S3 with MinIO as the server
	SLUICE_E2E=minio $(GO) test -timeout 20m ./internal/objstore ./internal/s3test ./internal/redshifttest ./sinks/redshift
	SLUICE_E2E=minio $(GO) test -timeout 20m -run 'TestS3|TestRedshift|TestDisk' ./cmd/worker

minio-run: $(BIN)/minio ## the main job against a MinIO started on loopback
	@GO="$(GO)" sh deploy/local/minio-run.sh

build: ## the binary, in .bin/worker
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags "$(LDFLAGS)" -o $(BIN)/worker ./cmd/worker

image: ## the container image, as sluice:local
	docker build --build-arg VERSION=$(VERSION) -t sluice:local .

lint: $(BIN)/golangci-lint ## gofmt, vet, golangci-lint
	@test -z "$$(gofmt -l .)" || { gofmt -l .; echo "run gofmt -w on these" >&2; exit 1; }
	$(GO) vet ./...
	$(BIN)/golangci-lint run ./...

fuzz: ## every fuzz target for a few seconds
	@sh .ci/fuzz.sh

bench: ## workloads by the worker and DuckDB in turn, values compared; 1M rows
	$(BENCH_RUN) table -data $(BENCH_DATA) $(if $(RECORD),-record laptop) $(BENCH)

bench-large: ## the same over 10M rows and more: 30 GB of disk
	$(BENCH_RUN) table -data $(BENCH_DATA) -rows 10000000 -wide-rows 1000000 $(if $(RECORD),-record large) $(BENCH)

bench-scaling: ## the worker over lanes 1 to 8 and 1M to 100M rows, and its start: 20 GB of disk
	$(BENCH_RUN) scaling -data $(BENCH_DATA) $(if $(RECORD),-record scaling) $(BENCH)

bench-s3: $(BIN)/minio ## the worker from and to MinIO beside local files
	$(BENCH_RUN) s3 -data $(BENCH_DATA) $(if $(RECORD),-record $(if $(findstring -apart,$(BENCH)),s3-apart,s3)) $(BENCH)

bench-peers: ## record the medians of other engines from PEERS=FILE, a CSV
	$(BENCH_RUN) peers $(abspath $(PEERS))

bench-record: ## all of bench, bench-large, bench-scaling and bench-go, kept: about an hour on an idle machine
	$(MAKE) -k RECORD=1 bench bench-large bench-scaling bench-go-record

bench-render: ## write RESULTS.md and the tables of docs/performance.md from bench/record
	$(BENCH_RUN) render

bench-go: ## the Go benchmarks, compared with their record by benchstat; PKG=./sources/csv for one
	@GO="$(GO)" PKG="$(PKG)" sh bench/go.sh

bench-go-record: ## run the Go benchmarks and keep their numbers
	@GO="$(GO)" PKG="$(PKG)" sh bench/go.sh record

bench-clean: ## remove the benchmarks' inputs
	rm -rf $(BENCH_DATA)

clean: ## remove what was built and run
	rm -rf $(OUT) $(BIN)

$(BIN)/minio:
	GOBIN=$(CURDIR)/$(BIN) $(GO) install -ldflags "-s -w" github.com/minio/minio@$(MINIO_VERSION)

$(BIN)/golangci-lint:
	GOBIN=$(CURDIR)/$(BIN) $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(LINT_VERSION)
