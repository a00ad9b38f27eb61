package pack

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
)

// columns are what words of rows may be, by row number.
var columns = []struct {
	name  string
	float bool
	most  int // bytes a word may take with 1000 rows where masks are gathered
	word  func(i int) uint64
}{
	{"all the same", false, 0, func(int) uint64 { return 0xDEAD }},
	{"digits as text", false, 4, func(i int) uint64 { return 0x3030303030303030 | uint64(i%10) | uint64(i/10%10)<<56 }},
	{"small integers", false, 2, func(i int) uint64 { return uint64(i) }},
	{"random", false, 8, func(i int) uint64 { return rand.New(rand.NewPCG(1, uint64(i))).Uint64() }},
	{"cents", true, 2, func(i int) uint64 { return math.Float64bits(float64(i-300) / 100) }},
	{"whole floats", true, 2, func(i int) uint64 { return math.Float64bits(float64(1<<40 + i)) }},
	{"six places", true, 3, func(i int) uint64 { return math.Float64bits(float64(i*7919) / 1e6) }},
	{"thirds", true, 8, func(i int) uint64 { return math.Float64bits(float64(i) / 3) }},
	{"one that is no decimal", true, 8, func(i int) uint64 {
		if i == 700 {
			return math.Float64bits(math.Nextafter(7, 8))
		}
		return math.Float64bits(float64(i) / 100)
	}},
	{"minus zero", true, 8, func(i int) uint64 { return math.Float64bits(math.Copysign(float64(i/900), -1)) }},
	{"not finite", true, 8, func(i int) uint64 {
		return []uint64{math.Float64bits(math.Inf(1)), math.Float64bits(math.Inf(-1)), math.Float64bits(math.NaN()), 0x7FF0000000000001, math.Float64bits(1e300), 1}[i%6]
	}},
	{"great integers", true, 8, func(i int) uint64 { return math.Float64bits(float64(1<<51 + i - 500)) }},
}

// eachWay runs a test with the processor's instructions, where it has them, and without.
func eachWay(t *testing.T, test func(t *testing.T)) {
	was := gathers
	defer func() { gathers = was }()
	for _, gathers = range slices.Compact([]bool{was, false}) {
		t.Run(fmt.Sprint("gathers=", gathers), test)
	}
}

// Words come back bit for bit, in as few bytes as their bits differ in.
func TestEachColumn(t *testing.T) {
	eachWay(t, func(t *testing.T) {
		for _, c := range columns {
			const n = 1000
			rows := make([]uint64, 2*n)
			for i := range n {
				rows[2*i], rows[2*i+1] = c.word(i), uint64(i*i)
			}
			p := NewPacker([]bool{c.float, false})
			check(t, c.name, p, rows, 2)
			if got := p.cols[0].width; gathers && got > c.most {
				t.Errorf("%s: %d bytes a word, want at most %d", c.name, got, c.most)
			}
		}
	})
}

// check packs rows in pieces, each with just the room it needs, and unpacks them.
func check(t *testing.T, what string, p *Packer, rows []uint64, words int) {
	t.Helper()
	n := len(rows) / words
	p.Load(rows, n)
	var b []byte
	for lo, step := 0, 1; lo < n; step *= 3 {
		hi := min(lo+step, n)
		space := headBytes + words*columnBytes + (hi-lo)*p.row + Slack
		if fit := p.Fit(space, hi-lo); fit != hi-lo {
			t.Fatalf("%s: %d bytes are said to hold %d rows of %d", what, space, fit, hi-lo)
		}
		if fit := p.Fit(space-1, hi-lo); p.row > 0 && fit >= hi-lo {
			t.Fatalf("%s: %d bytes are said to hold %d rows of %d", what, space-1, fit, hi-lo)
		}
		b = p.Append(slices.Grow(b, space)[:len(b):len(b)+space], lo, hi)
		lo = hi
	}
	b = slices.Grow(b, Slack)
	var r Reader
	at := 0
	for rest := b; len(rest) > 0; {
		var got int
		got, rest = r.Next(rest, words)
		for i := range got {
			for k := range words {
				if want := rows[(at+i)*words+k]; r.Cols[k][i] != want {
					t.Fatalf("%s: word %d of row %d is %#x, want %#x", what, k, at+i, r.Cols[k][i], want)
				}
			}
		}
		at += got
	}
	if at != n {
		t.Fatalf("%s: %d rows came back of %d", what, at, n)
	}
}

// A packer keeps no trace of a batch in the next, whatever those are.
func TestBatchAfterBatch(t *testing.T) {
	eachWay(t, func(t *testing.T) {
		p := NewPacker([]bool{true, false, true})
		rng := rand.New(rand.NewPCG(7, 7))
		for range 300 {
			a, b, c := columns[rng.IntN(len(columns))], columns[rng.IntN(len(columns))], columns[rng.IntN(len(columns))]
			rows := make([]uint64, 3*rng.IntN(1200))
			from := rng.IntN(500)
			for i := 0; i < len(rows); i += 3 {
				rows[i], rows[i+1], rows[i+2] = a.word(from+i/3), b.word(i/3), c.word(from+i/3)
			}
			check(t, a.name+", "+b.name+", "+c.name, p, rows, 3)
		}
	})
}

func FuzzRoundTrip(f *testing.F) {
	f.Add([]byte("0123456789abcdef0123456789abcdef"), true)
	f.Add(arrow.GetBytes([]uint64{math.Float64bits(12.34), math.Float64bits(-5), 0, 1 << 63}), true)
	f.Fuzz(func(t *testing.T, b []byte, float bool) {
		rows := slices.Clone(arrow.GetData[uint64](append(make([]byte, 0, len(b)+8), b...)[:len(b)/16*16]))
		check(t, "fuzz", NewPacker([]bool{float, !float}), rows, 2)
	})
}

func BenchmarkPack(b *testing.B) {
	const n = 1024
	rng := rand.New(rand.NewPCG(1, 2))
	rows := make([]uint64, 4*n)
	for i := range n { // nine digits of text, two amounts
		for d := range 8 {
			rows[4*i] |= uint64('0'+rng.IntN(10)) << (8 * d)
		}
		rows[4*i+1] = uint64('0'+rng.IntN(10)) | 9<<56
		rows[4*i+2], rows[4*i+3] = math.Float64bits(float64(rng.IntN(5000))/100), math.Float64bits(float64(rng.IntN(9000))/100)
	}
	p := NewPacker([]bool{false, false, true, true})
	dst := make([]byte, 32<<10)
	b.Run("pack", func(b *testing.B) {
		for b.Loop() {
			p.Load(rows, n)
			dst = p.Append(dst[:0], 0, n)
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/row")
		b.ReportMetric(float64(len(dst))/n, "bytes/row")
	})
	b.Run("unpack", func(b *testing.B) {
		var r Reader
		for b.Loop() {
			r.Next(dst, 4)
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/row")
	})
}
