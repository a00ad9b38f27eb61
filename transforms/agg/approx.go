package agg

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/bitutil"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/sluice-data/sluice/transforms/internal/col"
	"github.com/sluice-data/sluice/transforms/internal/hll"
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

// hllSparse is the hashes kept as they are before registers take less room.
const hllSparse = 512

// sketch is a set of hashes while it is small, HyperLogLog registers once it is not.
type sketch struct {
	set  []uint64       // open addressing, 0 is free
	n    int32          // hashes in set
	zero bool           // the hash 0 is in it too
	regs *hll.Registers // nil while sparse
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
		s.regs.Add(h)
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
	s.regs = new(hll.Registers)
	for _, h := range s.set {
		if h != 0 {
			s.regs.Add(h)
		}
	}
	if s.zero {
		s.regs.Add(0)
	}
	a.held += hll.Size - int64(len(s.set))*8
	s.set = nil
}

const denseMark = 1

// State of a group: a mark and its registers, or its hashes (8 bytes each, little endian); the length tells them apart.
func (a *approx) State() ([]arrow.Array, error) {
	off := make([]int32, len(a.s)+1)
	var data []byte
	for g := range a.s {
		s := &a.s[g]
		if s.regs != nil {
			data = append(append(data, denseMark), s.regs[:]...)
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
		case len(b) == hll.Size+1:
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

func (s *sketch) estimate() int64 {
	if s.regs != nil {
		return int64(math.Round(s.regs.Estimate()))
	}
	if s.zero {
		return int64(s.n) + 1
	}
	return int64(s.n)
}

func (a *approx) Size() int64 { return a.held + int64(cap(a.s))*40 }
func (a *approx) Release()    { a.s, a.held = nil, 0 }
