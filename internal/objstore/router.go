package objstore

import (
	"context"
	"io"
	"iter"
	"sync"
)

// router sends each ref to the store that it belongs to.
type router struct {
	dir Store
	s3  func() (Store, error)
}

// NewRouter is a store in which plain paths are dir's and s3:// refs those of the store that s3 makes when the first one
// is used (never, if none is). Its error is returned by every operation that needs the store.
func NewRouter(dir Store, s3 func() (Store, error)) Store {
	return &router{dir: dir, s3: sync.OnceValues(s3)}
}

func (r *router) pick(ref Ref) (Store, error) {
	if ref.Bucket == "" {
		return r.dir, nil
	}
	return r.s3()
}

func (r *router) Stat(ctx context.Context, ref Ref, pin Pin) (Info, error) {
	s, err := r.pick(ref)
	if err != nil {
		return Info{}, err
	}
	return s.Stat(ctx, ref, pin)
}

func (r *router) ReadRange(ctx context.Context, info Info, off, n int64) (io.ReadCloser, error) {
	s, err := r.pick(info.Ref)
	if err != nil {
		return nil, err
	}
	return s.ReadRange(ctx, info, off, n)
}

func (r *router) List(ctx context.Context, prefix Ref) iter.Seq2[Info, error] {
	return func(yield func(Info, error) bool) {
		s, err := r.pick(prefix)
		if err != nil {
			yield(Info{}, err)
			return
		}
		s.List(ctx, prefix)(yield)
	}
}

func (r *router) Put(ctx context.Context, ref Ref, body []byte, contentType string, ifAbsent bool) (Info, error) {
	s, err := r.pick(ref)
	if err != nil {
		return Info{}, err
	}
	return s.Put(ctx, ref, body, contentType, ifAbsent)
}

func (r *router) Replace(ctx context.Context, was Info, body []byte, contentType string) (Info, error) {
	s, err := r.pick(was.Ref)
	if err != nil {
		return Info{}, err
	}
	return s.Replace(ctx, was, body, contentType)
}

func (r *router) Upload(ctx context.Context, ref Ref, contentType string) (Upload, error) {
	s, err := r.pick(ref)
	if err != nil {
		return nil, err
	}
	return s.Upload(ctx, ref, contentType)
}

func (r *router) AbortUploads(ctx context.Context, ref Ref) (int, error) {
	s, err := r.pick(ref)
	if err != nil {
		return 0, err
	}
	return s.AbortUploads(ctx, ref)
}

func (r *router) Delete(ctx context.Context, ref Ref) error {
	s, err := r.pick(ref)
	if err != nil {
		return err
	}
	return s.Delete(ctx, ref)
}
