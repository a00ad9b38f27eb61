package expr

import (
	"bytes"
	"unicode"
	"unicode/utf8"
)

// pattern is a LIKE pattern: pieces of literal text between %, or, if it has _, the general form.
type pattern struct {
	pieces           [][]byte // literal text between the %s
	anchored, closed bool     // no % before the first piece, after the last
	general          []patternRune
	fold             bool
}

type patternRune struct {
	r         rune
	any, many bool // _, %
}

// compilePattern reads p; escape is -1 for none. ok is false if p ends in the escape character.
func compilePattern(p []byte, escape rune, fold bool) (*pattern, bool) {
	out := &pattern{fold: fold}
	hasAny := false
	for i := 0; i < len(p); {
		r, size := utf8.DecodeRune(p[i:])
		if r == utf8.RuneError && size == 1 {
			r = -rune(p[i]) - 1 // an invalid byte matches itself
		}
		i += size
		switch {
		case r == escape:
			if i == len(p) {
				return nil, false
			}
			r, size = utf8.DecodeRune(p[i:])
			i += size
			out.general = append(out.general, patternRune{r: r})
		case r == '_':
			hasAny = true
			out.general = append(out.general, patternRune{any: true})
		case r == '%':
			out.general = append(out.general, patternRune{many: true})
		default:
			out.general = append(out.general, patternRune{r: r})
		}
	}
	if fold {
		for i := range out.general {
			out.general[i].r = foldRune(out.general[i].r)
		}
	}
	if hasAny || fold {
		return out, true
	}
	out.anchored, out.closed = true, true
	var piece []byte
	for i, g := range out.general {
		if g.many {
			if i == 0 {
				out.anchored = false
			} else {
				out.pieces = append(out.pieces, piece)
			}
			piece = nil
			if i == len(out.general)-1 {
				out.closed = false
			}
			continue
		}
		if g.r < 0 {
			piece = append(piece, byte(-g.r-1))
		} else {
			piece = utf8.AppendRune(piece, g.r)
		}
	}
	if out.closed {
		out.pieces = append(out.pieces, piece)
	}
	out.general = nil
	return out, true
}

func foldRune(r rune) rune {
	if r < 0 {
		return r
	}
	return unicode.ToLower(r)
}

func (p *pattern) match(s []byte) bool {
	if p.general != nil || p.fold {
		return matchRunes(p.general, s, p.fold)
	}
	last := len(p.pieces) - 1
	for i, piece := range p.pieces {
		switch {
		case i == 0 && p.anchored && i == last && p.closed:
			return string(s) == string(piece)
		case i == 0 && p.anchored:
			if !bytes.HasPrefix(s, piece) {
				return false
			}
			s = s[len(piece):]
		case i == last && p.closed:
			return bytes.HasSuffix(s, piece)
		default:
			at := bytes.Index(s, piece)
			if at < 0 {
				return false
			}
			s = s[at+len(piece):]
		}
	}
	return true
}

// matchRunes is the general match: on a mismatch it goes back to the last % and lets it take one rune more.
func matchRunes(p []patternRune, s []byte, fold bool) bool {
	at, pi := 0, 0
	star, starAt := -1, 0
	for at < len(s) {
		r, size := utf8.DecodeRune(s[at:])
		if r == utf8.RuneError && size == 1 {
			r = -rune(s[at]) - 1
		}
		if fold {
			r = foldRune(r)
		}
		switch {
		case pi < len(p) && p[pi].many:
			star, starAt = pi, at
			pi++
		case pi < len(p) && (p[pi].any || p[pi].r == r):
			pi++
			at += size
		case star >= 0:
			_, n := utf8.DecodeRune(s[starAt:])
			starAt += n
			at, pi = starAt, star+1
		default:
			return false
		}
	}
	for pi < len(p) && p[pi].many {
		pi++
	}
	return pi == len(p)
}

const badPattern = "LIKE pattern ends in the escape character"

// noEscape is ESCAPE ”: no rune, and no invalid byte either.
const noEscape = rune(-1000)

// likeKernel matches args[0] with the pattern args[1]; a constant pattern is compiled once for the batch.
func likeKernel(escape rune, fold, negated bool) kernel {
	return func(f *function, r *run, sel []byte, args []*vector) *vector {
		s, p := args[0], args[1]
		out := &vector{typ: simple(kBool), n: r.n, valid: r.strictValid(s, p), data: r.zeroBitmap()}
		valid, ms := out.valid, s.mask()
		var pat *pattern
		ok := true
		if p.konst {
			pat, ok = compilePattern(p.str(0), escape, fold)
		}
		for i := range r.n {
			if !active(sel, valid, i) {
				continue
			}
			if !p.konst {
				pat, ok = compilePattern(p.str(i), escape, fold)
			}
			if !ok {
				f.fail(r, out, i, string(p.str(i&p.mask())), badPattern)
			} else if pat.match(s.str(i&ms)) != negated {
				setBit(out.data, i)
			}
		}
		return out
	}
}
