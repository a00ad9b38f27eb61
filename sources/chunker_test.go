package sources

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"pgregory.net/rapid"

	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/pipeline"
)

func textInput(uri, text string) Input {
	return readerInput(uri, func() io.Reader { return strings.NewReader(text) })
}

func readerInput(uri string, open func() io.Reader) Input {
	return Input{URI: uri, Stream: func(context.Context) (io.ReadCloser, error) { return io.NopCloser(open()), nil }}
}

// drain reads all chunks and returns them as "input@offset:line data".
func drain(t testing.TB, c *Chunker) (out []string, err error) {
	t.Helper()
	defer c.Close()
	for {
		k, err := c.Next(t.Context())
		if err != nil {
			return out, err
		}
		out = append(out, fmt.Sprintf("%s@%d:%d %q", k.Input, k.Offset, k.Line, k.Data))
		k.Release()
	}
}

func TestChunksAreWholeRecords(t *testing.T) {
	inputs := []Input{textInput("a", "one\ntwo\nthree\nfour"), textInput("b", ""), textInput("c", "x\n"), textInput("d", "\n\ny")}
	got, err := drain(t, NewChunker(inputs, ChunkerOptions{ChunkBytes: 10, MaxRecord: 100}))
	want := []string{`a@0:1 "one\ntwo\n"`, `a@8:3 "three\n"`, `a@14:4 "four"`, `c@0:1 "x\n"`, `d@0:1 "\n\ny"`}
	if err != io.EOF || fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %v, %v\nwant %v", got, err, want)
	}
}

func TestBeginSkipsEachHeader(t *testing.T) {
	var heads []string
	o := ChunkerOptions{ChunkBytes: 4, MaxRecord: 100, Begin: func(_ context.Context, i int, head []byte, eof bool) (int, int64, error) {
		heads = append(heads, fmt.Sprintf("%d %q %v", i, head, eof))
		return bytes.IndexByte(head, '\n') + 1, 1, nil
	}}
	got, err := drain(t, NewChunker([]Input{textInput("a", "h1\n1\n2\n3\n"), textInput("b", "h2\n")}, o))
	if want := []string{`a@3:2 "1\n2\n"`, `a@7:4 "3\n"`}; err != io.EOF || fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %v, %v, want %v", got, err, want)
	}
	if want := []string{`0 "h1\n1\n2\n3\n" true`, `1 "h2\n" true`}; fmt.Sprint(heads) != fmt.Sprint(want) {
		t.Errorf("heads %v, want %v", heads, want)
	}
}

func TestBeginAsksForMoreHead(t *testing.T) {
	header := strings.Repeat("h", 3*headBytes) + "\n"
	calls := 0
	o := ChunkerOptions{ChunkBytes: 4, MaxRecord: 8 * headBytes, Begin: func(_ context.Context, _ int, head []byte, eof bool) (int, int64, error) {
		calls++
		if len(head) < headBytes {
			t.Errorf("head of %d bytes", len(head))
		}
		return bytes.IndexByte(head, '\n') + 1 - btoi(bytes.IndexByte(head, '\n') < 0), 1, nil
	}}
	got, err := drain(t, NewChunker([]Input{textInput("a", header+"1\n")}, o))
	if want := fmt.Sprintf("[a@%d:2 %q]", len(header), "1\n"); err != io.EOF || fmt.Sprint(got) != want || calls != 3 {
		t.Errorf("got %v, %v after %d calls, want %v", got, err, calls, want)
	}
	o.MaxRecord = headBytes
	if _, err := drain(t, NewChunker([]Input{textInput("a", header)}, o)); fail.KindOf(err) != fail.Data || !strings.Contains(err.Error(), "header does not end") {
		t.Errorf("endless header: %v", err)
	}
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

func TestLongRecords(t *testing.T) {
	long := strings.Repeat("x", 999) + "\n"
	in := []Input{textInput("s3://b/k", "a\nb\n"+long+"c\n")}
	got, err := drain(t, NewChunker(in, ChunkerOptions{ChunkBytes: 4, MaxRecord: 1000}))
	if err != io.EOF || len(got) != 3 || !strings.HasPrefix(got[1], "s3://b/k@4:3") {
		t.Errorf("a record of exactly the limit: %v, %v", got, err)
	}
	got, err = drain(t, NewChunker(in, ChunkerOptions{ChunkBytes: 4, MaxRecord: 999}))
	want := "s3://b/k:3: offset 4: a record starts here that does not end within 999 bytes: look for a quote that is never closed, or raise --memory-limit, which the longest record follows"
	if len(got) != 1 || fail.KindOf(err) != fail.Data || err.Error() != want {
		t.Errorf("a longer record: %v, %v, want %s", got, err, want)
	}
}

func TestChunkerWaitsForBuffers(t *testing.T) {
	c := NewChunker([]Input{textInput("a", strings.Repeat("r\n", 50))}, ChunkerOptions{ChunkBytes: 4, Buffers: 3})
	defer c.Close()
	var out []*pipeline.Chunk
	for range 3 {
		k, err := c.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, k)
	}
	released := make(chan struct{})
	go func() {
		time.Sleep(20 * time.Millisecond)
		close(released)
		out[0].Release()
	}()
	k, err := c.Next(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	select {
	case <-released:
	default:
		t.Error("a fourth chunk came while three were out")
	}
	if string(out[1].Data) != "r\nr\n" || string(k.Data) != "r\nr\n" {
		t.Errorf("chunks changed: %q %q", out[1].Data, k.Data)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := c.Next(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("waiting for a buffer ends with %v, want the context's error", err)
	}
}

func TestBuffersAreReused(t *testing.T) {
	in := []Input{readerInput("a", func() io.Reader { return io.LimitReader(&lines{}, 64<<20) })}
	c := NewChunker(in, ChunkerOptions{ChunkBytes: 1 << 20, Buffers: 2})
	defer c.Close()
	seen := map[*byte]bool{}
	for {
		k, err := c.Next(t.Context())
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		seen[&k.Data[0]] = true
		k.Release()
	}
	if len(seen) > 2 {
		t.Errorf("%d buffers for 64 chunks, want at most 2", len(seen))
	}
}

type lines struct{}

func (*lines) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = "abc\n"[i&3]
	}
	return len(p), nil
}

func TestStreamErrorsPassAsTheyAre(t *testing.T) {
	bad := fail.Newf(fail.Temporary, "connection reset")
	in := []Input{readerInput("a", func() io.Reader { return io.MultiReader(strings.NewReader("1\n2"), iotest.ErrReader(bad)) })}
	c := NewChunker(in, ChunkerOptions{ChunkBytes: 100})
	defer c.Close()
	for range 2 { // and again: the source does not go on after an error
		if _, err := c.Next(t.Context()); err != error(bad) {
			t.Errorf("got %v, want the stream's own error", err)
		}
	}
}

type stuck struct{}

func (stuck) Read([]byte) (int, error) { return 0, nil }

func TestStuckStreamEnds(t *testing.T) {
	_, err := drain(t, NewChunker([]Input{readerInput("a", func() io.Reader { return stuck{} })}, ChunkerOptions{ChunkBytes: 100}))
	if !errors.Is(err, io.ErrNoProgress) || fail.KindOf(err) != fail.Temporary {
		t.Errorf("got %v", err)
	}
}

func TestWrapAndConsumed(t *testing.T) {
	var n int64
	o := ChunkerOptions{ChunkBytes: 100, Consumed: func(k int64) { n += k }, Wrap: func(_ int, r io.Reader) (io.Reader, error) {
		b, err := io.ReadAll(r)
		return bytes.NewReader(bytes.ToUpper(append(b, b...))), err
	}}
	got, err := drain(t, NewChunker([]Input{textInput("a", "x\n")}, o))
	if err != io.EOF || fmt.Sprint(got) != `[a@0:1 "X\nX\n"]` || n != 2 {
		t.Errorf("got %v, %v, %d consumed", got, err, n)
	}
}

// TestAnyCutIsTheSameText holds for every text, chunk size and way of reading: the chunks make up the text, their places are right, and
// each but the last ends at a record's end.
func TestAnyCutIsTheSameText(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := strings.Join(rapid.SliceOfN(rapid.SampledFrom([]string{"a", "bc", "\n", "\n", "long record "}), 0, 60).Draw(t, "text"), "")
		skip := rapid.IntRange(0, len(text)).Draw(t, "skip")
		for text[:skip] != "" && text[skip-1] != '\n' {
			skip--
		}
		wrap := rapid.SampledFrom([]func(io.Reader) io.Reader{iotest.OneByteReader, iotest.HalfReader, iotest.DataErrReader, func(r io.Reader) io.Reader { return r }}).Draw(t, "reader")
		o := ChunkerOptions{ChunkBytes: rapid.IntRange(1, 40).Draw(t, "chunk"), MaxRecord: 1000, Begin: func(context.Context, int, []byte, bool) (int, int64, error) {
			return skip, int64(strings.Count(text[:skip], "\n")), nil
		}}
		c := NewChunker([]Input{readerInput("a", func() io.Reader { return wrap(strings.NewReader(text)) })}, o)
		defer c.Close()
		at := skip
		for {
			k, err := c.Next(context.Background())
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			if int(k.Offset) != at || k.Line != int64(1+strings.Count(text[:at], "\n")) || text[at:at+len(k.Data)] != string(k.Data) {
				t.Fatalf("chunk %+v at %d of %q", k, at, text)
			}
			at += len(k.Data)
			if at < len(text) && text[at-1] != '\n' {
				t.Fatalf("cut at %d of %q is inside a record", at, text)
			}
			k.Release()
		}
		if at != len(text) {
			t.Fatalf("%d of %d bytes came out", at, len(text))
		}
	})
}
