package expr

import (
	"bytes"
	"math"
	"strconv"
	"unicode/utf8"
)

// The functions of this file cut pieces out of their argument: the result points into its bytes, nothing is copied.
func init() {
	strict(Function{Name: "substring", Aliases: []string{"substr"}, Signature: "substring(string, from int [, length int]) → string",
		Doc:     "The characters from a position (counted from 1) on, at most length of them; positions before the string count, as in PostgreSQL. Also SUBSTRING(s FROM a FOR b).",
		Example: "substring('alphabet', 3, 2)", Result: "ph"}, true, stringType, substringKernel, 1, aString, anInt, anInt)
	strict(Function{Name: "left", Signature: "left(string, n int) → string", Doc: "The first n characters; for a negative n all but the last -n.", Example: "left('abcde', 2)", Result: "ab"},
		false, stringType, sideKernel(true), 0, aString, anInt)
	strict(Function{Name: "right", Signature: "right(string, n int) → string", Doc: "The last n characters; for a negative n all but the first -n.", Example: "right('abcde', 2)", Result: "de"},
		false, stringType, sideKernel(false), 0, aString, anInt)
	strict(Function{Name: "split_part", Signature: "split_part(string, delimiter string, n int) → string", Doc: "The n-th part between delimiters, counted from 1, or from the end for a negative n.",
		Example: "split_part('a,b,c', ',', 2)", Result: "b"}, true, stringType, splitKernel, 0, aString, aString, anInt)
	trims := []struct {
		name, where, result string
		left, right         bool
	}{{"btrim", "both ends", "b", true, true}, {"ltrim", "the left end", "bxx", true, false}, {"rtrim", "the right end", "xxb", false, true}}
	for _, t := range trims {
		d := Function{Name: t.name, Signature: t.name + "(string [, characters string]) → string",
			Doc: "Without any of the characters (default: space) at " + t.where + ".", Example: t.name + "('xxbxx', 'x')", Result: t.result}
		if t.name == "btrim" {
			d.Signature += ", trim([BOTH | LEADING | TRAILING] [characters] FROM string)"
		}
		strict(d, false, stringType, trimKernel(t.left, t.right), 1, aString, aString)
	}
}

// piece makes the vector of pieces of args[0].
func (r *run) piece(f *function, args []*vector) *vector {
	out := r.strings(f.t, args[0].data)
	out.valid = r.strictValid(args...)
	out.ascii = args[0].ascii
	return out
}

// substringKernel: the piece of s from character `from` up to, not including, from+length, as far as s has them.
func substringKernel(f *function, r *run, sel []byte, args []*vector) *vector {
	a, ma := args[0], args[0].mask()
	from, mf := values[int64](args[1]), args[1].mask()
	ascii := a.isASCII()
	out := r.piece(f, args)
	if len(args) == 2 {
		for i := range out.beg {
			out.beg[i], out.end[i] = clip(a, i&ma, from[i&mf]-1, math.MaxInt64, ascii)
		}
		return out
	}
	length, ml := values[int64](args[2]), args[2].mask()
	if mf == 0 && ml == 0 && ascii && from[0] >= 1 && length[0] >= 0 && from[0] <= math.MaxInt32 && length[0] <= math.MaxInt32 {
		lo, n := int(from[0]-1), int(length[0])
		end := out.end[:len(out.beg)]
		for i, b := range a.beg {
			e := a.end[i]
			s := min(int(b)+lo, int(e))
			out.beg[i], end[i] = int32(s), int32(min(s+n, int(e)))
		}
		return out
	}
	valid := out.valid
	for i := range out.beg {
		lo, n := from[i&mf], length[i&ml]
		if n < 0 {
			out.beg[i], out.end[i] = 0, 0
			if active(sel, valid, i) {
				f.fail(r, out, i, strconv.FormatInt(n, 10), "negative substring length")
			}
			continue
		}
		end := lo - 1 + n
		if lo > 0 && end < lo-1 { // wrapped
			end = math.MaxInt64
		}
		out.beg[i], out.end[i] = clip(a, i&ma, lo-1, end, ascii)
	}
	return out
}

// clip gives the bytes of characters [lo, hi) of string i.
func clip(a *vector, i int, lo, hi int64, ascii bool) (beg, end int32) {
	b, e := a.beg[i], a.end[i]
	lo = max(lo, 0)
	if hi <= lo {
		return b, b
	}
	if ascii {
		n := int64(e - b)
		return b + int32(min(lo, n)), b + int32(min(hi, n))
	}
	s := a.data[b:e]
	x := runeOffset(s, int(min(lo, math.MaxInt32)))
	y := x + runeOffset(s[x:], int(min(hi-lo, math.MaxInt32)))
	return b + int32(x), b + int32(y)
}

func sideKernel(left bool) kernel {
	return func(f *function, r *run, _ []byte, args []*vector) *vector {
		a, ma := args[0], args[0].mask()
		count, mc := values[int64](args[1]), args[1].mask()
		ascii := a.isASCII()
		out := r.piece(f, args)
		for i := range out.beg {
			n := count[i&mc]
			if left && n >= 0 {
				out.beg[i], out.end[i] = clip(a, i&ma, 0, n, ascii)
				continue
			}
			have := int64(a.end[i&ma] - a.beg[i&ma])
			if !ascii {
				have = int64(utf8.RuneCount(a.str(i & ma)))
			}
			switch {
			case left: // all but the last -n
				out.beg[i], out.end[i] = clip(a, i&ma, 0, have+max(n, -have), ascii)
			case n < 0: // all but the first -n
				out.beg[i], out.end[i] = clip(a, i&ma, -max(n, -have), math.MaxInt64, ascii)
			default:
				out.beg[i], out.end[i] = clip(a, i&ma, have-min(n, have), math.MaxInt64, ascii)
			}
		}
		return out
	}
}

func splitKernel(f *function, r *run, sel []byte, args []*vector) *vector {
	a, d := args[0], args[1]
	field, mn := values[int64](args[2]), args[2].mask()
	out := r.piece(f, args)
	valid := out.valid
	for i := range out.beg {
		from := a.beg[i&a.mask()]
		s, sep, n := a.str(i&a.mask()), d.str(i&d.mask()), field[i&mn]
		out.beg[i], out.end[i] = from, from
		if n == 0 {
			if active(sel, valid, i) {
				f.fail(r, out, i, "0", "field position is zero")
			}
			continue
		}
		if valid != nil && !bit(valid, i) {
			continue
		}
		lo, hi := splitPart(s, sep, n)
		out.beg[i], out.end[i] = from+int32(lo), from+int32(hi)
	}
	return out
}

// splitPart gives the bytes of part n of s, empty if there is none.
func splitPart(s, sep []byte, n int64) (lo, hi int) {
	if len(sep) == 0 {
		if n == 1 || n == -1 {
			return 0, len(s)
		}
		return 0, 0
	}
	if n < 0 {
		parts := int64(bytes.Count(s, sep)) + 1
		if n = parts + n + 1; n < 1 {
			return 0, 0
		}
	}
	for ; ; n-- {
		at := bytes.Index(s[lo:], sep)
		switch {
		case n == 1 && at < 0:
			return lo, len(s)
		case n == 1:
			return lo, lo + at
		case at < 0:
			return 0, 0
		}
		lo += at + len(sep)
	}
}

func trimKernel(left, right bool) kernel {
	return func(f *function, r *run, _ []byte, args []*vector) *vector {
		a, ma := args[0], args[0].mask()
		set := func(int) []byte { return []byte{' '} }
		if len(args) == 2 {
			set = func(i int) []byte { return args[1].str(i & args[1].mask()) }
		}
		out := r.piece(f, args)
		for i := range out.beg {
			b, e, chars := a.beg[i&ma], a.end[i&ma], set(i)
			for left && b < e {
				n := runeOffset(a.data[b:e], 1)
				if !bytes.Contains(chars, a.data[b:b+int32(n)]) {
					break
				}
				b += int32(n)
			}
			for right && b < e {
				_, n := utf8.DecodeLastRune(a.data[b:e])
				if !bytes.Contains(chars, a.data[e-int32(n):e]) {
					break
				}
				e -= int32(n)
			}
			out.beg[i], out.end[i] = b, e
		}
		return out
	}
}
