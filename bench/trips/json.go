package trips

import (
	"bufio"
	"io"
	"strconv"
	"strings"
	"time"
)

// WriteJSON writes the rows of Write as JSON Lines: one object a line, its keys in the order of Columns, null where the CSV has an empty field.
func WriteJSON(w io.Writer, rows int) error {
	out := bufio.NewWriterSize(w, 1<<20)
	keys := make([]string, len(Columns))
	for i, c := range Columns {
		keys[i] = `"` + c[0] + `":`
		if i > 0 {
			keys[i] = "," + keys[i]
		}
	}
	r := rng{42}
	var b []byte
	for i := range rows {
		t := r.draw(i, rows)
		b = t.appendJSON(b[:0], keys)
		if _, err := out.Write(b); err != nil {
			return err
		}
	}
	return out.Flush()
}

// appendJSON appends the row as an object with the line's end. keys are those of Columns, as text up to the value.
func (t *trip) appendJSON(b []byte, keys []string) []byte {
	b = append(t.appendID(append(append(b, '{'), keys[0]+`"`...)), '"')
	b = strconv.AppendInt(append(b, keys[1]...), int64(t.vendor), 10)
	b = append(t.pickup.AppendFormat(append(append(b, keys[2]...), '"'), time.DateTime), '"')
	b = append(t.dropoff.AppendFormat(append(append(b, keys[3]...), '"'), time.DateTime), '"')
	b = append(b, keys[4]...)
	if t.passengers > 0 {
		b = strconv.AppendInt(b, int64(t.passengers), 10)
	} else {
		b = append(b, "null"...)
	}
	b = cents(append(b, keys[5]...), t.distance)
	b = strconv.AppendInt(append(b, keys[6]...), int64(t.rate), 10)
	b = append(append(b, keys[7]...), '"', t.flag, '"')
	for i, n := range [...]int{t.pu, t.do, t.pay} {
		b = strconv.AppendInt(append(b, keys[8+i]...), int64(n), 10)
	}
	for i, c := range t.money {
		b = cents(append(b, keys[11+i]...), c)
	}
	b = append(b, keys[17]...)
	if t.note.kind == noNote {
		b = append(b, "null"...)
	} else {
		b = append(append(append(b, '"'), strings.ReplaceAll(t.note.text(), `"`, `\"`)...), '"')
	}
	return append(b, '}', '\n')
}

// text is the note as it is meant.
func (n note) text() string {
	switch n.kind {
	case twoWords:
		return n.word + " " + n.second
	case withComma:
		return n.word + ", " + n.second
	case quotation:
		return `said "ok" at ` + n.word
	case manyScripts:
		return scripts + n.word
	}
	return ""
}
