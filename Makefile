# Sluice. `make help` lists the targets. Only Go is needed for run, build and test.
SHELL   := /bin/sh
GO      ?= go
BIN     := .bin
OUT     := out
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null)
LDFLAGS := -s -w -X main.release=$(VERSION)

# Pins of the tools that are built from source into .bin.
MINIO_VERSION := v0.0.0-20260212201848-7aac2a2c5b7c
LINT_VERSION  := v2.6.2

.PHONY: help run test race lint e2e minio-run build image fuzz clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: ## the main job on bundled real data, in a directory as the store
	@mkdir -p $(OUT)/store/raw/strikes $(OUT)/store/curated
	@cp testdata/demo/birdstrikes.csv.gz $(OUT)/store/raw/strikes/
	@$(GO) run ./cmd/worker run -p testdata/demo/strikes.yaml --event testdata/demo/event.json --local-root $(OUT)/store
	@echo "the result is in $(OUT)/store/curated/strikes/" >&2

test: ## all tests; S3 is a real server, built from source on first use
	$(GO) test -timeout 20m ./...

race: ## all tests under the race detector (needs a C compiler)
	$(GO) test -race -timeout 30m ./...

e2e: $(BIN)/minio ## all tests with MinIO as the S3 server
	SLUICE_E2E=minio $(GO) test -timeout 20m ./...

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

clean: ## remove what was built and run
	rm -rf $(OUT) $(BIN)

$(BIN)/minio:
	GOBIN=$(CURDIR)/$(BIN) $(GO) install -ldflags "-s -w" github.com/minio/minio@$(MINIO_VERSION)

$(BIN)/golangci-lint:
	GOBIN=$(CURDIR)/$(BIN) $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(LINT_VERSION)
