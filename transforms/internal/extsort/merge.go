package extsort

import (
	"bytes"
	"slices"

	"github.com/sluice-data/sluice/internal/fail"
)

// Merge goes through the rows of several runs in their order: a tree of losers over the keys. It is used by one goroutine.
type Merge struct {
	s    *Sorter
	runs []*run // by lane, and then by age
	cur  []cursor
	word []uint64 // of each cursor's row, what is compared first; all ones at its end
	tree []int32  // tree[0] is the winner, tree[i] who lost at i
	comp []comp
	// The row before, where heads are asked for.
	heads bool
	begun bool
	prev  []uint64
	tails [][]byte
}

// comp is a column of the key.
type comp struct {
	col  int
	tail bool
	part int
}

// cursor is where the merge is in a run.
type cursor struct {
	reader
	row   int64 // number in the run
	off   int   // in the piece
	done  bool
	words [][]uint64 // of each comp that is no tail
	data  [][]byte   // of each that is
	ends  [][]uint32
	chunk []uint32
	size  []uint32
	// numbers of the rows in their lane, where they are kept
	numbers []uint64
}

// newMerge begins a merge of runs. With heads, head tells how a row differs from the one before.
func newMerge(s *Sorter, runs []*run, heads bool) (*Merge, error) {
	if len(runs) > mostRuns {
		return nil, fail.Newf(fail.Usage, "%s: %d runs on disk are too many to merge: give the run more memory", s.cfg.Step, len(runs))
	}
	m := &Merge{s: s, runs: runs, heads: heads}
	for i, p := range s.parts {
		m.comp = append(m.comp, comp{col: p.w0, part: i})
		if p.w1 >= 0 {
			m.comp = append(m.comp, comp{col: p.w1, part: i})
		}
		if p.tail >= 0 {
			m.comp = append(m.comp, comp{col: p.tail, tail: true, part: i})
		}
	}
	m.prev, m.tails = make([]uint64, len(m.comp)), make([][]byte, len(m.comp))
	m.cur, m.word = make([]cursor, len(runs)), make([]uint64, len(runs))
	for i := range m.cur {
		c := &m.cur[i]
		c.reader = newReader(s.keys)
		c.words, c.data, c.ends = make([][]uint64, len(m.comp)), make([][]byte, len(m.comp)), make([][]uint32, len(m.comp))
		if err := m.load(i); err != nil {
			return nil, err
		}
	}
	m.plant()
	return m, nil
}

// load makes the piece of cursor i's row the one that is read.
func (m *Merge) load(i int) error {
	c, r := &m.cur[i], m.runs[i]
	if c.done = c.row >= r.rows; c.done {
		m.word[i] = ^uint64(0)
		return nil
	}
	if err := c.reader.load(m.s, r, &r.keys, int(c.row/int64(r.keys.per))); err != nil {
		return err
	}
	c.off = int(c.row % int64(r.keys.per))
	for k, comp := range m.comp {
		if comp.tail {
			c.data[k], c.ends[k] = c.Cols[comp.col].Texts()
		} else {
			c.words[k] = c.Cols[comp.col].Uint64s()
		}
	}
	c.chunk, c.size = c.Cols[chunkColumn].Uint32s(), c.Cols[sizeColumn].Uint32s()
	if m.s.cfg.Numbered {
		c.numbers = c.Cols[numberColumn].Uint64s()
	}
	m.word[i] = m.first(c)
	return nil
}

func (m *Merge) first(c *cursor) uint64 {
	if len(m.comp) == 0 {
		return 0
	}
	return c.words[0][c.off]
}

func (c *cursor) tail(k int) []byte {
	from := uint32(0)
	if c.off > 0 {
		from = c.ends[k][c.off-1]
	}
	return c.data[k][from:c.ends[k][c.off]]
}

// plant plays all matches of the tree.
func (m *Merge) plant() {
	k := len(m.cur)
	m.tree = make([]int32, max(1, k))
	if k == 0 {
		m.tree[0] = -1
		return
	}
	win := make([]int32, 2*k)
	for i := range k {
		win[k+i] = int32(i)
	}
	for i := k - 1; i > 0; i-- {
		a, b := win[2*i], win[2*i+1]
		if m.less(b, a) {
			a, b = b, a
		}
		win[i], m.tree[i] = a, b
	}
	if k > 1 {
		m.tree[0] = win[1]
	}
}

func (m *Merge) less(a, b int32) bool {
	if x, y := m.word[a], m.word[b]; x != y {
		return x < y
	}
	return m.lessRest(a, b)
}

// lessRest compares rows whose first words are equal.
func (m *Merge) lessRest(a, b int32) bool {
	x, y := &m.cur[a], &m.cur[b]
	if x.done || y.done {
		return !x.done
	}
	for k := 1; k < len(m.comp); k++ {
		if m.comp[k].tail {
			if c := bytes.Compare(x.tail(k), y.tail(k)); c != 0 {
				return c < 0
			}
		} else if u, v := x.words[k][x.off], y.words[k][y.off]; u != v {
			return u < v
		}
	}
	if r, s := m.runs[a], m.runs[b]; r.lane != s.lane {
		return r.chunks[x.chunk[x.off]] < s.chunks[y.chunk[y.off]] // a chunk is of one lane
	}
	return a < b
}

// textBytes is the bytes of the texts of run w's row, and of its key.
func (m *Merge) textBytes(w int32) int64 {
	c := &m.cur[w]
	n := int64(c.size[c.off])
	for k, comp := range m.comp {
		if comp.tail {
			n += int64(len(c.tail(k)))
		}
	}
	return n
}

// top is the run that the next row is of; -1 after the last row.
func (m *Merge) top() int32 {
	w := m.tree[0]
	if w >= 0 && m.cur[w].done {
		return -1
	}
	return w
}

// pop goes on to the row after that of w, which is top's.
func (m *Merge) pop(w int32) error {
	c := &m.cur[w]
	if m.heads {
		m.remember(c)
	}
	c.row++
	if c.off++; c.off < c.N {
		m.word[w] = m.first(c)
	} else if err := m.load(int(w)); err != nil {
		return err
	}
	for i := (int(w) + len(m.cur)) / 2; i > 0; i /= 2 {
		if t := m.tree[i]; m.less(t, w) {
			m.tree[i], w = w, t
		}
	}
	m.tree[0] = w
	return nil
}

func (m *Merge) remember(c *cursor) {
	m.begun = true
	for k, comp := range m.comp {
		if comp.tail {
			m.tails[k] = append(m.tails[k][:0], c.tail(k)...)
		} else {
			m.prev[k] = c.words[k][c.off]
		}
	}
}

// head is how many parts of the key the row of w, which is top's, has in common with the row before, from the first on; none for the first row.
func (m *Merge) head(w int32) int {
	if !m.begun {
		return 0
	}
	c := &m.cur[w]
	for k, comp := range m.comp {
		if comp.tail {
			if !slices.Equal(m.tails[k], c.tail(k)) {
				return comp.part
			}
		} else if m.prev[k] != c.words[k][c.off] {
			return comp.part
		}
	}
	return len(m.s.parts)
}

// number is that of the row of w, which is top's, in its lane; of rows with keys it is known where they are numbered.
func (m *Merge) number(w int32) int64 {
	c := &m.cur[w]
	if m.s.cfg.Numbered {
		return int64(c.numbers[c.off])
	}
	return m.runs[w].first + c.row
}

// slice is rows of the result, in order: which run each is of, and which rows of each run they are.
type slice struct {
	seq  []uint16 // with skip where the row is not wanted
	kept int
	lo   []int64 // of each run
	n    []int32
	text int64 // bytes of the texts of those kept
}

const skip = 1 << 15

func (sl *slice) reset(runs int) {
	sl.seq, sl.kept, sl.text = sl.seq[:0], 0, 0
	sl.lo, sl.n = slices.Grow(sl.lo[:0], runs)[:runs], slices.Grow(sl.n[:0], runs)[:runs]
	clear(sl.n)
}

// take puts top's row, of run w, into sl, and goes on.
func (m *Merge) take(sl *slice, w int32, keep bool) error {
	c := &m.cur[w]
	if sl.n[w] == 0 {
		sl.lo[w] = c.row
	}
	sl.n[w]++
	mark := uint16(w)
	if keep {
		sl.kept++
		sl.text += int64(c.size[c.off])
	} else {
		mark |= skip
	}
	sl.seq = append(sl.seq, mark)
	return m.pop(w)
}

// order sets dst to where the rows that are kept are, if those of each run follow those of the one before.
func (sl *slice) order(dst []int32) []int32 {
	next := make([]int32, len(sl.n))
	sum := int32(0)
	for i, n := range sl.n {
		next[i] = sum
		sum += n
	}
	dst = slices.Grow(dst[:0], sl.kept)[:0]
	for _, r := range sl.seq {
		if r&skip == 0 {
			dst = append(dst, next[r])
		}
		next[r&^skip]++
	}
	return dst
}
