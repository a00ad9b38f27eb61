// Package objstore is S3 and a local directory behind one small interface. It is the only importer of the S3 SDK.
//
// An object is read in pinned ranges (a changed object is an error, never mixed data) and written through uploads that
// stay invisible until Complete. Every error is a *fail.Error that names the object, its kind set: Input for a missing
// object or bucket and for an object changed under us, Permission for access denied (with the hint that S3 answers 403
// for a missing key when s3:ListBucket is not granted), Temporary for throttling, network and cancellation.
package objstore

import (
	"context"
	"io"
	"iter"
	"time"

	"github.com/sluice-data/sluice/internal/fail"
)

// Ref names an object: s3://bucket/key, or a path (Bucket empty, Key the path as given).
type Ref struct {
	Bucket, Key string
}

// Info is an object's version: what a read is pinned to.
type Info struct {
	Ref
	Size      int64
	ETag      string // without quotes; in a directory: MD5 of the content up to 16 MiB, else of size and mtime
	VersionID string // "" where the store has none
	ModTime   time.Time
	// Kept is how S3 keeps the object, where Stat was asked: a list does not say it. An empty StorageClass is STANDARD.
	Kept Writes
}

// Pin is the version that an event names; zero fields are not pinned.
type Pin struct {
	ETag, VersionID string
}

// Store is an object store. Methods are safe for concurrent use.
type Store interface {
	// Stat describes the object, in the version that pin names. A different version is an Input error that says both.
	Stat(ctx context.Context, ref Ref, pin Pin) (Info, error)
	// ReadRange reads bytes [off, off+n) of exactly the version in info (If-Match or version id on every request). The body
	// ends with an error if it is short or the object changed.
	ReadRange(ctx context.Context, info Info, off, n int64) (io.ReadCloser, error)
	// List yields the objects whose key starts with prefix.Key, in key order, without any that S3 tools hide as folders
	// (a zero-size key ending in "/").
	List(ctx context.Context, prefix Ref) iter.Seq2[Info, error]
	// Put writes a whole small object (manifest, report). With ifAbsent it fails with ErrExists if the object is there, also
	// in a race; a 409 conflict is retried inside.
	Put(ctx context.Context, ref Ref, body []byte, contentType string, ifAbsent bool) (Info, error)
	// Replace writes a whole small object over the version in was, found by its ETag. It fails with ErrChanged, and writes nothing, if
	// another version is there or none, also in a race.
	Replace(ctx context.Context, was Info, body []byte, contentType string) (Info, error)
	// Upload begins a write that is invisible until Complete.
	Upload(ctx context.Context, ref Ref, contentType string) (Upload, error)
	// AbortUploads aborts the open uploads to exactly ref (those of dead attempts) and says how many there were.
	AbortUploads(ctx context.Context, ref Ref) (int, error)
	// Delete removes the object; a missing one is no error.
	Delete(ctx context.Context, ref Ref) error
}

// Upload is an open multipart upload. Exactly one of Complete and Abort must be called.
type Upload interface {
	// Write appends b as part data; it buffers to parts (of equal size, 8 MiB growing for very large objects so that 10,000
	// parts suffice) and sends in the background, two parts at a time or more where the link rewards it. b may be reused then.
	Write(b []byte) (int, error)
	// Flush sends what is buffered and waits until the store has all parts; after it Complete is one small request.
	// A Write after it is an error, since only the last part may be short.
	Flush(ctx context.Context) error
	// Complete makes the object visible, all at once. It flushes first if need be. ErrLost (Temporary) if the upload was
	// aborted by someone else.
	Complete(ctx context.Context) (Info, error)
	// Abort gives up and removes the parts; ctx must not be the cancelled context of the run. Idempotent.
	Abort(ctx context.Context) error
}

var (
	// ErrExists: a conditional Put found the object there.
	ErrExists = fail.Newf(fail.Data, "object exists already")
	// ErrNotExist is wrapped by the error of Stat and ReadRange for a missing object.
	ErrNotExist = fail.Newf(fail.Input, "object does not exist")
	// ErrChanged is wrapped by the error for an object that is not the pinned version (any more), or not the one to replace.
	ErrChanged = fail.Newf(fail.Input, "object changed")
	// ErrLost is wrapped by the error for an upload that another attempt aborted.
	ErrLost = fail.Newf(fail.Temporary, "upload was aborted by another attempt")
)
