package expr

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/apache/arrow/go/v17/arrow/decimal128"
)

// TestDecimalsTogether: blocks of rows give what each row gives alone, in values and errors, whatever sizes stand beside each other.
func TestDecimalsTogether(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	edges := []int64{0, 1, -1, math.MaxInt64, math.MinInt64, 999999999999999999, -999999999999999999, 1e18, -1e18}
	draw := func(large bool) dec {
		switch k := rng.IntN(40); {
		case k == 0 && large:
			return decimal128.New(rng.Int64N(1<<60)-1<<59, rng.Uint64())
		case k < 3:
			return decimal128.FromI64(edges[rng.IntN(len(edges))])
		}
		return decimal128.FromI64(rng.Int64() >> rng.IntN(64))
	}
	compute := map[string]func(prec, scale int32, a dec, sa int32, b dec, sb int32) (dec, bool){"+": addDec, "-": subDec, "*": mulDec}
	for round := range 400 {
		op := []string{"+", "-", "*"}[rng.IntN(3)]
		n := 1 + rng.IntN(3*smallRows)
		large := rng.IntN(2) == 0
		scales := [2]int32{2, 2}
		args := make([]*vector, 2)
		konst := rng.IntN(4) - 1 // the one that is constant, if any
		for k := range args {
			rows := n
			if k == konst {
				rows, scales[k] = 1, int32(rng.IntN(3))
			}
			args[k] = &vector{typ: decimalOf(38, scales[k]), n: n, konst: k == konst, data: make([]byte, 16*rows)}
			for i := range values[dec](args[k]) {
				values[dec](args[k])[i] = draw(large && rng.IntN(3) == 0)
			}
		}
		scale := max(scales[0], scales[1])
		if op == "*" {
			scale = scales[0] + scales[1]
		}
		prec := []int32{5, 18, 19, 20, 25, 38}[rng.IntN(6)]
		r := &run{n: n}
		f := &function{t: decimalOf(prec, scale)}
		got := decimalKernel(op)(f, r, nil, args)
		failed := map[int]bool{}
		for _, e := range r.errs {
			failed[e.row] = true
		}
		for i := range n {
			a, b := values[dec](args[0])[i&args[0].mask()], values[dec](args[1])[i&args[1].mask()]
			want, ok := compute[op](prec, scale, a, scales[0], b, scales[1])
			if failed[i] == ok || ok && values[dec](got)[i] != want {
				t.Fatalf("round %d, row %d: %v/%d %s %v/%d in %d digits gives %v, failed %v; want %v, %v", round, i,
					a.BigInt(), scales[0], op, b.BigInt(), scales[1], prec, values[dec](got)[i].BigInt(), failed[i], want.BigInt(), ok)
			}
		}
	}
}
