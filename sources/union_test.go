package sources

import (
	"context"
	"errors"
	"io"
	"slices"
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/sluice-data/sluice/pipeline"
)

// few is a source of some chunks, which its decoders note.
type few struct {
	name   string
	chunks int
	end    error // io.EOF without one
	noDec  error
	seen   *[]string
	closed int
	decs   int // open
}

func (f *few) Schema() *arrow.Schema {
	return arrow.NewSchema([]arrow.Field{{Name: f.name, Type: arrow.PrimitiveTypes.Int8}}, nil)
}

func (f *few) Next(context.Context) (*pipeline.Chunk, error) {
	if f.chunks == 0 {
		if f.end != nil {
			return nil, f.end
		}
		return nil, io.EOF
	}
	f.chunks--
	return &pipeline.Chunk{}, nil
}

func (f *few) NewDecoder(memory.Allocator) (pipeline.Decoder, error) {
	if f.noDec == nil {
		f.decs++
	}
	return &fewDecoder{f}, f.noDec
}

func (f *few) Close() error { f.closed++; return f.end }

type fewDecoder struct{ *few }

func (d *fewDecoder) Decode(context.Context, *pipeline.Chunk, *pipeline.Rejects, func(pipeline.Batch) error) error {
	*d.seen = append(*d.seen, d.name)
	return nil
}
func (d *fewDecoder) Close() { d.decs-- }

// TestUnion: the chunks of each source in turn, each to its own decoder; errors come in their place, and everything is closed.
func TestUnion(t *testing.T) {
	broken := errors.New("broken")
	for _, end := range []error{nil, broken} {
		var seen []string
		all := []*few{{name: "a", chunks: 2, seen: &seen}, {name: "none", seen: &seen}, {name: "b", chunks: 1, end: end, seen: &seen}, {name: "c", chunks: 1, seen: &seen}}
		u := Union(all[0], all[1], all[2], all[3])
		if got := u.Schema().Field(0).Name; got != "a" {
			t.Errorf("schema of %s", got)
		}
		dec, err := u.NewDecoder(memory.DefaultAllocator)
		if err != nil {
			t.Fatal(err)
		}
		var last error
		for {
			c, err := u.Next(t.Context())
			if last = err; err != nil {
				break
			}
			if err := dec.Decode(t.Context(), c, nil, nil); err != nil {
				t.Fatal(err)
			}
		}
		want := []string{"a", "a", "b", "c"}
		if end != nil {
			want = want[:3]
		}
		if !slices.Equal(seen, want) || end != nil && last != end || end == nil && last != io.EOF {
			t.Errorf("%v, %v; want %v, %v", seen, last, want, end)
		}
		dec.Close()
		if err := u.Close(); !errors.Is(err, end) {
			t.Errorf("close: %v", err)
		}
		for _, f := range all {
			if f.closed != 1 || f.decs != 0 {
				t.Errorf("%s: closed %d times, %d decoders open", f.name, f.closed, f.decs)
			}
		}
	}
	good, bad := &few{name: "a"}, &few{name: "b", noDec: broken}
	if _, err := Union(good, bad).NewDecoder(memory.DefaultAllocator); err != broken || good.decs != 0 {
		t.Errorf("%v, %d decoders are open", err, good.decs)
	}
}
