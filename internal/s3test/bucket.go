package s3test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/sluice-data/sluice/internal/objstore"
)

// oneShotClient keeps no connection, so that no goroutine of it is left for a leak check to find.
func oneShotClient() *http.Client {
	return &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
}

// Bucket makes a bucket for this test.
func (s *Server) Bucket(t testing.TB) string {
	t.Helper()
	name := "b-" + strings.ToLower(rand.Text()[:16])
	if _, err := s.client.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: &name}); err != nil {
		t.Fatalf("create bucket: %v", err)
	}
	return name
}

// VersionedBucket makes a bucket that keeps the versions of its objects.
func (s *Server) VersionedBucket(t testing.TB) string {
	t.Helper()
	name := s.Bucket(t)
	_, err := s.client.PutBucketVersioning(t.Context(), &s3.PutBucketVersioningInput{
		Bucket: &name, VersioningConfiguration: &types.VersioningConfiguration{Status: types.BucketVersioningStatusEnabled},
	})
	if err != nil {
		t.Fatalf("enable versioning: %v", err)
	}
	return name
}

// Store is a store on the server, closed at the test's end. change, if given, alters its options first (an Endpoint of a
// proxy, shorter timeouts).
func (s *Server) Store(t testing.TB, change ...func(*objstore.S3Options)) objstore.Store {
	t.Helper()
	opt := objstore.S3Options{Endpoint: s.Endpoint, PathStyle: true, Region: s.Region}
	for _, f := range change {
		f(&opt)
	}
	// The store reads its credentials from the environment, as in production. They are the same for all tests of the
	// process, so parallel tests may set them as well.
	for _, kv := range s.Env() {
		k, v, _ := strings.Cut(kv, "=")
		if err := os.Setenv(k, v); err != nil {
			t.Fatal(err)
		}
	}
	store, err := objstore.NewS3(t.Context(), opt)
	if err != nil {
		t.Fatalf("make store: %v", err)
	}
	t.Cleanup(store.(interface{ CloseIdleConnections() }).CloseIdleConnections)
	return store
}

// Put writes an object past the store under test.
func (s *Server) Put(t testing.TB, bucket, key string, body []byte) objstore.Info {
	t.Helper()
	out, err := s.client.PutObject(context.Background(), &s3.PutObjectInput{Bucket: &bucket, Key: &key, Body: bytes.NewReader(body)})
	if err != nil {
		t.Fatalf("put s3://%s/%s: %v", bucket, key, err)
	}
	return objstore.Info{
		Ref: objstore.Ref{Bucket: bucket, Key: key}, Size: int64(len(body)),
		ETag: strings.Trim(aws.ToString(out.ETag), `"`), VersionID: aws.ToString(out.VersionId),
	}
}

// Get reads an object; nil if there is none.
func (s *Server) Get(t testing.TB, bucket, key string) []byte {
	t.Helper()
	out, err := s.client.GetObject(context.Background(), &s3.GetObjectInput{Bucket: &bucket, Key: &key})
	var none *types.NoSuchKey
	if errors.As(err, &none) {
		return nil
	}
	if err != nil {
		t.Fatalf("get s3://%s/%s: %v", bucket, key, err)
	}
	defer out.Body.Close()
	body, err := io.ReadAll(out.Body)
	if err != nil {
		t.Fatalf("get s3://%s/%s: %v", bucket, key, err)
	}
	if body == nil {
		body = []byte{}
	}
	return body
}

// Keys lists a bucket, in the order that the server gives.
func (s *Server) Keys(t testing.TB, bucket string) []string {
	t.Helper()
	keys := []string{}
	pages := s3.NewListObjectsV2Paginator(s.client, &s3.ListObjectsV2Input{Bucket: &bucket, EncodingType: types.EncodingTypeUrl})
	for pages.HasMorePages() {
		page, err := pages.NextPage(context.Background())
		if err != nil {
			t.Fatalf("list s3://%s: %v", bucket, err)
		}
		for _, o := range page.Contents {
			key := aws.ToString(o.Key)
			if page.EncodingType == types.EncodingTypeUrl {
				if key, err = url.QueryUnescape(key); err != nil {
					t.Fatal(err)
				}
			}
			keys = append(keys, key)
		}
	}
	return keys
}

// OpenUploads counts the multipart uploads that are neither completed nor aborted. MinIO lists them for an exact key
// only: without keys, those of all buckets of its server are counted, on its disk.
func (s *Server) OpenUploads(t testing.TB, bucket string, keys ...string) int {
	t.Helper()
	if s.MinIO && len(keys) == 0 {
		open, err := filepath.Glob(filepath.Join(s.dir, ".minio.sys", "multipart", "*", "*"))
		if err != nil {
			t.Fatal(err)
		}
		return len(open)
	}
	exact := len(keys) > 0
	if !exact {
		keys = []string{""}
	}
	count := 0
	for _, key := range keys {
		pages := s3.NewListMultipartUploadsPaginator(s.client, &s3.ListMultipartUploadsInput{Bucket: &bucket, Prefix: &key})
		for pages.HasMorePages() {
			page, err := pages.NextPage(context.Background())
			if err != nil {
				t.Fatalf("list uploads of s3://%s/%s: %v", bucket, key, err)
			}
			for _, u := range page.Uploads {
				if !exact || aws.ToString(u.Key) == key {
					count++
				}
			}
		}
	}
	return count
}

// Delete removes an object past the store under test.
func (s *Server) Delete(t testing.TB, bucket, key string) {
	t.Helper()
	if _, err := s.client.DeleteObject(context.Background(), &s3.DeleteObjectInput{Bucket: &bucket, Key: &key}); err != nil {
		t.Fatalf("delete s3://%s/%s: %v", bucket, key, err)
	}
}
