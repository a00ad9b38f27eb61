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
	"github.com/sluice-data/sluice/transforms/internal/hll"
	"github.com/sluice-data/sluice/transforms/internal/keys"
)

func init() {
	Register(Func{
		Name: "approx_count_distinct",
		Doc: "approx_count_distinct(x) is about the number of different values of x: up to 512 all but exact (32 bits of hash tell values apart: one group of 30 000 that " +
			"has 512 counts 511), then with a standard error of 1.6 % in 4 KiB a group (HyperLogLog). The result depends on the set of values only, not on their order or the lanes.",
		Example: "approx_count_distinct(user_id)",
		State: "binary: empty for no value; else a mark and, after 1, the sketch (package hll: up to 512 hashes of 32 bits, or 4096 registers), " +
			"after 2 a bitmap of integers: its base and its words, little-endian, 8 bytes each",
		Set:  true,
		bind: bindApprox,
	})
}

func bindApprox(c Call) (Bound, error) {
	arg, err := one("approx_count_distinct", c)
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
		New: func(memory.Allocator) Accumulator {
			a := &approx{enc: plan.NewEncoder()}
			if a.order, a.fold = smallFold(arg.Type); a.fold != nil {
				a.small = &smallInts{order: a.order}
			}
			return a
		},
	}, nil
}

// approx estimates distinct counts: by a bitmap a group while all values are integers of a small range, by sketches of their hashes
// from the first other one on. Both give the same numbers.
type approx struct {
	enc   *keys.Encoder
	order intOrder   // of small
	fold  foldInts   // nil for types that are no integers
	small *smallInts // nil without fold, and once it cannot hold the values
	sets  hll.Sets
	n     int // groups
	// Scratch of Update.
	groups []uint32
	hashes []uint64
}

func (a *approx) grow(n int) {
	a.n = max(a.n, n)
	if a.small != nil {
		a.small.grow(a.n)
	} else {
		a.sets.Grow(a.n)
	}
}

func (a *approx) Update(groups []uint32, n int, args []arrow.Array) error {
	a.grow(n)
	arg := args[0]
	if arg.DataType().ID() == arrow.NULL {
		return nil
	}
	if a.small != nil {
		if a.fold(a.small, groups, arg) {
			return nil
		}
		a.toSets()
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
		if valid == nil {
			a.sets.AddAll(groups[lo:hi], rows.Hashes())
			continue
		}
		a.groups, a.hashes = a.groups[:0], a.hashes[:0]
		for i, h := range rows.Hashes() {
			if bitutil.BitIsSet(valid, off+lo+i) {
				a.groups, a.hashes = append(a.groups, groups[lo+i]), append(a.hashes, h)
			}
		}
		a.sets.AddAll(a.groups, a.hashes)
	}
	return nil
}

// toSets turns bitmaps into sketches.
func (a *approx) toSets() {
	s := a.small
	a.small = nil
	a.sets.Grow(a.n)
	for g := range a.n {
		a.addBits(uint32(g), s.base, s.bits[g*s.words:(g+1)*s.words])
	}
}

// addBits adds the integers whose bits are set to the sketch of group g.
func (a *approx) addBits(g uint32, base uint64, words []uint64) {
	for i, w := range words {
		for ; w != 0; w &= w - 1 {
			a.sets.Add(g, a.order.entry(base+uint64(64*i+bits.TrailingZeros64(w))))
		}
	}
}

// A group's state is empty, or a mark and then the state of its sketch, or a mark, the base and the words of its bitmap.
const (
	markSketch = 1
	markBitmap = 2
)

func (a *approx) State() ([]arrow.Array, error) {
	off := make([]int32, a.n+1)
	total := 0
	for g := range a.n {
		n := 0
		if a.small == nil {
			n = a.sets.StateLen(g)
		} else if w := a.small.words; w > 0 {
			n = 8 + 8*w
		}
		if n > 0 {
			n++
		}
		if total += n; total > math.MaxInt32 {
			return nil, errHuge
		}
		off[g+1] = int32(total)
	}
	data := make([]byte, 0, total)
	for g := range a.n {
		switch {
		case off[g+1] == off[g]:
		case a.small != nil:
			data = binary.LittleEndian.AppendUint64(append(data, markBitmap), a.small.base)
			for _, w := range a.small.bits[g*a.small.words:][:a.small.words] {
				data = binary.LittleEndian.AppendUint64(data, w)
			}
		default:
			data = a.sets.AppendState(append(data, markSketch), g)
		}
	}
	return []arrow.Array{col.NewVar(arrow.BinaryTypes.Binary, off, data, nil)}, nil
}

func (a *approx) Merge(groups []uint32, n int, state []arrow.Array) error {
	a.grow(n)
	off, data, ok := col.Var(state[0])
	if !ok {
		return errHuge
	}
	for i, g := range groups {
		b := data[off[i]:off[i+1]]
		switch {
		case len(b) == 0:
		case b[0] == markSketch:
			if a.small != nil {
				a.toSets()
			}
			if err := a.sets.MergeState(g, b[1:]); err != nil {
				return err
			}
		case b[0] == markBitmap && len(b)%8 == 1 && len(b) > 9 && len(b) <= 9+8*smallWords:
			a.mergeBitmap(g, binary.LittleEndian.Uint64(b[1:]), b[9:])
		default:
			return fmt.Errorf("merge distinct counts: a state of %d bytes", len(b))
		}
	}
	return nil
}

// mergeBitmap adds the values whose bits are set in b, which starts at base, to group g.
func (a *approx) mergeBitmap(g uint32, base uint64, b []byte) {
	var w [smallWords]uint64
	words := w[:len(b)/8]
	for i := range words {
		words[i] = binary.LittleEndian.Uint64(b[8*i:])
	}
	if a.small != nil {
		if a.small.merge(g, base, words) {
			return
		}
		a.toSets()
	}
	a.addBits(g, base, words)
}

func (a *approx) Result(mem memory.Allocator) (arrow.Array, error) {
	buf, out := col.Make[int64](mem, a.n)
	if a.small != nil {
		a.small.count(out)
	} else {
		for g := range out {
			out[g] = a.sets.Count(g)
		}
	}
	return col.Of(mem, int64s, a.n, buf, nil), nil
}

func (a *approx) Size() int64 {
	n := a.sets.Size() + 64
	if a.small != nil {
		n += a.small.size()
	}
	return n
}

func (a *approx) Release() { a.small, a.sets, a.n = nil, hll.Sets{}, 0 }

func (a *approx) Reset() {
	a.n = 0
	a.sets.Reset()
	if a.fold == nil {
		return
	}
	if a.small == nil {
		a.small = &smallInts{order: a.order}
	}
	a.small.bits, a.small.n = reset(a.small.bits), 0
}

// Reserve makes room for n groups.
func (a *approx) Reserve(n int) {
	if a.small != nil {
		a.small.bits = col.Reserve(a.small.bits, n*a.small.words)
	} else {
		a.sets.Reserve(n)
	}
}
