package csv

import (
	"context"
	"io"
	"testing"

	"github.com/sluice-data/sluice/internal/objstore"
	"github.com/sluice-data/sluice/sources"
)

// repeated is line again and again up to size, with end as its last bytes.
type repeated struct {
	line, end string
	size      int64
}

func (f repeated) ReadAt(p []byte, off int64) (int, error) {
	n := int(min(int64(len(p)), f.size-off))
	for i := range n {
		if at := off + int64(i) - (f.size - int64(len(f.end))); at >= 0 {
			p[i] = f.end[at]
		} else {
			p[i] = f.line[(off+int64(i))%int64(len(f.line))]
		}
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (f repeated) input() sources.Input {
	return sources.Input{
		URI: "f", Info: objstore.Info{Size: f.size},
		Stream: func(context.Context) (io.ReadCloser, error) {
			return io.NopCloser(io.NewSectionReader(f, 0, f.size)), nil
		},
		ReadRange: func(_ context.Context, off, n int64) (io.ReadCloser, error) {
			return io.NopCloser(io.NewSectionReader(f, off, n)), nil
		},
	}
}

// TestTypesFromAllOverALargeInput: what the end of a large input has and its head has not is no misfit.
func TestTypesFromAllOverALargeInput(t *testing.T) {
	for _, c := range []struct{ line, end, want string }{
		{"1,a,2026-01-01\n", "1.5,b,\n", "float64"},
		{"1,a,2026-01-01\n", "1.5,b,", "float64"},
		{"1,a,2026-01-01\n", "x,b,\n", "utf8"},
		{"1,a,2026-01-01\n", "1,2,3,4\n1,b,\n", "int64"}, // another number of fields
		{"1,\"a\n2,b,x\n\",\n", "3,b,\n", "int64"},       // lines that look like records inside quotes
		{"1,\"a,\n\",\n", "1.25,\"\n\",\n", "float64"},   // quoted line ends
		{"12345678901234,a,\n", "1e-3,a,\n", "float64"},
	} {
		no := false
		lines := 64<<20/len(c.line) + 1
		req := sources.Request{ChunkBytes: 1 << 20, MaxRecord: 1 << 20, Schema: sources.SchemaSpec{Mode: sources.Infer}, Options: sources.Options{Header: &no, Delimiter: ","}}
		req.Inputs = []sources.Input{repeated{c.line, c.end, int64(lines*len(c.line) + len(c.end))}.input()}
		src, err := open(t.Context(), req, false)
		if err != nil {
			t.Fatal(err)
		}
		if got := src.Schema().Field(0); got.Type.String() != c.want {
			t.Errorf("%q … %q: %s, want %s", c.line, c.end, got, c.want)
		}
		src.Close()
	}
}
