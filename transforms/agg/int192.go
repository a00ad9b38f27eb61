package agg

import (
	"math/bits"

	"github.com/apache/arrow/go/v17/arrow"

	"github.com/sluice-data/sluice/transforms/internal/col"
)

// int192 is an exact sum per group: 128 bits, and how often it wrapped around, which only sums of huge decimals ever do. So overflow
// depends on the total alone and never on the order of the rows.
type int192 struct {
	w     []uint64 // low and high word of group g in w[2g], w[2g+1]: the layout of a decimal128
	wraps []int64  // nil until one wraps
	seen
}

// intFold adds the values of an array to the groups.
type intFold func(s *int192, groups []uint32, a arrow.Array)

var intFolds = map[arrow.Type]intFold{
	arrow.INT8: addInts[int8], arrow.INT16: addInts[int16], arrow.INT32: addInts[int32], arrow.INT64: addInts[int64],
	arrow.UINT8: addInts[uint8], arrow.UINT16: addInts[uint16], arrow.UINT32: addInts[uint32], arrow.UINT64: addInts[uint64],
	arrow.DECIMAL128: addDecimals,
}

func sumState() []arrow.Field { return []arrow.Field{column(int128s), {Type: int64s}} }

func (s *int192) grow(n int) {
	s.w = col.Grow(s.w, 2*n)
	s.seen.grow(n)
	if s.wraps != nil {
		s.wraps = col.Grow(s.wraps, n)
	}
}

func (s *int192) size() int64 {
	return int64(cap(s.w)+cap(s.wraps))*8 + int64(cap(s.has))
}

// addInts adds integers: 2^63 rows of 64 bits cannot wrap 128.
func addInts[T arrow.IntType | arrow.UintType](s *int192, groups []uint32, a arrow.Array) {
	v := col.Fixed[T](a)[:len(groups)]
	w := s.w
	signed := uint64(0)
	if ^T(0) < 0 {
		signed = ^uint64(0)
	}
	valid, off := col.Valid(a)
	if len(w) <= 2*few && len(groups) >= few && len(groups) <= mostNarrow && halfWord[T]() && (valid == nil || s.empty == 0) {
		var c copies
		if valid != nil {
			addNarrowValid(&c, groups, v, valid, off)
		} else {
			s.all(groups)
			addNarrow(&c, groups, v)
		}
		for g := range len(w) / 2 {
			x, p := c.total(g), w[2*g:2*g+2]
			lo, carry := bits.Add64(p[0], uint64(x), 0)
			p[0] = lo
			p[1] += uint64(x>>63) + carry
		}
		return
	}
	if valid != nil {
		for i, g := range groups {
			if valid[(off+i)>>3]>>uint((off+i)&7)&1 == 0 {
				continue
			}
			x, p := int64(v[i]), w[2*g:2*g+2]
			lo, c := bits.Add64(p[0], uint64(x), 0)
			p[0] = lo
			p[1] += uint64(x>>63)&signed + c
			s.one(g)
		}
		return
	}
	s.all(groups)
	for i, g := range groups {
		x, p := int64(v[i]), w[2*g:2*g+2]
		lo, c := bits.Add64(p[0], uint64(x), 0)
		p[0] = lo
		p[1] += uint64(x>>63)&signed + c
	}
}

func addDecimals(s *int192, groups []uint32, a arrow.Array) {
	v := col.Words16(a)[:2*len(groups)]
	valid, off := col.Valid(a)
	for i, g := range groups {
		if valid != nil && valid[(off+i)>>3]>>uint((off+i)&7)&1 == 0 {
			continue
		}
		s.add(g, v[2*i], v[2*i+1])
		s.one(g)
	}
}

func (s *int192) add(g uint32, lo, hi uint64) {
	p := s.w[2*g : 2*g+2]
	l, c := bits.Add64(p[0], lo, 0)
	h, _ := bits.Add64(p[1], hi, c)
	if (p[1]^h)&(hi^h)>>63 != 0 {
		s.wrap(g, int64(hi))
	}
	p[0], p[1] = l, h
}

// wrap counts that group g wrapped in the direction of sign.
func (s *int192) wrap(g uint32, sign int64) {
	if s.wraps == nil {
		s.wraps = make([]int64, len(s.has))
	}
	s.wraps[g] += sign>>63 | 1
}

// fits reports whether the sum of group g lies within 128 bits.
func (s *int192) fits(g int) bool { return s.wraps == nil || s.wraps[g] == 0 }

// fits38 reports whether the sum of group g has at most 38 decimal digits.
func (s *int192) fits38(g int) bool {
	lo, hi := s.w[2*g], s.w[2*g+1]
	if int64(hi) < 0 {
		var borrow uint64
		lo, borrow = bits.Sub64(0, lo, 0)
		hi, _ = bits.Sub64(0, hi, borrow)
	}
	const hi38, lo38 = 0x4B3B4CA85A86C47A, 0x098A224000000000 // 10^38
	return s.fits(g) && (hi < hi38 || hi == hi38 && lo < lo38)
}

func (s *int192) merge(groups []uint32, state []arrow.Array) {
	addDecimals(s, groups, state[0])
	for i, k := range col.Fixed[int64](state[1])[:len(groups)] {
		if k != 0 {
			s.wrap(groups[i], 1)
			s.wraps[groups[i]] += k - 1
		}
	}
}

func (s *int192) state() []arrow.Array {
	wraps := s.wraps
	if wraps == nil {
		wraps = make([]int64, len(s.has))
	}
	return []arrow.Array{col.NewSized(int128s, len(s.has), arrow.GetBytes(s.w[:2*len(s.has)]), s.has), col.New(int64s, wraps, nil)}
}

func (s *int192) reset() {
	s.w, s.wraps = reset(s.w), nil
	s.seen.reset()
}

// Reserve makes room for n groups.
func (s *int192) Reserve(n int) {
	s.w = col.Reserve(s.w, 2*n)
	s.seen.Reserve(n)
}
