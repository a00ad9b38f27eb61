package expr

import "strings"

// typeName takes the tokens of a type and returns them as text for schema.ParseField.
func (p *parser) typeName() (string, span, *Error) {
	t := p.take()
	if t.kind != tokIdent {
		return "", span{}, errAt(t.span, "expected a type, not %s", t.describe())
	}
	words := []string{t.low}
	follow := func(ws ...string) {
		for i, w := range ws {
			if p.peekAt(i).low != w {
				return
			}
		}
		p.at += len(ws)
		words = append(words, ws...)
	}
	switch t.low {
	case "double":
		follow("precision")
	case "character":
		follow("varying")
	case "timestamp", "time":
		follow("with", "time", "zone")
		follow("without", "time", "zone")
	}
	text := strings.Join(words, " ")
	if (t.low == "list" || t.low == "struct") && p.isOp("<") {
		from := p.peek().pos
		for depth := 0; ; {
			u := p.take()
			if u.kind == tokEOF {
				return "", span{}, errAt(span{t.pos, u.end}, "type is not closed")
			}
			switch u.text {
			case "<":
				depth++
			case ">":
				depth--
			case ">>":
				depth -= 2
			}
			if depth <= 0 {
				break
			}
		}
		text += p.src[from:p.last().end]
	}
	if p.isOp("(") {
		from := p.take()
		for p.peek().kind == tokNumber || p.isOp(",") {
			p.take()
		}
		if err := p.wantOp(")", "to close the type"); err != nil {
			return "", span{}, err
		}
		text += strings.ReplaceAll(p.src[from.pos:p.last().end], " ", "")
	}
	for p.isOp("[") {
		p.take()
		if err := p.wantOp("]", "after [ in a type"); err != nil {
			return "", span{}, err
		}
		text += "[]"
	}
	return text, span{t.pos, p.last().end}, nil
}
