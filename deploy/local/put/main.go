// Command put copies a local file to an S3 object, for the local demo: put [--endpoint-url URL] FILE s3://bucket/key.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"

	"github.com/sluice-data/sluice/internal/objstore"
)

func main() {
	endpoint := flag.String("endpoint-url", "", "S3 endpoint")
	flag.Parse()
	if err := put(context.Background(), *endpoint, flag.Arg(0), flag.Arg(1)); err != nil {
		fmt.Fprintln(os.Stderr, "put:", err)
		os.Exit(1)
	}
}

func put(ctx context.Context, endpoint, file, uri string) error {
	ref, err := objstore.ParseRef(uri)
	if err != nil {
		return err
	}
	body, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	store, err := objstore.NewS3(ctx, objstore.S3Options{Endpoint: endpoint, PathStyle: endpoint != ""})
	if err != nil {
		return err
	}
	_, err = store.Put(ctx, ref, body, "application/octet-stream", false)
	return err
}
