package hll

import (
	"math"
	"math/rand/v2"
	"strings"
	"syscall"
	"testing"
)

// An entry gives the register of its hash, whatever its rank, and is never 0.
func TestEntry(t *testing.T) {
	for i := range 1 << 16 {
		h := mix(uint64(i)) >> (i % 60) << (i % 7)
		var a, b Registers
		a.Add(h)
		e := Entry(h)
		b.AddEntry(e)
		c := make([]uint32, Size/4)
		addRegister(c, e)
		at := e >> bodyBits
		if a != b || uint8(c[at/4]>>(at%4*8)) != a[at] || e == 0 {
			t.Fatalf("hash %016x, entry %08x: register %d is %d, of the entry %d, packed %08x", h, e, at, a[at], b[at], c[at/4])
		}
	}
}

// model is a group as the documentation has it.
type model struct {
	seen map[uint32]bool
	regs Registers
}

func (m *model) add(h uint64) {
	m.seen[Entry(h)] = true
	m.regs.Add(h)
}

func (m *model) count() int64 {
	if len(m.seen) <= MaxSparse {
		return int64(len(m.seen))
	}
	return int64(math.Round(m.regs.Estimate()))
}

// Groups of all sizes, grown in turn, halved between two Sets and merged both ways, count what a map and registers of their own count.
func TestSetsAgainstMap(t *testing.T) {
	const groups = 300
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 3 {
		var whole Sets
		var halves [2]Sets
		models := make([]model, groups)
		for g := range models {
			models[g].seen = map[uint32]bool{}
		}
		for _, s := range []*Sets{&whole, &halves[0], &halves[1]} {
			s.Grow(groups)
		}
		for range 200 {
			n := rnd.IntN(2000)
			ids, hashes := make([]uint32, n), make([]uint64, n)
			for i := range n {
				g := rnd.IntN(groups)
				ids[i] = uint32(g)
				hashes[i] = mix(uint64(g)<<32 | rnd.Uint64N(1+uint64(g*g)/20)) // from 1 to 4500 different ones
				models[g].add(hashes[i])
			}
			whole.AddAll(ids, hashes)
			halves[rnd.IntN(2)].AddAll(ids, hashes)
		}
		for from := range halves {
			into := &halves[1-from]
			var merged Sets
			merged.Grow(groups)
			for _, s := range []*Sets{into, &halves[from]} {
				for g := range groups {
					b := s.AppendState(nil, g)
					if len(b) != s.StateLen(g) {
						t.Fatalf("state of %d bytes, announced %d", len(b), s.StateLen(g))
					}
					if err := merged.MergeState(uint32(g), b); err != nil {
						t.Fatal(err)
					}
				}
			}
			for g := range models {
				if a, b, want := whole.Count(g), merged.Count(g), models[g].count(); a != want || b != want {
					t.Fatalf("group %d: %d at once, %d merged, want %d", g, a, b, want)
				}
			}
		}
	}
}

// Chunks that groups of one size leave behind as they grow are not kept for ever.
func TestSetsGiveRoomBack(t *testing.T) {
	const groups, each = 5000, 90 // of up to 96 entries in chunks of 512 bytes
	var s Sets
	s.Grow(groups)
	ids, hashes := make([]uint32, groups), make([]uint64, groups)
	for i := range each {
		for g := range groups {
			ids[g], hashes[g] = uint32(g), mix(uint64(g*each+i))
		}
		s.AddAll(ids, hashes)
	}
	for g := range groups {
		if s.Count(g) != each {
			t.Fatalf("group %d counts %d, want %d", g, s.Count(g), each)
		}
	}
	if most := int64(groups * 512 * 16 / 10); s.Size() > most {
		t.Errorf("%d groups hold %d bytes, want less than %d", groups, s.Size(), most)
	}
	var empty Sets
	empty.Grow(groups)
	if empty.Size() > groups*16 {
		t.Errorf("%d empty groups hold %d bytes", groups, empty.Size())
	}
}

func TestMergeStateErrors(t *testing.T) {
	var s Sets
	s.Grow(1)
	for _, c := range []struct {
		state []byte
		want  string
	}{
		{[]byte{1, 2, 3}, "a state of 3 bytes"},
		{make([]byte, 4*MaxSparse+4), "a state of 2052 bytes"},
		{make([]byte, 4), "00000000 is no entry"},
	} {
		if err := s.MergeState(0, c.state); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%d bytes: got %v, want %s", len(c.state), err, c.want)
		}
	}
}

// cpu is the seconds of processor time that the process has used.
func cpu() float64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9
}

func BenchmarkSets(b *testing.B) {
	for _, c := range []struct {
		name             string
		groups, distinct uint64
	}{{"375 groups of 265", 375, 265}, {"96k groups of 100", 96_000, 100}, {"1k groups of 1M", 1000, 1 << 20}} {
		b.Run(c.name, func(b *testing.B) {
			ids, hashes := make([]uint32, 1<<20), make([]uint64, 1<<20)
			for i := range ids {
				z := mix(uint64(i))
				ids[i], hashes[i] = uint32(z%c.groups), mix(z>>20%c.distinct)
			}
			b.ReportAllocs()
			start := cpu()
			for b.Loop() {
				var s Sets
				s.Grow(int(c.groups))
				for lo := 0; lo < len(ids); lo += 4096 {
					s.AddAll(ids[lo:lo+4096], hashes[lo:lo+4096])
				}
			}
			b.ReportMetric((cpu()-start)*1e9/float64(b.N)/float64(len(ids)), "cpu-ns/row")
		})
	}
}
