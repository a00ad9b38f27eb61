package agg

import (
	"encoding/binary"
	"math"
	"slices"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/sluice-data/sluice/transforms/internal/col"
)

// bestWord is best where a word is the place, or all of it but the number of the row: no row's place is made bytes.
type bestWord struct {
	value held
	kind  keyKind
	most  uint64 // all bits where the greatest place wins
	tied  bool   // several rows may have the same word: args[2] are their numbers, of which the least wins
	skip  []int
	word  []uint64 // by group: the best so far, the least first
	row   []int64  // its number, where tied
	at    []int32  // where its value is, -1 for none
	win   []int32  // as in best
	mine  []int32
	words []uint64 // scratch: of a batch
}

// wordPlace reports whether values of type t have their order in a word, of which every value is known to be one.
func wordPlace(t arrow.DataType) bool {
	if d, ok := t.(*arrow.Decimal128Type); ok {
		return d.Precision <= 18
	}
	w := col.Width(t)
	return t.ID() != arrow.BOOL && (w == 1 || w == 2 || w == 4 || w == 8)
}

func newBestWord(value, place arrow.DataType, most, tied bool, skip []int) func(memory.Allocator) Accumulator {
	return func(memory.Allocator) Accumulator {
		b := &bestWord{value: newHeld(value), kind: keyKindOf(place), tied: tied, skip: skip}
		if most {
			b.most = math.MaxUint64
		}
		return b
	}
}

func (b *bestWord) grow(n int) {
	old := len(b.at)
	b.at, b.mine, b.word = col.Grow(b.at, n), col.Grow(b.mine, n), col.Grow(b.word, n)
	if b.tied {
		b.row = col.Grow(b.row, n)
	}
	for i := old; i < n; i++ {
		b.at[i], b.word[i] = -1, math.MaxUint64
		if b.tied {
			b.row[i] = math.MaxInt64
		}
	}
}

// wordsOf are the words of a batch, the least of which wins.
func (b *bestWord) wordsOf(a arrow.Array) []uint64 {
	w := b.words[:0]
	switch b.kind.width {
	case 1:
		w, _ = appendKeys(b.kind, w, col.Fixed[uint8](a))
	case 2:
		w, _ = appendKeys(b.kind, w, col.Fixed[uint16](a))
	case 4:
		w, _ = appendKeys(b.kind, w, col.Fixed[uint32](a))
	case 8:
		w, _ = appendKeys(b.kind, w, col.Fixed[uint64](a))
	default:
		w, _ = appendKeys(b.kind, w, col.Pairs(col.Words16(a)))
	}
	b.words = w
	if b.kind.float { // -0 is 0
		zero := uint64(1) << (8*b.kind.width - 1)
		for i, x := range w {
			if x == zero-1 {
				w[i] = zero
			}
		}
	}
	if b.most != 0 {
		for i := range w {
			w[i] = ^w[i]
		}
	}
	return w
}

func (b *bestWord) Update(groups []uint32, n int, args []arrow.Array) error {
	b.grow(n)
	var rows []int32
	for _, s := range b.skip {
		if valid, _ := col.Valid(args[s]); valid == nil && args[s].DataType().ID() != arrow.NULL {
			continue
		}
		if rows == nil {
			buf := rowNumbers.Get().(*[]int32)
			defer rowNumbers.Put(buf)
			*buf = every(*buf, len(groups))
			rows = *buf
		}
		if rows = present(rows, args[s]); len(rows) == 0 {
			return nil
		}
	}
	var nums []int64
	if b.tied {
		nums = col.Fixed[int64](args[2])
	}
	return b.offer(groups, rows, args[0], b.wordsOf(args[1]), nums)
}

// offer gives rows, or all where nil, with their values, words and numbers.
func (b *bestWord) offer(groups []uint32, rows []int32, value arrow.Array, words []uint64, nums []int64) error {
	b.win = b.win[:0]
	if rows == nil {
		have := b.word
		for i, w := range words[:len(groups)] {
			if g := groups[i]; w <= have[g] {
				b.better(int32(i), g, w, nums)
			}
		}
	} else {
		for _, r := range rows {
			if g := groups[r]; words[r] <= b.word[g] {
				b.better(r, g, words[r], nums)
			}
		}
	}
	at := b.value.n
	for i, r := range b.win {
		b.at[groups[r]], b.mine[groups[r]] = int32(at+i), 0
	}
	if err := b.value.add(value, b.win); err != nil {
		return err
	}
	if b.value.stale(len(b.at)) {
		b.pack()
	}
	return nil
}

// better takes row r of a batch, whose word is not beyond that of its group g.
func (b *bestWord) better(r int32, g uint32, w uint64, nums []int64) {
	if b.tied {
		if w == b.word[g] && nums[r] >= b.row[g] {
			return
		}
		b.row[g] = nums[r]
	} else if w == b.word[g] && (b.at[g] >= 0 || b.mine[g] > 0) {
		return
	}
	b.word[g] = w
	if k := b.mine[g]; k > 0 {
		b.win[k-1] = r
		return
	}
	b.win = append(b.win, r)
	b.mine[g] = int32(len(b.win))
}

// pack drops the values that others have bettered.
func (b *bestWord) pack() { b.value.keep(packed(b.at)) }

func (b *bestWord) Merge(groups []uint32, n int, state []arrow.Array) error {
	b.grow(n)
	if len(groups) == 0 {
		return nil
	}
	buf := rowNumbers.Get().(*[]int32)
	defer rowNumbers.Put(buf)
	*buf = every(*buf, len(groups))
	rows := present(*buf, state[1])
	if !b.tied {
		return b.offer(groups, rows, state[0], b.wordsOf(state[1]), nil)
	}
	off, data, ok := col.Var(state[1])
	if !ok {
		return errHuge
	}
	b.words = slices.Grow(b.words[:0], len(groups))[:len(groups)]
	nums := make([]int64, len(groups))
	for _, r := range rows {
		p := data[off[r]:off[r+1]]
		b.words[r], nums[r] = binary.BigEndian.Uint64(p), int64(binary.BigEndian.Uint64(p[8:])^1<<63)
	}
	return b.offer(groups, rows, state[0], b.words, nums)
}

func (b *bestWord) State() ([]arrow.Array, error) {
	value, err := b.value.take(memory.DefaultAllocator, b.at)
	if err != nil {
		return nil, err
	}
	has := make([]uint8, len(b.at))
	for g, at := range b.at {
		has[g] = uint8(btoi(at >= 0))
	}
	if !b.tied {
		place := make([]int64, len(b.at))
		for g, w := range b.word {
			place[g] = int64((w ^ b.most) ^ 1<<63)
		}
		return []arrow.Array{value, col.New(int64s, place, has)}, nil
	}
	off, data := make([]int32, 1, len(b.at)+1), make([]byte, 0, 16*len(b.at))
	if len(b.at) > math.MaxInt32/16 {
		value.Release()
		return nil, errHuge
	}
	for g, w := range b.word {
		if has[g] != 0 {
			data = binary.BigEndian.AppendUint64(data, w)
			data = binary.BigEndian.AppendUint64(data, uint64(b.row[g])^1<<63)
		}
		off = append(off, int32(len(data)))
	}
	return []arrow.Array{value, col.NewVar(arrow.BinaryTypes.Binary, off, data, has)}, nil
}

func (b *bestWord) Result(mem memory.Allocator) (arrow.Array, error) { return b.value.take(mem, b.at) }

func (b *bestWord) Size() int64 {
	return b.value.size() + 4*int64(cap(b.at)+cap(b.mine)+cap(b.win)) + 8*int64(cap(b.word)+cap(b.row)+cap(b.words)) + 64
}

func (b *bestWord) Reset() {
	b.value.reset()
	b.at, b.word, b.row, b.mine = b.at[:0], b.word[:0], b.row[:0], reset(b.mine)
}

func (b *bestWord) Release() {
	b.value.drop()
	b.at, b.mine, b.win, b.word, b.row, b.words = nil, nil, nil, nil, nil, nil
}
