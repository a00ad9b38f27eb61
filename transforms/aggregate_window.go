package transforms

import (
	"math"
	"strconv"
	"strings"

	"github.com/apache/arrow/go/v17/arrow"

	"github.com/sluice-data/sluice/internal/expr"
	"github.com/sluice-data/sluice/internal/spec"
	"github.com/sluice-data/sluice/transforms/internal/group"
)

// Names of the columns that a window gives.
const (
	windowStart = "window_start"
	windowEnd   = "window_end"
)

// windowOrigin is 2000-01-03 00:00, a Monday, in microseconds: windows of weeks begin on Mondays, those of a day and less at midnight.
const windowOrigin = 946857600 * 1_000_000

// timeWindow says to which windows a row belongs. Times are in microseconds.
type timeWindow struct {
	on          int // of aggregate.progs
	size, every int64
	gap         int64 // of sessions; else 0
}

// window takes {tumbling: 5m | hopping: {size: 1h, every: 15m} | session: 30m, on: time}.
func (b *aggregateBinder) window(n *spec.Node) error {
	entries, err := n.Map("tumbling", "hopping", "session", "on")
	if err != nil {
		return err
	}
	on := n.Get("on")
	if on == nil || len(entries) != 2 {
		return n.Errorf("window wants one of tumbling, hopping and session, and on: {tumbling: 5m, on: column}")
	}
	w := &timeWindow{}
	say := ""
	if at := n.Get("tumbling"); at != nil {
		if w.size, err = lengthOf(at); err != nil {
			return err
		}
		w.every, say = w.size, "tumbling"
	}
	if at := n.Get("hopping"); at != nil {
		say = "hopping"
		if _, err := at.Map("size", "every"); err != nil {
			return err
		}
		size, every := at.Get("size"), at.Get("every")
		if size == nil || every == nil {
			return at.Errorf("hopping wants {size: 1h, every: 15m}")
		}
		if w.size, err = lengthOf(size); err != nil {
			return err
		}
		if w.every, err = lengthOf(every); err != nil {
			return err
		}
		if w.size%w.every != 0 || w.size/w.every > 1000 {
			return size.Errorf("the size of hopping windows must be 1 to 1000 times what they hop by")
		}
	}
	if at := n.Get("session"); at != nil {
		say = "session"
		if at.IsMap() {
			if _, err := at.Map("gap"); err != nil {
				return err
			}
			if at = at.Get("gap"); at == nil {
				return n.Get("session").Errorf("session wants {gap: 30m}")
			}
		}
		if w.gap, err = lengthOf(at); err != nil {
			return err
		}
	}
	p, err := b.timeOf(on)
	if err != nil {
		return err
	}
	w.on = b.program(p)
	for _, name := range []string{windowStart, windowEnd} {
		if err := b.name(n, name); err != nil {
			return err
		}
	}
	b.a.window = w
	b.keyed = append(b.keyed, say+" windows on "+p.Source())
	f := p.Field()
	if w.gap == 0 {
		b.cfg.Keys = append(b.cfg.Keys, arrow.Field{Name: windowStart, Type: f.Type})
	}
	return nil
}

// timeOf compiles the time of a row: a timestamp, or a date, which is its midnight.
func (b *aggregateBinder) timeOf(on *spec.Node) (*expr.Program, error) {
	p, err := compile(b.env, on, b.in)
	if err != nil {
		return nil, err
	}
	switch t := p.Field().Type.(type) {
	case *arrow.TimestampType:
		if t.Unit == arrow.Microsecond {
			return p, nil
		}
	case *arrow.Date32Type:
		return expr.Compile("CAST("+p.Source()+" AS timestamp)", b.in, b.env.Expr)
	}
	return nil, on.Errorf("window on wants a timestamp or date, %s is of type %s: cast it", p.Source(), typeNameOf(p.Field()))
}

const day = 86400e6 // microseconds

var spanUnits = map[string]int64{"us": 1, "ms": 1000, "s": 1e6, "m": 60e6, "h": 3600e6, "d": day, "w": 7 * day}

// lengthOf reads 5m, 1h30m or 2d, in microseconds.
func lengthOf(n *spec.Node) (int64, error) {
	s, err := n.Str()
	if err != nil {
		return 0, err
	}
	bad := n.Errorf("want a length of time such as 90s, 5m, 1h30m, 1d or 2w, found %q", s)
	total := int64(0)
	for rest := s; rest != ""; {
		digits := len(rest) - len(strings.TrimLeft(rest, "0123456789"))
		v, err := strconv.ParseInt(rest[:digits], 10, 64)
		if err != nil {
			return 0, bad
		}
		rest = rest[digits:]
		letters := len(rest) - len(strings.TrimLeft(rest, "usmhdw"))
		unit, ok := spanUnits[rest[:letters]]
		if !ok || v > math.MaxInt64/4/unit || total > math.MaxInt64/4 {
			return 0, bad
		}
		total += v * unit
		rest = rest[letters:]
	}
	if total <= 0 {
		return 0, bad
	}
	return total, nil
}

// start is the start of the last window that holds t.
func (w *timeWindow) start(t int64) int64 {
	at := (t - windowOrigin) % w.every
	if at < 0 {
		at += w.every
	}
	return t - at
}

// farthest is the time, in either direction, up to which windows are computed: 146,000 years.
const farthest = math.MaxInt64 / 2

// fold makes the group.Fold, or that of sessions.
func (b *aggregateBinder) fold(n *spec.Node) (err error) {
	a := b.a
	if w := a.window; w != nil && w.gap == 0 {
		a.copies = int(w.size / w.every)
	}
	if len(a.sets) > 0 {
		b.cfg.Keys = append(b.cfg.Keys, arrow.Field{Name: setColumn, Type: group.SetType(len(a.sets))})
		b.cfg.Sets = a.sets
		a.copies *= len(a.sets)
	}
	for _, k := range b.cfg.Keys {
		a.types = append(a.types, k.Type)
	}
	if a.window != nil && a.window.gap > 0 {
		b.sessions()
	} else {
		for _, c := range b.calls {
			b.cfg.Measures = append(b.cfg.Measures, c.Measure)
		}
	}
	if a.fold, err = group.New(b.cfg); err != nil {
		return n.Errorf("aggregate by: %w", err)
	}
	a.together = expr.Together(a.progs...)
	a.out = a.fold.Schema()
	if a.window != nil && a.window.gap > 0 {
		a.out = b.flat()
	}
	return nil
}
