package orderkey

import (
	"bytes"
	"cmp"
	"math/rand/v2"
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
)

// Keys as bytes compare as the keys do, and equal ones as the numbers of their rows, negative ones too.
func TestBinary(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, typ := range types {
		for _, with := range []arrow.DataType{nil, arrow.BinaryTypes.String, arrow.PrimitiveTypes.Int64} {
			const n = 200
			cols, plan := []arrow.Array{random(rng, typ, n, true)}, []Column{{Type: typ, Nullable: true, Desc: rng.IntN(2) == 0}}
			if with != nil {
				cols, plan = append(cols, random(rng, with, n, true)), append(plan, Column{Type: with, Nullable: true, NullsFirst: true})
			}
			p, err := New(plan)
			if err != nil {
				t.Fatal(err)
			}
			var k Keys
			if err := p.NewEncoder().Encode(cols, n, &k); err != nil {
				t.Fatal(err)
			}
			rows := make([]int64, n)
			for i := range rows {
				rows[i] = int64(i*37%n) - n/2
			}
			made, err := k.Binary(rows)
			if err != nil {
				t.Fatal(err)
			}
			b := made.(*array.Binary)
			for range 5000 {
				i, j := rng.IntN(n), rng.IntN(n)
				want := compareKeys(p, &k, i, j)
				if want == 0 {
					want = cmp.Compare(rows[i], rows[j])
				}
				if got := bytes.Compare(b.Value(i), b.Value(j)); got != want {
					t.Fatalf("%v: rows %d and %d compare as %d, want %d", plan, i, j, got, want)
				}
			}
		}
	}
}

func compareKeys(p *Plan, k *Keys, i, j int) int {
	c := 0
	if p.Words() > 0 {
		c = cmp.Compare(k.W0[i], k.W0[j])
	}
	if c == 0 && p.Words() > 1 {
		c = cmp.Compare(k.W1[i], k.W1[j])
	}
	if c == 0 && p.Tail() {
		c = bytes.Compare(k.Tail(i), k.Tail(j))
	}
	return c
}
