package parquet

import (
	"encoding/binary"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// readHybrid decodes n values by the letter of the Parquet encodings specification, a bit at a time.
func readHybrid(t *rapid.T, b []byte, n, w int) []uint32 {
	var out []uint32
	for len(out) < n {
		head, k := binary.Uvarint(b)
		if k <= 0 {
			t.Fatalf("no run header after %d of %d values", len(out), n)
		}
		b = b[k:]
		if head&1 == 0 {
			var x uint32
			for i := range (w + 7) / 8 {
				x |= uint32(b[i]) << (8 * i)
			}
			b = b[(w+7)/8:]
			for range head >> 1 {
				out = append(out, x)
			}
			continue
		}
		count := int(head>>1) * 8
		for i := range count {
			var x uint32
			for bit := range w {
				at := i*w + bit
				x |= uint32(b[at/8]>>(at%8)&1) << bit
			}
			out = append(out, x)
		}
		b = b[count*w/8:]
	}
	if len(b) != 0 {
		t.Fatalf("%d bytes left over", len(b))
	}
	for _, x := range out[n:] {
		if x != 0 {
			t.Fatalf("padding is %d, not 0", x)
		}
	}
	return out[:n]
}

// Runs and packed groups come back in every width, whatever their mix.
func TestHybrid(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := rapid.IntRange(1, 32).Draw(t, "width")
		var v []uint32
		for range rapid.IntRange(0, 6).Draw(t, "stretches") {
			x := rapid.Uint32().Draw(t, "x")
			for i := range rapid.IntRange(1, 150).Draw(t, "n") {
				if rapid.IntRange(0, 1).Draw(t, "vary") == 1 {
					x = x*2654435761 + uint32(i)
				}
				v = append(v, x>>(32-w))
			}
			for range rapid.IntRange(0, 200).Draw(t, "run") {
				v = append(v, x>>(32-w))
			}
		}
		prefix := []byte("kept")
		got := appendHybrid(slices.Clone(prefix), v, w)
		if string(got[:4]) != "kept" {
			t.Fatal("overwrote what was there")
		}
		if back := readHybrid(t, got[4:], len(v), w); !slices.Equal(back, v) {
			t.Fatalf("width %d: %v became %v", w, v, back)
		}
		if w <= 8 {
			small := make([]uint8, len(v))
			for i, x := range v {
				small[i] = uint8(x)
			}
			if !slices.Equal(appendHybrid(nil, small, w), got[4:]) {
				t.Fatal("bytes and words differ")
			}
		}
	})
}

// Validity bits are levels of width one, from any bit on.
func TestValidityIsLevels(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		flags := rapid.SliceOfN(rapid.Bool(), 1, 200).Draw(t, "valid")
		from := rapid.IntRange(0, len(flags)-1).Draw(t, "from")
		to := rapid.IntRange(from+1, len(flags)).Draw(t, "to")
		src := make([]byte, (len(flags)+3+7)/8)
		for i, on := range flags {
			if on {
				src[(i+3)/8] |= 1 << ((i + 3) % 8)
			}
		}
		var b bitmap
		half := len(flags) / 2
		b.add(src, 3, half)
		b.add(src, 3+half, len(flags)-half)
		nulls := to - from - b.count(from, to)
		got := appendValidity(nil, b, from, to, nulls)
		if n := int(binary.LittleEndian.Uint32(got)); n != len(got)-4 {
			t.Fatalf("length says %d, there are %d", n, len(got)-4)
		}
		levels := readHybrid(t, got[4:], to-from, 1)
		for i, l := range levels {
			if (l == 1) != flags[from+i] {
				t.Fatalf("row %d has level %d, valid %v", from+i, l, flags[from+i])
			}
		}
		ones := selectOnes(nil, src, 3, len(flags))
		k := 0
		for i, on := range flags {
			if on {
				if k >= len(ones) || ones[k] != int32(i) {
					t.Fatalf("ones of %v are %v", flags, ones)
				}
				k++
			}
		}
		if k != len(ones) {
			t.Fatalf("ones of %v are %v", flags, ones)
		}
	})
}
