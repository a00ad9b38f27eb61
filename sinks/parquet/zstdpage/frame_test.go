package zstdpage

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/klauspost/compress/zstd"
	"pgregory.net/rapid"
)

var methods = []Method{Stored, Matched, Coded}

// words makes n values of the stride, each byte of which takes one of so many values as its place says (0: any).
func words(r *rand.Rand, n, stride int, kinds ...int) []byte {
	out := make([]byte, 0, n*stride)
	for range n {
		for k := range stride {
			switch m := kinds[k%len(kinds)]; m {
			case 0:
				out = append(out, byte(r.Uint32()))
			default:
				out = append(out, byte(r.IntN(m)*37))
			}
		}
	}
	return out
}

func decoder(t testing.TB) *zstd.Decoder {
	d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	return d
}

func check(t interface {
	Helper()
	Fatalf(string, ...any)
}, d *zstd.Decoder, e *Encoder, src []byte, head, stride int, m Method) int {
	t.Helper()
	frame := e.Append([]byte("kept"), src, head, stride, m)
	if string(frame[:4]) != "kept" {
		t.Fatalf("overwrote what was there")
	}
	back, err := d.DecodeAll(frame[4:], nil)
	if err != nil {
		t.Fatalf("decode frame of %d bytes, head %d, stride %d, method %d: %v", len(src), head, stride, m, err)
	}
	if !bytes.Equal(back, src) {
		t.Fatalf("%d bytes, head %d, stride %d, method %d came back otherwise", len(src), head, stride, m)
	}
	if most := len(src) + 20 + 3*(len(src)/maxBlock+2); len(frame)-4 > most {
		t.Fatalf("%d bytes took %d, more than stored", len(src), len(frame)-4)
	}
	return len(frame) - 4
}

// Another decoder reads every frame back, whatever the page looks like.
func TestFramesComeBack(t *testing.T) {
	d, e := decoder(t), &Encoder{}
	for _, n := range []int{0, 1, 2, 31, 32, 33, 255, 256, 1023, 1024, 1025, 65_791, 65_792, 131_072, 131_073} {
		for _, stride := range []int{0, 1, 3, 4, 5, 8, 12, 16, 100} {
			if n > 60_000 && stride != 4 && stride != 8 && stride != 12 {
				continue // what is new there are lengths in more bytes and a second block
			}
			for _, kinds := range [][]int{{0}, {1}, {2}, {0, 0, 1, 1}, {0, 1, 1, 1}, {0, 0, 0, 0, 3, 1, 1, 1}, {200, 3}, {1, 1, 1, 2}} {
				r := rand.New(rand.NewPCG(uint64(n), uint64(stride)))
				src := words(r, n/max(stride, 1)+1, max(stride, 1), kinds...)[:n]
				for _, head := range []int{0, 6, 3000} {
					for _, m := range methods {
						check(t, d, e, src, min(head, n), stride, m)
					}
				}
			}
		}
	}
}

func TestRandomFramesComeBack(t *testing.T) {
	d, e := decoder(t), &Encoder{}
	rapid.Check(t, func(t *rapid.T) {
		stride := rapid.IntRange(0, 20).Draw(t, "stride")
		head := rapid.IntRange(0, 2000).Draw(t, "head")
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
		var src []byte
		for range rapid.IntRange(0, 5).Draw(t, "stretches") {
			kinds := rapid.SliceOfN(rapid.IntRange(0, 4), 1, 20).Draw(t, "kinds")
			src = append(src, words(r, rapid.IntRange(0, 3000).Draw(t, "n"), max(1, stride), kinds...)...)
			// now and then one byte breaks the pattern
			for range rapid.IntRange(0, 20).Draw(t, "breaks") {
				if len(src) > 0 {
					src[r.IntN(len(src))]++
				}
			}
		}
		for _, m := range methods {
			check(t, d, e, src, head, stride, m)
		}
	})
}

// Every length has the code whose base and bits hold it: the tables of RFC 8878 at their borders.
// One byte of a page that is regular otherwise is another: anywhere, in the last value and in what is no whole value at the end above all.
func TestOneByteThatDiffers(t *testing.T) {
	d, e := decoder(t), &Encoder{}
	r := rand.New(rand.NewPCG(7, 7))
	for _, stride := range []int{1, 2, 3, 4, 5, 7, 8, 9, 11, 12, 13, 16, 17, 20, 24, 32, 63, 64} {
		for _, kinds := range [][]int{{1}, {0, 0, 1, 1}, {0, 1, 1, 1}, {1, 1, 0, 0}, {0, 0, 0, 0, 1, 1, 1, 1}, {1, 1, 1, 1, 1, 1, 0, 0}, {200, 1, 1, 1, 1, 1, 1, 1, 1}} {
			for _, values := range []int{194, 201} {
				for _, head := range []int{0, 5} {
					tail := r.IntN(stride)
					src := append(words(r, head, 1, 0), words(r, values+1, stride, kinds...)...)[:head+values*stride+tail]
					last := stride + tail // of its bytes each, and some of those before
					for i := range last + 10 {
						at := len(src) - 1 - i
						if i >= last {
							at = r.IntN(len(src))
						}
						was := src[at]
						src[at] ^= byte(1 + r.IntN(255))
						for _, m := range methods[1:] {
							check(t, d, e, src, head, stride, m)
						}
						src[at] = was
					}
				}
			}
		}
	}
}

// The end of a page belongs to no value, or to one of another width: every byte of it is kept.
func TestEndsOfPages(t *testing.T) {
	d, e := decoder(t), &Encoder{}
	rapid.Check(t, func(t *rapid.T) {
		stride := rapid.IntRange(1, 64).Draw(t, "stride")
		kinds := rapid.SliceOfN(rapid.SampledFrom([]int{0, 1, 1, 1, 2, 200}), 1, stride).Draw(t, "kinds")
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
		src := words(r, rapid.IntRange(180, 500).Draw(t, "values"), stride, kinds...)
		src = append(src, rapid.SliceOfN(rapid.Byte(), 0, 2*stride).Draw(t, "end")...)
		head := rapid.IntRange(0, 2*stride).Draw(t, "head")
		for _, m := range methods {
			check(t, d, e, src, head, stride, m)
		}
	})
}

func TestLengthCodes(t *testing.T) {
	for _, c := range []struct {
		n    uint32
		code uint8
	}{{0, 0}, {15, 15}, {16, 16}, {17, 16}, {22, 19}, {24, 20}, {31, 21}, {32, 22}, {40, 23}, {48, 24}, {63, 24}, {64, 25}, {128, 26}, {256, 27}, {65_535, 34}, {65_536, 35}, {131_071, 35}} {
		if got := litCode(c.n); got != c.code || c.n < litBase[got] || c.n-litBase[got] >= 1<<litBits[got] {
			t.Errorf("%d literals have code %d (from %d, %d bits), want %d", c.n, got, litBase[got], litBits[got], c.code)
		}
	}
	for _, c := range []struct {
		n    uint32
		code uint8
	}{{3, 0}, {34, 31}, {35, 32}, {36, 32}, {43, 36}, {51, 38}, {67, 40}, {99, 42}, {130, 42}, {131, 43}, {258, 43}, {259, 44}, {65_538, 51}, {65_539, 52}, {131_072, 52}} {
		if got := matchCode(c.n); got != c.code || c.n < matchBase[got] || c.n-matchBase[got] >= 1<<matchBits[got] {
			t.Errorf("a match of %d has code %d (from %d, %d bits), want %d", c.n, got, matchBase[got], matchBits[got], c.code)
		}
	}
}

// What the methods are for: constant bytes of the values cost nothing, skewed ones few bits.
func TestSizes(t *testing.T) {
	d, e := decoder(t), &Encoder{}
	r := rand.New(rand.NewPCG(1, 1))
	const n = 20_000
	for _, c := range []struct {
		name   string
		src    []byte
		stride int
		m      Method
		most   int // bytes
	}{
		{"three of eight bytes constant", words(r, n, 8, 0, 0, 0, 0, 0, 1, 1, 1), 8, Matched, 5*n + 400},
		{"the run goes around", words(r, n, 8, 1, 0, 0, 0, 0, 0, 1, 1), 8, Matched, 5*n + 400},
		{"a sixth varies now and then", words(r, n, 8, 0, 0, 0, 0, 0, 2, 1, 1), 8, Matched, 6*n + 3*n/4},
		{"digits", words(r, n, 12, 1, 1, 1, 10), 12, Coded, 3*n*35/80 + 1000},
		{"all the same", words(r, n, 8, 1), 8, Matched, 100},
		{"noise", words(r, n, 8, 0), 8, Coded, 8*n + 30},
		{"bits", words(r, n, 1, 4), 0, Coded, n/4 + 200},
	} {
		if size := check(t, d, e, c.src, 0, c.stride, c.m); size > c.most {
			t.Errorf("%s: %d bytes take %d, want at most %d", c.name, len(c.src), size, c.most)
		}
	}
}

func FuzzFrame(f *testing.F) {
	f.Add([]byte("aaaabbbbaaaabbbbaaaabbbbaaaabbbbaaaacccc"), uint16(0), uint8(4))
	f.Add(words(rand.New(rand.NewPCG(1, 2)), 500, 8, 0, 1, 1, 1), uint16(6), uint8(8))
	d, e := decoder(f), &Encoder{}
	f.Fuzz(func(t *testing.T, src []byte, head uint16, stride uint8) {
		for _, m := range methods {
			check(t, d, e, src, int(head), int(stride), m)
		}
	})
}

// BenchmarkFrame reports the speed and how many bits a byte takes.
func BenchmarkFrame(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 1))
	times := make([]byte, 0, 160_000)
	for range 20_000 {
		times = binary.LittleEndian.AppendUint64(times, uint64(1_672_531_200+r.IntN(6*86_400))*1_000_000)
	}
	digits := words(r, 20_000, 16, 1, 1, 1, 1, 1, 1, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10)
	packed := words(r, 20_000, 1, 100)
	for _, c := range []struct {
		name   string
		src    []byte
		stride int
	}{{"times", times, 8}, {"digits", digits, 16}, {"packed", packed, 0}} {
		for _, m := range methods {
			b.Run(fmt.Sprintf("%s-%d", c.name, m), func(b *testing.B) {
				e := &Encoder{}
				var out []byte
				b.SetBytes(int64(len(c.src)))
				b.ReportAllocs()
				for b.Loop() {
					out = e.Append(out[:0], c.src, 0, c.stride, m)
				}
				b.ReportMetric(8*float64(len(out))/float64(len(c.src)), "bits/B")
			})
		}
	}
}

// What Sizes says is what frames have, whether or not the page ends with a whole value: within a 16th for codes, whose
// tables it leaves out.
func TestEstimates(t *testing.T) {
	e := &Encoder{}
	for _, stride := range []int{4, 8, 9, 16} {
		for _, kinds := range [][]int{{0}, {7, 1, 1, 1}, {10, 200, 1, 1}, {3, 60, 1, 1, 1, 2}} {
			for _, tail := range []int{0, 1, 3} {
				src := words(rand.New(rand.NewPCG(9, uint64(stride))), 2000, stride, kinds...)
				src = src[:len(src)-tail]
				matched, coded := e.Sizes(src, stride)
				if have := len(e.Append(nil, src, 0, stride, Matched)); matched != have {
					t.Errorf("stride %d, kinds %v, tail %d: matched %d, said %d", stride, kinds, tail, have, matched)
				}
				if have := len(e.Append(nil, src, 0, stride, Coded)); coded > have+have/100 || coded < have-have/16-200 {
					t.Errorf("stride %d, kinds %v, tail %d: coded %d, said %d", stride, kinds, tail, have, coded)
				}
			}
		}
	}
}

// A byte that seldom changes is in the match of most values, beside those that never do: a clock's values take their lower bytes
// only, a counter's hardly more than one.
func TestSlowClock(t *testing.T) {
	d, e := decoder(t), &Encoder{}
	for _, c := range []struct {
		name       string
		tick       uint64
		bytesAtMax float64 // a value
	}{
		{"half a minute in microseconds", 31_000_000, 4.2},
		{"a counter", 1, 1.2},
	} {
		for _, n := range []int{2000, 20_000} {
			var src []byte
			for i := range n {
				src = binary.LittleEndian.AppendUint64(src, 1_694_231_200_000_000+uint64(i)*c.tick)
			}
			if got := float64(check(t, d, e, src, 0, 8, Matched)) / float64(n); got > c.bytesAtMax {
				t.Errorf("%s: %d values take %.2f bytes each, want %.2f at most", c.name, n, got, c.bytesAtMax)
			}
		}
	}
}
