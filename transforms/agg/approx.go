package agg

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/bits"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/bitutil"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/sluice-data/sluice/transforms/internal/col"
	"github.com/sluice-data/sluice/transforms/internal/keys"
)

func init() {
	Register(Func{
		Name: "approx_count_distinct",
		Doc: "approx_count_distinct(x) is about the number of different values of x: exact up to 512, then with a standard error of 1.6 % " +
			"in 4 KiB a group (HyperLogLog). The result depends on the set of values only, not on their order or the lanes.",
		Example: "approx_count_distinct(user_id)",
		Bind:    bindApprox,
	})
}

func bindApprox(args []arrow.Field, isDistinct bool) (Bound, error) {
	arg, err := one("approx_count_distinct", args, isDistinct)
	if err != nil {
		return Bound{}, err
	}
	plan, err := keys.NewPlan([]arrow.DataType{arg.Type})
	if err != nil {
		return Bound{}, unfit("approx_count_distinct", arg, "values that can be compared for equality")
	}
	return Bound{
		Result: arrow.Field{Type: int64s},
		State:  []arrow.Field{{Type: arrow.BinaryTypes.Binary}},
		New:    func(memory.Allocator) Accumulator { return &approx{enc: plan.NewEncoder()} },
	}, nil
}

const (
	hllBits   = 12 // of the hash choose a register
	hllSize   = 1 << hllBits
	hllSparse = 512 // hashes kept as they are before registers take less room
)

// sketch is a set of hashes while it is small, HyperLogLog registers once it is not.
type sketch struct {
	set  []uint64 // open addressing, 0 is free
	n    int32    // hashes in set
	zero bool     // the hash 0 is in it too
	regs []uint8  // nil while sparse
}

// approx estimates distinct counts.
type approx struct {
	enc  *keys.Encoder
	s    []sketch
	held int64 // bytes of all sets and registers
}

func (a *approx) Update(groups []uint32, n int, args []arrow.Array) error {
	a.s = col.Grow(a.s, n)
	arg := args[0]
	if arg.DataType().ID() == arrow.NULL {
		return nil
	}
	valid, off := col.Valid(arg)
	for lo := 0; lo < len(groups); lo += window {
		hi := min(lo+window, len(groups))
		part := array.NewSlice(arg, int64(lo), int64(hi))
		rows, err := a.enc.Encode([]arrow.Array{part}, hi-lo)
		part.Release()
		if err != nil {
			return err
		}
		for i, h := range rows.Hash {
			if valid == nil || bitutil.BitIsSet(valid, off+lo+i) {
				a.add(&a.s[groups[lo+i]], h)
			}
		}
	}
	return nil
}

func (a *approx) add(s *sketch, h uint64) {
	if s.regs != nil {
		s.register(h)
		return
	}
	if h == 0 {
		s.zero = true
		return
	}
	if int(s.n)*4 >= len(s.set)*3 {
		a.grow(s)
	}
	mask := uint64(len(s.set) - 1)
	at := h & mask
	for s.set[at] != 0 {
		if s.set[at] == h {
			return
		}
		at = (at + 1) & mask
	}
	s.set[at] = h
	if s.n++; s.n > hllSparse {
		a.dense(s)
	}
}

func (a *approx) grow(s *sketch) {
	old := s.set
	s.set = make([]uint64, max(4, 2*len(old)))
	a.held += int64(len(s.set)-len(old)) * 8
	mask := uint64(len(s.set) - 1)
	for _, h := range old {
		if h == 0 {
			continue
		}
		at := h & mask
		for s.set[at] != 0 {
			at = (at + 1) & mask
		}
		s.set[at] = h
	}
}

func (a *approx) dense(s *sketch) {
	s.regs = make([]uint8, hllSize)
	for _, h := range s.set {
		if h != 0 {
			s.register(h)
		}
	}
	if s.zero {
		s.register(0)
	}
	a.held += hllSize - int64(len(s.set))*8
	s.set = nil
}

func (s *sketch) register(h uint64) {
	rank := uint8(bits.LeadingZeros64(h<<hllBits|1<<(hllBits-1))) + 1
	if r := &s.regs[h>>(64-hllBits)]; rank > *r {
		*r = rank
	}
}

const denseMark = 1

// State of a group: a mark and its registers, or its hashes (8 bytes each, little endian); the length tells them apart.
func (a *approx) State() ([]arrow.Array, error) {
	off := make([]int32, len(a.s)+1)
	var data []byte
	for g := range a.s {
		s := &a.s[g]
		if s.regs != nil {
			data = append(append(data, denseMark), s.regs...)
		}
		for _, h := range s.set {
			if h != 0 {
				data = binary.LittleEndian.AppendUint64(data, h)
			}
		}
		if s.zero && s.regs == nil {
			data = append(data, 0, 0, 0, 0, 0, 0, 0, 0)
		}
		if len(data) > math.MaxInt32 {
			return nil, errHuge
		}
		off[g+1] = int32(len(data))
	}
	return []arrow.Array{col.NewVar(arrow.BinaryTypes.Binary, off, data, nil)}, nil
}

func (a *approx) Merge(groups []uint32, n int, state []arrow.Array) error {
	a.s = col.Grow(a.s, n)
	off, data, ok := col.Var(state[0])
	if !ok {
		return errHuge
	}
	for i, g := range groups {
		s, b := &a.s[g], data[off[i]:off[i+1]]
		switch {
		case len(b) == hllSize+1:
			if s.regs == nil {
				a.dense(s)
			}
			for j, r := range b[1:] {
				s.regs[j] = max(s.regs[j], r)
			}
		case len(b)%8 == 0:
			for ; len(b) > 0; b = b[8:] {
				a.add(s, binary.LittleEndian.Uint64(b))
			}
		default:
			return fmt.Errorf("merge approx_count_distinct: a state of %d bytes", len(b))
		}
	}
	return nil
}

func (a *approx) Result() (arrow.Array, error) {
	out := make([]int64, len(a.s))
	for g := range a.s {
		out[g] = a.s[g].estimate()
	}
	return col.New(int64s, out, nil), nil
}

// estimate is O. Ertl's improved raw estimator ("New cardinality estimation algorithms for HyperLogLog sketches", 2017, algorithm 6), which needs no
// tables of bias.
func (s *sketch) estimate() int64 {
	if s.regs == nil {
		if s.zero {
			return int64(s.n) + 1
		}
		return int64(s.n)
	}
	const q = 64 - hllBits
	var count [q + 2]int
	for _, r := range s.regs {
		count[r]++
	}
	m := float64(hllSize)
	z := m * tau(1-float64(count[q+1])/m)
	for k := q; k >= 1; k-- {
		z = (z + float64(count[k])) / 2
	}
	z += m * sigma(float64(count[0])/m)
	return int64(math.Round(m * m / (2 * math.Ln2 * z)))
}

func sigma(x float64) float64 {
	if x == 1 {
		return math.Inf(1)
	}
	y, z, last := 1.0, x, -1.0
	for z != last {
		x *= x
		last = z
		z += x * y
		y *= 2
	}
	return z
}

func tau(x float64) float64 {
	if x == 0 || x == 1 {
		return 0
	}
	y, z, last := 1.0, 1-x, -1.0
	for z != last {
		x = math.Sqrt(x)
		last = z
		y /= 2
		z -= (1 - x) * (1 - x) * y
	}
	return z / 3
}

func (a *approx) Size() int64 { return a.held + int64(cap(a.s))*56 }
func (a *approx) Release()    { a.s, a.held = nil, 0 }
