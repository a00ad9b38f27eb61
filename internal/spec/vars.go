package spec

import (
	"fmt"
	"path"
	"sort"
	"strings"
	"time"

	"github.com/sluice-data/sluice/internal/fail"
)

// EventVars are the variables that an event brings; a run without one has none of them.
var EventVars = []string{"BUCKET", "KEY", "EVENT_ID", "EVENT_TIME", "SCHEDULED_TIME"}

// expand replaces the variables in every scalar value below n. Keys hold none.
func expand(n *Node, vars map[string]string) error {
	for _, e := range n.entries {
		if e.Value.late {
			continue
		}
		if strings.Contains(e.Key, "${") {
			return e.At.Errorf("variables are not replaced in keys")
		}
		if err := expand(e.Value, vars); err != nil {
			return err
		}
	}
	for _, it := range n.items {
		if err := expand(it, vars); err != nil {
			return err
		}
	}
	if n.kind != scalar || !strings.Contains(n.text, "${") {
		return nil
	}
	var text strings.Builder
	var places []int32
	place := func(i int) int32 {
		if i < len(n.places) {
			return n.places[i]
		}
		return n.off
	}
	for i := 0; i < len(n.text); {
		rest := n.text[i:]
		switch {
		case strings.HasPrefix(rest, "$${"): // escaped: a plain ${
			places = append(places, place(i), place(i+2))
			text.WriteString("${")
			i += 3
		case strings.HasPrefix(rest, "${"):
			end := strings.IndexByte(rest, '}')
			if end < 0 {
				return n.ErrorAt(i, "${ without }: write $${ for a plain ${")
			}
			val, err := lookup(rest[2:end], vars)
			if err != nil {
				return n.ErrorAt(i, "%w", err)
			}
			text.WriteString(val)
			for range len(val) {
				places = append(places, place(i))
			}
			i += end + 1
		default:
			text.WriteByte(rest[0])
			places = append(places, place(i))
			i++
		}
	}
	n.text, n.places = text.String(), append(places, place(len(n.text)))
	return nil
}

// lookup is the value of what stands between ${ and }: NAME, NAME:-default, NAME:%Y/%m/%d, NAME.part.
func lookup(body string, vars map[string]string) (string, error) {
	name, arg, hasArg := strings.Cut(body, ":")
	if hasArg && !strings.HasPrefix(arg, "-") && !strings.HasPrefix(arg, "%") {
		return "", fmt.Errorf("variable ${%s}: want ${NAME}, ${NAME:-default}, ${NAME:%%Y-%%m-%%d} or ${KEY.part}", fail.Shorten(body))
	}
	base, part, hasPart := strings.Cut(name, ".")
	val, ok := vars[name] // --set may define names with dots
	if ok {
		hasPart = false
	} else {
		val, ok = vars[base]
	}
	if !ok {
		if strings.HasPrefix(arg, "-") {
			return arg[1:], nil
		}
		return "", unknown(base, vars)
	}
	if hasPart {
		v, err := keyPart(base, val, part)
		if err != nil {
			if strings.HasPrefix(arg, "-") {
				return arg[1:], nil
			}
			return "", err
		}
		val = v
	}
	if strings.HasPrefix(arg, "%") {
		t, err := time.Parse(time.RFC3339, val)
		if err != nil {
			return "", fmt.Errorf("variable %s is not a time: %q", name, fail.Shorten(val))
		}
		return strftime(t.UTC(), arg)
	}
	return val, nil
}

// notSet names a variable that an event would have brought.
type notSet string

func (name notSet) Error() string {
	return fmt.Sprintf("variable %s is not set: the run has no event that brings it (set it with --set %s=… or write ${%s:-default})", string(name), string(name), string(name))
}

func unknown(name string, vars map[string]string) error {
	for _, k := range EventVars {
		if k == name {
			return notSet(name)
		}
	}
	known := append([]string(nil), EventVars...)
	for k := range vars {
		known = append(known, k)
	}
	sort.Strings(known)
	hint := "set it with --set " + name + "=…"
	if near := Nearest(name, known); near != "" {
		hint = fmt.Sprintf("did you mean %q?", near)
	}
	return fmt.Errorf("unknown variable %q: %s", fail.Shorten(name), hint)
}

// keyPart is a piece of an object key: dir, base, stem (base without its extensions), ext, or the value of a Hive part name=value.
func keyPart(name, key, part string) (string, error) {
	base := path.Base(key)
	switch part {
	case "dir":
		if d := path.Dir(key); d != "." {
			return d, nil
		}
		return "", nil
	case "base":
		return base, nil
	case "stem":
		stem, _, _ := strings.Cut(strings.TrimLeft(base, "."), ".")
		return base[:len(base)-len(strings.TrimLeft(base, "."))] + stem, nil
	case "ext":
		_, ext, _ := strings.Cut(strings.TrimLeft(base, "."), ".")
		return ext, nil
	}
	known := []string{"dir", "base", "stem", "ext"}
	for _, seg := range strings.Split(path.Dir(key), "/") {
		k, v, ok := strings.Cut(seg, "=")
		if ok && k == part {
			return v, nil
		}
		if ok {
			known = append(known, k)
		}
	}
	return "", fmt.Errorf("variable %s has no part %q: %s", name, fail.Shorten(part), suggest(part, known))
}

// strftime prints t with the directives of C's strftime that name a whole date or time.
func strftime(t time.Time, format string) (string, error) {
	layouts := map[byte]string{'Y': "2006", 'y': "06", 'm': "01", 'd': "02", 'H': "15", 'I': "03", 'M': "04", 'S': "05",
		'F': "2006-01-02", 'T': "15:04:05", 'R': "15:04", 'b': "Jan", 'B': "January", 'a': "Mon", 'A': "Monday", 'p': "PM", 'j': "002", 'e': "_2"}
	var b strings.Builder
	for i := 0; i < len(format); i++ {
		if format[i] != '%' {
			b.WriteByte(format[i])
			continue
		}
		i++
		switch {
		case i == len(format):
			return "", fmt.Errorf("date format %q ends in a lone %%", format)
		case format[i] == '%':
			b.WriteByte('%')
		case format[i] == 's':
			fmt.Fprint(&b, t.Unix())
		case format[i] == 'V':
			_, w := t.ISOWeek()
			fmt.Fprintf(&b, "%02d", w)
		case format[i] == 'G':
			y, _ := t.ISOWeek()
			fmt.Fprintf(&b, "%04d", y)
		case layouts[format[i]] != "":
			b.WriteString(t.Format(layouts[format[i]]))
		default:
			return "", fmt.Errorf("date format %q: unknown directive %%%c: use %%Y %%m %%d %%H %%M %%S %%F %%T %%j %%G %%V %%s", format, format[i])
		}
	}
	return b.String(), nil
}
