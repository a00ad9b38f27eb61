package objstore

import (
	"context"
	"encoding/hex"
	"errors"
	"io"
	"runtime"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/internal/md5many"
)

// smallFile is the size up to which files are read whole, some at a time, to be hashed together.
const smallFile = 256 << 10

// stater describes many files at a time, on all cores, each as Stat does without a pin.
type stater struct {
	store   *dirStore
	readers []smallReader // of each core, for their buffers
}

// smallReader holds the content of a few small files.
type smallReader struct {
	files [md5many.Most][]byte
	texts [][]byte
	sums  [][16]byte
	at    []int // index of each text
}

// stat describes refs. What is wrong with one of them is its error.
func (s *stater) stat(ctx context.Context, refs []Ref) ([]Info, []error) {
	infos, errs := make([]Info, len(refs)), make([]error, len(refs))
	if s.readers == nil {
		s.readers = make([]smallReader, runtime.GOMAXPROCS(0))
	}
	var mu sync.Mutex
	var large []int
	s.each((len(refs)+md5many.Most-1)/md5many.Most, func(r *smallReader, i int) {
		first := i * md5many.Most
		last := min(first+md5many.Most, len(refs))
		rest, err := r.stat(ctx, s.store, refs[first:last], infos[first:last], errs[first:last])
		if err != nil { // it panicked
			errs[first] = err
		}
		mu.Lock()
		defer mu.Unlock()
		for _, k := range rest {
			large = append(large, first+k)
		}
	})
	s.each(len(large), func(_ *smallReader, i int) {
		k := large[i]
		errs[k] = fail.Guard("stat object", func() (err error) {
			infos[k], err = s.store.Stat(ctx, refs[k], Pin{})
			return err
		})
	})
	return infos, errs
}

// each calls f for 0 to n-1, on all cores.
func (s *stater) each(n int, f func(r *smallReader, i int)) {
	var next atomic.Int64
	var g errgroup.Group
	for k := range min(len(s.readers), n) {
		g.Go(func() error {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				f(&s.readers[k], i)
			}
			return nil
		})
	}
	_ = g.Wait() // f returns none
}

// stat describes those of refs that are small, and says which ones are not. Its own error is a panic's.
func (r *smallReader) stat(ctx context.Context, d *dirStore, refs []Ref, infos []Info, errs []error) (rest []int, err error) {
	r.texts, r.sums, r.at = r.texts[:0], r.sums[:0], r.at[:0]
	err = fail.Guard("stat object", func() error {
		for i, ref := range refs {
			var text []byte
			if infos[i], text, errs[i] = r.read(ctx, d, ref, i); errs[i] != nil {
				continue
			}
			if text == nil {
				rest = append(rest, i)
				continue
			}
			r.texts, r.at = append(r.texts, text), append(r.at, i)
		}
		r.sums = md5many.Sums(r.sums, r.texts...)
		for k, i := range r.at {
			infos[i].ETag = hex.EncodeToString(r.sums[k][:])
		}
		return nil
	})
	return rest, err
}

// read is the file of ref, but for its ETag, and its content: nil if it is not small. The content is valid until the next read of
// buffer i.
func (r *smallReader) read(ctx context.Context, d *dirStore, ref Ref, i int) (Info, []byte, error) {
	const verb = "stat object"
	if err := cancelled(ctx, ref, verb); err != nil {
		return Info{}, nil, err
	}
	path, err := d.path(ref)
	if err != nil {
		return Info{}, nil, err
	}
	f, st, err := openRegular(path)
	if err != nil {
		return Info{}, nil, dirError(ref, verb, err)
	}
	defer f.Close()
	info := Info{Ref: ref, Size: st.Size(), ModTime: st.ModTime()}
	if info.Size > smallFile {
		return Info{}, nil, nil
	}
	room := int(info.Size) + 1 // for a byte that should not be there
	if cap(r.files[i]) < room {
		r.files[i] = make([]byte, room+room/8)
	}
	n, err := io.ReadFull(f, r.files[i][:room])
	if err != nil && err != io.EOF && !errors.Is(err, io.ErrUnexpectedEOF) {
		return Info{}, nil, dirError(ref, verb, err)
	}
	if n != room-1 {
		return Info{}, nil, changedWhileHashed(ref, info.Size, int64(n))
	}
	return info, r.files[i][:n], nil
}

func changedWhileHashed(ref Ref, was, is int64) error {
	return failf(fail.Input, ref, "stat object: %w while its MD5 was computed: %d bytes at first, %d read", ErrChanged, was, is)
}
