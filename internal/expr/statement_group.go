package expr

func (p *parser) groupBy(s *Select) *Error {
	if !p.takeWord("group") {
		return nil
	}
	if err := p.wantWord("by", "after GROUP"); err != nil {
		return err
	}
	if p.takeWord("all") {
		s.GroupAll = true
		return nil
	}
	for {
		g := Grouping{At: placeOf(p.peek().span)}
		var err *Error
		switch t := p.peek(); {
		case (t.low == "rollup" || t.low == "cube") && p.peekAt(1).text == "(":
			p.take()
			g.Kind = t.low
			g.Sets, err = p.groupingSets()
		case t.low == "grouping" && p.peekAt(1).low == "sets":
			p.at += 2
			g.Kind = "sets"
			g.Sets, err = p.groupingSets()
		default:
			var f Fragment
			f, _, err = p.fragment()
			g.Sets = [][]Fragment{{f}}
		}
		if err != nil {
			return err
		}
		g.At.End = p.last().end
		s.Group = append(s.Group, g)
		if !p.takeOp(",") {
			return nil
		}
	}
}

// groupingSets parses (a, (b, c), ()).
func (p *parser) groupingSets() ([][]Fragment, *Error) {
	if err := p.wantOp("(", "before the grouping sets"); err != nil {
		return nil, err
	}
	var out [][]Fragment
	for {
		var set []Fragment
		switch {
		case p.isOp("(") && p.peekAt(1).text == ")":
			p.at += 2
		case p.isOp("(") && p.setInParens():
			p.take()
			var err *Error
			if set, err = p.fragments("grouping set"); err != nil {
				return nil, err
			}
			if err := p.wantOp(")", "to close the grouping set"); err != nil {
				return nil, err
			}
		default:
			f, _, err := p.fragment()
			if err != nil {
				return nil, err
			}
			set = []Fragment{f}
		}
		out = append(out, set)
		if p.takeOp(",") {
			continue
		}
		return out, p.wantOp(")", "to close the grouping sets")
	}
}

// setInParens tells (a, b) from an expression that begins with a parenthesis: what follows the closing one ends the set.
func (p *parser) setInParens() bool {
	depth := 0
	for i := p.at; i < len(p.toks); i++ {
		switch t := p.toks[i]; {
		case t.kind == tokOp && t.text == "(":
			depth++
		case t.kind == tokOp && t.text == ")":
			if depth--; depth == 0 {
				next := p.toks[i+1]
				return next.kind == tokOp && (next.text == "," || next.text == ")")
			}
		}
	}
	return false
}

// subquery refuses a query within an expression.
func (p *parser) subquery() *Error {
	return errAt(p.peek().span, "a query cannot stand in an expression: name its table under lookups and JOIN it (SEMI JOIN for IN and EXISTS), or put it into FROM or WITH")
}
