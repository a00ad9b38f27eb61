# The worker image: one static binary, CA certificates, a scratch directory, nothing else.
FROM --platform=${BUILDPLATFORM:-linux/amd64} golang:1.26-bookworm AS build
ARG TARGETOS
ARG TARGETARCH
ARG VERSION=
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH \
    go build -trimpath -ldflags "-s -w -X main.release=$VERSION" -o /out/worker ./cmd/worker \
 && mkdir -p /out/scratch

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /out/worker /worker
# A volume takes its owner from the image: without this, a non-root worker could not spill under a read-only root.
COPY --from=build --chown=65532:65532 /out/scratch /scratch
VOLUME ["/scratch"]
ENV TMPDIR=/scratch
USER 65532:65532
ENTRYPOINT ["/worker"]
CMD ["run"]
