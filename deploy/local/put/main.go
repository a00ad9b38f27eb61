// Command put copies a local file to an S3 object, for the local demo: put [--endpoint-url URL] FILE s3://bucket/key.
// A server that is just starting is waited for.
package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"time"

	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/internal/objstore"
)

const (
	patience = 30 * time.Second
	pause    = 250 * time.Millisecond
)

func main() {
	endpoint := flag.String("endpoint-url", "", "S3 endpoint")
	flag.Parse()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := put(ctx, *endpoint, flag.Arg(0), flag.Arg(1)); err != nil {
		fmt.Fprintln(os.Stderr, "put:", err)
		os.Exit(1)
	}
}

// put tries until the server answers or ctx ends. It returns the last error of the server, not that of ctx.
func put(ctx context.Context, endpoint, file, uri string) error {
	ref, err := objstore.ParseRef(uri)
	if err != nil {
		return err
	}
	body, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	store, err := objstore.NewS3(ctx, objstore.S3Options{Endpoint: endpoint, PathStyle: endpoint != "", MaxAttempts: 1})
	if err != nil {
		return err
	}
	var last error
	for {
		_, err := objstore.PutReader(ctx, store, ref, bytes.NewReader(body), "application/octet-stream")
		switch {
		case err == nil:
			return nil
		case fail.KindOf(err) != fail.Temporary:
			return err
		case ctx.Err() == nil || last == nil:
			last = err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("gave up waiting for the server: %w", last)
		case <-time.After(pause):
		}
	}
}
