package csv

import (
	"bytes"
	"errors"
	"unicode/utf8"
)

// quoting knows which texts need quotes.
type quoting struct {
	delimiter byte
	null      string
	special   [256]uint8
}

// What a byte is to a text.
const (
	plain  = iota
	quotes // the text needs quotes
	double // and this one is doubled
	high   // the text has to be looked at for UTF-8
	never  // no CSV file has it
)

func newQuoting(o Options) *quoting {
	q := &quoting{delimiter: o.Delimiter, null: o.NullValue}
	for i := utf8.RuneSelf; i < 256; i++ {
		q.special[i] = high
	}
	q.special[o.Delimiter], q.special['\n'], q.special['\r'], q.special['"'], q.special[0] = quotes, quotes, quotes, double, never
	return q
}

var (
	errNUL  = errors.New("the text has a NUL byte: replace it")
	errUTF8 = errors.New("the text is no UTF-8")
)

// checkText says why no field can be s.
func checkText(s []byte) error {
	switch {
	case bytes.IndexByte(s, 0) >= 0:
		return errNUL
	case !utf8.Valid(s):
		return errUTF8
	}
	return nil
}

// append appends s as a field. It is in quotes where it would be taken for null, for a comment or for anything but itself: spaces at its
// ends, which some readers trim, too.
func (q *quoting) append(dst, s []byte) ([]byte, error) {
	var has [5]bool
	for _, c := range s {
		has[q.special[c]] = true
	}
	switch {
	case has[never]:
		return dst, errNUL
	case has[high] && !utf8.Valid(s):
		return dst, errUTF8
	case has[quotes], has[double]:
	case len(s) > 0 && s[0] > ' ' && s[0] != '#' && s[0] != 0xEF && string(s) != `\.` && s[len(s)-1] > ' ' && string(s) != q.null:
		return append(dst, s...), nil
	}
	dst = append(dst, '"')
	for has[double] {
		i := bytes.IndexByte(s, '"')
		if i < 0 {
			break
		}
		dst = append(append(dst, s[:i+1]...), '"')
		s = s[i+1:]
	}
	return append(append(dst, s...), '"'), nil
}
