# The program that puts the demo object into MinIO. Its context is the root of the repository.
FROM golang:1.26-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN CGO_ENABLED=0 go build -trimpath -ldflags "-s -w" -o /out/put ./deploy/local/put

FROM scratch
COPY --from=build /out/put /put
USER 65532:65532
ENTRYPOINT ["/put"]
