package job

import (
	"slices"
	"strings"

	"github.com/sluice-data/sluice/internal/spec"
	"github.com/sluice-data/sluice/sinks"
)

// findDestination looks the sink's format up, and reads its options.
func (j *job) findDestination() (err error) {
	s := &j.pipe.Sink
	formats := sinks.Names()
	if err := s.Check(slices.Concat(formats, targetNames())...); err != nil {
		return err
	}
	var ok bool
	if j.dest, ok = sinks.Lookup(s.Format); !ok {
		if near := spec.Nearest(s.Format, formats); near != "" {
			return s.FormatAt.Errorf("unknown sink format %q: did you mean %q?", s.Format, near)
		}
		return s.FormatAt.Errorf("unknown sink format %q: use one of %s", s.Format, strings.Join(formats, ", "))
	}
	for _, other := range formats {
		if at := s.Block(other); at != nil && other != s.Format {
			return at.Errorf("sink.%s is for files of that format, and these are %s: set format: %s, or leave it out", other, s.Format, other)
		}
	}
	if s.Options, err = j.dest.Options(s.Block(s.Format)); err != nil {
		return err
	}
	if o, ok := s.Options.(sinks.Blocked); ok {
		rows, size, key := o.Blocks()
		if least := 16 * size; j.sizes.limit.Bytes > 0 && least > j.sizes.limit.Bytes {
			return s.Block(s.Format).Get(key).Errorf("%s is more than a sixteenth of the memory: it needs --memory-limit %dMiB, and there are %d MiB", key, least>>20, j.sizes.limit.Bytes>>20)
		}
		j.sizes.blocks(rows, size)
	}
	return nil
}
