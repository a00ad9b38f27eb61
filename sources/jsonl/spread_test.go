package jsonl

import (
	"context"
	"io"
	"strings"
	"testing"

	"github.com/sluice-data/sluice/internal/objstore"
	"github.com/sluice-data/sluice/sources"
)

// largeRequest infers from a text that is stored otherwise, if it is compressed.
func largeRequest(text, stored string) sources.Request {
	return sources.Request{Schema: sources.SchemaSpec{Mode: sources.Infer}, ChunkBytes: 1 << 20, MaxRecord: 1 << 20, Lanes: 1, Inputs: []sources.Input{{
		URI: "f", Info: objstore.Info{Size: int64(len(stored))},
		Stream: func(context.Context) (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(text)), nil },
		ReadRange: func(_ context.Context, off, n int64) (io.ReadCloser, error) {
			return io.NopCloser(strings.NewReader(stored[off : off+n])), nil
		},
	}}}
}

// TestTypesFromAllOverALargeInput: what the end of a large input has and its head has not is no misfit.
func TestTypesFromAllOverALargeInput(t *testing.T) {
	text := strings.Repeat(`{"a":1,"pad":"`+strings.Repeat("x", 1000)+`"}`+"\n", 66_000) + `{"a":0.5,"b":true}` + "\n"
	for _, c := range []struct {
		start string // of the object, if it is stored otherwise
		want  string
	}{{"", "a float64, pad string, b bool"}, {"compressed", "a int64, pad string"}} {
		stored := c.start + text[len(c.start):]
		src, err := open(t.Context(), largeRequest(text, stored))
		if err != nil {
			t.Fatal(err)
		}
		if got := describe(src.Schema()); got != c.want {
			t.Errorf("start %q: %s, want %s", c.start, got, c.want)
		}
		src.Close()
	}
}
