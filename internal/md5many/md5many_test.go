package md5many

import (
	"crypto/md5"
	"fmt"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"
)

func text(r *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

// TestSumsAreThoseOfEachText: of as many texts and of any lengths, in their order.
func TestSumsAreThoseOfEachText(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
		length := rapid.OneOf(rapid.IntRange(0, 300), rapid.SampledFrom([]int{0, 55, 56, 63, 64, 65, 119, 128, 4096, 100_799}), rapid.Just(640))
		var texts [][]byte
		for _, n := range rapid.SliceOfN(length, 0, 20).Draw(t, "lengths") {
			texts = append(texts, text(r, n))
		}
		before := [][md5.Size]byte{{1}}
		got := Sums(before, texts...)
		if len(got) != 1+len(texts) || got[0] != before[0] {
			t.Fatalf("%d sums of %d texts", len(got)-1, len(texts))
		}
		for i, b := range texts {
			if got[1+i] != md5.Sum(b) {
				t.Fatalf("text %d of %d, %d bytes: %x, want %x", i, len(texts), len(b), got[1+i], md5.Sum(b))
			}
		}
	})
}

// TestShortSumsAreThoseOfEachText: of any number that fits, of lengths on both sides of a block's and of two.
func TestShortSumsAreThoseOfEachText(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
		length := rapid.OneOf(rapid.IntRange(0, 130), rapid.SampledFrom([]int{0, 1, 8, 55, 56, 63, 64, 65, 118, 119, 120, 128, 4096}), rapid.Just(8))
		var texts [][]byte
		for _, n := range rapid.SliceOfN(length, 0, Most).Draw(t, "lengths") {
			texts = append(texts, text(r, n))
		}
		var got [Most][md5.Size]byte
		Short(&got, texts)
		for i, b := range texts {
			if got[i] != md5.Sum(b) {
				t.Fatalf("text %d of %d, %d bytes: %x, want %x", i, len(texts), len(b), got[i], md5.Sum(b))
			}
		}
		for i := len(texts); i < Most; i++ {
			if got[i] != [md5.Size]byte{} {
				t.Fatalf("%d texts have %d sums", len(texts), i+1)
			}
		}
	})
}

// TestGoesOnWhereTheLanesEnd: the standard library takes over the state, so a long text among short ones is not hashed twice.
func TestGoesOnWhereTheLanesEnd(t *testing.T) {
	b := text(rand.New(rand.NewPCG(1, 2)), 200)
	// a state that is not that of b: were it not taken, the sum would be md5.Sum's
	if finish(b, 128, start) == md5.Sum(b) {
		t.Error("the state was thrown away")
	}
	if got, want := finish(b, 0, start), md5.Sum(b); got != want {
		t.Errorf("from the start: %x, want %x", got, want)
	}
}

func BenchmarkSums(b *testing.B) {
	for _, n := range []int{1, 3, 8} {
		b.Run(fmt.Sprint(n, " texts"), func(b *testing.B) {
			r := rand.New(rand.NewPCG(1, 2))
			var texts [][]byte
			for range n {
				texts = append(texts, text(r, 100_000))
			}
			b.SetBytes(int64(n * 100_000))
			var sums [][md5.Size]byte
			for b.Loop() {
				sums = Sums(sums[:0], texts...)
			}
		})
	}
}
