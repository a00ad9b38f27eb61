package hll

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/bits"
)

// MaxSparse is the different hashes of a group that are kept one by one; with one more it has registers.
const MaxSparse = 512

// Entry is what a sketch needs of a hash in 32 bits: the register in the upper 12, then 20 bits of the hash. Where those say too little
// of the rank (they are below 64, one hash of 16 384) the rank takes their place. So entries tell hashes apart as well as 32 bits can,
// and give the same registers as the hashes themselves. No entry is 0.
func Entry(h uint64) uint32 {
	body := uint32(h >> (64 - bodyBits))
	if body < 1<<rankBits {
		body = uint32(rank(h))
	}
	return uint32(h)<<bodyBits | body
}

const (
	bodyBits = 32 - logSize
	rankBits = 6
)

// AddEntry takes the hash that e was made of.
func (r *Registers) AddEntry(e uint32) {
	body := e & (1<<bodyBits - 1)
	k := uint8(body)
	if body >= 1<<rankBits {
		k = uint8(bits.LeadingZeros32(body)) - logSize + 1
	}
	if p := &r[e>>bodyBits]; k > *p {
		*p = k
	}
}

// Sets are the sketches of groups 0, 1, 2 …: a group's entries by open addressing while they are few, then its registers. All lie in an
// arena of slabs: a group costs 8 bytes and a chunk of it, from 16 bytes to 4 KiB, and its first entry not even that. The zero value has no groups.
type Sets struct {
	groups []set
	slabs  [][]uint32
	used   int             // words of the last slab
	free   [classes]uint32 // first free chunk of a class, as its place+1; the next one is in its first word
	idle   int             // words of the free chunks

	touched uint32 // keeps the compiler from leaving out the reads that only fetch
}

// set is a group's place in the arena.
type set struct {
	at    uint32 // first word of the chunk; the only entry where there is no chunk
	n     uint16 // entries; isDense for registers
	class uint8  // of the chunk; 0 is none
}

const (
	isDense = math.MaxUint16
	// A chunk of class c has 2<<c words; the last one holds registers, or as many entries.
	classes    = 10
	denseClass = classes - 1
	slabLog    = 12
	slabWords  = 1 << slabLog
)

// Len is the number of groups.
func (s *Sets) Len() int { return len(s.groups) }

// Grow makes sure of n groups.
func (s *Sets) Grow(n int) {
	if n > cap(s.groups) {
		c := cap(s.groups) * 2
		if c > 1<<14 {
			c = cap(s.groups) + cap(s.groups)/2
		}
		s.Reserve(max(n, c, 16))
	}
	if n > len(s.groups) {
		s.groups = s.groups[:n] // never shrunk: the rest is zero
	}
}

// Reset forgets all groups and keeps the memory of one slab.
func (s *Sets) Reset() {
	clear(s.groups)
	s.groups = s.groups[:0]
	if len(s.slabs) > 0 {
		clear(s.slabs[0])
		s.slabs = s.slabs[:1]
	}
	s.used, s.free, s.idle = 0, [classes]uint32{}, 0
}

// Reserve makes room for n groups without adding any.
func (s *Sets) Reserve(n int) {
	if n > cap(s.groups) {
		g := make([]set, len(s.groups), n)
		copy(g, s.groups)
		s.groups = g
	}
}

// Size is the bytes held.
func (s *Sets) Size() int64 {
	return int64(cap(s.groups))*8 + int64(len(s.slabs))*slabWords*4 + int64(cap(s.slabs))*24
}

// chunk is the words of g's chunk.
func (s *Sets) chunk(g *set) []uint32 {
	at := g.at & (slabWords - 1)
	return s.slabs[g.at>>slabLog][at : at+2<<g.class]
}

// AddAll adds hash i to group groups[i].
func (s *Sets) AddAll(groups []uint32, hash []uint64) {
	for len(groups) > ahead {
		s.addSome(groups[:ahead], hash)
		groups, hash = groups[ahead:], hash[ahead:]
	}
	s.addSome(groups, hash)
	s.tidy()
}

// ahead is the rows whose chunks are looked at before the first of them is worked on, so that the processor fetches them all at once.
const ahead = 64

func (s *Sets) addSome(groups []uint32, hash []uint64) {
	var entries [ahead]uint32
	var touched uint32
	hash = hash[:len(groups)]
	for i, id := range groups {
		e, g := Entry(hash[i]), &s.groups[id]
		entries[i&(ahead-1)] = e
		if g.class > 0 {
			touched |= *s.home(g, e)
		}
	}
	s.touched = touched
	for i, id := range groups {
		e, g := entries[i&(ahead-1)], &s.groups[id]
		switch {
		case g.n == isDense:
			addRegister(s.chunk(g), e)
			continue
		case g.class > 0 && g.n < MaxSparse:
			p := s.home(g, e)
			if *p == e {
				continue
			}
			if n := g.n + 1; *p == 0 && uint32(n)*4 <= 3*(2<<g.class) {
				*p, g.n = e, n
				continue
			}
		}
		s.Add(id, e)
	}
}

// home is where e is looked for first among the entries of g.
func (s *Sets) home(g *set, e uint32) *uint32 {
	return &s.slabs[g.at>>slabLog][(g.at+e>>bodyBits&(2<<g.class-1))&(slabWords-1)]
}

// Add adds an entry to group i, which must be there.
func (s *Sets) Add(i uint32, e uint32) {
	g := &s.groups[i]
	if g.class == 0 {
		if g.n == 0 || g.at == e {
			g.at, g.n = e, 1
			return
		}
		first := g.at
		s.place(g, 1)
		g.n = 0
		s.insert(s.chunk(g), g, first)
	}
	c := s.chunk(g)
	if g.n == isDense {
		addRegister(c, e)
		return
	}
	s.insert(c, g, e)
}

// insert adds e to the open-addressing chunk c of g.
func (s *Sets) insert(c []uint32, g *set, e uint32) {
	mask := uint32(len(c) - 1)
	at := e >> bodyBits & mask
	for c[at&mask] != 0 {
		if c[at&mask] == e {
			return
		}
		at++
	}
	if n := int(g.n) + 1; n > MaxSparse {
		s.toRegisters(g)
		addRegister(s.chunk(g), e)
		return
	} else if n*4 > len(c)*3 {
		s.grow(g)
		s.insert(s.chunk(g), g, e)
		return
	}
	c[at&mask] = e
	g.n++
}

// grow moves g's entries into a chunk of the next class.
func (s *Sets) grow(g *set) {
	old := *g
	s.place(g, g.class+1)
	from, to := s.chunk(&old), s.chunk(g)
	mask := uint32(len(to) - 1)
	for _, e := range from {
		if e == 0 {
			continue
		}
		at := e >> bodyBits & mask
		for to[at] != 0 {
			at = (at + 1) & mask
		}
		to[at] = e
	}
	s.give(&old)
}

// toRegisters turns g's entries into registers.
func (s *Sets) toRegisters(g *set) {
	old := *g
	s.place(g, denseClass)
	g.n = isDense
	to := s.chunk(g)
	if old.class == 0 {
		if old.n > 0 {
			addRegister(to, old.at)
		}
		return
	}
	for _, e := range s.chunk(&old) {
		if e != 0 {
			addRegister(to, e)
		}
	}
	s.give(&old)
}

// addRegister is Registers.AddEntry on registers four to a word.
func addRegister(c []uint32, e uint32) {
	body := e & (1<<bodyBits - 1)
	k := body
	if body >= 1<<rankBits {
		k = uint32(bits.LeadingZeros32(body)) - logSize + 1
	}
	i := e >> bodyBits
	p, shift := &c[i>>2], i&3*8
	if k > *p>>shift&0xff {
		*p = *p&^(0xff<<shift) | k<<shift
	}
}

// place gives g a zeroed chunk.
func (s *Sets) place(g *set, class uint8) {
	words := 2 << class
	g.class = class
	if f := s.free[class]; f != 0 {
		g.at = f - 1
		c := s.chunk(g)
		s.free[class] = c[0]
		s.idle -= words
		clear(c)
		return
	}
	if len(s.slabs) == 0 || s.used+words > slabWords {
		s.retire()
		s.slabs = append(s.slabs, make([]uint32, slabWords))
		s.used = 0
	}
	g.at = uint32((len(s.slabs)-1)<<slabLog + s.used)
	s.used += words
}

// retire makes free chunks of what is left of the last slab.
func (s *Sets) retire() {
	if len(s.slabs) == 0 {
		return
	}
	for class := uint8(denseClass); class >= 1; class-- {
		for s.used+2<<class <= slabWords {
			s.give(&set{at: uint32((len(s.slabs)-1)<<slabLog + s.used), class: class})
			s.used += 2 << class
		}
	}
}

// give takes g's chunk back.
func (s *Sets) give(g *set) {
	if g.class == 0 {
		return
	}
	c := s.chunk(g)
	c[0] = s.free[g.class]
	s.free[g.class] = g.at + 1
	s.idle += len(c)
}

// tidy copies all chunks into fresh slabs when a third of the room is free chunks, which groups of a size that grow together leave behind.
func (s *Sets) tidy() {
	if len(s.slabs) < 4 || s.idle*3 < len(s.slabs)*slabWords {
		return
	}
	old := *s
	s.slabs, s.used, s.free, s.idle = nil, 0, [classes]uint32{}, 0
	for i := range s.groups {
		if g := &s.groups[i]; g.class > 0 {
			from := old.chunk(g)
			s.place(g, g.class)
			copy(s.chunk(g), from)
		}
	}
}

// Count is about how many different hashes group i has: exactly so, but for one group of 30 000 that has MaxSparse of them, up to MaxSparse.
func (s *Sets) Count(i int) int64 {
	g := &s.groups[i]
	if g.n != isDense {
		return int64(g.n)
	}
	var r Registers
	s.registers(g, r[:])
	return int64(math.Round(r.Estimate()))
}

func (s *Sets) registers(g *set, dst []byte) {
	for i, w := range s.chunk(g) {
		binary.LittleEndian.PutUint32(dst[4*i:], w)
	}
}

// AppendState appends group i as bytes that MergeState takes: its entries of 4 bytes each, or Size registers.
func (s *Sets) AppendState(dst []byte, i int) []byte {
	g := &s.groups[i]
	switch {
	case g.n == isDense:
		at := len(dst)
		dst = append(dst, make([]byte, Size)...)
		s.registers(g, dst[at:])
	case g.class > 0:
		for _, e := range s.chunk(g) {
			if e != 0 {
				dst = binary.LittleEndian.AppendUint32(dst, e)
			}
		}
	case g.n == 1:
		dst = binary.LittleEndian.AppendUint32(dst, g.at)
	}
	return dst
}

// StateLen is the bytes that AppendState appends.
func (s *Sets) StateLen(i int) int {
	if n := s.groups[i].n; n != isDense {
		return 4 * int(n)
	}
	return Size
}

// MergeState adds what AppendState gave to group i.
func (s *Sets) MergeState(i uint32, b []byte) error {
	if len(b) == Size {
		g := &s.groups[i]
		if g.n != isDense {
			s.toRegisters(g)
		}
		c := s.chunk(g)
		for j, w := range c {
			c[j] = maxBytes(w, binary.LittleEndian.Uint32(b[4*j:]))
		}
		s.tidy()
		return nil
	}
	if len(b)%4 != 0 || len(b) > 4*MaxSparse {
		return fmt.Errorf("merge distinct counts: a state of %d bytes", len(b))
	}
	for ; len(b) > 0; b = b[4:] {
		e := binary.LittleEndian.Uint32(b)
		if e&(1<<bodyBits-1) == 0 {
			return fmt.Errorf("merge distinct counts: %08x is no entry", e)
		}
		s.Add(i, e)
	}
	s.tidy()
	return nil
}

// maxBytes is the greater of each of four bytes below 128.
func maxBytes(a, b uint32) uint32 {
	const high = 0x80808080
	keep := ((a | high) - b) & high // where the high bit stays, the byte of a is at least that of b
	mask := keep - keep>>7 | keep   // 0xff there
	return a&mask | b&^mask
}
