package expr

import (
	"math"
	"strconv"
)

// Frame is which rows of its partition a window function sees from a row.
type Frame struct {
	Pos    int  // in the source
	Rows   bool // ROWS: bounds count rows; else RANGE: a bound at the current row is at its peers
	Lo, Hi Bound
}

// Bound is an end of a frame: By rows before (less than 0) or behind the current one, or the partition's end on that side.
type Bound struct {
	Unbounded bool
	By        int64
}

// ParseWindow parses src as one function call with the frame behind it, or none (nil), without binding it. The error is an *Error.
func ParseWindow(src string) (*Call, *Frame, error) {
	p, err := newParser(src)
	if err != nil {
		return nil, nil, err
	}
	c, err := p.soleCall(src)
	if err != nil {
		return nil, nil, err
	}
	f, err := p.frame()
	if err != nil {
		return nil, nil, err
	}
	if t := p.peek(); t.kind != tokEOF {
		return nil, nil, errAt(t.span, "unexpected %s: behind a window function there may be ROWS or RANGE BETWEEN … AND …", t.describe())
	}
	return c, f, nil
}

func (p *parser) frame() (*Frame, *Error) {
	at := p.peek()
	f := &Frame{Pos: at.pos, Rows: p.takeWord("rows")}
	if !f.Rows && !p.takeWord("range") {
		return nil, nil
	}
	var err *Error
	if !p.takeWord("between") {
		f.Lo, err = p.bound(f.Rows, true)
		return f, err
	}
	if f.Lo, err = p.bound(f.Rows, true); err != nil {
		return nil, err
	}
	if err := p.wantWord("and", "between the frame's ends"); err != nil {
		return nil, err
	}
	f.Hi, err = p.bound(f.Rows, false)
	return f, err
}

func (p *parser) bound(rows, low bool) (b Bound, err *Error) {
	t := p.peek()
	switch {
	case p.takeWord("current"):
		return b, p.wantWord("row", "after CURRENT")
	case p.takeWord("unbounded"):
		b.Unbounded = true
	case t.kind == tokNumber:
		p.take()
		n, bad := strconv.ParseInt(t.text, 10, 64)
		if bad != nil || n > math.MaxInt32 {
			return b, errAt(t.span, "a frame's end is a whole number of rows, not %s", t.text)
		}
		if !rows {
			return b, errAt(t.span, "RANGE with a distance is not supported: use ROWS, or RANGE with UNBOUNDED and CURRENT ROW")
		}
		b.By = n
	default:
		return b, errAt(t.span, "expected UNBOUNDED, CURRENT ROW or a number of rows as the frame's end, not %s", t.describe())
	}
	side := p.peek()
	if p.takeWord("preceding") {
		b.By = -b.By
		if b.Unbounded && !low {
			return b, errAt(side.span, "a frame cannot end at UNBOUNDED PRECEDING")
		}
		return b, nil
	}
	if err := p.wantWord("following", "or PRECEDING"); err != nil {
		return b, err
	}
	if b.Unbounded && low {
		return b, errAt(side.span, "a frame cannot begin at UNBOUNDED FOLLOWING")
	}
	return b, nil
}
