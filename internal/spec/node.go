package spec

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/sluice-data/sluice/internal/fail"
)

type kind uint8

const (
	scalar kind = iota
	null        // a key with nothing after it, or ~ or null
	mapping
	sequence
)

// Node is a YAML value with its place. Methods that expect a kind return a Usage *fail.Error naming line and column.
type Node struct {
	doc     *document
	off     int32 // byte offset in the file where the value starts
	kind    kind
	quoted  bool
	late    bool    // its variables are replaced only if it is used
	text    string  // of a scalar; as written, quotes and escapes resolved
	places  []int32 // source offset of every byte of text and of its end; nil if it could not be traced
	entries []Entry
	items   []*Node
}

// Entry is a key of a mapping, in file order.
type Entry struct {
	Key   string
	At    *Node // the key's own node, for messages about the key
	Value *Node
}

// document is the file a node came from.
type document struct {
	file  string
	src   string
	lines []int32 // byte offset of each line's start
}

// place is the 1-based line and column, in characters, of a byte offset.
func (d *document) place(off int32) (line, col int) {
	lo, hi := 0, len(d.lines)
	for hi-lo > 1 {
		if mid := (lo + hi) / 2; d.lines[mid] <= off {
			lo = mid
		} else {
			hi = mid
		}
	}
	return lo + 1, utf8.RuneCountInString(d.src[d.lines[lo]:min(int(off), len(d.src))]) + 1
}

func (d *document) errorf(off int32, format string, args ...any) *fail.Error {
	return d.errorOver(off, off, format, args...)
}

// errorOver is an error about the bytes from off to before end.
func (d *document) errorOver(off, end int32, format string, args ...any) *fail.Error {
	line, col := d.place(off)
	return &fail.Error{Kind: fail.Usage, File: d.file, Line: int64(line), Column: int64(col), Excerpt: d.excerpt(off, end), Err: fmt.Errorf(format, args...)}
}

// excerpt is the line that off is in and, below, marks under the bytes from off to before end, or to the end of the line.
func (d *document) excerpt(off, end int32) string {
	const around = 100 // characters of a long line on both sides
	line, col := d.place(off)
	text, _, _ := strings.Cut(d.src[d.lines[line-1]:], "\n")
	text = masked(text)
	from := int(off - d.lines[line-1])
	if from > len(text) {
		return ""
	}
	runes := []rune(strings.TrimRight(strings.ReplaceAll(text, "\t", " "), " \r"))
	marks := max(1, min(utf8.RuneCountInString(text[from:min(len(text), max(from, from+int(end-off)))]), len(runes)-col+1))
	before, after := "", ""
	if col-1 > around {
		cut := col - 1 - around
		runes, col, before = runes[cut:], col-cut, "…"
	}
	if most := col - 1 + max(around, marks); len(runes) > most {
		runes, after = runes[:most], "…"
	}
	number := fmt.Sprintf("%d | ", line)
	return number + before + string(runes) + after + "\n" + strings.Repeat(" ", len(number)+utf8.RuneCountInString(before)+col-1) + strings.Repeat("^", marks)
}

// secrets finds what may be a password in a line of a file: that of a URL, or a setting of that name. No run without an error pays for it.
var secrets = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`(?i)://[^\s:/@"']*:(\S*)@|password["']?\s*[=:]\s*(?:"([^"]*)|'([^']*)|([^\s,}][^,}]*))`)
})

// masked is text with stars in the place of what may be passwords, as many as they have bytes: errors go to logs.
func masked(text string) string {
	if !strings.Contains(text, "://") && !strings.Contains(strings.ToLower(text), "password") {
		return text
	}
	b := []byte(text)
	for _, m := range secrets().FindAllSubmatchIndex(b, -1) {
		for g := 2; g < len(m); g += 2 {
			for i := m[g]; i >= 0 && i < m[g+1]; i++ {
				b[i] = '*'
			}
		}
	}
	return string(b)
}

// Lines is the 1-based line and column (in characters) where the value starts.
func (n *Node) Lines() (line, col int) { return n.doc.place(n.off) }

// File is the name of the pipeline file.
func (n *Node) File() string { return n.doc.file }

// what names the node's kind for messages.
func (n *Node) what() string {
	return [...]string{"a single value", "nothing", "a mapping", "a list"}[n.kind]
}

// Str is the scalar as text, exactly as written (numbers and booleans too: `count: 007` gives "007").
func (n *Node) Str() (string, error) {
	if n.kind == scalar || n.kind == null && n.text != "" {
		return n.text, nil
	}
	return "", n.Errorf("want a single value, found %s", n.what())
}

// Int reads a decimal integer.
func (n *Node) Int() (int64, error) {
	s, err := n.Str()
	if err != nil {
		return 0, err
	}
	v, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return 0, n.Errorf("want an integer, found %q", fail.Shorten(s))
	}
	return v, nil
}

// Bool reads true or false.
func (n *Node) Bool() (bool, error) {
	s, err := n.Str()
	if err != nil {
		return false, err
	}
	switch s {
	case "true", "True", "TRUE":
		return true, nil
	case "false", "False", "FALSE":
		return false, nil
	}
	return false, n.Errorf("want true or false, found %q", fail.Shorten(s))
}

// Float reads a finite decimal number.
func (n *Node) Float() (float64, error) {
	s, err := n.Str()
	if err != nil {
		return 0, err
	}
	v, err := strconv.ParseFloat(s, 64)
	if err != nil || v-v != 0 || strings.ContainsAny(s, "xX_") {
		return 0, n.Errorf("want a number, found %q", fail.Shorten(s))
	}
	return v, nil
}

// Map is the mapping's entries in file order. With known keys given, any other key is an error that names the nearest known one.
func (n *Node) Map(known ...string) ([]Entry, error) {
	if n.kind != mapping {
		return nil, n.Errorf("want a mapping (key: value), found %s", n.what())
	}
	if len(known) == 0 {
		return n.entries, nil
	}
	for _, e := range n.entries {
		if err := oneOf(e.At, "key", e.Key, known); err != nil {
			return nil, err
		}
	}
	return n.entries, nil
}

// oneOf is nil if name is one of known, else an error at the place of at that names the nearest.
func oneOf(at *Node, what, name string, known []string) error {
	for _, k := range known {
		if k == name {
			return nil
		}
	}
	return at.Errorf("unknown %s %q: %s", what, fail.Shorten(name), suggest(name, known))
}

func suggest(name string, known []string) string {
	near := Nearest(name, known)
	switch uri, dsn := slices.Contains(known, "uri"), slices.Contains(known, "dsn"); {
	case uri && dsn && (near == "uri" || near == "dsn"):
		return `did you mean "uri" (or "dsn", which is the same)?`
	case uri && name == "dsn":
		near = "uri"
	}
	if near != "" {
		return fmt.Sprintf("did you mean %q?", near)
	}
	return "use one of " + strings.Join(known, ", ")
}

// Get is the value of key in a mapping, nil if absent (or null).
func (n *Node) Get(key string) *Node {
	for _, e := range n.entries {
		if e.Key == key {
			if e.Value.kind == null {
				return nil
			}
			return e.Value
		}
	}
	return nil
}

// List is the sequence's items. A scalar is not a list.
func (n *Node) List() ([]*Node, error) {
	if n.kind != sequence {
		return nil, n.Errorf("want a list, found %s", n.what())
	}
	return n.items, nil
}

// Strs is a list of scalars as text.
func (n *Node) Strs() ([]string, error) {
	items, err := n.List()
	if err != nil {
		return nil, err
	}
	out := make([]string, len(items))
	for i, it := range items {
		if out[i], err = it.Str(); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// IsMap reports whether the node is a mapping, IsList whether a sequence, IsScalar whether a single value.
func (n *Node) IsMap() bool    { return n.kind == mapping }
func (n *Node) IsList() bool   { return n.kind == sequence }
func (n *Node) IsScalar() bool { return n.kind == scalar }

// Value is the node as plain Go values, for code that knows no nodes: a string for a single value as written, []any for a list, map[string]any for a mapping, nil for
// nothing.
func (n *Node) Value() any {
	switch n.kind {
	case mapping:
		out := make(map[string]any, len(n.entries))
		for _, e := range n.entries {
			out[e.Key] = e.Value.Value()
		}
		return out
	case sequence:
		out := make([]any, len(n.items))
		for i, it := range n.items {
			out[i] = it.Value()
		}
		return out
	case null:
		return nil
	}
	return n.text
}

// Errorf is a Usage error at the node's place.
func (n *Node) Errorf(format string, args ...any) *fail.Error {
	return n.doc.errorf(n.off, format, args...)
}

// ErrorAt is a Usage error at byte offset pos within the node's scalar text (where an expression in it is wrong), correct for plain and
// quoted scalars on one line and for block scalars. Text that a variable brought in is at the variable's place.
func (n *Node) ErrorAt(pos int, format string, args ...any) *fail.Error {
	return n.ErrorOver(pos, 0, format, args...)
}

// ErrorOver is ErrorAt about the length bytes from pos on.
func (n *Node) ErrorOver(pos, length int, format string, args ...any) *fail.Error {
	if len(n.places) == 0 {
		return n.Errorf(format, args...)
	}
	last := len(n.places) - 1
	pos = min(max(pos, 0), last)
	return n.doc.errorOver(n.places[pos], n.places[min(pos+max(length, 0), last)], format, args...)
}

// Nearest is the name in known closest to name by edit distance (a swap of neighbours counts as one edit, case as none), or "" if
// none is near.
func Nearest(name string, known []string) string {
	best, most := "", max(1, len(name)/3)
	name = strings.ToLower(name)
	if len(name) > 64 {
		return ""
	}
	for _, k := range known {
		if d := distance(name, strings.ToLower(k)); d <= most && len(k) > d {
			if best == "" || d < most {
				best = k
			}
			most = d
		}
	}
	return best
}

// distance is the optimal string alignment distance.
func distance(a, b string) int {
	prev2, prev, cur := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range prev {
		prev[j] = j
	}
	for i := 1; i <= len(a); i++ {
		cur[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			cur[j] = min(prev[j]+1, cur[j-1]+1, prev[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				cur[j] = min(cur[j], prev2[j-2]+1)
			}
		}
		prev2, prev, cur = prev, cur, prev2
	}
	return prev[len(b)]
}
