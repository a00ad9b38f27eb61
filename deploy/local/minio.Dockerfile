# MinIO from source, for the local demo: it publishes no images any more.
FROM golang:1.26-bookworm AS build
# The pin of the Makefile.
ARG MINIO_VERSION=v0.0.0-20260212201848-7aac2a2c5b7c
RUN CGO_ENABLED=0 GOBIN=/out go install -trimpath -ldflags "-s -w" github.com/minio/minio@$MINIO_VERSION
# A directory in its volume is a bucket.
RUN mkdir -p /out/home /out/data/raw /out/data/curated /out/data/quarantine

FROM scratch
COPY --from=build /out/minio /minio
COPY --from=build --chown=65532:65532 /out/home /home
COPY --from=build --chown=65532:65532 /out/data /data
ENV HOME=/home
VOLUME ["/data"]
USER 65532:65532
ENTRYPOINT ["/minio", "server", "--quiet", "--address", ":9000", "--console-address", ":9001", "/data"]
