package inflate

import "math/bits"

// Sizes of the decoding tables. A code of at most root bits is found in one step; a longer one in a second table of 1<<(maxCode-root) entries,
// of which a complete code has at most one for every two symbols: each of them holds at least two codes.
const (
	maxCode  = 15 // longest code, RFC 1951 section 3.2.7
	litRoot  = 10
	distRoot = 10
	lensRoot = 7 // the code of code lengths has no longer one

	numLit  = 288 // symbols of the fixed code; a dynamic one has at most maxLit
	numDist = 32
	numLens = 19
	maxLit  = 286
	maxDist = 30

	litFirst, litSecond   = 1 << litRoot, 1 << (maxCode - litRoot)
	distFirst, distSecond = 1 << distRoot, 1 << (maxCode - distRoot)

	litSize  = litFirst + numLit/2*litSecond
	distSize = distFirst + numDist/2*distSecond
)

// An entry says what the bits that lead to it mean. Bits 0 to 5 are how many of them to take, extra bits included.
//
//	literals  bits 6 and 7: how many, 1 to 3; from bit 8: the bytes, first one lowest
//	length    bits 8 to 11: length of the code; from bit 16: smallest length
//	distance  bits 8 to 11: length of the code; from bit 17: smallest distance
//	special   bit 12 set; bits 13 and 14: which. For link: from bit 16 where the second table begins
type entry = uint32

const (
	literalBits = 3 << 6
	special     = 1 << 12
	whichBits   = 3 << 13
	invalid     = special // no code leads here, or that of a symbol that must not occur
	endOfBlock  = special | 1<<13
	link        = special | 2<<13
	endWhich    = endOfBlock & whichBits
	linkWhich   = link & whichBits
)

// symbol entries, without the lengths of codes: bits 0 to 5 hold the number of extra bits.
var (
	litSymbols  [numLit]entry
	distSymbols [numDist]entry
	lensSymbols [numLens]entry
)

func init() {
	for s := range 256 {
		litSymbols[s] = 1<<6 | entry(s)<<8
	}
	litSymbols[256] = endOfBlock
	base := entry(3)
	for s := 257; s < 285; s++ { // section 3.2.5
		extra := entry(max(0, (s-261)/4))
		litSymbols[s] = extra | base<<16
		base += 1 << extra
	}
	litSymbols[285] = 258 << 16
	litSymbols[286], litSymbols[287] = invalid, invalid
	base = 1
	for s := range maxDist {
		extra := entry(max(0, (s-2)/2))
		distSymbols[s] = extra | base<<17
		base += 1 << extra
	}
	distSymbols[30], distSymbols[31] = invalid, invalid
	for s := range lensSymbols {
		lensSymbols[s] = 1<<6 | entry(s)<<8
	}
}

// build makes the table of the prefix code whose symbol s, meaning symbols[s], has a code of lens[s] bits (0 = none). It refuses a set of
// lengths that no code has, and one that leaves bits without a meaning, but for the code of no or of one symbol (of one bit). table has
// room as the constants above say; root is at least 1.
func build(table []entry, root uint, lens []uint8, symbols []entry) bool {
	var count, next [maxCode + 2]uint16
	for _, l := range lens {
		count[l&15]++
	}
	count[0] = 0
	left, longest := 1, uint(0)
	for l := uint(1); l <= maxCode; l++ {
		left = left<<1 - int(count[l])
		if left < 0 {
			return false
		}
		next[l+1] = next[l] + count[l]
		if count[l] > 0 {
			longest = l
		}
	}
	if left > 0 && (longest > 1 || count[1] > 1) {
		return false
	}
	var sorted [numLit]uint16 // symbols in the order of their codes
	for s, l := range lens {
		if l > 0 {
			sorted[next[l&15]] = uint16(s)
			next[l&15]++
		}
	}
	// The first 1<<l entries are those for codes of up to l bits; each step doubles them.
	table[0] = invalid | 1
	i, code := 0, uint32(0)
	for l := uint(1); l <= root; l++ {
		copy(table[1<<(l-1):1<<l], table[:1<<(l-1)])
		code <<= 1
		for n := count[l]; n > 0; n-- {
			table[bits.Reverse32(code)>>(32-l)] = with(symbols[sorted[i]], l)
			i++
			code++
		}
	}
	end := uint32(1) << root
	sub := uint32(1) << (maxCode - root)
	for l := root + 1; l <= longest; l++ {
		code <<= 1
		for n := count[l]; n > 0; n-- {
			rev := bits.Reverse32(code) >> (32 - l)
			at := &table[rev&(1<<root-1)]
			if *at == invalid|1 {
				*at = link | uint32(root) | end<<16
				end += sub
			}
			e := with(symbols[sorted[i]], l-root)
			second := table[*at>>16:][:sub]
			for j := rev >> root; j < sub; j += 1 << (l - root) {
				second[j] = e
			}
			i++
			code++
		}
	}
	return true
}

// with is the entry of a symbol whose code, or what is left of it in its table, has l bits.
func with(symbol entry, l uint) entry {
	if symbol&literalBits != 0 {
		return symbol | uint32(l)
	}
	return symbol + uint32(l) | uint32(l)<<8
}

// packLiterals joins up to three literals whose codes fit the first table into one entry, and makes first: the entries of literals, and nothing (0)
// for those of other symbols.
func packLiterals(first *[litFirst]entry, table *[litSize]entry) {
	// An entry looks at ones before it, which is why the last is the first to change.
	for i := uint32(litFirst - 1); i < litFirst; i-- {
		e := table[i]
		if e&literalBits == 0 {
			first[i] = 0
			continue
		}
		n := e & 63
		e2 := table[i>>n]
		if n2 := n + e2&63; e2&literalBits != 0 && n2 <= litRoot {
			n, e = n2, 2<<6|e&0xff00|e2&0xff00<<8|n2
			e3 := table[i>>n]
			if n3 := n + e3&63; e3&literalBits != 0 && n3 <= litRoot {
				e = 3<<6 | e&0xffff00 | e3&0xff00<<16 | n3
			}
		}
		first[i], table[i] = e, e
	}
}
