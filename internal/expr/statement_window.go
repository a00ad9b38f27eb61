package expr

import "strings"

// window is one of a WINDOW clause.
type window struct{ name, text string }

// namedWindow parses name AS (…), which may begin with the name of one before it.
func (p *parser) namedWindow(before []window) (window, *Error) {
	t := p.take()
	if !isName(t) {
		return window{}, errAt(t.span, "expected a name after WINDOW, not %s", t.describe())
	}
	w := window{name: folded(t)}
	if err := p.wantWord("as", "after the name of the window"); err != nil {
		return w, err
	}
	if err := p.wantOp("(", "before the window"); err != nil {
		return w, err
	}
	from := p.at
	for depth := 1; ; p.at++ {
		switch t := p.peek(); {
		case t.kind == tokEOF:
			return w, errAt(t.span, "the window is not closed")
		case p.isOp("("):
			depth++
		case p.isOp(")"):
			depth--
		}
		if depth == 0 {
			break
		}
	}
	if p.at > from {
		w.text = p.src[p.toks[from].pos:p.toks[p.at-1].end]
		for _, o := range before {
			if strings.EqualFold(o.name, p.toks[from].text) {
				w.text = o.text + " " + p.src[p.toks[from].end:p.toks[p.at-1].end]
			}
		}
	}
	p.at++
	return w, nil
}

// nameWindows puts the windows of the statement's WINDOW clause in the places of their names.
func (s *Select) nameWindows() *Error {
	if len(s.windows) == 0 {
		return nil
	}
	var all []*Fragment
	for i := range s.Items {
		if !s.Items[i].Star {
			all = append(all, &s.Items[i].Expr)
		}
	}
	if s.Qualify != nil {
		all = append(all, s.Qualify)
	}
	for i := range s.Order {
		all = append(all, &s.Order[i].Expr)
	}
	for _, f := range all {
		named, err := f.named(s.windows)
		if err != nil {
			return &Error{Pos: f.Place(0), Len: len(f.text), Msg: err.Error()}
		}
		*f = named
	}
	s.windows = nil
	return nil
}
