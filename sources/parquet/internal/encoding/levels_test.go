package encoding

import (
	"bytes"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// aColumn draws the levels of some entries, and their highest.
func aColumn(t *rapid.T) (defs, reps []uint8, maxDef, maxRep uint8) {
	maxDef, maxRep = uint8(rapid.SampledFrom([]int{0, 1, 2, 5, MaxLevel}).Draw(t, "max def")), uint8(rapid.SampledFrom([]int{0, 1, 2, MaxLevel}).Draw(t, "max rep"))
	n := rapid.IntRange(0, 200).Draw(t, "entries")
	often := rapid.Bool().Draw(t, "mostly the highest")
	for range n {
		d, r := rapid.Uint8Range(0, maxDef).Draw(t, "def"), rapid.Uint8Range(0, maxRep).Draw(t, "rep")
		if often && d > 0 {
			d = maxDef
		}
		defs, reps = append(defs, d), append(reps, r)
	}
	return defs, reps, maxDef, maxRep
}

// What is counted eight levels at a time is what a plain loop counts.
func TestLevelsByWords(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		defs, reps, maxDef, maxRep := aColumn(t)
		rows, values := 0, 0
		for i := range defs {
			rows += int(bit(reps[i] == 0))
			values += int(bit(defs[i] == maxDef))
		}
		if r, v := CountLevels(defs, reps, maxDef); r != rows || v != values {
			t.Fatalf("%d rows and %d values, want %d and %d", r, v, rows, values)
		}

		def, rep := rapid.Uint8Range(0, maxDef).Draw(t, "of def"), rapid.Uint8Range(0, maxRep).Draw(t, "of rep")
		notNull := rapid.Uint8Range(def, maxDef).Draw(t, "not null")
		want := make([]byte, (len(defs)+7)/8)
		slots, nulls := 0, 0
		for i := range defs {
			if reps[i] > rep || defs[i] < def {
				continue
			}
			if defs[i] >= notNull {
				want[slots>>3] |= 1 << (slots & 7)
			} else {
				nulls++
			}
			slots++
		}
		valid := make([]byte, len(want))
		if n, k := Slots(valid, defs, reps, notNull, def, rep); n != slots || k != nulls || !bytes.Equal(valid, want) {
			t.Fatalf("%d slots, %d null, %x; want %d, %d, %x", n, k, valid, slots, nulls, want)
		}

		if rep == MaxLevel {
			return // no list is in this one
		}
		elem := rapid.Uint8Range(def, maxDef).Draw(t, "of elements")
		var offs []int32
		count := int32(0)
		for i := range defs {
			if reps[i] <= rep && defs[i] >= def {
				offs = append(offs, count)
			}
			if reps[i] <= rep+1 && defs[i] >= elem {
				count++
			}
		}
		offs = append(offs, count)
		got := make([]int32, slots+1)
		for i := range got {
			got[i] = -1
		}
		if n := Offsets(got, defs, reps, elem, def, rep); n != int(count) || !slices.Equal(got, offs) {
			t.Fatalf("%d elements at %v, want %d at %v", n, got, count, offs)
		}
	})
}

// Levels of every width are unpacked wherever they begin, and one above the limit is seen wherever it stands.
func TestUnpackLevels(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		width := rapid.UintRange(0, 8).Draw(t, "width")
		n, before := rapid.IntRange(0, 100).Draw(t, "levels"), rapid.IntRange(0, 9).Draw(t, "levels before")
		limit := rapid.Uint8().Draw(t, "limit")
		packed := make([]byte, ((n+before)*int(width)+7)/8)
		want := make([]uint8, n)
		for i := range n + before {
			v := rapid.Uint8Range(0, uint8(1<<width-1)).Draw(t, "level")
			if i >= before {
				want[i-before] = v
			}
			for k := range int(width) {
				packed[(i*int(width)+k)>>3] |= v >> k & 1 << ((i*int(width) + k) & 7)
			}
		}
		got := make([]uint8, n)
		top := unpackLevels(got, packed, before*int(width), width, limit)
		if !slices.Equal(got, want) {
			t.Fatalf("%v, want %v", got, want)
		}
		if n > 0 && slices.Max(want) > limit && top != slices.Max(want) || (n == 0 || slices.Max(want) <= limit) && top > limit {
			t.Fatalf("the largest is said to be %d, the limit is %d: %v", top, limit, want)
		}
	})
}
