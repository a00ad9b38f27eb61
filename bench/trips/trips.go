// Package trips is the seeded "trips" data set: the same bytes for the same number of rows, on any machine. 18 columns,
// 118 bytes a row.
package trips

import (
	"bufio"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Columns are the columns of the data set with the types that hold every value exactly, in order.
var Columns = [][2]string{{"order_id", "string"}, {"vendor_id", "int32"}, {"pickup_at", "timestamp"}, {"dropoff_at", "timestamp"},
	{"passenger_count", "int32"}, {"trip_distance", "float64"}, {"ratecode", "int32"}, {"store_and_fwd", "string"},
	{"pu_location", "int32"}, {"do_location", "int32"}, {"payment_type", "int32"}, {"fare", "decimal(18,2)"}, {"extra", "decimal(18,2)"},
	{"mta_tax", "decimal(18,2)"}, {"tip", "decimal(18,2)"}, {"tolls", "decimal(18,2)"}, {"total", "decimal(18,2)"}, {"note", "string"}}

// Floats are Columns with money as floats, as the peers' benchmarks have it.
var Floats = floatMoney()

func floatMoney() [][2]string {
	out := slices.Clone(Columns)
	for i, c := range out {
		if strings.HasPrefix(c[1], "decimal") {
			out[i][1] = "float64"
		}
	}
	return out
}

const header = "order_id,vendor_id,pickup_at,dropoff_at,passenger_count,trip_distance,ratecode,store_and_fwd,pu_location,do_location," +
	"payment_type,fare,extra,mta_tax,tip,tolls,total,note\n"

// Write writes rows rows as CSV with a header.
func Write(w io.Writer, rows int) error {
	out := bufio.NewWriterSize(w, 1<<20)
	if _, err := out.WriteString(header); err != nil {
		return err
	}
	r := rng{42}
	var b []byte
	for i := range rows {
		b = append(r.row(b[:0], i, rows), '\n')
		if _, err := out.Write(b); err != nil {
			return err
		}
	}
	return out.Flush()
}

// rng is splitmix64 (Steele, Lea, Flood 2014).
type rng struct{ s uint64 }

func (r *rng) next() uint64 {
	r.s += 0x9e3779b97f4a7c15
	z := r.s
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb
	return z ^ (z >> 31)
}

func (r *rng) n(n int) int           { return int((r.next() >> 33) % uint64(n)) }
func (r *rng) f() float64            { return float64(r.next()>>11) / (1 << 53) }
func (r *rng) exp(m float64) float64 { return -m * math.Log(1-r.f()) }

var words = []string{"airport", "hotel", "late", "north", "bridge", "queue", "cash only", "left lane", "baby seat", "rain", "snow", "driver",
	"toll paid", "luggage", "Times Square", "Brooklyn", "shared", "waiting", "gate 4", "receipt"}

var start = time.Date(2023, 1, 1, 0, 0, 0, 0, time.UTC)

// trip is a row before it is text.
type trip struct {
	id                               uint64
	pickup, dropoff                  time.Time
	vendor, passengers, rate, pu, do int // passengers 0 is none known
	pay, distance                    int // distance in hundredths of a mile
	flag                             byte
	money                            [6]int // fare, extra, tax, tip, tolls, total in cents
	note                             note
}

// note is a row's free text: none, two words, two words with a comma, a quotation, or a text of many scripts.
type note struct {
	kind         noteKind
	word, second string
}

type noteKind int

const (
	noNote noteKind = iota
	twoWords
	withComma
	quotation
	manyScripts
)

// draw makes row i of total: pickup times run through a year with three days of jitter.
func (r *rng) draw(i, total int) trip {
	const year = 365 * 86400
	sec := int64(float64(i)/float64(total)*year) + int64(r.n(6*86400)) - 3*86400
	if sec < 0 {
		sec = -sec
	}
	if sec >= year {
		sec = 2*year - sec - 1
	}
	t := trip{id: (uint64(i)*2654435761 + 12345) % 10_000_000_000, flag: 'N', rate: 1, pay: 1}
	t.pickup = start.Add(time.Duration(sec) * time.Second)
	t.dropoff = t.pickup.Add(time.Duration(60+int64(r.exp(840))) * time.Second)
	t.vendor = 1 + r.n(2)
	if r.n(100) >= 4 {
		t.passengers = 1 + r.n(6)
		if r.n(3) > 0 {
			t.passengers = 1
		}
	}
	t.distance = int(r.exp(330))
	if r.n(100) == 0 {
		t.distance = 0
	}
	if r.n(20) == 0 {
		t.rate = 2 + r.n(5)
	}
	if r.n(60) == 0 {
		t.flag = 'Y'
	}
	t.pu = min(265, 1+int(math.Sqrt(r.f())*265))
	t.do = 1 + r.n(265)
	if pay := 1 + r.n(5); r.n(3) == 0 {
		t.pay = pay
	}
	r.charge(&t)
	return t
}

// charge draws the fare and what comes on top of it, and the note.
func (r *rng) charge(t *trip) {
	fare := 250 + t.distance*3 + r.n(40)*10
	if r.n(150) == 0 {
		fare = -fare
	}
	extra, tip, tolls := [...]int{0, 50, 100, 250}[r.n(4)], 0, 0
	if t.pay == 1 {
		tip = max(0, int(float64(fare)*(0.1+0.2*r.f())))
	}
	if r.n(15) == 0 {
		tolls = 655
	}
	t.money = [...]int{fare, extra, 50, tip, tolls, fare + extra + 50 + tip + tolls}
	t.note.word = words[r.n(len(words))]
	switch k := r.n(20); {
	case k < 8:
	case k < 16:
		t.note.kind, t.note.second = twoWords, words[r.n(len(words))]
	case k < 18:
		t.note.kind, t.note.second = withComma, words[r.n(len(words))]
	case k == 18:
		t.note.kind = quotation
	default:
		t.note.kind = manyScripts
	}
}

// row appends row i of total as a line of CSV without its end.
func (r *rng) row(b []byte, i, total int) []byte {
	t := r.draw(i, total)
	b = append(t.appendID(b), ',')
	b = append(strconv.AppendInt(b, int64(t.vendor), 10), ',')
	b = append(t.pickup.AppendFormat(b, time.DateTime), ',')
	b = append(t.dropoff.AppendFormat(b, time.DateTime), ',')
	if t.passengers > 0 {
		b = strconv.AppendInt(b, int64(t.passengers), 10)
	}
	b = append(cents(append(b, ','), t.distance), ',')
	b = append(strconv.AppendInt(b, int64(t.rate), 10), ',', t.flag, ',')
	for _, n := range [...]int{t.pu, t.do, t.pay} {
		b = append(strconv.AppendInt(b, int64(n), 10), ',')
	}
	for _, c := range t.money {
		b = append(cents(b, c), ',')
	}
	switch n := t.note; n.kind {
	case twoWords:
		b = append(append(append(b, n.word...), ' '), n.second...)
	case withComma:
		b = append(append(append(append(append(b, '"'), n.word...), ", "...), n.second...), '"')
	case quotation:
		b = append(append(append(b, `"said ""ok"" at `...), n.word...), '"')
	case manyScripts:
		b = append(append(b, scripts...), n.word...)
	}
	return b
}

const scripts = "café – naïve 東京 "

// appendID appends the order's number with its leading zeros.
func (t *trip) appendID(b []byte) []byte {
	id := strconv.FormatUint(t.id, 10)
	return append(append(b, "000000000000"[:12-len(id)]...), id...)
}

func cents(b []byte, c int) []byte {
	if c < 0 {
		b = append(b, '-')
		c = -c
	}
	return append(strconv.AppendInt(b, int64(c/100), 10), '.', byte('0'+c/10%10), byte('0'+c%10))
}
