package rowpack

import (
	"fmt"
	"testing"
)

// FuzzPack: integers of any kind come back.
func FuzzPack(f *testing.F) {
	f.Add([]byte("0123456789abcdef"), uint8(3), int64(1000))
	f.Fuzz(func(t *testing.T, raw []byte, shift uint8, unit int64) {
		v := make([]int64, 0, len(raw))
		for _, b := range raw {
			v = append(v, int64(b)<<(shift%64)*unit)
		}
		if len(v) == 0 {
			return
		}
		var e Encoder
		src := e.pack(nil, v)
		out := make([]int64, len(v))
		rest, err := unpack(out, src)
		if err != nil || len(rest) != 0 || fmt.Sprint(out) != fmt.Sprint(v) {
			t.Fatalf("%v: came back as %v, %v", v, out, err)
		}
	})
}
