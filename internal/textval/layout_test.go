package textval

import (
	"math"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func layout(t testing.TB, format, tz string) *Layout {
	t.Helper()
	l, err := NewLayout(format, tz)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestTimestamps(t *testing.T) {
	for _, c := range []struct{ format, in, want string }{
		{"", "2026-11-22 13:04:05", "2026-11-22 13:04:05"},
		{"", "2026-11-22T13:04:05.5", "2026-11-22 13:04:05.5"},
		{"", "2026-11-22t13:04:05,123456000z", "2026-11-22 13:04:05.123456"},
		{"", "2026-11-22", "2026-11-22 00:00:00"},
		{"", "2026-11-22 13:04", "2026-11-22 13:04:00"},
		{"", "2026-11-22 13:04:05 UTC", "2026-11-22 13:04:05"},
		{"", "2026-11-22 13:04:05+00:00", "2026-11-22 13:04:05"},
		{"", "0044-03-15 12:00:00 BC", "0044-03-15 12:00:00 BC"},
		{"", "12345-01-01 00:00:00", "12345-01-01 00:00:00"},
		{"", "2024-02-29 00:00:00", "2024-02-29 00:00:00"},
		{"", "2026-11-22 13:04:05+01", "no"}, // a local clock has no offset to keep
		{"", "2023-02-29 00:00:00", "no"},
		{"", "2026-11-22 24:00:00", "no"},
		{"", "2026-12-31 23:59:60", "no"},
		{"", "2026-11-22 13:04:05.1234567", "no"}, // the seventh digit would be lost
		{"", "2026-11-22 13:04:05.", "no"},
		{"", "2026-1-2", "no"},
		{"", "0000-01-01 00:00:00", "no"},
		{"", "22/11/2026", "no"},
		{"", "2026-11-22 13:04:05 ", "no"},
		{"", "2026-11-22 13:04:05X", "no"},
		{"", "9999999-01-01", "no"}, // beyond 64 bits of µs
		{"", "", "no"},
		{"%Y-%m-%d %H:%M:%S", "2026-11-22 13:04:05", "2026-11-22 13:04:05"},
		{"%Y-%m-%d %H:%M:%S", "2026-1-2 3:04:05", "2026-01-02 03:04:05"},
		{"%Y-%m-%d %H:%M:%S", "2026-11-22T13:04:05", "no"},
		{"%d/%m/%Y", "22/11/2026", "2026-11-22 00:00:00"},
		{"%m/%d/%y %I:%M %p", "11/22/69 12:30 AM", "1969-11-22 00:30:00"},
		{"%m/%d/%y %I:%M %p", "11/22/68 12:30 pm", "2068-11-22 12:30:00"},
		{"%m/%d/%y %I:%M %p", "11/22/68 13:30 pm", "no"},
		{"%a %b %e %T %Y", "Sun Nov  1 13:04:05 2026", "2026-11-01 13:04:05"},
		{"%a %b %e %T %Y", "Mon Nov  1 13:04:05 2026", "no"}, // it was a Sunday
		{"%A, %d %B %Y", "sunday, 22 NOVEMBER 2026", "2026-11-22 00:00:00"},
		{"%Y%m%d%H%M%S", "20261122130405", "2026-11-22 13:04:05"},
		{"%Y-%j", "2026-365", "2026-12-31 00:00:00"},
		{"%Y-%j", "2026-366", "no"},
		{"%Y-%m", "2026-11", "2026-11-01 00:00:00"},
		{"%s", "1795266245", "2026-11-21 13:04:05"},
		{"%s.%f", "1795266245.25", "2026-11-21 13:04:05.25"},
		{"%s", "-1", "1969-12-31 23:59:59"},
		{"%s", "99999999999999999", "no"},
		{"%FT%T.%f%z", "2026-11-22T13:04:05.25+00:00", "2026-11-22 13:04:05.25"},
		{"%FT%T.%f%z", "2026-11-22T13:04:05.1234567Z", "no"},
		{"%d.%m.%Y", "31.11.2026", "no"},
		{"100%% %Y", "100% 2026", "2026-01-01 00:00:00"},
	} {
		got := "no"
		if us, ok := layout(t, c.format, "").Micros([]byte(c.in)); ok {
			got = string(AppendTimestamp(nil, us))
		}
		if got != c.want {
			t.Errorf("%q as %q = %s, want %s", c.in, c.format, got, c.want)
		}
	}
}

func TestInstants(t *testing.T) {
	for _, c := range []struct{ format, tz, in, want string }{
		{"", "", "2026-11-22 13:04:05", "2026-11-22 13:04:05+00"},
		{"", "", "2026-11-22T13:04:05.5+02:00", "2026-11-22 11:04:05.5+00"},
		{"", "", "2026-11-22 13:04:05-0730", "2026-11-22 20:34:05+00"},
		{"", "Europe/Berlin", "2026-07-01 12:00:00", "2026-07-01 10:00:00+00"},
		{"", "Europe/Berlin", "2026-12-01 12:00:00", "2026-12-01 11:00:00+00"},
		{"", "Europe/Berlin", "2026-12-01 12:00:00Z", "2026-12-01 12:00:00+00"},
		{"", "Europe/Berlin", "2026-03-29 02:30:00", "no"}, // skipped in spring
		{"", "Europe/Berlin", "2026-10-25 02:30:00", "no"}, // there twice in autumn
		{"", "Europe/Berlin", "2026-10-25 01:59:59.999999", "2026-10-24 23:59:59.999999+00"},
		{"", "Europe/Berlin", "2026-10-25 03:00:00", "2026-10-25 02:00:00+00"},
		{"%d.%m.%Y %H:%M %z", "Europe/Berlin", "01.12.2026 12:00 +0100", "2026-12-01 11:00:00+00"},
		{"", "", "2026-11-22 13:04:05+1", "no"},
		{"", "", "2026-11-22 13:04:05+16", "no"},
	} {
		got := "no"
		if us, ok := layout(t, c.format, c.tz).Instant([]byte(c.in)); ok {
			got = string(AppendInstant(nil, us))
		}
		if got != c.want {
			t.Errorf("%q in %q = %s, want %s", c.in, c.tz, got, c.want)
		}
	}
}

func TestDates(t *testing.T) {
	for _, c := range []struct{ format, in, want string }{
		{"", "1970-01-01", "1970-01-01"}, {"", "0001-01-01", "0001-01-01"}, {"", "9999-12-31", "9999-12-31"}, {"", "2026-11-22 00:00:00", "2026-11-22"}, {"", "5000000-01-01", "5000000-01-01"},
		{"", "2026-11-22 00:00:01", "no"}, {"", "2026-02-30", "no"}, {"", "2026-13-01", "no"}, {"", "2026-00-01", "no"}, {"", "2026-01-00", "no"}, {"", "20261122", "no"}, {"", "2026/11/22", "no"},
		{"", "1900-02-29", "no"}, {"", "2000-02-29", "2000-02-29"}, {"%d-%b-%y", "05-JAN-99", "1999-01-05"}, {"%H:%M", "10:00", "no"},
	} {
		got := "no"
		if d, ok := layout(t, c.format, "").Date([]byte(c.in)); ok {
			got = string(AppendDate(nil, d))
		}
		if got != c.want {
			t.Errorf("date %q as %q = %s, want %s", c.in, c.format, got, c.want)
		}
	}
}

func TestTimesOfDay(t *testing.T) {
	for _, c := range []struct{ format, in, want string }{
		{"", "13:04:05.000100", "13:04:05.0001"}, {"", "00:00", "00:00:00"}, {"%I:%M:%S %p", "1:04:05 PM", "13:04:05"},
		{"", "24:00:00", "no"}, {"", "2026-11-22 13:04:05", "no"}, {"", "13", "no"}, {"", "13:04:05Z", "no"}, {"%F %T", "2026-11-22 13:04:05", "no"},
	} {
		got := "no"
		if us, ok := layout(t, c.format, "").TimeOfDay([]byte(c.in)); ok {
			got = string(AppendTime(nil, us))
		}
		if got != c.want {
			t.Errorf("time %q as %q = %s, want %s", c.in, c.format, got, c.want)
		}
	}
}

func TestBadFormats(t *testing.T) {
	for _, c := range []struct{ format, tz, want string }{
		{"%Q", "", "unknown directive %Q"}, {"%Y-%", "", "% at the end"}, {"%d/%m", "", "needs its year"}, {"%Y %d", "", "needs its month"}, {"%I:%M", "", "go together"},
		{"%H:%S", "", "none left out"}, {"%F %Y", "", "more than one of %Y, %y, %s"}, {"%Y-%j-%d", "", "more than one of"}, {"", "Mars/Olympus", `unknown time zone "Mars/Olympus"`}, {"", "Local", "unknown time zone"},
	} {
		if _, err := NewLayout(c.format, c.tz); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("NewLayout(%q, %q): %v, want %q", c.format, c.tz, err, c.want)
		}
	}
}

// TestZonesAgainstEveryInstant walks the instants of some years and counts how often each local time comes up.
func TestZonesAgainstEveryInstant(t *testing.T) {
	const step = 15 * 60
	for _, tz := range []string{"Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia", "Asia/Kathmandu", "America/St_Johns"} {
		loc, err := time.LoadLocation(tz)
		if err != nil {
			t.Fatal(err)
		}
		l := layout(t, "", tz)
		seen := map[int64][]int64{}
		lo, hi := time.Date(2010, 1, 1, 0, 0, 0, 0, time.UTC).Unix(), time.Date(2012, 12, 31, 0, 0, 0, 0, time.UTC).Unix()
		for s := lo; s < hi; s += step {
			_, off := time.Unix(s, 0).In(loc).Zone()
			seen[s+int64(off)] = append(seen[s+int64(off)], s)
		}
		for local := lo + 2*86_400; local < hi-2*86_400; local += step {
			got, ok := l.zone.instant(local * usPerSecond)
			want := seen[local]
			if ok != (len(want) == 1) || ok && got != want[0]*usPerSecond {
				t.Fatalf("%s: local %s = %d, %v; it is %v", tz, AppendTimestamp(nil, local*usPerSecond), got, ok, want)
			}
		}
	}
}

func TestDaysAsTime(t *testing.T) {
	l := layout(t, "", "")
	d := time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC)
	for day := daysFromCivil(1, 1, 1); day <= daysFromCivil(9999, 12, 31); {
		var buf [32]byte
		text := d.AppendFormat(buf[:0], "2006-01-02")
		if got := string(AppendDate(nil, int32(day))); got != string(text) {
			t.Fatalf("AppendDate(%d) = %s, want %s", day, got, text)
		}
		if got, ok := l.Date(text); !ok || int64(got) != day {
			t.Fatalf("Date(%s) = %d, want %d", text, got, day)
		}
		if c, ok := scanISO(text); !ok || c.days() != day {
			t.Fatalf("scanISO(%s) differs from the fast path", text)
		}
		step := 1
		if y := d.Year(); y < 1890 || y > 2110 {
			step = 7 // steps over no month and no leap year's end for long
		}
		d = d.AddDate(0, 0, step)
		day += int64(step)
	}
}

func TestAnyTimestampReadsBack(t *testing.T) {
	l := layout(t, "", "")
	rapid.Check(t, func(t *rapid.T) {
		us := rapid.Int64Range(-106_751_990*usPerDay, 106_751_990*usPerDay).Draw(t, "us")
		if got, ok := l.Micros(AppendTimestamp(nil, us)); !ok || got != us {
			t.Fatalf("%d printed %s reads %d, %v", us, AppendTimestamp(nil, us), got, ok)
		}
		if got, ok := l.Instant(AppendInstant(nil, us)); !ok || got != us {
			t.Fatalf("%d printed %s reads %d, %v", us, AppendInstant(nil, us), got, ok)
		}
		d := rapid.Int32Range(math.MinInt32/2, math.MaxInt32/2).Draw(t, "days")
		if got, ok := l.Date(AppendDate(nil, d)); !ok || got != d {
			t.Fatalf("%d printed %s reads %d, %v", d, AppendDate(nil, d), got, ok)
		}
	})
}

func FuzzTimestamp(f *testing.F) {
	for _, s := range []string{"2026-11-22 13:04:05", "2026-11-22T13:04:05.123Z", "2026-11-22 13:04:05+02:00", "0044-01-01 BC"} {
		f.Add(s)
	}
	iso, err := NewLayout("", "")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, s string) {
		us, ok := iso.Instant([]byte(s))
		for _, form := range []string{"2006-01-02 15:04:05.999999999", "2006-01-02T15:04:05.999999999Z07:00", "2006-01-02"} {
			want, err := time.Parse(form, s)
			if err != nil || want.Year() == 0 || want.Nanosecond()%1000 != 0 || strings.Contains(s, "+2") || strings.Contains(s, "-2") && form != "2006-01-02" {
				continue
			}
			if p := len(s) - len("+00:00"); p > 19 && (s[p] == '+' || s[p] == '-') && s[p+1:p+3] > "15" {
				continue // time.Parse takes offsets up to 24:00
			}
			if i := strings.IndexAny(s, ".,"); i >= 0 && len(strings.TrimLeft(s[i+1:], "0123456789")) < len(s)-i-10 {
				continue // time.Parse cuts off what is below a nanosecond
			}
			if len(s) > 12 && (s[12] == ':' || s[11] == ' ') || strings.Contains(s, "  ") {
				continue // time.Parse takes one-digit hours, and blanks before them
			}
			if !ok || us != want.UnixMicro() {
				t.Fatalf("Instant(%q) = %d, %v; time.Parse %v", s, us, ok, want)
			}
		}
		if ok {
			if back, ok := iso.Instant(AppendInstant(nil, us)); ok && back != us {
				t.Fatalf("%q read as %d, printed and read as %d", s, us, back)
			}
		}
	})
}

func BenchmarkMicros(b *testing.B) {
	l := layout(b, "%Y-%m-%d %H:%M:%S", "")
	in := []byte("2026-11-22 13:04:05")
	for b.Loop() {
		l.Micros(in)
	}
}
