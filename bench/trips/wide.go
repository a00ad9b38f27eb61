package trips

import (
	"bufio"
	"io"
	"math"
	"strconv"
	"strings"
	"time"
)

// WideColumns are Columns and those that reach the ends of their types.
var WideColumns = append(append([][2]string(nil), Columns...), [][2]string{{"tiny", "int16"}, {"big", "int64"}, {"whole", "uint64"}, {"ratio", "float64"}, {"single", "float32"},
	{"huge", "decimal(38,10)"}, {"price", "decimal(18,2)"}, {"flag", "bool"}, {"day", "date"}, {"seen", "timestamp"}, {"instant", "timestamptz"},
	{"zone", "string"}, {"memo", "string"}}...)

// WriteWide writes rows rows of the data set with WideColumns: nulls (an empty field), quoted line ends, texts of many scripts, empty texts (quoted), and
// numbers and times out to the limits of their types.
func WriteWide(w io.Writer, rows int) error {
	out := bufio.NewWriterSize(w, 1<<20)
	names := make([]string, len(WideColumns))
	for i, c := range WideColumns {
		names[i] = c[0]
	}
	if _, err := out.WriteString(strings.Join(names, ",") + "\n"); err != nil {
		return err
	}
	r, wide := rng{42}, rng{7}
	var b []byte
	for i := range rows {
		b = append(wide.wide(append(r.row(b[:0], i, rows), ',')), '\n')
		if _, err := out.Write(b); err != nil {
			return err
		}
	}
	return out.Flush()
}

var (
	bigs   = []int64{math.MinInt64, math.MaxInt64, 0, -1, 1 << 53, 1<<53 + 1, -(1<<53 + 1)}
	floats = []string{"0", "-0.0", "5e-324", "1.7976931348623157e308", "0.1", "1e22", "123456789.123456789", "-1e-7"}
	days   = []string{"0001-01-01", "9999-12-31", "1970-01-01", "1969-12-31", "2024-02-29", "1900-02-28"}
	times  = []string{"0001-01-01 00:00:00", "9999-12-31 23:59:59.999999", "1969-12-31 23:59:59.999999", "2024-02-29 12:00:00.000001"}
	zones  = []string{"", "Ost", "West", "Süd", "北", "nördlich, hinten", "a \"b\""}
	memos  = []string{`""`, `"two` + "\n" + `lines"`, `"a` + "\r\n" + `b"`, `"` + "\n" + `"`, `"say ""hi"""`, `"a, b"`, "  spaces  ", "café", "cafe\u0301", "東京タワー", "🚕🚖 taxi", "שלום", "ß", "tab\there", `back\slash`,
		"null", "NULL", `\N`, "0012", "1e5", "2023-01-01", "true", `"` + strings.Repeat("long ", 400) + `"`}
)

// wide appends the columns that trips has not.
func (r *rng) wide(b []byte) []byte {
	if r.n(25) > 0 {
		b = strconv.AppendInt(b, int64(int16(r.next())), 10)
	}
	b = append(b, ',')
	switch k := r.n(30); {
	case k == 0:
	case k < 4:
		b = strconv.AppendInt(b, bigs[r.n(len(bigs))], 10)
	default:
		b = strconv.AppendInt(b, int64(r.next())>>r.n(64), 10)
	}
	b = strconv.AppendUint(append(b, ','), r.next()>>r.n(64), 10)
	b = append(b, ',')
	switch k := r.n(20); {
	case k == 0:
	case k < 4:
		b = append(b, floats[r.n(len(floats))]...)
	case k < 8:
		b = strconv.AppendInt(b, int64(r.n(50)), 10)
	default:
		f := math.Float64frombits(r.next())
		if math.IsNaN(f) || math.IsInf(f, 0) {
			f = 1
		}
		b = strconv.AppendFloat(b, f, 'g', -1, 64)
	}
	b = strconv.AppendFloat(append(b, ','), float64(float32(r.f()*1e6)), 'g', -1, 32)
	b = append(b, ',')
	if r.n(30) > 0 {
		if r.n(2) == 0 {
			b = append(b, '-')
		}
		b = strconv.AppendUint(b, r.next()>>r.n(64), 10)
		b = append(b, '.')
		frac := strconv.AppendUint(nil, r.next()%10_000_000_000, 10)
		b = append(append(b, "0000000000"[len(frac):]...), frac...)
	}
	b = append(b, ',')
	if r.n(20) > 0 {
		b = cents(b, r.n(2_000_000)-1_000_000)
	}
	b = append(b, ',')
	b = append(b, [...]string{"", "true", "false", "true"}[r.n(4)]...)
	b = append(b, ',')
	return r.wideTimes(b)
}

func (r *rng) wideTimes(b []byte) []byte {
	switch k := r.n(30); {
	case k == 0:
	case k == 1:
		b = append(b, days[r.n(len(days))]...)
	default:
		b = start.AddDate(0, 0, r.n(700)-350).AppendFormat(b, time.DateOnly)
	}
	b = append(b, ',')
	switch k := r.n(30); {
	case k == 0:
	case k == 1:
		b = append(b, times[r.n(len(times))]...)
	default:
		b = start.Add(time.Duration(r.n(1<<31))*time.Second+time.Duration(r.n(1_000_000))*time.Microsecond).AppendFormat(b, "2006-01-02 15:04:05.000000")
	}
	b = append(b, ',')
	if r.n(20) > 0 {
		zone := time.FixedZone("", (r.n(27)-12)*3600+r.n(2)*1800)
		b = start.Add(time.Duration(r.n(1<<30))*time.Second).In(zone).AppendFormat(b, "2006-01-02T15:04:05-07:00")
	}
	b = append(b, ',')
	zone := zones[r.n(len(zones))]
	if strings.ContainsAny(zone, `,"`) {
		zone = `"` + strings.ReplaceAll(zone, `"`, `""`) + `"`
	}
	b = append(append(b, zone...), ',')
	switch k := r.n(4); {
	case k == 0:
	case k == 1:
		b = append(b, memos[r.n(len(memos))]...)
	default:
		b = append(append(b, words[r.n(len(words))]...), ' ')
		b = strconv.AppendInt(b, int64(r.n(3000)), 10)
	}
	return b
}
