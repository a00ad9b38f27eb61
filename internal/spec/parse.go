package spec

import (
	"errors"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"

	"github.com/sluice-data/sluice/internal/fail"
)

// The YAML parser recurses by depth and is quadratic in the number of keys, so a file is bounded before it sees it.
const (
	maxBytes = 1 << 20
	maxLines = 20_000
	maxDepth = 64
)

// Parse reads a pipeline file; file is its name for messages. Duplicate keys, anchors and aliases, tags, directives, tabs as indentation,
// control characters, text that is not UTF-8 and more than one document are errors.
func Parse(file string, text []byte) (root *Node, err error) {
	d := &document{file: file, src: strings.TrimPrefix(string(text), "\uFEFF")}
	d.lines = append(d.lines, 0)
	for i := range len(d.src) {
		if d.src[i] == '\n' {
			d.lines = append(d.lines, int32(i+1))
		}
	}
	if err := d.precheck(); err != nil {
		return nil, err
	}
	defer func() {
		// The parser is a third party's; what makes it panic is still only a file that cannot be read.
		if p := recover(); p != nil {
			root, err = nil, d.errorf(0, "read YAML: the parser gave up: %v", p)
		}
	}()
	f, perr := parser.ParseBytes([]byte(d.src), 0, parser.AllowDuplicateMapKey())
	if perr != nil {
		return nil, d.syntax(perr)
	}
	var body ast.Node
	for _, doc := range f.Docs {
		switch {
		case doc.Body == nil:
		case doc.Body.Type() == ast.DirectiveType:
			return nil, d.errorf(d.start(doc.Body.GetToken()), "YAML directives are not supported: remove this line")
		case body != nil:
			line := max(1, min(doc.Body.GetToken().Position.Line, len(d.lines)))
			return nil, d.errorf(d.lines[line-1], "a second YAML document begins here: a pipeline file holds exactly one")
		default:
			body = doc.Body
		}
	}
	if body == nil {
		return nil, d.errorf(0, "the file is empty")
	}
	return d.node(body, 0)
}

// precheck finds what the parser would choke on or let through.
func (d *document) precheck() error {
	if len(d.src) > maxBytes || len(d.lines) > maxLines {
		return d.errorf(0, "the file is too large: %d bytes, %d lines; a pipeline file has at most %d bytes and %d lines",
			len(d.src), len(d.lines), maxBytes, maxLines)
	}
	depth, run := 0, 0 // open brackets; "- " and "? " at the start of a line
	for i, r := range d.src {
		switch {
		case r == utf8.RuneError && !strings.HasPrefix(d.src[i:], "\uFFFD"):
			return d.errorf(int32(i), "the file is not UTF-8: byte 0x%02x", d.src[i])
		case r == '\r' && !strings.HasPrefix(d.src[i:], "\r\n"):
			return d.errorf(int32(i), "a carriage return without a line feed: end lines with \\n or \\r\\n")
		case r < ' ' && r != '\t' && r != '\n' && r != '\r', r == 0x7f, r == 0xFEFF:
			return d.errorf(int32(i), "control character U+%04X: a pipeline file is plain text", r)
		}
		switch r {
		case '\n':
			run = 0
		case '-', '?':
			if run >= 0 {
				run++
			}
		case ' ':
		case '[', '{':
			depth, run = depth+1, -1
		case ']', '}':
			depth, run = max(0, depth-1), -1
		default:
			run = -1
		}
		if depth > 10*maxDepth || run > 10*maxDepth {
			return d.errorf(int32(i), "nested more than %d levels deep", maxDepth)
		}
	}
	return nil
}

// syntax is the parser's error in our words.
func (d *document) syntax(err error) error {
	var se interface {
		error
		GetToken() *token.Token
		GetMessage() string
	}
	if !errors.As(err, &se) || se.GetToken() == nil || se.GetToken().Position == nil {
		return d.errorf(0, "read YAML: %w", err)
	}
	off := d.start(se.GetToken())
	line, _ := d.place(off)
	text := d.src[d.lines[line-1]:]
	text, _, _ = strings.Cut(text, "\n")
	lead := text[:len(text)-len(strings.TrimLeft(text, " \t"))]
	switch {
	case strings.Contains(lead, "\t"):
		return d.errorf(d.lines[line-1]+int32(strings.IndexByte(lead, '\t')), "a tab as indentation: YAML wants spaces")
	case strings.Contains(text, "${") && strings.ContainsAny(text[:strings.Index(text, "${")], "{["):
		return d.errorf(off, "read YAML: %s (inside { } and [ ], put text with ${…} into quotes)", se.GetMessage())
	case strings.Contains(se.GetMessage(), "not allowed in this context"), strings.Contains(se.GetMessage(), "invalid header option"):
		return d.errorf(off, "read YAML: %s (put text that holds ': ', ' #' or begins with a quote or one of *&!|>%%@` into quotes as a whole)", se.GetMessage())
	}
	return d.errorf(off, "read YAML: %s", se.GetMessage())
}

// start is the byte offset of a token, from its line and column: the parser's own offsets drift after line breaks.
func (d *document) start(t *token.Token) int32 {
	line := max(1, min(t.Position.Line, len(d.lines)))
	off := int(d.lines[line-1])
	for c := 1; c < t.Position.Column && off < len(d.src) && d.src[off] != '\n'; c++ {
		_, w := utf8.DecodeRuneInString(d.src[off:])
		off += w
	}
	return int32(off)
}

func (d *document) node(a ast.Node, depth int) (*Node, error) {
	tok := a.GetToken()
	n := &Node{doc: d, off: d.start(tok)}
	if depth > maxDepth {
		return nil, n.Errorf("nested more than %d levels deep", maxDepth)
	}
	switch v := a.(type) {
	case *ast.MappingNode:
		return d.mapping(n, v.Values, depth)
	case *ast.MappingValueNode:
		return d.mapping(n, []*ast.MappingValueNode{v}, depth)
	case *ast.SequenceNode:
		n.kind = sequence
		for _, item := range v.Values {
			it, err := d.node(item, depth+1)
			if err != nil {
				return nil, err
			}
			n.items = append(n.items, it)
		}
		return n, nil
	case *ast.LiteralNode:
		n.text = v.Value.Value
		from := n.off
		if nl := strings.IndexByte(d.src[from:], '\n'); nl >= 0 {
			from += int32(nl) + 1
		}
		n.places = trace(d.src, from, n.text, 0)
		return n, nil
	case *ast.NullNode:
		n.kind = null
		if tok.Type != token.ImplicitNullType {
			n.text, n.places = tok.Value, trace(d.src, n.off, tok.Value, 0)
		}
		return n, nil
	case *ast.StringNode, *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		n.text = tok.Value
		switch tok.Type {
		case token.DoubleQuoteType:
			n.quoted, n.places = true, trace(d.src, n.off+1, n.text, '"')
		case token.SingleQuoteType:
			n.quoted, n.places = true, trace(d.src, n.off+1, n.text, '\'')
		default:
			n.places = trace(d.src, n.off, n.text, 0)
		}
		return n, nil
	case *ast.AnchorNode:
		return nil, n.Errorf("YAML anchors are not supported: write the value out, or put text that begins with & into quotes")
	case *ast.AliasNode:
		return nil, n.Errorf("YAML aliases are not supported: write the value out, or put text that begins with * into quotes")
	case *ast.TagNode:
		return nil, n.Errorf("YAML tags are not supported: remove %s, or put text that begins with ! into quotes", fail.Shorten(tok.Value))
	}
	return nil, n.Errorf("%s is not supported in a pipeline file", strings.ToLower(a.Type().YAMLName()))
}

func (d *document) mapping(n *Node, values []*ast.MappingValueNode, depth int) (*Node, error) {
	n.kind = mapping
	seen := make(map[string]*Node, len(values))
	for i, v := range values {
		switch v.Key.(type) {
		case *ast.MergeKeyNode:
			return nil, d.errorf(d.start(v.Key.GetToken()), "YAML merge keys (<<) are not supported: write the keys out")
		case *ast.MappingKeyNode:
			return nil, d.errorf(d.start(v.Key.GetToken()), "YAML complex keys (?) are not supported: write key: value")
		}
		key, err := d.node(v.Key, depth+1)
		if err != nil {
			return nil, err
		}
		if key.kind == mapping || key.kind == sequence {
			return nil, key.Errorf("a key must be a single value, found %s", key.what())
		}
		key.kind = scalar
		if i == 0 && d.src[n.off] != '{' {
			n.off = key.off // the parser gives the colon's place
		}
		if first := seen[key.text]; first != nil {
			line, col := first.Lines()
			return nil, key.Errorf("duplicate key %q: it is at line %d, column %d already", fail.Shorten(key.text), line, col)
		}
		seen[key.text] = key
		val, err := d.node(v.Value, depth+1)
		if err != nil {
			return nil, err
		}
		if val.kind == null && val.text == "" {
			val.off = key.off
		}
		n.entries = append(n.entries, Entry{Key: key.text, At: key, Value: val})
	}
	return n, nil
}

// trace finds, for each byte of a scalar's text, where in src it stands, beginning at from. White space in the text stands for
// any white space in the file (line folding), other characters for themselves or for an escape of the quoting style. It returns
// nil if text cannot be found there.
func trace(src string, from int32, text string, quote byte) []int32 {
	places := make([]int32, 0, len(text)+1)
	i := int(from)
	for j := 0; j < len(text); {
		r, w := utf8.DecodeRuneInString(text[j:])
		if i < len(src) && quote == '"' && src[i] == '\\' && i+1 < len(src) {
			if skip := lineBreak(src[i+1:]); skip > 0 { // an escaped line break joins the lines
				i += 1 + skip
				for i < len(src) && blank(src[i]) {
					i++
				}
				continue
			}
			for range w {
				places = append(places, int32(i))
			}
			i, j = i+escapeLen(src[i+1]), j+w
			continue
		}
		if r == ' ' || r == '\n' || r == '\t' {
			if i >= len(src) || !blank(src[i]) && src[i] != '\n' {
				if r == '\n' && i >= len(src) { // a block scalar's last line without a line feed
					places = append(places, int32(i))
					j++
					continue
				}
				return nil
			}
		} else {
			for i < len(src) && (blank(src[i]) || src[i] == '\n') {
				i++
			}
			if !strings.HasPrefix(src[min(i, len(src)):], text[j:j+w]) {
				return nil
			}
		}
		for k := range w {
			places = append(places, int32(i+k))
		}
		if quote == '\'' && r == '\'' {
			i++ // written twice
		}
		if r == '\n' && src[i] == '\r' {
			i++
		}
		i, j = i+w, j+w
	}
	return append(places, int32(min(i, len(src))))
}

func blank(c byte) bool { return c == ' ' || c == '\t' || c == '\r' }

func lineBreak(s string) int {
	switch {
	case strings.HasPrefix(s, "\r\n"):
		return 2
	case strings.HasPrefix(s, "\n"):
		return 1
	}
	return 0
}

// escapeLen is the length of a double-quoted escape whose letter is c, backslash included.
func escapeLen(c byte) int {
	switch c {
	case 'x':
		return 4
	case 'u':
		return 6
	case 'U':
		return 10
	}
	return 2
}
