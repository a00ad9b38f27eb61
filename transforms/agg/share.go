package agg

import (
	"math/big"
	"math/bits"
)

// share is a constant from 0 to 1, and where in n values it lies: without big numbers where 64 bits hold it, as they mostly do.
type share struct {
	q        *big.Rat
	num, den uint64 // den is 0 where they do not
}

func newShare(q *big.Rat) share {
	s := share{q: q}
	if q != nil && q.Num().IsUint64() && q.Denom().IsUint64() {
		s.num, s.den = q.Num().Uint64(), q.Denom().Uint64()
	}
	return s
}

// times is q × n, whole and the rest of it, of den.
func (s share) times(n int) (whole int, rest uint64) {
	hi, lo := bits.Mul64(s.num, uint64(n))
	w, rest := bits.Div64(hi, lo, s.den) // q is at most 1
	return int(w), rest
}

// between is the index that q × (n-1) lies at, and whether it is on the way to the next.
func (s share) between(n int) (i int, next bool) {
	if s.den > 0 {
		i, rest := s.times(n - 1)
		return i, rest > 0
	}
	i, part := position(n, s.q)
	return i, part.Sign() != 0
}

// part is how far between lies on that way.
func (s share) part(n int) float64 {
	if s.den > 0 && s.den <= 1<<53 {
		_, rest := s.times(n - 1)
		return float64(rest) / float64(s.den) // both exact: rounded once
	}
	_, part := position(n, s.q)
	f, _ := part.Float64()
	return f
}

// upTo is the least k from 1 on with k/n >= q.
func (s share) upTo(n int) int {
	if s.den > 0 {
		k, rest := s.times(n)
		return max(k+btoi(rest > 0), 1)
	}
	k := new(big.Rat).Mul(s.q, new(big.Rat).SetInt64(int64(n)))
	up := new(big.Int).Div(new(big.Int).Add(k.Num(), new(big.Int).Sub(k.Denom(), big.NewInt(1))), k.Denom()).Int64()
	return int(max(up, 1))
}
