package gather

import (
	"context"
	"math"
	"slices"
	"strings"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/pipeline"
	"github.com/sluice-data/sluice/transforms/internal/keys"
	"github.com/sluice-data/sluice/transforms/internal/rowpack"
	"github.com/sluice-data/sluice/transforms/internal/take"
)

// lane is one lane's share of a Fold. It is used by one goroutine at a time.
type lane struct {
	f   *Fold
	mem memory.Allocator

	enc   *keys.Encoder
	tab   *keys.Table
	parts []part          // by number in tab
	by    [][]arrow.Array // the partition columns of rows that began partitions
	bad   map[uint32]refusal
	names int64 // bytes of the parts' paths

	chunk  int64
	window window
	spare  rowpack.Column // what columns are ordered into
	order  []int32
	out    *rowpack.Encoder
	kept   []slab // in memory, in the order they were made
	held   int64  // bytes of kept
	free   [][]byte
	disk   *spill
	rows   int64
	err    error // the first fault; the lane is no use then
}

// part is what a lane knows of a partition.
type part struct {
	path string
	rows int64
	at   int32 // its values: row of by[at]
	row  int32
}

const partBytes = 32 + 16 // of a part, and as much again for half of them: slices double

// refusal is why the rows of a part are in no partition, of which column and with what value.
type refusal struct {
	err   error
	of    int
	value string
}

// window is the rows that wait to be packed.
type window struct {
	cols   []rowpack.Column
	ids    []uint32
	chunks []mark
	most   int64 // bytes at which it is packed
}

// mark is where a chunk's rows end.
type mark struct {
	chunk int64
	end   int
}

// slab is the pieces of a window: those of partition i are data[ends[i-1]:ends[i]].
type slab struct {
	data []byte
	ends []uint32
}

func (s *slab) of(i int) []byte {
	if i >= len(s.ends) {
		return nil
	}
	from := uint32(0)
	if i > 0 {
		from = s.ends[i-1]
	}
	return s.data[from:s.ends[i]]
}

func (s *slab) size() int64 { return int64(cap(s.data) + 4*cap(s.ends)) }

func newLane(f *Fold, mem memory.Allocator) *lane {
	l := &lane{f: f, mem: mem, enc: f.keys.NewEncoder(), tab: f.keys.NewTable(), out: rowpack.NewEncoder(len(f.lays)), bad: map[uint32]refusal{}}
	l.window.cols = rowpack.NewColumns(f.lays)
	return l
}

// Begin takes note of where in the input the next rows are from.
func (l *lane) Begin(number int64) { l.chunk = number }

// Rows is the rows kept.
func (l *lane) Rows() int64 { return l.rows }

func (l *lane) Close() {
	l.window, l.kept, l.free, l.spare, l.order = window{}, nil, nil, rowpack.Column{}, nil
	for _, by := range l.by {
		release(by)
	}
	l.by = nil
	if l.disk != nil {
		l.disk.close()
		l.disk = nil
	}
}

// Add keeps the rows of b, but rejects those that are in no partition.
func (l *lane) Add(ctx context.Context, b pipeline.Batch, rej *pipeline.Rejects) error {
	if l.err == nil {
		l.err = l.add(ctx, b, rej)
	}
	return l.err
}

func (l *lane) add(ctx context.Context, b pipeline.Batch, rej *pipeline.Rejects) error {
	n := int(b.Rec.NumRows())
	if n == 0 {
		return nil
	}
	if err := ctx.Err(); err != nil {
		return context.Cause(ctx)
	}
	if l.window.most == 0 {
		l.window.most = max(leastWindow, min(mostWindow, l.f.share()/4))
	}
	at := len(l.window.ids)
	l.window.ids = slices.Grow(l.window.ids, n)[:at+n]
	ids := l.window.ids[at:]
	if err := l.number(b.Rec, ids); err != nil {
		return err
	}
	rec := b.Rec
	if len(l.bad) > 0 {
		var err error
		if rec, ids, err = l.reject(b, ids, rej); err != nil {
			return err
		}
		defer rec.Release()
		l.window.ids = l.window.ids[:at+len(ids)]
		if len(ids) == 0 {
			return nil
		}
	}
	for _, id := range ids {
		l.parts[id].rows++
	}
	for i, c := range l.f.at {
		if err := l.window.cols[i].Add(rec.Column(c)); err != nil {
			return fail.Newf(fail.Data, "partition: %w", err).Of(l.f.cfg.Schema.Field(c).Name, "")
		}
	}
	l.rows += int64(len(ids))
	w := &l.window
	if k := len(w.chunks) - 1; k >= 0 && w.chunks[k].chunk == l.chunk {
		w.chunks[k].end = len(w.ids)
	} else {
		w.chunks = append(w.chunks, mark{l.chunk, len(w.ids)})
	}
	if w.size() >= w.most {
		return l.pack()
	}
	return nil
}

func (w *window) size() int64 {
	n := int64(16 * len(w.ids)) // and their order, and the numbers that values are made of
	for i := range w.cols {
		n += w.cols[i].Size()
	}
	return n
}

// packed is about what pieces of the columns, which are short, take: more for few nulls, less for pieces of few rows.
func (w *window) packed(parts int) int {
	n := parts * (rowpack.PieceHead + 8 + 8*len(w.cols))
	for i := range w.cols {
		n += int(w.cols[i].Size())
	}
	return n
}

// number finds the partition of each row.
func (l *lane) number(rec arrow.Record, ids []uint32) error {
	by := make([]arrow.Array, len(l.f.cfg.By))
	for i, c := range l.f.cfg.By {
		by[i] = rec.Column(c)
	}
	rows, err := l.enc.Encode(by, len(ids))
	if err != nil {
		return err
	}
	known := l.tab.Len()
	l.tab.Intern(rows, ids)
	if l.tab.Len() == known {
		return nil
	}
	if l.tab.Len() > MostPartitions {
		return l.f.tooMany()
	}
	var first []int32 // the rows that began them
	for i, id := range ids {
		if int(id) < len(l.parts) {
			continue
		}
		p := part{at: int32(len(l.by)), row: int32(len(first))} // numbers are given in order of first appearance
		first = append(first, int32(i))
		path, of, value, err := l.f.cfg.Folder(by, i)
		if err != nil {
			l.bad[id] = refusal{err, of, value}
		} else {
			p.path = l.f.path(path)
			l.names += int64(len(path))
		}
		l.parts = append(l.parts, p)
	}
	values := make([]arrow.Array, len(by))
	l.by = append(l.by, values)
	for i := range by {
		if values[i], err = take.Array(by[i], first, l.mem); err != nil {
			return err
		}
	}
	return nil
}

func (f *Fold) tooMany() error {
	names := make([]string, len(f.cfg.By))
	for i, c := range f.cfg.By {
		names[i] = f.cfg.Schema.Field(c).Name
	}
	return fail.Newf(fail.Data, "partition by %s: there are more than %d partitions: use columns with fewer values", strings.Join(names, ", "), MostPartitions)
}

// reject refuses the rows that are in no partition; the record of the others is owned by the caller.
func (l *lane) reject(b pipeline.Batch, ids []uint32, rej *pipeline.Rejects) (arrow.Record, []uint32, error) {
	left := make([]int32, 0, len(ids))
	for i, id := range ids {
		if r, bad := l.bad[id]; bad {
			rej.Add(b, i, l.f.cfg.Schema.Field(l.f.cfg.By[r.of]).Name, r.value, r.err.Error())
			continue
		}
		ids[len(left)] = id
		left = append(left, int32(i))
	}
	if len(left) == len(ids) {
		b.Rec.Retain()
		return b.Rec, ids, nil
	}
	rec, err := take.Record(b.Rec, left, l.mem)
	return rec, ids[:len(left)], err
}

// pack makes pieces of the window's rows.
func (l *lane) pack() error {
	w := &l.window
	n := len(w.ids)
	if n == 0 {
		return nil
	}
	starts := l.sort()
	for i := range w.cols {
		l.out.Order(&l.spare, &w.cols[i], i, l.order)
		w.cols[i], l.spare = l.spare, w.cols[i]
	}
	s := slab{ends: make([]uint32, len(l.parts))}
	if k := len(l.free) - 1; k >= 0 {
		s.data, l.free = l.free[k][:0], l.free[:k]
	} else {
		n := w.packed(len(l.parts))
		s.data = make([]byte, 0, n+n/16) // the next windows are not quite the same
	}
	var runs []rowpack.Run
	for id := range l.parts {
		for lo, hi := int(starts[id]), int(starts[id+1]); lo < hi; {
			var to int
			to, runs = l.cut(lo, hi, runs[:0])
			s.data = l.out.Piece(s.data, w.cols, lo, to, runs)
			lo = to
		}
		if len(s.data) > math.MaxUint32 {
			return fail.Wrap(fail.Data, rowpack.ErrHuge)
		}
		s.ends[id] = uint32(len(s.data))
	}
	l.kept = append(l.kept, s)
	l.held += s.size()
	if n < 64*len(l.parts) { // pieces of a few rows: a larger window makes them better
		w.most = max(w.most, min(2*w.most, wideWindow, l.room()/2))
	}
	for i := range w.cols {
		w.cols[i].Reset()
	}
	w.ids, w.chunks = w.ids[:0], w.chunks[:0]
	if l.held+w.most > l.room() {
		return l.spill()
	}
	return nil
}

// fileBytes is what each partition is going to take behind the drain: a file and its open upload wait in the sink for the commit, while pieces still wait here.
const fileBytes = 1 << 10

// state is the bytes that stay until the drain: what is known of the partitions, and where on disk they are.
func (l *lane) state() int64 {
	n := int64(cap(l.parts))*partBytes + l.names + l.tab.Size()
	if l.disk != nil {
		for i := range l.disk.runs {
			n += 8 * int64(cap(l.disk.runs[i].n))
		}
	}
	return n
}

// room is what pieces and their window may take: the lane's share, less what the state, and what the sink is going to hold, leave of the budget. Half of it stays
// for them in any case, for more trips to the disk would make the state larger.
func (l *lane) room() int64 {
	share := l.f.share()
	if l.f.cfg.Budget <= 0 {
		return share
	}
	files := int64(len(l.parts)) * fileBytes
	return min(share, max(share/2, (l.f.cfg.Budget-files)/max(1, l.f.lanes.Load())-l.state()))
}

// sort orders the window's rows by partition, those of one as they came; the rows of partition i are at starts[i].
func (l *lane) sort() []int32 {
	ids := l.window.ids
	starts := make([]int32, len(l.parts)+1)
	for _, id := range ids {
		starts[id+1]++
	}
	for i := range l.parts {
		starts[i+1] += starts[i]
	}
	next := slices.Clone(starts)
	order := slices.Grow(l.order[:0], len(ids))[:len(ids)]
	for i, id := range ids {
		order[next[id]] = int32(i)
		next[id]++
	}
	l.order = order
	return starts
}

// cut says how many of the sorted rows [lo, hi) go into one piece, and from which chunks they are.
func (l *lane) cut(lo, hi int, runs []rowpack.Run) (int, []rowpack.Run) {
	rows, bytes := l.f.piece()
	hi = min(hi, lo+rows)
	for hi-lo > 1 && l.textSize(lo, hi) > bytes {
		hi = lo + (hi-lo)/2
	}
	m, end := 0, 0
	for _, row := range l.order[lo:hi] {
		if int(row) >= end {
			for int(row) >= l.window.chunks[m].end {
				m++
			}
			end = l.window.chunks[m].end
			runs = append(runs, rowpack.Run{Chunk: l.window.chunks[m].chunk})
		}
		runs[len(runs)-1].N++
	}
	return hi, runs
}

func (l *lane) textSize(lo, hi int) int {
	n := 0
	for i := range l.window.cols {
		n += l.window.cols[i].TextSize(lo, hi)
	}
	return n
}
