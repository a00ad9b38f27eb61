package objstore

import (
	"context"
	"errors"
	"iter"
	"strings"
	"unicode/utf8"

	"github.com/sluice-data/sluice/internal/fail"
)

// HasGlob reports whether key holds a glob character: one of * ? and a [ that a ] closes.
func HasGlob(key string) bool { return len(literalPrefix(key)) < len(key) }

// literalPrefix is key up to its first glob character.
func literalPrefix(key string) string {
	for i, c := range key {
		if c == '*' || c == '?' {
			return key[:i]
		}
		if c == '[' {
			if _, n := parseClass(key[i:]); n > 0 {
				return key[:i]
			}
		}
	}
	return key
}

// Glob yields the objects that ref names, in key order: the object itself; every object below it if ref ends in "/" (or
// has no key); else all that match its glob, in which * is any run and ? any one character but "/", [a-c] and [!a-c] are
// classes, and ** also crosses "/" ("a/**/b" matches "a/b" too). There is no escape character: [*] is a literal star.
// An object whose name is exactly ref wins over the glob.
//
// Only keys under the longest literal prefix are listed. Path elements that start with "_" or "." match only where ref
// spells that character out, so that _runs/ and _SUCCESS are never input. A name without a glob that does not exist is an
// error; a glob or a prefix that matches nothing yields nothing.
func Glob(ctx context.Context, store Store, ref Ref) iter.Seq2[Info, error] {
	return func(yield func(Info, error) bool) {
		folder := ref.Key == "" || strings.HasSuffix(ref.Key, "/")
		pattern := ref.Key
		if folder && !HasGlob(ref.Key) {
			yieldMatches(ctx, store, ref, compileGlob(escapeGlob(pattern)+"**"), yield)
			return
		}
		if folder {
			pattern += "**"
		} else {
			info, err := store.Stat(ctx, ref, Pin{})
			if err == nil || !HasGlob(ref.Key) {
				yield(info, err)
				return
			}
			// Without s3:ListBucket a missing key is a 403: the listing below says what is wrong then.
			if !errors.Is(err, ErrNotExist) && fail.KindOf(err) != fail.Permission && fail.KindOf(err) != fail.Usage {
				yield(Info{}, err)
				return
			}
		}
		prefix := Ref{ref.Bucket, literalPrefix(pattern)}
		yieldMatches(ctx, store, prefix, compileGlob(pattern), yield)
	}
}

// escapeGlob makes a key match only itself.
func escapeGlob(key string) string {
	return strings.NewReplacer("*", "[*]", "?", "[?]", "[", "[[]").Replace(key)
}

func yieldMatches(ctx context.Context, store Store, prefix Ref, g glob, yield func(Info, error) bool) {
	for info, err := range store.List(ctx, prefix) {
		if err != nil {
			yield(Info{}, err)
			return
		}
		if g.match(info.Key) && !yield(info, nil) {
			return
		}
	}
}

// glob is a compiled pattern; it is matched by stepping the set of reachable tokens, so no pattern takes more than
// len(pattern) × len(key) steps.
type glob []token

type token struct {
	kind    byte // 'l' literal, '?' one character, '[' class, '*' run, 'd' run across "/", '/' zero or more whole elements
	r       rune
	class   []rune // pairs low, high
	negated bool
	first   bool // stands where an element starts
}

func compileGlob(pattern string) glob {
	var g glob
	first := true
	for p := pattern; p != ""; {
		r, n := utf8.DecodeRuneInString(p)
		t := token{kind: 'l', r: r, first: first}
		first = false
		switch {
		case strings.HasPrefix(p, "**"):
			n = len(p) - len(strings.TrimLeft(p, "*"))
			t.kind = 'd'
			if t.first && strings.HasPrefix(p[n:], "/") {
				t.kind, first = '/', true
				n++
			}
		case r == '*':
			t.kind = '*'
		case r == '?':
			t.kind = '?'
		case r == '[':
			if class, m := parseClass(p); m > 0 {
				class.first = t.first
				t, n = class, m
			}
		case r == '/':
			first = true
		}
		g = append(g, t)
		p = p[n:]
	}
	return g
}

// parseClass reads the class that p starts with and says how long it is; 0 means that the [ is a literal.
func parseClass(p string) (token, int) {
	t := token{kind: '['}
	i := 1
	if i < len(p) && (p[i] == '!' || p[i] == '^') {
		t.negated = true
		i++
	}
	for begin := i; i < len(p); {
		if p[i] == ']' && i > begin { // a ] that comes first is a member
			return t, i + 1
		}
		low, n := utf8.DecodeRuneInString(p[i:])
		i += n
		high := low
		if i+1 < len(p) && p[i] == '-' && p[i+1] != ']' {
			high, n = utf8.DecodeRuneInString(p[i+1:])
			i += 1 + n
		}
		t.class = append(t.class, low, high)
	}
	return token{}, 0
}

func (t token) inClass(r rune) bool {
	for i := 0; i < len(t.class); i += 2 {
		if t.class[i] <= r && r <= t.class[i+1] {
			return !t.negated
		}
	}
	return t.negated
}

func (g glob) match(key string) bool {
	now, next := make([]bool, len(g)+1), make([]bool, len(g)+1)
	g.reach(now, 0)
	first := true // at the start of a path element
	for _, r := range key {
		hidden := first && (r == '_' || r == '.')
		clear(next)
		for i, t := range g {
			if !now[i] {
				continue
			}
			switch t.kind {
			case 'l':
				// *.csv does not match .csv: the dot has to stand first in the pattern as well.
				if t.r == r && (!hidden || t.first) {
					g.reach(next, i+1)
				}
			case '?', '[':
				if r != '/' && !hidden && (t.kind == '?' || t.inClass(r)) {
					g.reach(next, i+1)
				}
			case '*':
				if r != '/' && !hidden {
					g.reach(next, i)
				}
			case 'd', '/':
				if hidden {
					continue
				}
				next[i] = true
				// A ** that stands for whole elements ends only behind a slash.
				if t.kind == 'd' || r == '/' {
					g.reach(next, i+1)
				}
			}
		}
		now, next = next, now
		first = r == '/'
	}
	return now[len(g)]
}

// reach marks token i, and what follows those that may stand for nothing. A whole-element ** that is under way was
// marked by match itself and not passed over.
func (g glob) reach(set []bool, i int) {
	for set[i] = true; i < len(g) && (g[i].kind == '*' || g[i].kind == 'd' || g[i].kind == '/'); set[i] = true {
		i++
	}
}
