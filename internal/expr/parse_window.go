package expr

import (
	"math"
	"strconv"
)

// Frame is which rows of its partition a window function sees from a row.
type Frame struct {
	Pos    int       // in the source
	Unit   FrameUnit // what bounds count
	Lo, Hi Bound
}

// FrameUnit is what the bounds of a frame count.
type FrameUnit int

const (
	Range  FrameUnit = iota // values of the order; a bound at the current row is at its peers
	Rows                    // rows
	Groups                  // sets of peers
)

// Bound is an end of a frame: By rows or sets of peers before (less than 0) or behind the current one, a distance of values, or the partition's end on that side.
type Bound struct {
	Unbounded bool
	By        int64
	Distance  *Arg // of a Range, else nil
	Following bool // the distance goes on, not back
}

// ParseWindow parses src as one function call with the FILTER and the frame behind it, or none (nil), without binding it. The error is an *Error.
func ParseWindow(src string) (*Call, *Frame, error) {
	p, err := newParser(src)
	if err != nil {
		return nil, nil, err
	}
	c, err := p.soleCall(src)
	if err != nil {
		return nil, nil, err
	}
	if c.Filter, err = p.filter(); err != nil {
		return nil, nil, err
	}
	f, err := p.frame()
	if err != nil {
		return nil, nil, err
	}
	if t := p.peek(); t.kind != tokEOF {
		return nil, nil, errAt(t.span, "unexpected %s: behind a window function there may be FILTER (WHERE …) and ROWS, RANGE or GROUPS BETWEEN … AND …", t.describe())
	}
	return c, f, nil
}

func (p *parser) frame() (*Frame, *Error) {
	at := p.peek()
	f := &Frame{Pos: at.pos}
	switch {
	case p.takeWord("rows"):
		f.Unit = Rows
	case p.takeWord("groups"):
		f.Unit = Groups
	case !p.takeWord("range"):
		return nil, nil
	}
	var err *Error
	if !p.takeWord("between") {
		f.Lo, err = p.bound(f.Unit, true)
		return f, err
	}
	if f.Lo, err = p.bound(f.Unit, true); err != nil {
		return nil, err
	}
	if err := p.wantWord("and", "between the frame's ends"); err != nil {
		return nil, err
	}
	f.Hi, err = p.bound(f.Unit, false)
	return f, err
}

func (p *parser) bound(unit FrameUnit, low bool) (b Bound, err *Error) {
	t := p.peek()
	switch {
	case p.takeWord("current"):
		return b, p.wantWord("row", "after CURRENT")
	case p.takeWord("unbounded"):
		b.Unbounded = true
	case unit != Range && t.kind == tokNumber:
		p.take()
		n, bad := strconv.ParseInt(t.text, 10, 64)
		if bad != nil || n > math.MaxInt32 {
			return b, errAt(t.span, "a frame's end is a whole number of rows, not %s", t.text)
		}
		b.By = n
	case unit == Range && !p.isWord("preceding") && !p.isWord("following"):
		if _, err := p.expr(bpAdd); err != nil {
			return b, err
		}
		b.Distance = &Arg{Source: p.src[t.pos:p.last().end], Pos: t.pos}
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
	b.Following = true
	if b.Unbounded && low {
		return b, errAt(side.span, "a frame cannot begin at UNBOUNDED FOLLOWING")
	}
	return b, nil
}
