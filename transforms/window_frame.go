package transforms

import (
	"fmt"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"

	"github.com/sluice-data/sluice/internal/expr"
	"github.com/sluice-data/sluice/internal/spec"
	"github.com/sluice-data/sluice/transforms/internal/orderkey"
	"github.com/sluice-data/sluice/transforms/win"
)

// frameDistance is a frame by values: the order's value and the ends that are at a distance of it are computed for each row, and kept with the keys.
type frameDistance struct {
	column      orderkey.Column
	key, lo, hi int // among the columns kept with the keys; -1 for an end that is none by value
}

// over is the call's frame, for rows of which kept are the columns kept with the keys.
func (c windowCall) over(kept []arrow.Array) win.Frame {
	f := c.frame
	if c.by == nil {
		return f
	}
	f.Distance = &win.Distance{Column: c.by.column, Key: kept[c.by.key]}
	if c.by.lo >= 0 {
		f.Distance.Lo = kept[c.by.lo]
	}
	if c.by.hi >= 0 {
		f.Distance.Hi = kept[c.by.hi]
	}
	return f
}

// distance binds the ends of a frame that are at a distance.
func (w *windowBinder) distance(n *spec.Node, frame *expr.Frame, c *windowCall) error {
	ends := []expr.Bound{frame.Lo, frame.Hi}
	if frame.Lo.Distance == nil && frame.Hi.Distance == nil {
		return nil
	}
	if len(w.order.progs) != 1 {
		return n.ErrorAt(frame.Pos, "RANGE with a distance needs one column in order_by, there are %d", len(w.order.progs))
	}
	order := w.order.progs[0]
	key := "(" + order.Source() + ")"
	if arrow.IsInteger(order.Field().Type.ID()) {
		key += "::decimal(20,0)" // an end may be out of the type's range
	}
	c.by = &frameDistance{key: -1, lo: -1, hi: -1}
	var values []string
	for _, b := range ends {
		if b.Distance == nil {
			values = append(values, "")
			continue
		}
		if err := w.constantDistance(b.Distance.Source); err != nil {
			return n.ErrorAt(b.Distance.Pos, "%w", err)
		}
		sign := "-"
		if b.Following != w.order.cols[0].Desc {
			sign = "+"
		}
		values = append(values, "("+key+" "+sign+" ("+b.Distance.Source+"))")
	}
	same := func(this string) string { // all of one type: that of key and ends together
		s := "CASE WHEN TRUE THEN " + this
		for _, o := range append([]string{key}, values...) {
			if o != "" && o != this {
				s += " WHEN FALSE THEN " + o
			}
		}
		return s + " END"
	}
	for i, to := range []*int{&c.by.key, &c.by.lo, &c.by.hi} {
		src := key
		if i > 0 {
			if src = values[i-1]; src == "" {
				continue
			}
		}
		p, err := expr.Compile(same(src), w.in, w.env.Expr)
		if err != nil {
			b := ends[max(i-1, 0)]
			if b.Distance == nil {
				b = ends[1]
			}
			return n.ErrorAt(b.Distance.Pos, "RANGE at a distance of %s from %s: %w", b.Distance.Source, order.Source(), err)
		}
		if *to = w.arg(p); i == 0 {
			c.by.column = w.order.cols[0]
			c.by.column.Type, c.by.column.Nullable = p.Field().Type, true
		}
	}
	return nil
}

// constantDistance refuses a distance that is none: it is a constant that is not negative.
func (w *windowBinder) constantDistance(src string) error {
	none := arrow.NewSchema(nil, nil)
	for _, zero := range []string{"0", "INTERVAL '0 days'"} {
		p, err := expr.Compile("("+src+") >= "+zero, none, w.env.Expr)
		if err != nil {
			continue
		}
		a, err := constantOf(p)
		if err != nil {
			return err
		}
		defer a.Release()
		if ok := a.(*array.Boolean); ok.IsNull(0) || !ok.Value(0) {
			return fmt.Errorf("the distance of a frame must not be negative or null: %s", src)
		}
		return nil
	}
	return fmt.Errorf("the distance of a frame is a number or an interval, the same for all rows: %s", src)
}
