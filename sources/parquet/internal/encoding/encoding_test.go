package encoding

import (
	"encoding/binary"
	"slices"
	"testing"

	"github.com/parquet-go/parquet-go/encoding/delta"
	"github.com/parquet-go/parquet-go/encoding/rle"
	"pgregory.net/rapid"
)

// pieces cuts n into steps of random size, so that decoding stops within runs and miniblocks.
func pieces(t *rapid.T, n int, f func(from, to int)) {
	for at := 0; at < n; {
		to := min(n, at+rapid.IntRange(1, 300).Draw(t, "step"))
		f(at, to)
		at = to
	}
}

// Runs of repeated and of packed values of any width come back, in whatever pieces they are asked for.
func TestRLE(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		width := rapid.IntRange(1, 32).Draw(t, "width")
		limit := int32(1)<<(min(width, 31)-1) - 1
		var want []int32
		for range rapid.IntRange(1, 8).Draw(t, "runs") {
			v := rapid.Int32Range(0, limit).Draw(t, "v")
			for i := range rapid.IntRange(1, 60).Draw(t, "n") {
				if v%2 == 0 {
					want = append(want, v)
				} else {
					want = append(want, (v+int32(i))%(limit+1))
				}
			}
		}
		b, err := (&rle.Encoding{BitWidth: width}).EncodeInt32(nil, want)
		if err != nil {
			t.Fatal(err)
		}
		var r RLE
		if err := r.Reset(b, uint(width)); err != nil {
			t.Fatal(err)
		}
		got := make([]uint32, len(want))
		pieces(t, len(got), func(from, to int) {
			if err := r.Uint32s(got[from:to]); err != nil {
				t.Fatal(err)
			}
		})
		for i := range want {
			if got[i] != uint32(want[i]) {
				t.Fatalf("value %d: %d, want %d", i, got[i], want[i])
			}
		}
		if width <= 8 {
			levels := make([]uint8, len(want))
			if err := r.Reset(b, uint(width)); err != nil {
				t.Fatal(err)
			}
			pieces(t, len(levels), func(from, to int) {
				if err := r.Levels(levels[from:to], 255); err != nil {
					t.Fatal(err)
				}
			})
			for i := range want {
				if levels[i] != uint8(want[i]) {
					t.Fatalf("level %d: %d, want %d", i, levels[i], want[i])
				}
			}
		}
		if width == 1 {
			off := rapid.IntRange(0, 20).Draw(t, "off")
			dst := make([]byte, (off+len(want)+7)/8)
			if err := r.Reset(b, 1); err != nil {
				t.Fatal(err)
			}
			ones := 0
			pieces(t, len(want), func(from, to int) {
				k, err := r.Bits(dst, off+from, to-from)
				if err != nil {
					t.Fatal(err)
				}
				ones += k
			})
			for i, v := range want {
				if at := off + i; int32(dst[at>>3]>>(at&7)&1) != v {
					t.Fatalf("bit %d is not %d", i, v)
				}
				ones -= int(v)
			}
			if ones != 0 {
				t.Fatalf("ones counted wrong by %d", ones)
			}
		}
	})
}

func TestDelta(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		shift := rapid.IntRange(0, 63).Draw(t, "shift")
		want := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) int64 { return rapid.Int64().Draw(t, "v") >> shift }), 0, 700).Draw(t, "values")
		b, err := (&delta.BinaryPackedEncoding{}).EncodeInt64(nil, want)
		if err != nil {
			t.Fatal(err)
		}
		var d, walk Delta
		if err := d.Reset(b, 64); err != nil {
			t.Fatal(err)
		}
		if d.Total() != len(want) {
			t.Fatalf("%d values, want %d", d.Total(), len(want))
		}
		walk = d
		if end, err := walk.End(); err != nil || len(want) > 0 && end != len(b) {
			t.Fatalf("end at %d of %d, %v", end, len(b), err)
		}
		got := make([]uint64, len(want))
		pieces(t, len(got), func(from, to int) {
			if err := d.Int64s(got[from:to]); err != nil {
				t.Fatal(err)
			}
		})
		for i := range want {
			if int64(got[i]) != want[i] {
				t.Fatalf("value %d: %d, want %d", i, int64(got[i]), want[i])
			}
		}
		if err := d.Int64s(make([]uint64, 1)); err == nil {
			t.Fatal("a value behind the last")
		}
	})
}

// What is cut off or impossible is an error, at once.
func TestBadInput(t *testing.T) {
	uvarints := func(vs ...uint64) (b []byte) {
		for _, v := range vs {
			b = binary.AppendUvarint(b, v)
		}
		return b
	}
	for name, f := range map[string]func() error{
		"width of 33":           func() error { return new(RLE).Reset(nil, 33) },
		"no run":                func() error { r := RLE{}; _ = r.Reset(nil, 3); return r.Uint32s(make([]uint32, 1)) },
		"run without its value": func() error { r := RLE{}; _ = r.Reset([]byte{8}, 9); return r.Uint32s(make([]uint32, 1)) },
		"run of too wide a value": func() error {
			r := RLE{}
			_ = r.Reset([]byte{8, 0xff}, 3)
			return r.Uint32s(make([]uint32, 1))
		},
		"level above the limit": func() error { r := RLE{}; _ = r.Reset([]byte{8, 3}, 2); return r.Levels(make([]uint8, 1), 2) },
		"packed run cut off": func() error {
			r := RLE{}
			_ = r.Reset([]byte{3, 1}, 8)
			return r.Uint32s(make([]uint32, 2))
		},
		"delta header cut off":     func() error { return new(Delta).Reset(uvarints(128, 4), 64) },
		"delta block of 127":       func() error { return new(Delta).Reset(uvarints(127, 1, 1, 0), 64) },
		"delta block of a billion": func() error { return new(Delta).Reset(uvarints(1<<30, 4, 1, 0), 64) },
		"delta of no miniblocks":   func() error { return new(Delta).Reset(uvarints(128, 0, 1, 0), 64) },
		"delta of too many values": func() error { return new(Delta).Reset(uvarints(128, 4, 1<<40, 0), 64) },
		"delta without its block": func() error {
			d := Delta{}
			_ = d.Reset(uvarints(128, 4, 9, 0), 64)
			return d.Int64s(make([]uint64, 2))
		},
		"delta wider than its column": func() error {
			d := Delta{}
			_ = d.Reset(append(uvarints(128, 4, 9, 0), 0, 40, 0, 0, 0), 32)
			return d.Int64s(make([]uint64, 2))
		},
		"delta miniblock cut off": func() error {
			d := Delta{}
			_ = d.Reset(append(uvarints(128, 4, 9, 0), 0, 32, 0, 0, 0, 1, 2), 32)
			return d.Int64s(make([]uint64, 9))
		},
		"negative length": func() error {
			d := Delta{}
			_ = d.Reset(uvarints(128, 4, 1, 1), 32)
			return d.Lengths(make([]uint32, 1))
		},
	} {
		if f() == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// The deprecated level encoding packs from the most significant bit.
func TestBitPackedLevels(t *testing.T) {
	var l BitPackedLevels
	l.Reset([]byte{0b00_01_10_11, 0b11_00_00_00}, 2)
	got := make([]uint8, 5)
	if err := l.Levels(got, 3); err != nil || !slices.Equal(got, []uint8{0, 1, 2, 3, 3}) {
		t.Errorf("%v, %v", got, err)
	}
	if err := l.Levels(make([]uint8, 4), 3); err == nil {
		t.Error("levels behind the last")
	}
}
