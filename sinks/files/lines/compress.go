package lines

import (
	"bytes"
	"fmt"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/internal/spec"
)

// Compressions are the names of the codecs; the first is the default.
var Compressions = []string{"gzip", "zstd", "none"}

// Compression is the codec of a file of lines.
type Compression struct {
	Name  string // one of Compressions; "" is the default
	Level int    // 0 = the codec's default
}

func (c Compression) name() string {
	if c.Name == "" {
		return Compressions[0]
	}
	return c.Name
}

func (c Compression) String() string {
	if c.Level == 0 {
		return c.name()
	}
	return fmt.Sprintf("%s level %d", c.name(), c.Level)
}

// QuickSight says why Amazon QuickSight cannot read such files, or nil.
func (c Compression) QuickSight() error {
	if c.name() == "zstd" {
		return fail.Newf(fail.Usage, "QuickSight does not read zstd: set compression: gzip")
	}
	return nil
}

// Read reads the keys compression and level.
func (c *Compression) Read(r *spec.Fields) {
	c.Name = Compressions[0]
	r.Enum("compression", &c.Name, Compressions)
	if at := r.Int("level", &c.Level); at != nil && r.Err() == nil {
		switch most := codecs[c.Name].levels; {
		case most == 0:
			r.Fail(at.Errorf("compression %s has no levels", c.Name))
		case c.Level < 1 || c.Level > most:
			r.Fail(at.Errorf("level of %s must be 1 to %d", c.Name, most))
		}
	}
}

// codec is a compression whose streams may be put one behind the other.
type codec struct {
	name        string
	extension   string
	contentType string
	levels      int // the highest
	open        func(c Compression) (compressor, error)
}

var codecs = map[string]codec{
	"gzip": {"gzip", ".gz", "application/gzip", 9, newGzip},
	"zstd": {"zstd", ".zst", "application/zstd", 22, newZstd},
	"none": {"none", "", "", 0, func(Compression) (compressor, error) { return plain{}, nil }},
}

// compressor makes a whole stream of each text.
type compressor interface {
	compress(dst, text []byte) ([]byte, error)
	memory() int64
	close()
}

type plain struct{}

func (plain) compress(dst, text []byte) ([]byte, error) { return append(dst, text...), nil }
func (plain) memory() int64                             { return 0 }
func (plain) close()                                    {}

type gz struct{ w *gzip.Writer }

func newGzip(c Compression) (compressor, error) {
	level := c.Level
	if level == 0 {
		level = 6
	}
	w, err := gzip.NewWriterLevel(nil, level)
	if err != nil {
		return nil, fail.Newf(fail.Usage, "level %d of gzip: %w", level, err)
	}
	return &gz{w}, nil
}

func (g *gz) compress(dst, text []byte) ([]byte, error) {
	out := bytes.NewBuffer(dst)
	g.w.Reset(out)
	if _, err := g.w.Write(text); err != nil {
		return nil, fail.Wrap(fail.Internal, err)
	}
	if err := g.w.Close(); err != nil {
		return nil, fail.Wrap(fail.Internal, err)
	}
	return out.Bytes(), nil
}

func (*gz) memory() int64 { return 1 << 20 }
func (*gz) close()        {}

type zs struct{ w *zstd.Encoder }

func newZstd(c Compression) (compressor, error) {
	level := c.Level
	if level == 0 {
		level = 3
	}
	w, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.EncoderLevelFromZstd(level)), zstd.WithEncoderConcurrency(1), zstd.WithZeroFrames(true))
	if err != nil {
		return nil, fail.Newf(fail.Usage, "level %d of zstd: %w", level, err)
	}
	return &zs{w}, nil
}

func (z *zs) compress(dst, text []byte) ([]byte, error) { return z.w.EncodeAll(text, dst), nil }
func (*zs) memory() int64                               { return 8 << 20 }
func (z *zs) close()                                    { _ = z.w.Close() }
