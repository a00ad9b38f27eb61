package csv

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"unicode/utf8"

	"github.com/apache/arrow/go/v17/arrow"

	"github.com/sluice-data/sluice/internal/schema"
	"github.com/sluice-data/sluice/internal/textval"
)

// readStrings copies the cells' text, quotes taken off.
func readStrings(c *column, r *run) {
	offs := values[int32](c.offs, r.at+1, r.n)
	valid := c.valid[r.at:][:len(offs)]
	lo, hi, step, add := r.cells()
	b, fields, quote := r.b, r.fields, r.d.quote
	empty, nulls := c.nulls.empty, len(c.nulls.other) > 0
	first := c.used
	used := first
	d := c.vals.Bytes()
	var j, k int
	for i := range offs {
		s, e := int(lo[j]+add), int(hi[k])
		j, k = j+step, k+fields
		valid[i] = 1
		switch {
		case s == e:
			if empty {
				valid[i] = 0
				c.none++
			}
		case b[s] == quote && quote != 0:
			raw := b[s+1 : e-1]
			if used+len(raw) > len(d) {
				d = c.room(used + len(raw))
			}
			if q := bytes.IndexByte(raw, quote); q >= 0 {
				used = len(r.d.appendUnquoted(d[:used], raw, q))
			} else {
				used += copy(d[used:], raw)
			}
		case nulls && c.nulls.has(b[s:e]):
			valid[i] = 0
			c.none++
		default:
			n := e - s
			if used+n+16 > len(d) {
				d = c.room(used + n + 16)
			}
			if n <= 16 && s+16 <= len(b) {
				*(*[16]byte)(d[used:]) = [16]byte(b[s:]) // what is too much is written over
			} else {
				copy(d[used:], b[s:e])
			}
			used += n
		}
		offs[i] = int32(used)
	}
	c.used = used
	c.check(r, first, valid)
}

// room makes the strings' buffer hold n bytes and more.
func (c *column) room(n int) []byte {
	c.vals.Resize(max(n, 2*c.vals.Len()))
	return c.vals.Bytes()
}

// check refuses the run's texts that are not what the type wants: UTF-8, or JSON.
func (c *column) check(r *run, first int, valid []byte) {
	isText := c.plan.field.Type.ID() == arrow.STRING
	offs := values[int32](c.offs, r.at, r.n+1)
	if !isText || !c.plan.json && validTexts(c.vals.Bytes()[:c.used], first, offs) {
		return
	}
	for i := range valid {
		v := c.vals.Bytes()[offs[i]:offs[i+1]]
		switch {
		case valid[i] == 0 || len(v) == 0 && !c.plan.json:
		case !utf8.Valid(v):
			why := fmt.Sprintf("not valid UTF-8 at byte %d of the value", invalidAt(v))
			r.bad = append(r.bad, badCell{row: i, column: c.plan.name, value: string(v), reason: why}) // no other type would hold it
		case c.plan.json && !json.Valid(v):
			r.refuse(c, i, v, "not valid JSON")
		}
	}
}

// validTexts reports whether each text of b between two of offs is UTF-8; first is the first of them. All of them in a row are UTF-8 and
// each starts with the first byte of a character: that is the same, and faster.
func validTexts(b []byte, first int, offs []int32) bool {
	plain := true
	for i := first; i < len(b); {
		if i+8 <= len(b) && binary.LittleEndian.Uint64(b[i:])&highs == 0 {
			i += 8
			continue
		}
		for stop := min(i+8, len(b)); i < stop; {
			if b[i] < utf8.RuneSelf {
				i++
				continue
			}
			plain = false
			c, n := utf8.DecodeRune(b[i:])
			if c == utf8.RuneError && n == 1 {
				return false
			}
			i += n
		}
	}
	if plain {
		return true
	}
	for _, o := range offs {
		if int(o) < len(b) && !utf8.RuneStart(b[o]) {
			return false
		}
	}
	return true
}

// invalidAt is the place of the first byte of b that is not UTF-8.
func invalidAt(b []byte) int {
	for i := 0; i < len(b); {
		c, n := utf8.DecodeRune(b[i:])
		if c == utf8.RuneError && n == 1 {
			return i
		}
		i += n
	}
	return len(b)
}

func typeName(p *plan) string { return schema.TypeName(p.field) }

// reason says why text is no value of p's declared type.
func reason(p *plan, text []byte) string {
	typ := typeName(p)
	article := "a"
	if typ[0] == 'i' {
		article = "an"
	}
	text = bytes.Trim(text, " \t")
	switch p.field.Type.ID() {
	case arrow.DECIMAL128:
		if textval.IsNumber(text) {
			return "does not fit " + typ + " without rounding"
		}
	case arrow.DATE32:
		if _, ok := p.layout.Micros(text); ok {
			return "has a time of day, which a date would lose"
		}
	case arrow.TIMESTAMP:
		if typ == "timestamptz" {
			if _, ok := p.layout.Micros(text); ok {
				return "a local time that its zone skips or has twice"
			}
		} else if p.layout.HasOffset(text) {
			return "has an offset from UTC, which a " + typ + " would lose: declare timestamptz"
		}
	case arrow.BOOL, arrow.TIME64:
	default:
		if textval.IsNumber(text) && !bytes.ContainsAny(text, ".eE") || textval.IsNumber(text) && (typ == "float64" || typ == "float32") {
			return "does not fit " + typ
		}
	}
	if p.format != "" {
		return fmt.Sprintf("not %s %s of format %q", article, typ, p.format)
	}
	return "not " + article + " " + typ
}
