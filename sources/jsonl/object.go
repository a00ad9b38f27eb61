package jsonl

import (
	"encoding/binary"
	"encoding/json"
	"strings"
	"unicode/utf8"
)

// keyReach is how much of a key is compared at once.
const keyReach = 24

// unknown says what a key that an object has no field for does to the row.
type unknown uint8

const (
	unknownReject unknown = iota // the schema is declared: the row is refused
	unknownMisfit                // the schema is inferred from the head: it has to be inferred anew
	unknownSkip                  // the pipeline does not use it
)

// field is a key of an object. Fields without a column are known but not used: their values are only checked to be JSON.
type field struct {
	name  string
	token string    // `"name":` as it stands in the text when nothing is escaped; "" if the name cannot stand so
	key   [3]uint64 // the first bytes of token, and which of them count
	mask  [3]uint64
	col   *column
	seen  uint64 // stamp of the object it was last seen in
	// next are fields that have followed it, those that did often first: the guesses. Most objects have the same keys in the same order, and
	// where some may be missing, few of the others come after a key.
	next [4]*field
}

// object is how a JSON object becomes the columns of a struct, or of the record itself.
type object struct {
	unknown unknown
	need    map[string]bool // unknownSkip: keys that are misfits all the same; nil means none
	fields  []*field        // those with a column come first
	used    int             // how many those are
	byName  map[string]*field
	first   field // its next are the keys that come first
	// strangers are undeclared keys that are skipped, with the stamp of the object they were last seen in.
	strangers map[string]uint64
}

func newObject(u unknown) *object { return &object{unknown: u, byName: map[string]*field{}} }

// add appends a field; col is nil for one that is not used, and those come last.
func (o *object) add(name string, col *column) {
	f := &field{name: name, col: col, token: token(name)}
	for i := range min(len(f.token), keyReach) {
		f.key[i/8] |= uint64(f.token[i]) << (i % 8 * 8)
		f.mask[i/8] |= 0xff << (i % 8 * 8)
	}
	if f.token == "" {
		f.key[0], f.mask[0] = 0, 0xff // no key begins with a zero byte
	}
	if n := len(o.fields); n > 0 {
		o.fields[n-1].next[0] = f
	} else {
		o.first.next[0] = f
	}
	o.fields = append(o.fields, f)
	o.byName[name] = f
	if col != nil {
		o.used++
	}
}

func (o *object) columns() []*field { return o.fields[:o.used] }

// token is how the key is written with its colon, or "" if it can only be written with escapes: then it never matches as it stands and
// is always looked up.
func token(name string) string {
	if !utf8.ValidString(name) || strings.ContainsAny(name, `"\`) {
		return ""
	}
	for i := 0; i < len(name); i++ {
		if name[i] < 0x20 {
			return ""
		}
	}
	return `"` + name + `":`
}

func hasToken(b []byte, i int, token string) bool {
	return len(b)-i >= len(token) && string(b[i:i+len(token)]) == token
}

// follow notes that f came after p: last, so that it has to come again to be among the first guesses.
func (p *field) follow(f *field) {
	for k := range p.next {
		if p.next[k] == nil || k == len(p.next)-1 {
			p.next[k] = f
			return
		}
	}
}

// starts reports whether f's key stands at b[i:] as it is.
func (f *field) starts(b []byte, i int) bool {
	if len(b)-i < keyReach {
		return f.token != "" && hasToken(b, i, f.token)
	}
	q := (*[keyReach]byte)(b[i:])
	w0, w1, w2 := binary.LittleEndian.Uint64(q[:]), binary.LittleEndian.Uint64(q[8:]), binary.LittleEndian.Uint64(q[16:])
	return (w0^f.key[0])&f.mask[0]|(w1^f.key[1])&f.mask[1]|(w2^f.key[2])&f.mask[2] == 0 && (len(f.token) <= keyReach || hasToken(b, i, f.token))
}

// guess is the field among p's lesser guesses whose key is at b[i:], or nil. It moves up by one.
func (p *field) guess(b []byte, i int) *field {
	for k := 1; k < len(p.next) && p.next[k] != nil; k++ {
		if f := p.next[k]; f.starts(b, i) {
			p.next[k-1], p.next[k] = f, p.next[k-1]
			return f
		}
	}
	return nil
}

// key reads the key at i that was not the expected one, up to its value. A nil field with i >= 0 is a key to skip.
func (d *decoder) key(o *object, prev *field, stamp uint64, i int) (*field, int) {
	if at(d.s.b, i) != '"' {
		return nil, d.s.unexpected(i, "a key in quotes")
	}
	end, esc := d.s.str(i + 1)
	if end < 0 {
		return nil, -1
	}
	name := d.s.b[i+1 : end]
	if esc {
		d.scratch = unescape(d.scratch[:0], name)
		name = d.scratch
	}
	if i = d.s.colon(end + 1); i < 0 {
		return nil, -1
	}
	if f := o.byName[string(name)]; f != nil {
		prev.follow(f)
		return f, i
	}
	switch {
	case o.unknown == unknownSkip && !o.need[string(name)]:
		if o.strangers[string(name)] == stamp {
			return nil, d.duplicate(string(name), i)
		}
		if o.strangers == nil {
			o.strangers = map[string]uint64{}
		}
		o.strangers[string(name)] = stamp
		return nil, i
	case o.unknown == unknownReject:
		d.path = append(d.path, "."+string(name))
		return nil, d.bad(i, "unknown key "+quoted(name)+": declare it or use mode: evolve", nil)
	}
	d.path = append(d.path, "."+string(name))
	return nil, d.misfit(i, "a schema without this key")
}

func quoted(name []byte) string {
	q, _ := json.Marshal(string(name))
	return string(q)
}

// object reads the object at i into row of o's columns, and returns the index behind it. The loop reads the usual case by
// itself: the expected key as it stands, then a short value. Everything else goes to key and value. (Typed columns do not nest to
// maxDepth, so only skip has to look at the depth.)
func (d *decoder) object(o *object, row, i, depth int) int {
	b := d.s.b
	d.stamp++
	stamp := d.stamp
	if len(o.strangers) > 4096 {
		clear(o.strangers)
	}
	count := 0
	i++
	if at(b, i) <= ' ' {
		i = space(b, i)
	}
	if at(b, i) == '}' {
		return d.missing(o, row, stamp, count, i+1)
	}
	prev := &o.first
	f := prev.next[0]
	for {
		known := false
		if f != nil && len(b)-i >= keyReach { // starts, written out: a call costs as much as its work
			q := (*[keyReach]byte)(b[i:])
			w0, w1, w2 := binary.LittleEndian.Uint64(q[:]), binary.LittleEndian.Uint64(q[8:]), binary.LittleEndian.Uint64(q[16:])
			known = (w0^f.key[0])&f.mask[0]|(w1^f.key[1])&f.mask[1]|(w2^f.key[2])&f.mask[2] == 0 && (len(f.token) <= keyReach || hasToken(b, i, f.token))
		} else if f != nil {
			known = f.token != "" && hasToken(b, i, f.token)
		}
		if !known && f != nil {
			if f = prev.guess(b, i); f != nil {
				known = true
			}
		}
		if known {
			i += len(f.token)
			if at(b, i) <= ' ' {
				i = space(b, i)
			}
		} else if f, i = d.key(o, prev, stamp, i); i < 0 {
			return -1
		}
		switch {
		case f == nil:
			i = d.s.skip(i, depth)
			f = prev
		case f.seen == stamp:
			return d.duplicate(f.name, i)
		case f.col == nil:
			f.seen = stamp
			i = d.s.skip(i, depth)
		default:
			f.seen = stamp
			count++
			c := f.col
			if len(b)-i < shortReach {
				i = d.value(c, row, i, depth)
				break
			}
			end := -1
			switch c.kind {
			case kInt:
				end = c.shortInt(b, row, i)
			case kFloat64:
				end = c.shortFloat(b, row, i)
			case kString:
				end = c.shortString(b, row, i)
			case kTimestamp, kTimestamptz:
				end = c.shortClock(b, row, i)
			}
			if end < 0 {
				if string(b[i:i+4]) == "null" {
					c.setNull(row)
					end = i + 4
				} else {
					end = d.value(c, row, i, depth)
				}
			}
			i = end
		}
		if i < 0 {
			if f != prev {
				d.path = append(d.path, "."+f.name)
			}
			return -1
		}
		c := at(b, i)
		if c <= ' ' {
			i = space(b, i)
			c = at(b, i)
		}
		if c == ',' {
			i++
			if at(b, i) <= ' ' {
				i = space(b, i)
			}
			prev, f = f, f.next[0]
			continue
		}
		if c == '}' {
			return d.missing(o, row, stamp, count, i+1)
		}
		return d.s.unexpected(i, "',' or '}'")
	}
}

// missing writes nulls for the fields that were not in the object, and returns i.
func (d *decoder) missing(o *object, row int, stamp uint64, count, i int) int {
	if count == o.used {
		return i
	}
	for _, f := range o.columns() {
		if f.seen != stamp {
			f.col.setNull(row)
		}
	}
	return i
}

func (d *decoder) duplicate(name string, i int) int {
	d.path = append(d.path, "."+name)
	return d.bad(i, "duplicate key "+quoted([]byte(name))+" in one object", nil)
}
