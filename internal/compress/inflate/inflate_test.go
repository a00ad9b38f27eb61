package inflate

import (
	"bufio"
	"bytes"
	stdflate "compress/flate"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/klauspost/compress/flate"
)

// texts are contents that exercise the decoder's parts, by name.
func texts() map[string][]byte {
	rng := rand.New(rand.NewPCG(1, 2))
	out := map[string][]byte{"empty": nil, "one byte": {'a'}, "zeros": make([]byte, 400<<10)}
	random := make([]byte, 150<<10)
	for i := range random {
		random[i] = byte(rng.Uint32())
	}
	out["random"] = random
	out["csv"], out["json"] = csvText(400<<10), jsonText(300<<10)
	var periods []byte // matches of every small distance
	for d := 1; d <= 40; d++ {
		unit := random[d*50 : d*51]
		for n := range 300 {
			periods = append(periods, unit[n%len(unit)])
		}
		periods = append(periods, random[d*100:d*103]...)
	}
	out["periods"] = periods
	far := append(bytes.Clone(random[:32<<10]), random[:32<<10]...) // matches of the farthest distance
	out["far"] = append(far, random[:20<<10]...)
	skew := make([]byte, 200<<10) // long codes: byte b is half as frequent as b-1
	for i := range skew {
		for skew[i] < 40 && rng.Uint32()&1 == 0 {
			skew[i]++
		}
		skew[i] *= 5
	}
	out["skewed"] = skew
	return out
}

func csvText(size int) []byte {
	rng := rand.New(rand.NewPCG(3, 4))
	var b bytes.Buffer
	for b.Len() < size {
		fmt.Fprintf(&b, "%012d,%d,2023-%02d-%02d %02d:%02d:%02d,%d,%.2f,%d,N,%d,%d,%.2f,0.5,0.5,%.2f,0,%s\n", rng.Uint64()%1e10, 1+rng.IntN(2), 1+rng.IntN(12), 1+rng.IntN(28),
			rng.IntN(24), rng.IntN(60), rng.IntN(60), 1+rng.IntN(6), rng.Float64()*20, 1+rng.IntN(5), rng.IntN(265), rng.IntN(265), rng.Float64()*60, rng.Float64()*9,
			[]string{"", "", "late airport", "Brooklyn rain", `"hotel, queue"`, "gate 4 snow"}[rng.IntN(6)])
	}
	return b.Bytes()
}

func jsonText(size int) []byte {
	rng := rand.New(rand.NewPCG(5, 6))
	var b bytes.Buffer
	for b.Len() < size {
		fmt.Fprintf(&b, `{"order_id":"%012d","vendor_id":%d,"pickup_at":"2023-%02d-%02d %02d:%02d:%02d","passenger_count":%d,"trip_distance":%.2f,"pu_location":%d,"fare":%.2f,"tip":%.2f}`+"\n",
			rng.Uint64()%1e10, 1+rng.IntN(2), 1+rng.IntN(12), 1+rng.IntN(28), rng.IntN(24), rng.IntN(60), rng.IntN(60), 1+rng.IntN(6), rng.Float64()*20, rng.IntN(265), rng.Float64()*60, rng.Float64()*9)
	}
	return b.Bytes()
}

func pack(t testing.TB, text []byte, level int) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, level)
	if err == nil {
		if _, err = w.Write(text); err == nil {
			err = w.Close()
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// unpack decodes and says how many bytes of the stream were taken.
func unpack(stream io.Reader) (text []byte, left []byte, err error) {
	src := bufio.NewReaderSize(stream, 4<<10)
	shared.Reset(src)
	text, err = io.ReadAll(&shared)
	left, _ = io.ReadAll(src)
	return text, left, err
}

var inPlace = make([]byte, direct)

var shared Reader // what one test leaves in it must not matter to the next

// bothLoops runs the test with the loop of this processor, if there is one, and with the portable one.
func bothLoops(t *testing.T, test func(t *testing.T)) {
	for _, loop := range loops() {
		t.Run(loop, func(t *testing.T) {
			defer useLoop(loop)()
			test(t)
		})
	}
}

// TestDecode: what an encoder packed at any level comes back, however the source and the caller cut it, and what follows the stream is left in
// the source.
func TestDecode(t *testing.T) {
	all := texts()
	packs := map[string][]byte{}
	for name, text := range all {
		for level := flate.HuffmanOnly; level <= 9; level++ {
			packs[fmt.Sprint(name, level)] = append(pack(t, text, level), "what follows"...)
		}
	}
	bothLoops(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(7, 8))
		for name, text := range all {
			for level := flate.HuffmanOnly; level <= 9; level++ {
				packed := packs[fmt.Sprint(name, level)]
				sources := []func(io.Reader) io.Reader{func(r io.Reader) io.Reader { return r }, func(r io.Reader) io.Reader { return randomReader{r, rng} }, iotest.DataErrReader}
				got, left, err := unpack(sources[(level+2)%3](bytes.NewReader(packed)))
				if err != nil || !bytes.Equal(got, text) || string(left) != "what follows" {
					t.Errorf("%s, level %d: %d bytes of %d, %v; %q is left", name, level, len(got), len(text), err, left)
				}
				shared.Reset(bufio.NewReader(bytes.NewReader(packed)))
				got, err = readLarge(&shared, rng)
				if err != nil || !bytes.Equal(got, text) {
					t.Errorf("%s, level %d, in large reads: %d bytes of %d, %v", name, level, len(got), len(text), err)
				}
			}
			var d Reader
			d.Reset(bufio.NewReader(iotest.OneByteReader(bytes.NewReader(packs[fmt.Sprint(name, 6)]))))
			got, err := io.ReadAll(randomReader{&d, rng})
			if err != nil || !bytes.Equal(got, text) {
				t.Errorf("%s, byte by byte: %d bytes of %d, %v", name, len(got), len(text), err)
			}
		}
	})
}

// readLarge reads in pieces of which most are decoded in place.
func readLarge(r io.Reader, rng *rand.Rand) (out []byte, err error) {
	for {
		p := make([]byte, direct/2+rng.IntN(3*direct))
		n, err := r.Read(p)
		for i := range p[n:] { // what is behind is scratch
			p[n+i] = 'x'
		}
		if out = append(out, p[:n]...); err == io.EOF {
			return out, nil
		} else if err != nil {
			return out, err
		}
		for i := range p { // and all of it is the caller's
			p[i] = 'y'
		}
	}
}

// randomReader reads up to 999 bytes at a time, now and then none.
type randomReader struct {
	r   io.Reader
	rng *rand.Rand
}

func (r randomReader) Read(p []byte) (int, error) { return r.r.Read(p[:min(r.rng.IntN(1000), len(p))]) }

// TestReset: a reader that has done, or that has failed in the middle of, a stream begins the next one afresh: nothing of the one before can be
// reached.
func TestReset(t *testing.T) {
	bothLoops(t, func(t *testing.T) {
		text := csvText(100 << 10)
		packed := pack(t, text, 6)
		var d Reader
		for _, first := range [][]byte{packed, packed[:len(packed)/2], {7}, pack(t, text, 0)[:1000]} {
			d.Reset(bufio.NewReader(bytes.NewReader(first)))
			_, _ = io.ReadAll(&d)
			d.Reset(bufio.NewReader(bytes.NewReader(packed)))
			if got, err := io.ReadAll(&d); err != nil || !bytes.Equal(got, text) {
				t.Errorf("%d bytes, %v", len(got), err)
			}
			var w bitWriter // fixed block: a match of length 3 and distance 1 at the very beginning
			w.add(1, 1).add(1, 2).code(1, 7).code(0, 5).code(0, 7)
			d.Reset(bufio.NewReader(bytes.NewReader(w.bytes())))
			if got, err := io.ReadAll(&d); !errors.Is(err, ErrDistance) || len(got) > 0 {
				t.Errorf("%q, %v", got, err)
			}
		}
	})
}

// sameAsStd holds that the stream is decoded as compress/flate does it, or refused as compress/flate does it.
func sameAsStd(t *testing.T, what string, stream []byte) {
	t.Helper()
	src := bytes.NewReader(stream)
	want, wantErr := io.ReadAll(io.LimitReader(stdflate.NewReader(src), 16<<20))
	if len(want) == 16<<20 {
		return // too long to hold
	}
	got, left, err := unpack(bytes.NewReader(stream))
	switch {
	case (err == nil) != (wantErr == nil):
		t.Fatalf("%s: %v, compress/flate says %v\n%x", what, err, wantErr, stream)
	case err == nil && (!bytes.Equal(got, want) || len(left) != src.Len()):
		t.Fatalf("%s: %d bytes and %d left, want %d and %d\n%x", what, len(got), len(left), len(want), src.Len(), stream)
	case !bytes.HasPrefix(got, want) && !bytes.HasPrefix(want, got):
		t.Fatalf("%s: other bytes before the fault\n%x", what, stream)
	}
	shared.Reset(bufio.NewReader(bytes.NewReader(stream)))
	n, err2 := io.ReadFull(&shared, inPlace)
	if !bytes.Equal(inPlace[:n], got[:min(len(got), len(inPlace))]) || n < len(inPlace) && err != nil && err2 != err {
		t.Fatalf("%s: decoded in place, %d bytes and %v, in the window %d and %v\n%x", what, n, err2, len(got), err, stream)
	}
}

// TestEveryCut: a stream that ends early is io.ErrUnexpectedEOF wherever it ends, and what came before is right.
func TestEveryCut(t *testing.T) {
	bothLoops(t, func(t *testing.T) {
		text := append(csvText(3000), bytes.Repeat([]byte("abc"), 500)...)
		for _, level := range []int{flate.HuffmanOnly, 0, 1, 6, 9} {
			packed := pack(t, text, level)
			for cut := range packed {
				got, left, err := unpack(bytes.NewReader(packed[:cut]))
				if err != io.ErrUnexpectedEOF || !bytes.HasPrefix(text, got) || len(left) > 0 {
					t.Fatalf("level %d, cut at %d of %d: %d bytes, %d left, %v", level, cut, len(packed), len(got), len(left), err)
				}
			}
		}
	})
}

// TestEveryFlip: a stream with one bit wrong is decoded or refused as by compress/flate.
func TestEveryFlip(t *testing.T) {
	bothLoops(t, func(t *testing.T) {
		text := append(csvText(700), bytes.Repeat([]byte("abc"), 200)...)
		for _, level := range []int{flate.HuffmanOnly, 0, 1, 6} {
			packed := pack(t, text, level)
			for bit := range 8 * len(packed) {
				packed[bit/8] ^= 1 << (bit % 8)
				sameAsStd(t, fmt.Sprintf("level %d, bit %d", level, bit), packed)
				packed[bit/8] ^= 1 << (bit % 8)
			}
		}
	})
}

// TestFlipFarIn: the same where content is decoded in place, far from the beginning.
func TestFlipFarIn(t *testing.T) {
	bothLoops(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(11, 12))
		text := csvText(500 << 10)
		for _, level := range []int{0, 1, 6} {
			packed := pack(t, text, level)
			for range 40 {
				bit := rng.IntN(8 * len(packed))
				packed[bit/8] ^= 1 << (bit % 8)
				want, wantErr := io.ReadAll(stdflate.NewReader(bytes.NewReader(packed)))
				shared.Reset(bufio.NewReader(bytes.NewReader(packed)))
				got, err := readLarge(&shared, rng)
				if (err == nil) != (wantErr == nil) || err == nil && !bytes.Equal(got, want) || !bytes.HasPrefix(got, want) && !bytes.HasPrefix(want, got) {
					t.Errorf("level %d, bit %d: %d bytes, %v; compress/flate: %d bytes, %v", level, bit, len(got), err, len(want), wantErr)
				}
				packed[bit/8] ^= 1 << (bit % 8)
			}
		}
	})
}

// TestSourceError: an error of the source comes as it is, behind the bytes that came before it.
func TestSourceError(t *testing.T) {
	text := csvText(100 << 10)
	packed := pack(t, text, 6)
	broken := errors.New("connection reset")
	for _, at := range []int{0, 1, 50, 5000, len(packed) - 1} {
		got, _, err := unpack(io.MultiReader(bytes.NewReader(packed[:at]), iotest.ErrReader(broken)))
		if err != broken || !bytes.HasPrefix(text, got) || at > 5000 && len(got) < len(text)-1000 {
			t.Errorf("at %d: %d bytes, %v", at, len(got), err)
		}
	}
}

// bitWriter writes what no encoder would.
type bitWriter struct {
	out  []byte
	bits uint64
	n    uint
}

// add writes a number, its lowest bit first.
func (w *bitWriter) add(v uint64, n uint) *bitWriter {
	w.bits |= v << w.n
	for w.n += n; w.n >= 8; w.n -= 8 {
		w.out = append(w.out, byte(w.bits))
		w.bits >>= 8
	}
	return w
}

// code writes a code, its highest bit first.
func (w *bitWriter) code(v uint64, n uint) *bitWriter {
	for n > 0 {
		n--
		w.add(v>>n&1, 1)
	}
	return w
}

func (w *bitWriter) bytes() []byte { return append(w.out, byte(w.bits)) }

// lengths writes the header of a last dynamic block with these code lengths, each as four bits: no runs.
func (w *bitWriter) lengths(lit, dist []uint8) *bitWriter {
	w.add(1, 1).add(2, 2).add(uint64(len(lit)-257), 5).add(uint64(len(dist)-1), 5).add(15, 4)
	for _, s := range lensOrder {
		if s < 16 { // lengths 0 to 15 have the codes 0000 to 1111
			w.add(4, 3)
		} else {
			w.add(0, 3)
		}
	}
	for _, l := range append(bytes.Clone(lit), dist...) {
		w.code(uint64(l), 4)
	}
	return w
}

// TestMalformed: what stands in a header that is not valid is refused for what it is.
func TestMalformed(t *testing.T) {
	lens := func(n int, at map[int]uint8) []uint8 {
		out := make([]uint8, n)
		for i, l := range at {
			out[i] = l
		}
		return out
	}
	padded := func(w *bitWriter) []byte { return append(w.bytes(), make([]byte, 100)...) }
	dynamic := func(lit, dist map[int]uint8) []byte {
		return padded(new(bitWriter).lengths(lens(257+29, lit), lens(30, dist)))
	}
	bothLoops(t, func(t *testing.T) {
		for _, c := range []struct {
			name   string
			stream []byte
			want   error
		}{
			{"block of the reserved type", []byte{7, 0, 0, 0, 0}, ErrBlock},
			{"length of a stored block", []byte{1, 5, 0, 0xfa, 0xfe, 0, 0}, ErrBlock},
			{"no end of block", dynamic(map[int]uint8{0: 1, 1: 1}, nil), ErrCode},
			{"too many codes", dynamic(map[int]uint8{0: 1, 1: 1, 256: 1}, nil), ErrCode},
			{"too few codes", dynamic(map[int]uint8{0: 2, 1: 2, 256: 2}, nil), ErrCode},
			{"one code of two bits", dynamic(map[int]uint8{256: 2}, nil), ErrCode},
			{"one code, its other bit", append(new(bitWriter).lengths(lens(257, map[int]uint8{256: 1}), lens(1, nil)).code(1, 1).bytes(), 0, 0, 0), ErrSymbol},
			{"too few distance codes", dynamic(map[int]uint8{0: 1, 256: 1}, map[int]uint8{0: 2}), ErrCode},
			{"too many distance codes", dynamic(map[int]uint8{0: 1, 256: 1}, map[int]uint8{0: 1, 1: 1, 2: 1}), ErrCode},
			{"287 length codes", padded(new(bitWriter).add(1, 1).add(2, 2).add(30, 5).add(0, 5).add(15, 4)), ErrCode},
			{"31 distance codes", padded(new(bitWriter).add(1, 1).add(2, 2).add(0, 5).add(30, 5).add(15, 4)), ErrCode},
			{"fixed code, symbol 286", padded(new(bitWriter).add(1, 1).add(1, 2).code(0b11000110, 8)), ErrSymbol},
			{"fixed code, distance symbol 30", padded(new(bitWriter).add(1, 1).add(1, 2).code(0x30, 8).code(1, 7).code(30, 5)), ErrSymbol},
			{"no distance codes, a match", padded(new(bitWriter).lengths(lens(258, map[int]uint8{'a': 2, 'b': 2, 256: 2, 257: 2}), lens(1, nil)).code(0, 2).code(3, 2)), ErrSymbol},
			{"distance of 2 behind one byte", padded(new(bitWriter).add(1, 1).add(1, 2).code(0x30, 8).code(1, 7).code(1, 5)), ErrDistance},
		} {
			if _, _, err := unpack(bytes.NewReader(c.stream)); !errors.Is(err, c.want) {
				t.Errorf("%s: %v, want %v", c.name, err, c.want)
			}
			sameAsStd(t, c.name, c.stream)
			long := append(pack(t, csvText(1000), 6), c.stream...) // and where the quick loop is at work
			long[0] &^= 1
			sameAsStd(t, c.name+" behind a block", long)
		}
	})
}

// TestRandomCodes: sets of code lengths, whole, short of a code and with one too many, are accepted and used as by compress/flate.
func TestRandomCodes(t *testing.T) {
	bothLoops(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(9, 10))
		for range 2000 {
			lit, dist := randomLengths(rng, 257+rng.IntN(30)), randomLengths(rng, 1+rng.IntN(30))
			w := new(bitWriter).lengths(lit, dist)
			for range 400 {
				w.add(uint64(rng.Uint32()), 32)
			}
			sameAsStd(t, fmt.Sprintf("%d %d", lit, dist), w.bytes())
		}
	})
}

// randomLengths are those of a whole code in four of five cases.
func randomLengths(rng *rand.Rand, n int) []uint8 {
	lens := []uint8{0}
	for want := 1 + rng.IntN(n); len(lens) < want; { // split a leaf
		i := rng.IntN(len(lens))
		if rng.IntN(4) > 0 {
			i = len(lens) - 1
		}
		if lens[i]++; lens[i] > maxCode {
			lens[i]--
			break
		}
		lens = append(lens, lens[i])
	}
	switch rng.IntN(10) {
	case 0:
		lens[rng.IntN(len(lens))] = uint8(rng.IntN(maxCode + 1))
	case 1:
		lens = lens[:len(lens)-1]
	}
	out := make([]uint8, n)
	for i, at := range rng.Perm(n)[:len(lens)] {
		out[at] = lens[i]
	}
	if n > 256 && rng.IntN(8) > 0 && out[256] == 0 { // mostly with an end of block
		for i, l := range out {
			if l > 0 {
				out[256], out[i] = l, 0
				break
			}
		}
	}
	return out
}

// TestNoAllocations: reading allocates nothing, nor does the next stream.
func TestNoAllocations(t *testing.T) {
	packed := pack(t, csvText(1<<20), 6)
	r := bytes.NewReader(packed)
	src := bufio.NewReader(r)
	d, buf := new(Reader), make([]byte, 64<<10)
	if n := testing.AllocsPerRun(5, func() {
		r.Reset(packed)
		src.Reset(r)
		d.Reset(src)
		for {
			if _, err := d.Read(buf); err != nil {
				return
			}
		}
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

// FuzzInflate: any bytes are decoded or refused as by compress/flate, with both loops.
func FuzzInflate(f *testing.F) {
	for _, text := range []string{"", "a", strings.Repeat("abcdefgh", 100), string(csvText(1500))} {
		for _, level := range []int{flate.HuffmanOnly, 0, 1, 9} {
			f.Add(pack(f, []byte(text), level))
		}
	}
	f.Fuzz(func(t *testing.T, stream []byte) {
		for _, loop := range loops() {
			func() {
				defer useLoop(loop)()
				sameAsStd(t, loop, stream)
			}()
		}
	})
}

// FuzzRoundTrip: what klauspost's encoder makes of any text comes back.
func FuzzRoundTrip(f *testing.F) {
	f.Add([]byte("abcabcabcabc"), 6)
	f.Add(csvText(1500), 1)
	f.Fuzz(func(t *testing.T, text []byte, level int) {
		level = flate.HuffmanOnly + int(uint(level)%12)
		for _, loop := range loops() {
			func() {
				defer useLoop(loop)()
				got, left, err := unpack(bytes.NewReader(pack(t, text, level)))
				if err != nil || !bytes.Equal(got, text) || len(left) > 0 {
					t.Fatalf("%s, level %d: %d bytes of %d, %v", loop, level, len(got), len(text), err)
				}
			}()
		}
	})
}
