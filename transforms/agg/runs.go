package agg

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"os"
	"slices"

	"github.com/apache/arrow/go/v17/arrow"

	"github.com/sluice-data/sluice/transforms/internal/col"
	"github.com/sluice-data/sluice/transforms/internal/orderkey"
	"github.com/sluice-data/sluice/transforms/internal/spillfile"
)

// Spiller is an Accumulator whose values may go to disk, so that a group may have more of them than memory holds.
type Spiller interface {
	Accumulator
	// Spills reports whether it can, with values of this type.
	Spills() bool
	// Spill writes the values to a file in dir, sorted, and forgets them; Update and Merge may follow, but not State: Result reads them back.
	Spill(dir string) error
}

// runs are values on disk, in runs that are sorted by group and then by value. The file has no name.
type runs struct {
	tally bool // equal values of a group are one, with how often it comes
	text  bool
	file  *os.File
	end   int64
	runs  []valueRun // the higher levels first
}

type valueRun struct {
	from, to int64
	n        int // values
	level    int // of merging
}

const (
	// mergeWays runs of a level are merged into one of the next.
	mergeWays = 16
	runBuffer = 16 << 10
)

// sorts reports whether runs take values of type t.
func sorts(t arrow.DataType) bool {
	return holds(t) && orderkey.Orderable(t) && (col.IsVar(t) || t.ID() == arrow.BOOL || col.Width(t) <= 8 || t.ID() == arrow.DECIMAL128)
}

func runsError(err error) error {
	return spillfile.Error("aggregate", err, "give it a --tmp-dir with more room, or raise --memory-limit")
}

// put takes a value of a group, as the bytes that key gives, which are lent, and how often it comes: 1 but in a tally.
type put func(group uint32, key []byte, times int64)

// open makes the file, if it is not there.
func (r *runs) open(dir string, text bool) error {
	if r.file != nil {
		return nil
	}
	f, err := spillfile.New(dir)
	if err != nil {
		return runsError(err)
	}
	r.file, r.text = f, text
	return nil
}

// write appends the values of h at rows as a run; group g's are rows[off[g]:off[g+1]], in order. Value i comes times[i] times, or once.
func (r *runs) write(dir string, h *held, times []int64, off, rows []int32) error {
	if err := r.open(dir, h.text()); err != nil {
		return err
	}
	return r.add(func(to put) error {
		var key []byte
		n := int64(1)
		for g := range len(off) - 1 {
			for _, i := range rows[off[g]:off[g+1]] {
				key = h.key(key[:0], int(i))
				if times != nil {
					n = times[i]
				}
				to(uint32(g), key, n)
			}
		}
		return nil
	})
}

// add appends the values that from puts, sorted by group and then by value, as a run.
func (r *runs) add(from func(to put) error) error {
	err := r.append(0, from)
	for n := len(r.runs); err == nil && n >= mergeWays && r.runs[n-mergeWays].level == r.runs[n-1].level; n = len(r.runs) {
		from := n - mergeWays
		old := r.runs[from:]
		if err = r.append(old[0].level+1, func(to put) error { return r.merge(old, to) }); err == nil {
			r.runs = append(r.runs[:from], r.runs[n])
		}
	}
	return err
}

// append writes the values that from puts as a run.
func (r *runs) append(level int, from func(to put) error) error {
	w := bufio.NewWriterSize(io.NewOffsetWriter(r.file, r.end), 64<<10)
	end, n := r.end, 0
	var head [4 + 2*binary.MaxVarintLen64]byte
	err := from(func(group uint32, key []byte, times int64) {
		b := binary.BigEndian.AppendUint32(head[:0], group)
		if r.tally {
			b = binary.AppendUvarint(b, uint64(times))
		}
		if r.text {
			b = binary.AppendUvarint(b, uint64(len(key)))
		} else {
			b = append(b, byte(len(key)))
		}
		_, _ = w.Write(b) // an error sticks until Flush
		_, _ = w.Write(key)
		end += int64(len(b) + len(key))
		n++
	})
	if err != nil {
		return err
	}
	if err := w.Flush(); err != nil {
		return runsError(fmt.Errorf("write values to disk: %w", err))
	}
	r.runs = append(r.runs, valueRun{r.end, end, n, level})
	r.end = end
	return nil
}

// cursor is where a run is read.
type cursor struct {
	in    *bufio.Reader
	left  int // values
	group uint32
	key   []byte
	times int64
}

// next reads a value; false at the end.
func (c *cursor) next(tally bool) (bool, error) {
	if c.left == 0 {
		return false, nil
	}
	c.left--
	var head [4]byte
	if _, err := io.ReadFull(c.in, head[:]); err != nil {
		return false, err
	}
	times := uint64(1)
	var err error
	if tally {
		if times, err = binary.ReadUvarint(c.in); err != nil {
			return false, err
		}
	}
	n, err := binary.ReadUvarint(c.in)
	if err != nil {
		return false, err
	}
	c.group, c.times = binary.BigEndian.Uint32(head[:]), int64(times)
	c.key = slices.Grow(c.key[:0], int(n))[:n]
	_, err = io.ReadFull(c.in, c.key)
	return true, err
}

func (c *cursor) before(o *cursor) bool {
	if c.group != o.group {
		return c.group < o.group
	}
	return bytes.Compare(c.key, o.key) < 0
}

// merge calls to for each value of the runs in order.
func (r *runs) merge(of []valueRun, to put) error {
	if !r.tally {
		return r.each(of, to)
	}
	var last cursor // what comes next to to, once no more of it can come
	err := r.each(of, func(group uint32, key []byte, times int64) {
		if last.times > 0 && group == last.group && bytes.Equal(key, last.key) {
			last.times += times
			return
		}
		if last.times > 0 {
			to(last.group, last.key, last.times)
		}
		last.group, last.key, last.times = group, append(last.key[:0], key...), times
	})
	if err == nil && last.times > 0 {
		to(last.group, last.key, last.times)
	}
	return err
}

// each calls to for each value of each of the runs, in order.
func (r *runs) each(of []valueRun, to put) error {
	var heap []*cursor
	fix := func(i int) {
		for {
			least := i
			for _, k := range [2]int{2*i + 1, 2*i + 2} {
				if k < len(heap) && heap[k].before(heap[least]) {
					least = k
				}
			}
			if least == i {
				return
			}
			heap[i], heap[least] = heap[least], heap[i]
			i = least
		}
	}
	for _, run := range of {
		c := &cursor{in: bufio.NewReaderSize(io.NewSectionReader(r.file, run.from, run.to-run.from), runBuffer), left: run.n}
		some, err := c.next(r.tally)
		if err != nil {
			return runsError(fmt.Errorf("read values from disk: %w", err))
		}
		if some {
			heap = append(heap, c)
		}
	}
	for i := len(heap)/2 - 1; i >= 0; i-- {
		fix(i)
	}
	for len(heap) > 0 {
		to(heap[0].group, heap[0].key, heap[0].times)
		some, err := heap[0].next(r.tally)
		if err != nil {
			return runsError(fmt.Errorf("read values from disk: %w", err))
		}
		if !some {
			heap[0] = heap[len(heap)-1]
			heap = heap[:len(heap)-1]
		}
		fix(0)
	}
	return nil
}

func (r *runs) close() {
	if r.file != nil {
		r.file.Close()
	}
	*r = runs{tally: r.tally}
}

// key appends value i to dst as bytes that compare as values do: numbers by size with NaN last, texts as they are.
func (h *held) key(dst []byte, i int) []byte {
	if h.text() {
		return append(dst, h.bytesOf(i)...)
	}
	b := h.data[i*h.width : (i+1)*h.width]
	switch id := h.typ.ID(); {
	case id == arrow.DECIMAL128:
		dst = binary.BigEndian.AppendUint64(dst, binary.LittleEndian.Uint64(b[8:])^1<<63)
		return binary.BigEndian.AppendUint64(dst, binary.LittleEndian.Uint64(b))
	case id == arrow.FLOAT64:
		v := binary.LittleEndian.Uint64(b)
		if f := math.Float64frombits(v); f != f {
			v = 1<<63 - 1
		}
		return binary.BigEndian.AppendUint64(dst, v^(uint64(int64(v)>>63)|1<<63))
	case id == arrow.FLOAT32:
		v := binary.LittleEndian.Uint32(b)
		if f := math.Float32frombits(v); f != f {
			v = 1<<31 - 1
		}
		return binary.BigEndian.AppendUint32(dst, v^(uint32(int32(v)>>31)|1<<31))
	}
	at := len(dst)
	for k := range b {
		dst = append(dst, b[len(b)-1-k])
	}
	if h.signed() {
		dst[at] ^= 0x80
	}
	return dst
}

func (h *held) signed() bool {
	switch h.typ.ID() {
	case arrow.UINT8, arrow.UINT16, arrow.UINT32, arrow.UINT64, arrow.BOOL:
		return false
	}
	return true
}

// addKey appends the value that key gave as b.
func (h *held) addKey(b []byte) {
	h.n++
	h.has = append(h.has, 1)
	if h.text() {
		h.data = append(h.data, b...)
		h.end = append(h.end, len(h.data))
		return
	}
	switch id := h.typ.ID(); {
	case id == arrow.DECIMAL128:
		h.data = binary.LittleEndian.AppendUint64(h.data, binary.BigEndian.Uint64(b[8:]))
		h.data = binary.LittleEndian.AppendUint64(h.data, binary.BigEndian.Uint64(b)^1<<63)
	case id == arrow.FLOAT64:
		v := binary.BigEndian.Uint64(b)
		h.data = binary.LittleEndian.AppendUint64(h.data, v^(^uint64(int64(v)>>63)|1<<63))
	case id == arrow.FLOAT32:
		v := binary.BigEndian.Uint32(b)
		h.data = binary.LittleEndian.AppendUint32(h.data, v^(^uint32(int32(v)>>31)|1<<31))
	default:
		at := len(h.data)
		for k := range b {
			h.data = append(h.data, b[len(b)-1-k])
		}
		if h.signed() {
			h.data[at+len(b)-1] ^= 0x80
		}
	}
}
