package sources

import (
	"context"
	"errors"
	"io"
	"testing"

	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/internal/objstore"
)

// endless has the low byte of its offset over 256 at each place.
type endless struct{}

func (endless) ReadAt(p []byte, off int64) (int, error) {
	for i := range p {
		p[i] = byte((off + int64(i)) >> 8)
	}
	return len(p), nil
}

func object(size int64) Input {
	return Input{URI: "f", Info: objstore.Info{Size: size}, ReadRange: func(_ context.Context, off, n int64) (io.ReadCloser, error) {
		return io.NopCloser(io.NewSectionReader(endless{}, off, min(n, 100<<20-off))), nil
	}}
}

func TestSpreadReachesTheEnd(t *testing.T) {
	pieces, err := Spread(t.Context(), object(100<<20), make([]byte, 256))
	if err != nil || len(pieces) != spreadParts {
		t.Fatalf("%d pieces, %v", len(pieces), err)
	}
	for i, p := range pieces {
		end, b := int64(100<<20)/spreadParts*int64(i+1), p.Text
		if p.Offset != end-spreadBytes || len(b) != spreadBytes || b[0] != byte((end-spreadBytes)>>8) || b[len(b)-1] != byte((end-1)>>8) {
			t.Errorf("piece %d at %d: %d bytes from %d to %d", i, p.Offset, len(b), b[0], b[len(b)-1])
		}
	}
}

func TestSpreadLeavesAlone(t *testing.T) {
	for what, c := range map[string]struct {
		in   Input
		head string
	}{
		"a small object":       {object(spreadFrom - 1), "\x00\x00"},
		"a compressed one":     {object(100 << 20), "a,b\n"},
		"what has no ranges":   {Input{Info: objstore.Info{Size: 100 << 20}}, "\x00\x00"},
		"another text's start": {object(100 << 20), "\x00\x01"},
	} {
		if pieces, err := Spread(t.Context(), c.in, []byte(c.head)); pieces != nil || err != nil {
			t.Errorf("%s: %d pieces, %v", what, len(pieces), err)
		}
	}
}

func TestSpreadFails(t *testing.T) {
	if _, err := Spread(t.Context(), object(100<<20+1000), make([]byte, 8)); fail.KindOf(err) != fail.Temporary {
		t.Errorf("an object that became shorter: %v", err)
	}
	broken := errors.New("broken")
	in := object(100 << 20)
	in.ReadRange = func(context.Context, int64, int64) (io.ReadCloser, error) { return nil, broken }
	if _, err := Spread(t.Context(), in, make([]byte, 8)); err != broken {
		t.Errorf("a failed request: %v", err)
	}
}
