package compress

import (
	"bytes"
	stdgzip "compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/klauspost/compress/flate"

	"github.com/sluice-data/sluice/internal/fail"
)

// gzipMember is one with the parts of a header that are asked for.
func gzipMember(text []byte, level int, flags byte, extra string) []byte {
	out := []byte{0x1f, 0x8b, 8, flags, 1, 2, 3, 4, 0, 255}
	if flags&gzipExtra != 0 {
		out = append(binary.LittleEndian.AppendUint16(out, uint16(len(extra))), extra...)
	}
	if flags&gzipName != 0 {
		out = append(out, "trips.csv\x00"...)
	}
	if flags&gzipComment != 0 {
		out = append(out, "all of them\x00"...)
	}
	if flags&gzipHeaderCRC != 0 {
		out = binary.LittleEndian.AppendUint16(out, uint16(crc32.ChecksumIEEE(out)))
	}
	var b bytes.Buffer
	w, _ := flate.NewWriter(&b, level)
	_, _ = w.Write(text)
	_ = w.Close()
	out = append(out, b.Bytes()...)
	out = binary.LittleEndian.AppendUint32(out, crc32.ChecksumIEEE(text))
	return binary.LittleEndian.AppendUint32(out, uint32(len(text)))
}

// bgzf is text in blocks of n bytes, and the empty block that bgzip ends with.
func bgzf(text []byte, n int) (out []byte) {
	blocks := append(slices.Collect(slices.Chunk(text, n)), nil)
	for _, block := range blocks {
		m := gzipMember(block, 6, gzipExtra, "BC\x02\x00..")
		binary.LittleEndian.PutUint16(m[16:], uint16(len(m)-1))
		out = append(out, m...)
	}
	return out
}

func sampleText(n int) []byte {
	rng := rand.New(rand.NewPCG(1, 2))
	var b bytes.Buffer
	for b.Len() < n {
		fmt.Fprintf(&b, "%d,%d,2023-%02d-%02d,%.2f,some words %d\n", rng.Uint32(), rng.IntN(10), rng.IntN(12), rng.IntN(28), rng.Float64()*50, rng.IntN(4))
	}
	return b.Bytes()[:n]
}

// serially decodes by gunzip alone.
func serially(data []byte) ([]byte, error) {
	src := newSource(bytes.NewReader(data))
	g := &gunzip{src: src}
	z := &reader{name: "gzip", src: src, rc: g}
	if err := g.next(); err != nil {
		return nil, z.fault(err)
	}
	return io.ReadAll(z)
}

// inParallel decodes by as many goroutines as four processors would have.
func inParallel(t testing.TB, wrap func(io.Reader) io.Reader, data []byte) ([]byte, error) {
	t.Helper()
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(4))
	r, err := NewReader("gzip", wrap(bytes.NewReader(data)), Options{})
	if err != nil {
		return nil, err
	}
	out, err := io.ReadAll(r)
	return out, errors.Join(err, r.Close())
}

func asIs(r io.Reader) io.Reader { return r }

// TestMembers: members with every part that a header may have, of every level, in a row, give their contents in a row.
func TestMembers(t *testing.T) {
	text := sampleText(100 << 10)
	var want, packed []byte
	for flags := range byte(32) {
		for _, level := range []int{flate.HuffmanOnly, 0, 1, 6, 9} {
			n := int(flags) * 100
			want = append(want, text[:n]...)
			packed = append(packed, gzipMember(text[:n], level, flags&^1, "AB\x03\x00xyz")...)
		}
	}
	for how, wrap := range map[string]func(io.Reader) io.Reader{"plain": asIs, "byte by byte": iotest.OneByteReader} {
		if got, err := inParallel(t, wrap, packed); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: %d bytes of %d, %v", how, len(got), len(want), err)
		}
	}
}

// TestHeader: what is wrong in a header is refused.
func TestHeader(t *testing.T) {
	text := []byte("a,b\n1,2\n")
	whole := gzipMember(text, 6, gzipHeaderCRC|gzipName, "")
	for _, c := range []struct {
		name string
		data []byte
	}{
		{"another method", append([]byte{0x1f, 0x8b, 7}, whole[3:]...)},
		{"a reserved flag", append([]byte{0x1f, 0x8b, 8, 0x20}, whole[4:]...)},
		{"its checksum", append(bytes.Clone(whole[:20]), append([]byte{^whole[20]}, whole[21:]...)...)},
		{"a name without end", append(bytes.Clone(whole[:10]), bytes.Repeat([]byte("n"), 600)...)},
	} {
		_, err := inParallel(t, asIs, c.data)
		if fail.KindOf(err) != fail.Data || !strings.Contains(err.Error(), "header of member 1 is not valid") {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

// TestBGZF: blocks are put together in their order, whatever follows them; the faults are those that gunzip finds, at their places.
func TestBGZF(t *testing.T) {
	text := sampleText(3 << 20)
	join := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	blocks := bgzf(text, 60000)
	long := bgzf(text[:1000], 1000)
	flip := func(data []byte, at int) []byte {
		out := bytes.Clone(data)
		out[at] ^= 1
		return out
	}
	big := gzipMember(make([]byte, 100<<10), 9, gzipExtra, "BC\x02\x00..") // holds more than a block may
	binary.LittleEndian.PutUint16(big[16:], uint16(len(big)-1))
	plain := gzipMember(text[:5000], 6, 0, "")
	for _, c := range []struct {
		name string
		data []byte
	}{
		{"blocks", blocks},
		{"tiny blocks", bgzf(text[:20000], 7)},
		{"nothing", bgzf(nil, 1)},
		{"a plain member behind", join(blocks, plain)},
		{"a plain member between", join(blocks, plain, blocks)},
		{"a plain member before", join(plain, blocks)},
		{"a block of more than 64 KiB", join(blocks, big, blocks)},
		{"padding", join(blocks, make([]byte, 5000))},
		{"garbage", join(blocks, []byte("oops"))},
		{"garbage behind padding", join(blocks, make([]byte, 50), []byte("oops"))},
		{"a header that is not valid", join(blocks, []byte("\x1f\x8b\x09aaaaaaaaaaaaaaaaaaaaaaaa"))},
		{"cut in a header", blocks[:len(blocks)-20]},
		{"cut in a block", blocks[:len(blocks)/2]},
		{"cut in the first block", blocks[:100]},
		{"a checksum", flip(blocks, len(blocks)-28-8)},
		{"a size", flip(blocks, len(blocks)-28-4)},
		{"the size of an empty block", flip(blocks, len(blocks)-4)},
		{"content", join(long[:len(long)-28], flip(long, 60), blocks)},
	} {
		want, wantErr := serially(c.data)
		for how, wrap := range map[string]func(io.Reader) io.Reader{"whole": asIs, "halves": iotest.HalfReader} {
			got, err := inParallel(t, wrap, c.data)
			if !bytes.Equal(got, want) && (wantErr == nil || !bytes.HasPrefix(want, got)) {
				t.Errorf("%s, %s: %d bytes, one after the other %d", c.name, how, len(got), len(want))
			}
			if (err == nil) != (wantErr == nil) || err != nil && placeOf(err) != placeOf(wantErr) {
				t.Errorf("%s, %s: %v\none after the other: %v", c.name, how, err, wantErr)
			}
		}
	}
}

// placeOf is an error's text without the number of the member, which damage inside a member's content does not have in gunzip.
func placeOf(err error) string {
	text := err.Error()
	if before, after, ok := strings.Cut(text, ": member "); ok {
		_, after, _ = strings.Cut(after, ": ")
		text = before + ": " + after
	}
	return text
}

// TestBlockSize: a block that is longer or shorter than it says is refused, though gunzip, which does not look at it, would not.
func TestBlockSize(t *testing.T) {
	first := bgzf([]byte("first\n"), 10)
	first = first[:len(first)-28]
	second := bgzf(sampleText(1000), 1000)
	for _, by := range []int{-1, 1, 27} {
		data := bytes.Join([][]byte{first, second}, nil)
		binary.LittleEndian.PutUint16(data[len(first)+16:], uint16(len(second)-28-1+by))
		// what the last four bytes are taken for must look like a size
		binary.LittleEndian.PutUint32(data[len(first)+len(second)-28+by-4:], 1000)
		got, err := inParallel(t, asIs, data)
		if fail.KindOf(err) != fail.Data || !strings.Contains(err.Error(), "member 2: the block is not as long as its header says") || !strings.HasPrefix(string(got), "first\n") {
			t.Errorf("%+d: %d bytes, %v", by, len(got), err)
		}
		alone, aerr := onOneCore(t, data)
		if !bytes.Equal(alone, got) || fmt.Sprint(aerr) != fmt.Sprint(err) {
			t.Errorf("%+d: on one core %d bytes, %v; on several %d, %v", by, len(alone), aerr, len(got), err)
		}
	}
}

// onOneCore reads data as a machine with one core does.
func onOneCore(t *testing.T, data []byte) ([]byte, error) {
	t.Helper()
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	r, err := NewReader("gzip", bytes.NewReader(data), Options{})
	if err != nil {
		return nil, err
	}
	out, err := io.ReadAll(r)
	return out, errors.Join(err, r.Close())
}

// TestBGZFEveryCut: a cut anywhere but between blocks is an error.
func TestBGZFEveryCut(t *testing.T) {
	text := sampleText(400)
	data := bgzf(text, 100)
	whole := 0
	for cut := 1; cut < len(data); cut++ {
		got, err := inParallel(t, asIs, data[:cut])
		if err == nil && len(got)%100 == 0 {
			whole++
		} else if fail.KindOf(err) != fail.Data || !strings.Contains(err.Error(), "gzip stream ends in the middle, at compressed byte "+fmt.Sprint(cut)) {
			t.Errorf("cut at %d: %v", cut, err)
		}
		if !bytes.HasPrefix(text, got) {
			t.Errorf("cut at %d: wrong bytes", cut)
		}
	}
	if whole != 4 {
		t.Errorf("%d cuts leave a whole stream, want 4", whole)
	}
}

// TestBGZFSourceFault: an error of the object's reader comes as it is, behind the blocks before it.
func TestBGZFSourceFault(t *testing.T) {
	text := sampleText(1 << 20)
	data := bgzf(text, 60000)
	broken := fail.Newf(fail.Temporary, "connection reset")
	for _, at := range []int{10, 100, len(data) / 2, len(data) - 30, len(data)} {
		got, err := inParallel(t, func(r io.Reader) io.Reader {
			return io.MultiReader(io.LimitReader(r, int64(at)), iotest.ErrReader(broken))
		}, data)
		if !errors.Is(err, broken) || !bytes.HasPrefix(text, got) || at >= len(data)-30 && len(got) < len(text) {
			t.Errorf("at %d: %d bytes, %v", at, len(got), err)
		}
	}
}

// TestBGZFClosed: a reader may be closed at any moment; its goroutines are gone then.
func TestBGZFClosed(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(4))
	data := bgzf(sampleText(3<<20), 60000)
	for _, n := range []int{0, 1, 1000, 1 << 20, 3 << 20} {
		r, err := NewReader("gzip", bytes.NewReader(data), Options{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(r, make([]byte, n)); err != nil {
			t.Error(err)
		}
		before := runtime.NumGoroutine()
		if err := errors.Join(r.Close(), r.Close()); err != nil {
			t.Error(err)
		}
		if after := runtime.NumGoroutine(); after >= before && n < 1<<20 {
			t.Errorf("after %d bytes: %d goroutines, %d after Close", n, before, after)
		}
	}
}

// TestNoAllocations: in the middle of a stream, reading allocates nothing.
func TestNoAllocations(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(4))
	text := sampleText(16 << 20)
	for name, data := range map[string][]byte{"one member": gzipMember(text, 1, 0, ""), "BGZF": bgzf(text, 60000)} {
		r, err := NewReader("gzip", bytes.NewReader(data), Options{})
		if err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, 512<<10)
		read := func() {
			if _, err := io.ReadFull(r, buf); err != nil {
				t.Fatal(err)
			}
		}
		for range 12 {
			read()
		}
		if n := testing.AllocsPerRun(10, read); n > 0 {
			t.Errorf("%s: %v allocations for each 512 KiB", name, n)
		}
		r.Close()
	}
}

// FuzzGunzip: any bytes are decoded or refused as by compress/gzip, but for zeros behind the last member; and beside each other as one after the
// other, but for what a block says of its size.
func FuzzGunzip(f *testing.F) {
	text := sampleText(500)
	f.Add(gzipMember(text, 6, 0, ""))
	f.Add(append(gzipMember(text, 0, 0x1e, "xyz"), gzipMember(nil, 9, 0, "")...))
	f.Add(bgzf(text, 100))
	f.Add(append(bgzf(text, 300), 0, 0, 0))
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := serially(data)
		std := func(data []byte) ([]byte, error) {
			r, err := stdgzip.NewReader(bytes.NewReader(data))
			if err != nil {
				return nil, err
			}
			return io.ReadAll(r)
		}
		want, wantErr := std(data)
		if err == nil && wantErr != nil {
			want, wantErr = std(bytes.TrimRight(data, "\x00"))
			for zeros := 0; wantErr != nil && zeros < 16; zeros++ { // those that end the last member
				want, wantErr = std(append(bytes.TrimRight(data, "\x00"), make([]byte, zeros)...))
			}
		}
		if wantErr == nil && err != nil && strings.Contains(err.Error(), errGzipHeader.Error()) {
			return // a reserved flag, which compress/gzip lets pass
		}
		if (err == nil) != (wantErr == nil) || err == nil && !bytes.Equal(got, want) {
			t.Fatalf("%d bytes, %v; compress/gzip: %d bytes, %v", len(got), err, len(want), wantErr)
		}
		beside, perr := inParallel(t, asIs, data)
		if (perr == nil) != (err == nil) && !strings.Contains(fmt.Sprint(perr), errBlockSize.Error()) || perr == nil && !bytes.Equal(beside, got) {
			t.Fatalf("in parallel %d bytes, %v; one after the other %d bytes, %v", len(beside), perr, len(got), err)
		}
	})
}
