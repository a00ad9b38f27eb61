package zstdpage

import "math/bits"

// fseTable codes symbols by a finite state entropy table (RFC 8878, section 4.1), or not at all where there is only one.
type fseTable struct {
	counts [64]int
	norm   [64]int // share of the table's states; -1 is less than one
	log    uint8   // the table has 2^log states; 0 with a single symbol
	only   uint8
	states [1 << maxLog]uint16
	// how a symbol leaves a state: bits it takes and where it goes
	deltaBits  [64]uint32
	deltaState [64]int32
}

const (
	minLog = 5
	maxLog = 8 // the most that offsets may have; lengths gain nothing by more
)

func (t *fseTable) reset() { clear(t.counts[:]) }

// prepare builds the table for the counts, whose sum is n, and appends what a decoder needs to build it.
func (t *fseTable) prepare(dst []byte, n int) (mode int, out []byte) {
	kinds, last := 0, 0
	for s, c := range t.counts {
		if c > 0 {
			kinds, last = kinds+1, s
		}
	}
	t.log = 0
	if kinds == 1 {
		t.only = uint8(last)
		return modeRLE, append(dst, byte(last))
	}
	t.log = uint8(min(maxLog, max(minLog, bits.Len(uint(kinds))+1, bits.Len(uint(n))-2)))
	t.normalize(n)
	dst = t.appendNorm(dst, last)
	t.build()
	return modeCompressed, dst
}

// normalize shares 2^log states out by the counts; what rounding leaves over goes to the
// commonest symbol, what it lacks is taken from that a state at a time.
func (t *fseTable) normalize(n int) {
	size := 1 << t.log
	rest := size
	for s, c := range t.counts {
		switch share := c * size / n; {
		case c == 0:
			t.norm[s] = 0
		case share == 0:
			t.norm[s] = -1
			rest--
		default:
			t.norm[s] = share
			rest -= share
		}
	}
	// There are at least twice as many states as symbols, so there is always one that can spare some.
	for rest != 0 {
		most := 0
		for s, v := range t.norm {
			if v > t.norm[most] {
				most = s
			}
		}
		give := max(rest, -1)
		t.norm[most] += give
		rest -= give
	}
}

// appendNorm appends the description of the table (RFC 8878, section 4.1.1).
func (t *fseTable) appendNorm(dst []byte, last int) []byte {
	w := bitWriter{out: dst}
	w.add(uint32(t.log)-minLog, 4)
	left := 1<<t.log + 1 // one more than what is not given out yet
	threshold, width := 1<<t.log, t.log+1
	for s := 0; s <= last; {
		v := t.norm[s]
		s++
		spare := 2*threshold - 1 - left
		if v < 0 {
			left--
		} else {
			left -= v
		}
		v++
		if v >= threshold {
			v += spare
		}
		n := width
		if v < spare {
			n--
		}
		w.add(uint32(v), n)
		for left < threshold && threshold > 1 {
			threshold >>= 1
			width--
		}
		if v == 1 {
			// A symbol without states is followed by how many more of them there are, two bits at a time.
			zeros := 0
			for s <= last && t.norm[s] == 0 {
				s++
				zeros++
			}
			for ; zeros >= 3; zeros -= 3 {
				w.add(3, 2)
				w.flush()
			}
			w.add(uint32(zeros), 2)
		}
		w.flush()
	}
	return w.close()
}

// build spreads the symbols over the states and works out the transitions, as the reference decoder expects them.
func (t *fseTable) build() {
	size := 1 << t.log
	var symbols [1 << maxLog]uint8
	var at [65]int
	high := size - 1
	for s, v := range t.norm {
		if v < 0 {
			at[s+1] = at[s] + 1
			symbols[high] = uint8(s)
			high--
		} else {
			at[s+1] = at[s] + v
		}
	}
	step, mask, pos := size>>1+size>>3+3, size-1, 0
	for s, v := range t.norm {
		for range max(v, 0) {
			symbols[pos] = uint8(s)
			for pos = (pos + step) & mask; pos > high; {
				pos = (pos + step) & mask
			}
		}
	}
	total := 0
	for s, v := range t.norm {
		switch {
		case v == 0:
		case v == 1 || v == -1:
			t.deltaBits[s] = uint32(t.log)<<16 - 1<<t.log
			t.deltaState[s] = int32(total - 1)
			total++
		default:
			most := t.log - uint8(bits.Len(uint(v-1))-1)
			t.deltaBits[s] = uint32(most)<<16 - uint32(v)<<most
			t.deltaState[s] = int32(total - v)
			total += v
		}
	}
	for i, s := range symbols[:size] {
		t.states[at[s]] = uint16(size + i)
		at[s]++
	}
}

// start is the state that the last symbol leaves behind.
func (t *fseTable) start(symbol uint8) uint32 {
	if t.log == 0 {
		return 0
	}
	d := t.deltaBits[symbol]
	n := (d + 1<<15) >> 16
	return uint32(t.states[int32((n<<16-d)>>n)+t.deltaState[symbol]])
}

// encode writes what takes the state back to one in which symbol comes out, and returns that.
func (t *fseTable) encode(w *bitWriter, state uint32, symbol uint8) uint32 {
	if t.log == 0 {
		return 0
	}
	n := (state + t.deltaBits[symbol]) >> 16
	w.add(state&(1<<n-1), uint8(n))
	return uint32(t.states[int32(state>>n)+t.deltaState[symbol]])
}
