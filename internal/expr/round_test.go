package expr

import (
	"math"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// TestRoundAtKeepsDigits: a float that is written with so many digits stays as it is, and one with more is cut to those.
func TestRoundAtKeepsDigits(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		digits := strconv.FormatInt(rapid.Int64Range(1, 999_999_999_999_999).Draw(t, "digits"), 10)
		places := rapid.IntRange(-290, 300).Draw(t, "places")
		if rapid.Bool().Draw(t, "few") {
			places %= 20
		}
		x, _ := strconv.ParseFloat(digits+"e"+strconv.Itoa(-places), 64)
		if rapid.Bool().Draw(t, "negative") {
			x = -x
		}
		for _, cut := range []bool{false, true} {
			if got := roundAt(x, int64(places), cut); got != x {
				t.Fatalf("%v at place %d (cut: %v) becomes %v", x, places, cut, got)
			}
		}
		fewer := rapid.IntRange(0, len(digits)-1).Draw(t, "fewer")
		want, _ := strconv.ParseFloat(digits[:len(digits)-fewer]+strings.Repeat("0", fewer)+"e"+strconv.Itoa(-places), 64)
		if got := roundAt(x, int64(places-fewer), true); got != math.Copysign(want, x) {
			t.Fatalf("%v cut at place %d is %v, not %v", x, places-fewer, got, want)
		}
	})
}

// TestRoundAtIsANumber: whatever the place, a number stays one, or is too large for a float, which is told from its infinity.
func TestRoundAtIsANumber(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x, places := rapid.Float64().Draw(t, "x"), rapid.Int64Range(-400, 400).Draw(t, "places")
		if got := roundAt(x, places, true); math.Abs(got) > math.Abs(x) || got != got {
			t.Fatalf("%v cut at place %d is %v", x, places, got)
		}
		got := roundAt(x, places, false)
		if got != got || math.IsInf(got, 0) && math.Abs(x) < 1e307 {
			t.Fatalf("%v at place %d is %v", x, places, got)
		}
		if again := roundAt(got, places, false); again != got {
			t.Fatalf("%v at place %d is %v, and that %v", x, places, got, again)
		}
	})
}
