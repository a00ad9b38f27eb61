package group

import (
	"context"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/sluice-data/sluice/transforms/internal/keys"
	"github.com/sluice-data/sluice/transforms/internal/take"
)

const (
	// window is the rows worked on at a time: hashes, numbers and values stay in the processor's cache.
	window = 4096
	// fanout is the partitions of a lane, chosen by the top 8 bits of the hash.
	fanout = 256
	// partitionAt is the groups from which partitions beat one table, whose random accesses miss the cache by then.
	partitionAt = 1 << 17
)

// Lane is one lane's share of a Fold. It is used by one goroutine at a time.
type Lane struct {
	f       *Fold
	mem     memory.Allocator
	enc     *keys.Encoder
	ids     []uint32
	single  *part
	parts   []*part // fanout of them once partitioned, else nil
	scatter *scatter
	stash   *stash
	disk    *spillFile
	chunk   int64         // of the input, whose rows are added
	late    bool          // single has the groups of the finest set, of which those of the others will be made
	blank   []arrow.Array // of each key's type: nulls, for the sets that it is not in
	peers   []*Lane       // whose partitions go to disk for room: itself, in a drain all
	err     error         // the first fault; the lane is no use then
}

// NewLane makes the state of one lane.
func (f *Fold) NewLane(mem memory.Allocator) *Lane {
	f.lanes.Add(1)
	l := &Lane{f: f, mem: mem, enc: f.keys.NewEncoder(), ids: make([]uint32, window), single: f.newPart(mem), late: f.fine >= 0}
	l.peers = []*Lane{l}
	return l
}

// Begin says that rows of another chunk of the input follow; numbers ascend.
func (l *Lane) Begin(chunk int64) { l.chunk = chunk }

// Add folds n rows given as key and argument columns, which it borrows.
func (l *Lane) Add(ctx context.Context, keyCols, args []arrow.Array, n int) error {
	if l.err != nil {
		return l.err
	}
	for lo := 0; lo < n; lo += window {
		if l.err = ctx.Err(); l.err != nil {
			return l.err
		}
		if l.err = l.add(ctx, keyCols, args, lo, min(lo+window, n)); l.err != nil {
			return l.err
		}
	}
	return nil
}

func (l *Lane) add(ctx context.Context, keyCols, args []arrow.Array, lo, hi int) error {
	k, a := cut(keyCols, lo, hi), cut(args, lo, hi)
	defer release(k)
	defer release(a)
	if l.f.cfg.Sets != nil {
		return l.addSets(ctx, k, a, hi-lo)
	}
	return l.addKeys(k, a, hi-lo)
}

// addKeys folds n rows, at most a window, by all of the keys.
func (l *Lane) addKeys(k, a []arrow.Array, n int) error {
	if len(k) == 0 {
		return l.addGlobal(a, n)
	}
	if p := l.single; p != nil {
		had := p.tab.Len()
		defer func() { p.born.note(had, p.tab.Len(), l.chunk) }()
	}
	if found, err := l.ahead(k, n); err != nil {
		return err
	} else if found {
		return l.fold(a, n)
	}
	rows, err := l.enc.Encode(k, n)
	if err != nil {
		return err
	}
	if l.parts != nil {
		return l.scatter.add(rows, a)
	}
	if !l.late && !l.f.room(l.single.size+int64(n)*l.f.rowBytes()) {
		if err := l.partition(); err != nil {
			return err
		}
		return l.scatter.add(rows, a)
	}
	l.single.tab.Intern(rows, l.ids[:n])
	return l.fold(a, n)
}

// ahead finds the groups of n rows by the codes of their texts, if they have any, and there is room for what that takes.
func (l *Lane) ahead(k []arrow.Array, n int) (bool, error) {
	if l.parts != nil || l.single.wornOut || !l.f.fronts.worth(k) || !l.f.room(l.single.size+int64(n)*l.f.rowBytes()) {
		return false, nil
	}
	p := l.single
	if p.front == nil {
		p.front = l.f.fronts.open()
	}
	if p.front.tab.Len() > l.f.frontMost {
		p.front, p.wornOut = nil, true
		return false, nil
	}
	return true, p.front.find(p, l.enc, k, n, l.ids[:n])
}

// fold folds n rows into the groups of the single table that ids are.
func (l *Lane) fold(a []arrow.Array, n int) error {
	if err := l.f.accumulate(l.single, l.ids[:n], a); err != nil {
		return err
	}
	l.f.account(l.single)
	if l.single.tab.Len() > l.f.partitionAt && !l.late {
		return l.partition()
	}
	return nil
}

// addStates folds groups given as their keys and states.
func (l *Lane) addStates(r *keys.Rows, states []arrow.Array) error {
	if l.parts == nil && (l.single.tab.Len() > l.f.partitionAt || !l.f.room(l.single.size+int64(r.N)*l.f.rowBytes())) {
		if err := l.partition(); err != nil {
			return err
		}
	}
	if l.parts == nil {
		if err := l.f.merge(l.single, r, states); err != nil {
			return err
		}
		l.f.account(l.single)
		return nil
	}
	return deal(r, states, 0, fanout, l.mem, func(i int, r *keys.Rows, states []arrow.Array) error {
		if err := l.makeRoom(l.parts[i].size + int64(r.N)*l.f.rowBytes()/4); err != nil {
			return err
		}
		if err := l.f.merge(l.parts[i], r, states); err != nil {
			return err
		}
		l.f.account(l.parts[i])
		return nil
	})
}

// addGlobal folds rows into the one group of an aggregation without keys.
func (l *Lane) addGlobal(args []arrow.Array, n int) error {
	if l.single.tab.Len() == 0 {
		l.open()
	}
	clear(l.ids[:n])
	if err := l.f.accumulate(l.single, l.ids[:n], args); err != nil {
		return err
	}
	l.f.account(l.single)
	if l.f.outgrows(l.single) {
		p := l.single
		l.single = l.f.newPart(l.mem)
		defer l.f.drop(p)
		return l.toDisk(0, p)
	}
	if !l.f.room(0) && l.single.size > l.f.limit/max(16, 2*l.f.lanes.Load()) {
		return l.f.noRoom()
	}
	return nil
}

// open makes the one group of an aggregation without keys.
func (l *Lane) open() {
	l.single.tab.Intern(oneGroup(), make([]uint32, 1))
}

// oneGroup is the key of an aggregation without keys.
func oneGroup() *keys.Rows {
	var r keys.Rows
	r.SetWords([]uint64{0}, nil)
	return &r
}

// Seed makes the groups of the keys given, n of them, without a row. It comes before Add; with several sets the keys have the set's number.
func (l *Lane) Seed(keyCols []arrow.Array, n int) error {
	l.late = false
	rows, err := l.enc.Encode(keyCols, n)
	if err != nil {
		return err
	}
	args := l.f.emptyArgs()
	defer release(args)
	l.single.tab.Intern(rows, make([]uint32, n))
	return l.f.accumulate(l.single, nil, args)
}

// rowBytes is about what a new group takes at most, in table and states.
func (f *Fold) rowBytes() int64 { return 64 + 32*int64(f.spill.NumFields()) }

// partition turns the single table into partitions.
func (l *Lane) partition() error {
	l.parts = make([]*part, fanout)
	for i := range l.parts {
		l.parts[i] = l.f.newPart(l.mem)
		l.f.account(l.parts[i])
	}
	l.scatter = newScatter(l)
	p := l.single
	l.stash = newStash(l.f, p)
	l.single = nil
	defer l.f.drop(p)
	return l.f.split(p, 0, fanout, l.mem, func(i int, r *keys.Rows, states []arrow.Array) error {
		if !l.f.room(-l.f.limit / 4) { // a quarter more for a moment: the table goes
			if err := l.makeRoom(0); err != nil {
				return err
			}
		}
		l.f.makeFor(l.parts[i], r.N+r.N/2)
		if err := l.f.merge(l.parts[i], r, states); err != nil {
			return err
		}
		l.f.account(l.parts[i])
		return nil
	})
}

// digit is the partition of a tuple at a level: 8 bits at level 0, the next 4 at each level below.
func digit(hash uint64, level int) int {
	if level == 0 {
		return int(hash >> 56)
	}
	return int(hash>>(56-4*level)) & (subFanout - 1)
}

// split deals the groups of p, which is done for then, by the digit of their hashes and calls to for each share that has any.
func (f *Fold) split(p *part, level, ways int, mem memory.Allocator, to func(i int, r *keys.Rows, states []arrow.Array) error) error {
	states, err := f.states(p)
	if err != nil {
		return err
	}
	defer release(states)
	var r keys.Rows
	p.tab.View(&r, 0, p.tab.Len())
	return deal(&r, states, level, ways, mem, to)
}

// deal hands out rows and their states by digit.
func deal(r *keys.Rows, states []arrow.Array, level, ways int, mem memory.Allocator, to func(i int, r *keys.Rows, states []arrow.Array) error) error {
	shares := make([][]int32, ways)
	for i, h := range r.Hashes() {
		d := digit(h, level)
		shares[d] = append(shares[d], int32(i))
	}
	var sub keys.Rows
	for d, idx := range shares {
		if len(idx) == 0 {
			continue
		}
		sub.Take(r, idx)
		piece := make([]arrow.Array, 0, len(states))
		for _, s := range states {
			a, err := take.Array(s, idx, mem)
			if err != nil {
				release(piece)
				return err
			}
			piece = append(piece, a)
		}
		err := to(d, &sub, piece)
		release(piece)
		if err != nil {
			return err
		}
	}
	return nil
}

// Rows is the sum of the counts of all groups, in memory and on disk, and of the rows that wait to be folded.
func (l *Lane) Rows() int64 {
	var n int64
	if l.single != nil {
		n += l.single.rows()
	}
	if l.late {
		n *= int64(len(l.f.cfg.Sets))
	}
	for _, p := range l.parts {
		n += p.rows()
	}
	if l.scatter != nil {
		for _, fill := range l.scatter.fill {
			n += int64(fill)
		}
		n += l.stash.rows
	}
	if l.disk != nil {
		n += l.disk.rows
	}
	return n
}

// finish puts all rows where Drain looks for them.
func (l *Lane) finish(ctx context.Context) error {
	if l.single != nil && l.single.front != nil {
		l.single.front = nil
		l.f.account(l.single)
	}
	if l.err == nil && l.late {
		if l.err = l.expand(ctx); l.err == nil && l.parts == nil && (l.single.tab.Len() > l.f.partitionAt || !l.f.room(0)) {
			l.err = l.partition()
		}
	}
	if l.err == nil && l.scatter != nil {
		l.err = l.scatter.flushAll(l.stash.on) // what is kept the drain folds, all lanes' rows of a partition at once
		l.scatter.close()
	}
	return l.err
}

// Close releases what the lane holds.
func (l *Lane) Close() {
	l.f.drop(l.single)
	for _, p := range l.parts {
		l.f.drop(p)
	}
	if l.scatter != nil {
		l.scatter.close()
		l.stash.close()
	}
	if l.disk != nil {
		l.disk.close()
	}
	for _, b := range l.blank {
		if b != nil {
			b.Release()
		}
	}
	l.blank = nil
	l.single, l.parts, l.scatter, l.stash, l.disk = nil, nil, nil, nil, nil
}

// emptyArgs are the argument columns of no rows.
func (f *Fold) emptyArgs() []arrow.Array {
	out := make([]arrow.Array, len(f.cfg.Args))
	for i, t := range f.cfg.Args {
		out[i] = array.MakeArrayOfNull(memory.DefaultAllocator, t, 0)
	}
	return out
}
