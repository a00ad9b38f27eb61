package job

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"path"
	"strings"
	"sync/atomic"
	"time"

	"github.com/sluice-data/sluice/internal/compress"
	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/internal/objstore"
	"github.com/sluice-data/sluice/pipeline"
	"github.com/sluice-data/sluice/sources"
)

// intake is the inputs of a run as the formats read them, with the account of the bytes consumed.
type intake struct {
	store    objstore.Store
	infos    []objstore.Info
	codec    string // source.compression
	sizes    sizes
	readers  *objstore.Readers
	first    []byte // first bytes of input 0, if they are known already
	progress *pipeline.Progress
	seekable atomic.Int64   // bytes a seekable format says it consumed
	streamed []atomic.Int64 // object bytes consumed by the stream of each input that came to its end
}

// intake is the job's inputs, not yet read. Close it when all that reads them has ended.
func (j *job) intake() *intake {
	in := j.intakeOf(j.infos, j.pipe.Source.Compression, j.progress)
	if j.req.head != nil && len(j.infos) > 0 && len(j.req.head.bytes) > 0 {
		in.first = j.req.head.bytes
		in.readers.SetHead(0, in.first)
	}
	return in
}

// intakeOf is any objects as formats read them, booked on progress.
func (j *job) intakeOf(infos []objstore.Info, codec string, progress *pipeline.Progress) *intake {
	return &intake{store: j.store, infos: infos, codec: codec, sizes: j.sizes, progress: progress,
		readers:  objstore.NewReaders(j.store, infos, objstore.ReaderOptions{PartSize: j.sizes.readPart}),
		streamed: make([]atomic.Int64, len(infos))}
}

// close stops what is being read ahead.
func (in *intake) close() { in.readers.Close() }

// reset forgets what was counted while the schema was settled.
func (in *intake) reset() {
	in.seekable.Store(0)
	in.progress.Bytes.Store(0)
	in.progress.Stages = pipeline.Stages{}
	for i := range in.streamed {
		in.streamed[i].Store(0)
	}
}

// consumed is the number of object bytes the run has accounted for.
func (in *intake) consumed() int64 {
	n := in.seekable.Load()
	for i := range in.streamed {
		n += in.streamed[i].Load()
	}
	return n
}

// size is the sum of the objects' sizes.
func (in *intake) size() int64 {
	var n int64
	for _, f := range in.infos {
		n += f.Size
	}
	return n
}

func (in *intake) inputs() []sources.Input {
	out := make([]sources.Input, len(in.infos))
	for i := range out {
		out[i] = in.input(i)
	}
	return out
}

func (in *intake) input(i int) sources.Input {
	info := in.infos[i]
	return sources.Input{
		URI:    info.Ref.String(),
		Info:   info,
		Stream: func(ctx context.Context) (io.ReadCloser, error) { return in.stream(ctx, i) },
		ReadRange: func(ctx context.Context, off, n int64) (io.ReadCloser, error) {
			if i == 0 && off >= 0 && n >= 0 && off+n <= int64(len(in.first)) {
				return io.NopCloser(bytes.NewReader(in.first[off : off+n])), nil
			}
			return in.readRange(ctx, info, off, n)
		},
		ReadAhead: func(ctx context.Context, off, n int64) (io.ReadCloser, error) {
			return in.store.ReadRange(ctx, info, off, n)
		},
		Waited: in.progress.Stages.Read.Busy,
	}
}

// stream opens input i decompressed. Its clean end is proof that every byte of the object was consumed.
func (in *intake) stream(ctx context.Context, i int) (io.ReadCloser, error) {
	info := in.infos[i]
	raw := &countingReader{r: in.readers.Open(ctx, i), progress: in.progress}
	dec, codec, err := compress.OpenOptions(in.codec, info.Ref.String(), raw, compress.Options{MaxWindow: in.sizes.window})
	if err != nil {
		raw.r.Close()
		return nil, err
	}
	return &inputStream{dec: dec, raw: raw, info: info, done: &in.streamed[i], plain: codec == "none", stages: &in.progress.Stages}, nil
}

// readRange reads a part of an object for a seekable format, which counts itself what it consumed.
func (in *intake) readRange(ctx context.Context, info objstore.Info, off, n int64) (io.ReadCloser, error) {
	meter := &in.progress.Stages.Read
	start := time.Now()
	rc, err := in.store.ReadRange(ctx, info, off, n)
	meter.Busy(time.Since(start))
	if err != nil {
		return nil, err
	}
	return &meteredReader{rc, meter}, nil
}

// meteredReader books the time that reads take.
type meteredReader struct {
	io.ReadCloser
	meter *pipeline.Meter
}

func (r *meteredReader) Read(p []byte) (int, error) {
	start := time.Now()
	n, err := r.ReadCloser.Read(p)
	r.meter.Busy(time.Since(start))
	return n, err
}

// countingReader counts the object bytes that were handed out.
type countingReader struct {
	r        io.ReadCloser
	n        int64
	waited   atomic.Int64 // nanoseconds, for r; a codec may read ahead
	progress *pipeline.Progress
}

func (c *countingReader) Read(p []byte) (int, error) {
	start := time.Now()
	n, err := c.r.Read(p)
	d := time.Since(start)
	c.waited.Add(int64(d))
	c.progress.Stages.Read.Busy(d)
	c.n += int64(n)
	c.progress.Bytes.Add(int64(n))
	return n, err
}

// inputStream is a decompressed input that books the object as consumed when it ends cleanly.
type inputStream struct {
	dec  io.ReadCloser
	raw  *countingReader
	info objstore.Info
	done *atomic.Int64

	plain  bool // not compressed
	stages *pipeline.Stages
}

func (s *inputStream) Read(p []byte) (int, error) {
	n, err := s.read(p)
	if err == io.EOF {
		// A decompressor may stop before the object does, at a point it takes for the end.
		if extra, xerr := io.Copy(io.Discard, s.raw); xerr != nil {
			return n, xerr
		} else if extra > 0 {
			return n, fail.Newf(fail.Data, "the compressed stream ends %d bytes before the object does", extra).In(s.info.Ref.String())
		}
		if s.raw.n != s.info.Size {
			return n, fail.Newf(fail.Data, "%d of %d bytes were read", s.raw.n, s.info.Size).In(s.info.Ref.String())
		}
		s.done.Store(s.raw.n)
	}
	return n, err
}

// read reads and books the time: whoever cuts waits for it.
func (s *inputStream) read(p []byte) (int, error) {
	start, reading := time.Now(), s.raw.waited.Load()
	n, err := s.dec.Read(p)
	d := time.Since(start)
	s.stages.Cut.Wait(d)
	if !s.plain {
		s.stages.Decompress.Busy(max(0, d-time.Duration(s.raw.waited.Load()-reading)))
	}
	return n, err
}

func (s *inputStream) Close() error {
	err := s.dec.Close()
	if cerr := s.raw.r.Close(); err == nil {
		err = cerr
	}
	return err
}

// detectBytes is how much of the first input decides on its format.
const detectBytes = 64 << 10

// format settles the input format: declared, else ("") by content, else by name.
func (in *intake) format(ctx context.Context, declared string) (sources.Format, error) {
	if declared != "" {
		f, ok := sources.Lookup(declared)
		if !ok {
			return f, fail.Newf(fail.Internal, "format %s is not built in", declared)
		}
		return f, nil
	}
	best, score := sources.Format{}, 0
	for i := range in.infos { // the first input that is not empty says what all are
		if in.infos[i].Size == 0 {
			continue
		}
		head, eof, err := in.head(ctx, i)
		if err != nil {
			return best, err
		}
		for _, f := range sources.All() {
			if s := f.Detect(head, eof); s > score || s == score && s > 0 && named(f, in.infos[i].Key) {
				best, score = f, s
			}
		}
		break
	}
	if score > 0 {
		return best, nil
	}
	for _, f := range sources.All() {
		if len(in.infos) > 0 && named(f, in.infos[0].Key) {
			return f, nil
		}
	}
	if f, ok := sources.Lookup("csv"); ok && in.size() == 0 {
		return f, nil // an empty object with no telling name
	}
	return best, fail.Newf(fail.Input, "cannot tell the format from content or name: set source.format to one of csv, tsv, jsonl, parquet").In(in.infos[0].Ref.String())
}

// head is the first decompressed bytes of input i.
func (in *intake) head(ctx context.Context, i int) (head []byte, eof bool, err error) {
	info := in.infos[i]
	rc, err := in.input(i).ReadRange(ctx, 0, min(info.Size, detectBytes))
	if err != nil {
		return nil, false, err
	}
	raw, err := io.ReadAll(rc)
	rc.Close()
	if err != nil {
		return nil, false, err
	}
	if in.codec == "none" || in.codec == "auto" && compress.Detect(raw) == "" {
		return raw, int64(len(raw)) == info.Size, nil
	}
	s, err := in.stream(ctx, i)
	if err != nil {
		return nil, false, err
	}
	defer s.Close()
	head, err = io.ReadAll(io.LimitReader(bufio.NewReaderSize(s, detectBytes), detectBytes))
	if err != nil {
		return nil, false, err
	}
	return head, len(head) < detectBytes, nil
}

// named reports whether the key's extension, without those of compression, is one of the format's.
func named(f sources.Format, key string) bool {
	base := strings.ToLower(path.Base(key))
	for _, ext := range []string{".gz", ".gzip", ".zst", ".zstd", ".bz2", ".lz4", ".sz", ".snappy", ".xz"} {
		base = strings.TrimSuffix(base, ext)
	}
	for _, ext := range f.Extensions {
		if strings.HasSuffix(base, ext) {
			return true
		}
	}
	return false
}
