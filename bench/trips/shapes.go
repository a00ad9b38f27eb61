package trips

import (
	"bufio"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// ManyColumns are the 1,000 columns of WriteMany: ten types in turn.
var ManyColumns = manyColumns()

// FewColumns are the columns of WriteFew.
var FewColumns = [][2]string{{"id", "int64"}, {"zone", "string"}, {"amount", "decimal(18,2)"}}

var manyTypes = [...]string{"int32", "float64", "string", "date", "int64", "decimal(18,2)", "int32", "string", "timestamp", "bool"}

func manyColumns() [][2]string {
	out := make([][2]string, 1000)
	for i := range out {
		out[i] = [2]string{fmt.Sprintf("c%03d", i), manyTypes[i%len(manyTypes)]}
	}
	return out
}

// WriteMany writes rows rows of CSV with ManyColumns, 8.8 KB each.
func WriteMany(w io.Writer, rows int) error {
	names := make([]string, len(ManyColumns))
	for i, c := range ManyColumns {
		names[i] = c[0]
	}
	r, dates := rng{11}, calendar(start)
	return lines(w, strings.Join(names, ","), rows, func(b []byte, i int) []byte {
		for c := 0; c < len(ManyColumns); c += len(manyTypes) {
			if c > 0 {
				b = append(b, ',')
			}
			u := r.next() // one draw for ten columns: 1,000 of them a row would take longer than the engines
			b = strconv.AppendInt(b, int64(int32(u))>>8, 10)
			b = cents(append(b, ','), int(u>>20%1_000_000))
			b = append(append(b, ','), words[u>>8%16]...)
			day := dates[u>>16%uint64(len(dates))]
			b = append(append(b, ','), day...)
			b = strconv.AppendInt(append(b, ','), int64(u>>28), 10)
			b = cents(append(b, ','), int(u>>40%100_000)-20_000)
			b = append(b, ',')
			if u>>12%10 > 0 {
				b = strconv.AppendUint(b, u>>12%100, 10)
			}
			b = append(strconv.AppendUint(append(b, ",k"...), u>>32%5000, 10), ',')
			b = append(append(b, day...), ' ', byte('0'+u>>50%2), byte('0'+u>>51%10), ':', byte('0'+u>>55%6), '0', ':', byte('0'+u>>58%6), '5', ',')
			b = append(b, [...]string{"true", "false"}[u>>63]...)
		}
		return b
	})
}

// WriteFew writes rows rows of CSV with FewColumns, some 22 bytes each.
func WriteFew(w io.Writer, rows int) error {
	r := rng{13}
	return lines(w, "id,zone,amount", rows, func(b []byte, i int) []byte {
		u := r.next()
		b = append(strconv.AppendInt(b, int64(i), 10), ',')
		b = append(append(b, words[u>>8%16]...), ',')
		return cents(b, int(u>>20%200_000)-10_000)
	})
}

// lines writes a header and rows lines of what row appends.
func lines(w io.Writer, header string, rows int, row func(b []byte, i int) []byte) error {
	out := bufio.NewWriterSize(w, 1<<20)
	if _, err := out.WriteString(header + "\n"); err != nil {
		return err
	}
	var b []byte
	for i := range rows {
		b = append(row(b[:0], i), '\n')
		if _, err := out.Write(b); err != nil {
			return err
		}
	}
	return out.Flush()
}

// calendar is the days of a year from first on as text.
func calendar(first time.Time) []string {
	out := make([]string, 365)
	for i := range out {
		out[i] = first.AddDate(0, 0, i).Format(time.DateOnly)
	}
	return out
}
