package spec

import "strings"

// Fields reads the values of a mapping, for those who know its keys, and keeps the first error. Each method returns the value's node, nil
// if it is absent or wrong.
type Fields struct{ r fields }

// Read begins to read n, whose keys must be of those given.
func Read(n *Node, keys ...string) *Fields {
	f := &Fields{fields{n: n}}
	f.r.known(keys...)
	return f
}

// Err is the first error, of kind Usage at its place.
func (f *Fields) Err() error { return f.r.err }

// Str reads a text that is not empty.
func (f *Fields) Str(key string, dst *string) *Node { return f.r.str(key, dst) }

// Text reads a text, which may be empty, and null as it is written: NULL is a text, too.
func (f *Fields) Text(key string, dst *string) *Node {
	var v *Node
	for _, e := range f.r.n.entries {
		if e.Key == key && (e.Value.kind != null || e.Value.text != "") {
			v = e.Value
		}
	}
	if v == nil {
		return nil
	}
	s, err := v.Str()
	if err != nil {
		f.r.fail(err)
		return nil
	}
	*dst = s
	return v
}

// Fail keeps err if it is the first.
func (f *Fields) Fail(err error) { f.r.fail(err) }

// Enum reads one of the known names.
func (f *Fields) Enum(key string, dst *string, known []string) *Node {
	return f.r.enum(key, dst, known)
}

// Byte reads one ASCII character; "\t" and tab mean the tab.
func (f *Fields) Byte(key string, dst *string) *Node {
	f.r.oneByte(key, dst, false)
	return f.r.get(key)
}

// Int reads an integer.
func (f *Fields) Int(key string, dst *int) *Node {
	v := f.r.get(key)
	if v == nil {
		return nil
	}
	k, err := v.Int()
	if err == nil && (k > 1<<30 || k < -1<<30) {
		err = v.Errorf("%s %d is out of range", key, k)
	}
	if err != nil {
		f.r.fail(err)
		return nil
	}
	*dst = int(k)
	return v
}

// Bool reads true or false.
func (f *Fields) Bool(key string, dst *bool) *Node {
	v := f.r.get(key)
	if v == nil {
		return nil
	}
	b, err := v.Bool()
	if err != nil {
		f.r.fail(err)
		return nil
	}
	*dst = b
	return v
}

// Strs reads a list of texts.
func (f *Fields) Strs(key string, dst *[]string) *Node {
	v := f.r.get(key)
	if v == nil {
		return nil
	}
	s, err := v.Strs()
	if err != nil {
		f.r.fail(err)
		return nil
	}
	*dst = s
	return v
}

// Size reads a number of bytes.
func (f *Fields) Size(key string, dst *int64) *Node {
	var s string
	v := f.r.str(key, &s)
	if v == nil || f.r.err != nil {
		return nil
	}
	n, err := ParseSize(s)
	if err != nil {
		f.r.fail(v.Errorf("%w", err))
		return nil
	}
	*dst = n
	return v
}

// fields reads a mapping's values and keeps the first error.
type fields struct {
	n   *Node
	err error
}

func (r *fields) fail(err error) {
	if r.err == nil && err != nil {
		r.err = err
	}
}

func (r *fields) known(keys ...string) {
	_, err := r.n.Map(keys...)
	r.fail(err)
}

func (r *fields) get(key string) *Node { return r.n.Get(key) }

// str reads a scalar that is not empty into dst and returns its node, nil if absent.
func (r *fields) str(key string, dst *string) *Node {
	v := r.get(key)
	if v == nil || r.err != nil {
		return v
	}
	s, err := v.Str()
	if r.fail(err); err != nil {
		return nil
	}
	if strings.TrimSpace(s) == "" {
		r.fail(v.Errorf("%s is empty", key))
	}
	*dst = s
	return v
}

func (r *fields) enum(key string, dst *string, known []string) *Node {
	var s string
	v := r.str(key, &s)
	if v == nil || r.err != nil {
		return v
	}
	*dst = s
	r.fail(oneOf(v, key, s, known))
	return v
}

// oneByte reads an option that is one ASCII character; "\t" and tab mean the tab.
func (r *fields) oneByte(key string, dst *string, mayBeEmpty bool) {
	v := r.get(key)
	if v == nil || r.err != nil {
		return
	}
	s, err := v.Str()
	r.fail(err)
	if s == `\t` || s == "tab" {
		s = "\t"
	}
	if err == nil && !(mayBeEmpty && s == "") && (len(s) != 1 || s[0] >= 0x80 || s == "\n" || s == "\r" || s == "\x00") {
		r.fail(v.Errorf("%s must be one ASCII character, found %q", key, s))
	}
	*dst = s
}
