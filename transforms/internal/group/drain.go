package group

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/transforms/agg"
	"github.com/sluice-data/sluice/transforms/internal/keys"
)

const (
	// batchMost and batchLeast bound the groups of a result batch: small partitions are put together, large ones cut.
	batchMost  = 1 << 16
	batchLeast = 1 << 13
	// bytesLeast is the bytes from which fewer groups are a batch: those of a few may be lists of a million values.
	bytesLeast = 2 << 20
	// subFanout is the ways a partition splits that does not fit the budget, at most maxLevel times over.
	subFanout = 16
	maxLevel  = 6
)

// Drain merges lanes partition by partition.
type Drain struct {
	f       *Fold
	mem     memory.Allocator
	lanes   []*Lane
	enc     *keys.Encoder
	todo    []source // the next one last
	disk    *spillFile
	spare   *part // reset, for the next partition
	buf     []uint64
	reader  *bufio.Reader   // of groups on disk
	in      folder          // of chunks read from disk
	wait    [][]arrow.Array // results too few for a batch yet
	nwait   int
	waiting uint64 // bytes of wait
	ready   []arrow.Record
	rows    int64 // folded, as the lanes account for them
	out     int64 // the same, as the results given out account for them
	err     error
}

// source is a partition still to be merged: the lanes' parts in memory and runs on disk.
type source struct {
	lane  int // index of the lanes' parts, -1 if only runs are left
	runs  []run
	level int
}

// Drain takes the lanes over, in their order, and closes them, also on error.
func (f *Fold) Drain(ctx context.Context, mem memory.Allocator, lanes []*Lane) (*Drain, error) {
	d := &Drain{f: f, mem: mem, lanes: lanes, enc: f.keys.NewEncoder(), reader: bufio.NewReaderSize(nil, 64<<10)}
	if err := d.begin(ctx); err != nil {
		d.Close()
		return nil, err
	}
	return d, nil
}

func (d *Drain) begin(ctx context.Context) error {
	partitioned := false
	for _, l := range d.lanes {
		d.rows += l.Rows()
		l.peers = d.lanes
	}
	if err := d.gather(); err != nil {
		return err
	}
	for _, l := range d.lanes {
		if err := l.finish(ctx); err != nil {
			return err
		}
		partitioned = partitioned || l.parts != nil
	}
	if len(d.f.cfg.Keys) == 0 {
		return d.beginGlobal()
	}
	if !partitioned {
		d.todo = []source{{}}
		return nil
	}
	for _, l := range d.lanes {
		if l.parts == nil {
			if l.single.tab.Len() == 0 {
				continue
			}
			if err := l.partition(); err != nil {
				return err
			}
			l.scatter.close()
		}
		if d.f.limit < roomy || d.f.used.Load() > d.f.limit/2 {
			l.stash.pool.Drain()
		}
	}
	for i := fanout - 1; i >= 0; i-- {
		s := source{lane: i}
		for _, l := range d.lanes {
			if l.disk != nil {
				s.runs = append(s.runs, l.disk.runs[i]...)
			}
		}
		d.todo = append(d.todo, s)
	}
	return d.shed()
}

// shedBelow is the budget below which a drain begins with half of it: what encodes and writes the result wants memory now, and fixed
// amounts of it.
const shedBelow = 64 << 20

// spareMost is the memory of a partition that is kept for the next one though it is more than an eighth of the budget.
const spareMost = 8 << 20

// roomy is the budget from which on a drain does not give memory back piece by piece while less than half is used: that takes longer
// than the rest of the drain.
const roomy = 512 << 20

// shed spills the partitions that come last until half of a small budget is free.
func (d *Drain) shed() error {
	if d.f.limit >= shedBelow || d.f.room(d.f.limit/2) {
		return nil
	}
	_ = d.fits(d.f.limit / 2) // what is left is as little as can be
	return d.err
}

// beginGlobal makes sure of one group, which SQL gives for no rows too.
func (d *Drain) beginGlobal() error {
	if len(d.lanes) == 0 {
		d.lanes = []*Lane{d.f.NewLane(d.mem)}
	}
	d.todo = []source{{}}
	for _, l := range d.lanes {
		if l.disk != nil {
			d.todo[0].runs = append(d.todo[0].runs, l.disk.runs[0]...)
		}
	}
	l := d.lanes[0]
	if l.single.tab.Len() > 0 {
		return nil
	}
	l.open()
	args := d.f.emptyArgs()
	defer release(args)
	return d.f.accumulate(l.single, nil, args)
}

// Next returns an owned record, or io.EOF.
func (d *Drain) Next(ctx context.Context) (arrow.Record, error) {
	for d.err == nil && len(d.ready) == 0 {
		if d.err = ctx.Err(); d.err != nil {
			break
		}
		if len(d.todo) == 0 {
			if d.nwait == 0 {
				d.err = d.finish()
				break
			}
			d.err = d.emit()
			continue
		}
		s := d.todo[len(d.todo)-1]
		d.todo = d.todo[:len(d.todo)-1]
		d.err = d.merge(s)
	}
	if d.err != nil {
		return nil, d.err
	}
	r := d.ready[0]
	d.ready = d.ready[1:]
	return r, nil
}

// Rows is the sum of the counts of the groups given out so far: after io.EOF, of all.
func (d *Drain) Rows() int64 { return d.out }

// finish checks that every folded row is in a group that was given out.
func (d *Drain) finish() error {
	if d.out != d.rows {
		return fail.Newf(fail.Internal, "aggregate: %d rows were folded, the groups count %d", d.rows, d.out)
	}
	return io.EOF
}

// own takes part i of lane l out of it; nil where it never had a group and was asked before.
func (l *Lane) own(i int) *part {
	var p *part
	if l.parts == nil {
		p, l.single = l.single, nil
	} else {
		p, l.parts[i] = l.parts[i], nil
	}
	return p
}

// keptAtLeast reports whether n rows or more of partition i are kept as they are.
func (l *Lane) keptAtLeast(i, n int) bool { return l.stash != nil && l.stash.count[i] >= n }

func (d *Drain) merge(s source) (err error) {
	var p *part
	defer func() { d.recycle(p) }()
	if s.lane >= 0 {
		for _, l := range d.lanes {
			next := l.own(s.lane)
			switch {
			case next == nil:
			case p == nil && next.tab.Len() > 0 && l.keptAtLeast(s.lane, 4*next.tab.Len()):
				p = d.fresh() // it has the room already that the kept rows need
				if err = d.mergePart(p, next); err != nil {
					return err
				}
			case p == nil && next.tab.Len() > 0:
				p = next
			case next.tab.Len() > 0:
				if err = d.mergePart(p, next); err != nil {
					return err
				}
			default:
				d.f.drop(next)
			}
			if l.stash != nil && l.stash.count[s.lane] > 0 {
				if p == nil {
					p = d.fresh()
				}
				if err = l.stash.fold(s.lane, p); err != nil {
					return err
				}
				d.f.account(p)
			}
		}
	}
	if p == nil {
		p = d.fresh()
	}
	for i, r := range s.runs {
		if need := r.need(); p.size+need > d.f.floor && !d.fits(need) {
			if d.f.alone(p, s.runs[i:]) {
				if err := d.outgrow(p, need); err != nil {
					return err
				}
				if err := d.foldRun(p, r); err != nil {
					return err
				}
				continue
			}
			if p.tab.Len() > 0 || d.err != nil {
				return d.divide(p, s.runs[i:], s.level)
			}
			d.f.drop(p) // an empty one has the size of partitions before
			if p = d.f.newPart(d.mem); need > d.f.floor && !d.f.room(need) {
				return d.divide(p, s.runs[i:], s.level)
			}
		}
		if err := d.foldRun(p, r); err != nil {
			return err
		}
	}
	if p.tab.Len() == 0 {
		return nil
	}
	return d.result(p)
}

// need is about what the groups of the run take in memory: more than on disk.
func (r run) need() int64 {
	if len(r.chunks) > 0 {
		return 3 * (r.to - r.from)
	}
	return 2 * (r.to - r.from)
}

// foldRun folds a run into p.
func (d *Drain) foldRun(p *part, r run) (err error) {
	defer d.f.account(p)
	if len(r.chunks) > 0 {
		d.buf, err = r.readRows(d.buf, func(c *chunk) error { return d.in.fold(d.f, c, p) })
		return err
	}
	return r.read(d.reader, d.mem, func(rec arrow.Record) error {
		rows, states, err := d.f.rowsOf(d.enc, rec)
		if err != nil {
			return err
		}
		return d.f.merge(p, rows, states)
	})
}

// fresh is an empty part.
func (d *Drain) fresh() *part {
	p := d.spare
	if d.spare = nil; p == nil {
		p = d.f.newPart(d.mem)
	}
	return p
}

// recycle takes a part that is done for: its memory is for the next partition, unless that is much more than partitions need. To grow another one
// of the same size would be garbage of twice that, which a small limit has no room for.
func (d *Drain) recycle(p *part) {
	if p == nil {
		return
	}
	if d.spare != nil || p.size > max(d.f.limit/8, min(d.f.limit/2, spareMost)) || p.tab.Sparse() {
		d.f.drop(p)
		return
	}
	p.tab.Reset()
	p.born = births{}
	for _, a := range p.accs {
		a.Reset()
	}
	d.f.account(p)
	d.spare = p
}

// mergePart folds next into p and drops it.
func (d *Drain) mergePart(p, next *part) error {
	defer d.f.drop(next)
	if next.tab.Len() == 0 {
		return nil
	}
	copied := next.size
	for i, a := range p.accs {
		if _, ok := a.(agg.Absorber); ok {
			copied -= next.accs[i].Size()
		}
	}
	if !d.fits(copied) && d.err != nil {
		return d.err
	}
	err := d.f.absorb(p, next)
	d.f.account(next) // first: it has less now
	d.f.account(p)
	return err
}

// fits makes room for n bytes by spilling partitions whose turn has not come; false if that is not enough.
func (d *Drain) fits(n int64) bool {
	if d.f.room(n) {
		return true
	}
	for i := range d.todo {
		s := &d.todo[i]
		for _, l := range d.lanes {
			if s.lane < 0 || l.parts == nil || l.parts[s.lane].tab.Len() == 0 && l.stash.count[s.lane] == 0 {
				continue
			}
			before := 0
			if l.disk != nil {
				before = len(l.disk.runs[s.lane])
			}
			if err := l.spillPart(s.lane); err != nil {
				d.err = err
				return false
			}
			s.runs = append(s.runs, l.disk.runs[s.lane][before:]...)
			if d.f.room(n) {
				return true
			}
		}
	}
	return false
}

// divide deals p and the runs still to come into smaller partitions on disk.
func (d *Drain) divide(p *part, runs []run, level int) error {
	if d.err != nil {
		return d.err
	}
	if level++; level > maxLevel || p.tab.Len() == 1 && len(runs) == 0 {
		return d.f.noRoom()
	}
	if d.disk == nil {
		var err error
		if d.disk, err = newSpillFile(d.f.cfg.TempDir); err != nil {
			return err
		}
	}
	d.disk.runs = map[int][]run{}
	write := func(i int, r *keys.Rows, states []arrow.Array) error {
		sub := d.f.keys.NewTable()
		sub.Intern(r, make([]uint32, r.N))
		cols, err := sub.Columns(d.mem, 0, sub.Len())
		if err != nil {
			return err
		}
		defer release(cols)
		return d.disk.write(d.f, i, r.Hashes(), append(cols[:len(cols):len(cols)], states...), r.N, d.mem)
	}
	if p.tab.Len() > 0 {
		if err := d.f.split(p, level, subFanout, d.mem, write); err != nil {
			return err
		}
	}
	for _, r := range runs {
		if err := d.dealRun(r, level, write); err != nil {
			return err
		}
	}
	for i := subFanout - 1; i >= 0; i-- {
		if rs := d.disk.runs[i]; len(rs) > 0 {
			d.todo = append(d.todo, source{lane: -1, runs: rs, level: level})
		}
	}
	return nil
}

// dealRun deals the groups of a run by a digit of their hashes; rows are folded as many at a time as the floor holds.
func (d *Drain) dealRun(r run, level int, to func(i int, r *keys.Rows, states []arrow.Array) error) (err error) {
	if len(r.chunks) == 0 {
		return r.read(d.reader, d.mem, func(rec arrow.Record) error {
			rows, states, err := d.f.rowsOf(d.enc, rec)
			if err != nil {
				return err
			}
			return deal(rows, states, level, subFanout, d.mem, to)
		})
	}
	p := d.f.newPart(d.mem)
	defer func() { d.f.drop(p) }()
	flush := func() error {
		full := p
		p = d.f.newPart(d.mem)
		defer d.f.drop(full)
		return d.f.split(full, level, subFanout, d.mem, to)
	}
	d.buf, err = r.readRows(d.buf, func(c *chunk) error {
		if err := d.in.fold(d.f, c, p); err != nil {
			return err
		}
		if d.f.account(p); p.size > d.f.floor {
			return flush()
		}
		return nil
	})
	if err != nil || p.tab.Len() == 0 {
		return err
	}
	return flush()
}

// result turns p into result columns, which wait until they make a batch.
func (d *Drain) result(p *part) error {
	n := p.tab.Len()
	d.out += p.rows()
	cols, err := p.tab.Columns(d.mem, 0, n)
	if err != nil {
		return err
	}
	results := make([]arrow.Array, 0, len(p.accs))
	defer func() { release(results) }()
	for i, a := range p.accs {
		r, err := a.Result(d.mem)
		if err != nil {
			err = d.groupError(i, cols, err)
			release(cols)
			return err
		}
		results = append(results, r)
	}
	for _, i := range d.f.of {
		results[i].Retain()
		cols = append(cols, results[i])
	}
	if cols, err = p.born.ordered(cols, n, d.mem); err != nil {
		return err
	}
	d.wait = append(d.wait, cols)
	for _, c := range cols {
		d.waiting += c.Data().SizeInBytes()
	}
	if d.nwait += n; d.nwait >= batchLeast || d.waiting >= bytesLeast {
		return d.emit()
	}
	return nil
}

// groupError names the group that has no value.
func (d *Drain) groupError(fn int, keyCols []arrow.Array, err error) error {
	var ge *agg.GroupError
	if !errors.As(err, &ge) {
		return fmt.Errorf("aggregate %s: %w", d.f.funcs[fn].text, err)
	}
	var at []string
	for i, k := range keyCols {
		v := "null"
		if k.IsValid(ge.Group) {
			v = fail.Shorten(k.ValueStr(ge.Group))
		}
		at = append(at, d.f.cfg.Keys[i].Name+" = "+v)
	}
	group := ""
	if len(at) > 0 {
		group = " of the group " + strings.Join(at, ", ")
	}
	return fail.Newf(fail.Data, "%s%s: %w", d.f.funcs[fn].text, group, ge)
}

// emit makes batches of the columns that wait.
func (d *Drain) emit() error {
	wait, n := d.wait, d.nwait
	d.wait, d.nwait, d.waiting = nil, 0, 0
	cols := wait[0]
	if len(wait) > 1 {
		var err error
		if cols, err = d.concat(wait); err != nil {
			return err
		}
	}
	rec := array.NewRecord(d.f.schema, cols, int64(n))
	release(cols)
	defer rec.Release()
	for lo := 0; lo < n; lo += batchMost {
		d.ready = append(d.ready, rec.NewSlice(int64(lo), int64(min(lo+batchMost, n))))
	}
	return nil
}

func (d *Drain) concat(wait [][]arrow.Array) (out []arrow.Array, err error) {
	defer func() {
		for _, w := range wait {
			release(w)
		}
		if err != nil {
			release(out)
		}
	}()
	for c := range wait[0] {
		col := make([]arrow.Array, len(wait))
		for i := range wait {
			col[i] = wait[i][c]
		}
		a, err := array.Concatenate(col, d.mem)
		if err != nil {
			return out, fmt.Errorf("aggregate: put result columns together: %w", err)
		}
		out = append(out, a)
	}
	return out, nil
}

// Close releases what was not given out, and the lanes.
func (d *Drain) Close() {
	for _, l := range d.lanes {
		l.Close()
	}
	for _, w := range d.wait {
		release(w)
	}
	for _, r := range d.ready {
		r.Release()
	}
	if d.disk != nil {
		d.disk.close()
	}
	d.f.drop(d.spare)
	d.spare, d.buf = nil, nil
	d.lanes, d.wait, d.ready, d.disk, d.todo, d.nwait = nil, nil, nil, nil, nil, 0
	if d.err == nil {
		d.err = io.EOF
	}
}
