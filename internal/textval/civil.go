package textval

const (
	usPerSecond = 1_000_000
	usPerDay    = 86_400 * usPerSecond
	maxYear     = 9_999_999 // seven digits: what a 32-bit count of days can hold, and more
)

// clock is a date and time of day as it was read.
type clock struct {
	year, month, day int // year 0 is 1 BC
	us               int64
	offset           int // seconds east of UTC
	hasDate, hasTime bool
	hasOffset        bool
}

// days is the day number since 1970-01-01 in the proleptic Gregorian calendar.
func (c *clock) days() int64 { return daysFromCivil(c.year, c.month, c.day) }

// micros is the clock's own time as µs since 1970-01-01 00:00:00, false outside int64.
func (c *clock) micros() (int64, bool) {
	d := c.days()
	if d > 106_751_990 || d < -106_751_990 { // ±2^63 µs, less a day
		return 0, false
	}
	return d*usPerDay + c.us, true
}

// valid reports whether the date exists.
func (c *clock) valid() bool {
	return c.month >= 1 && c.month <= 12 && c.day >= 1 && c.day <= daysIn(c.year, c.month)
}

var monthDays = [...]uint8{0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31}

func daysIn(y, m int) int {
	if m == 2 && y&3 == 0 && (y%100 != 0 || y%400 == 0) {
		return 29
	}
	return int(monthDays[m])
}

// daysFromCivil counts days with years that begin in March, so that the leap day comes last
// (H. Hinnant, chrono-compatible low-level date algorithms).
func daysFromCivil(y, m, d int) int64 {
	if m <= 2 {
		y--
		m += 12
	}
	era := y / 400
	if y < 0 {
		era = (y - 399) / 400
	}
	yoe := y - era*400
	doy := (153*(m-3)+2)/5 + d - 1
	doe := yoe*365 + yoe/4 - yoe/100 + doy
	return int64(era)*146_097 + int64(doe) - 719_468
}

// epochDays is daysAD of 1970-01-01.
const (
	epochDays    = 719_468
	epochSeconds = epochDays * 86_400
)

// marchYear says for each month how many days of the year that begins in March lie before it, and whether that year is the one before.
var marchYear = [16]struct{ before, less uint16 }{{}, {306, 1}, {337, 1}, {0, 0}, {31, 0}, {61, 0}, {92, 0}, {122, 0}, {153, 0}, {184, 0}, {214, 0}, {245, 0}, {275, 0}}

// daysAD counts days from 0000-03-01 for years from 1 on, without branches.
func daysAD(y, m, d uint) uint {
	month := marchYear[m&15]
	y -= uint(month.less)
	century := y / 100
	return y*365 + y>>2 - century + century>>2 + uint(month.before) + d - 1
}

// civilFromDays is the inverse of daysFromCivil.
func civilFromDays(days int64) (y int64, m, d int) {
	z := days + 719_468
	era := z / 146_097
	if z < 0 {
		era = (z - 146_096) / 146_097
	}
	doe := z - era*146_097
	yoe := (doe - doe/1460 + doe/36_524 - doe/146_096) / 365
	doy := doe - (365*yoe + yoe/4 - yoe/100)
	mp := (5*doy + 2) / 153
	d = int(doy-(153*mp+2)/5) + 1
	m = int(mp) + 3
	y = yoe + era*400
	if m > 12 {
		m -= 12
		y++
	}
	return y, m, d
}
