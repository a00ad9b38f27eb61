package textval

import (
	"math/rand/v2"
	"testing"
	"time"
)

// TestZone: what clocks show, and when they show it; PostgreSQL 15 gives the same.
func TestZone(t *testing.T) {
	for _, c := range []struct{ zone, local, instant string }{
		{"Europe/Berlin", "2026-07-01 12:00:00", "2026-07-01 10:00:00"},
		{"Europe/Berlin", "2026-03-29 01:59:59.999999", "2026-03-29 00:59:59.999999"},
		{"Europe/Berlin", "2026-03-29 02:00:00", "2026-03-29 01:00:00"}, // skipped
		{"Europe/Berlin", "2026-03-29 02:30:00", "2026-03-29 01:30:00"},
		{"Europe/Berlin", "2026-03-29 03:00:00", "2026-03-29 01:00:00"},
		{"Europe/Berlin", "2026-10-25 02:00:00", "2026-10-25 01:00:00"}, // twice: the second
		{"Europe/Berlin", "2026-10-25 02:59:59", "2026-10-25 01:59:59"},
		{"America/New_York", "2026-11-01 01:30:00", "2026-11-01 06:30:00"},
		{"Pacific/Apia", "2011-12-30 12:00:00", "2011-12-30 22:00:00"}, // a day skipped
		{"Europe/Moscow", "2014-10-26 01:30:00", "2014-10-25 22:30:00"},
		{"Europe/Berlin", "2040-12-31 12:00:00", "2040-12-31 11:00:00"}, // behind the table, where time's own bounds go in circles
		{"Europe/Berlin", "2040-12-31 23:59:59", "2040-12-31 22:59:59"},
		{"+03", "2026-01-01 00:00:00", "2026-01-01 03:00:00"}, // west
		{"-5:30", "2026-01-01 00:00:00", "2025-12-31 18:30:00"},
		{"UTC+3", "2026-01-01 00:00:00", "2026-01-01 03:00:00"},
		{"pst", "2026-01-01 00:00:00", "2026-01-01 08:00:00"},
		// abbreviations are one offset, in summer and long ago, too, though there are IANA zones of these names
		{"CET", "2026-07-01 12:00:00", "2026-07-01 11:00:00"},
		{"cet", "2026-07-01 12:00:00", "2026-07-01 11:00:00"},
		{"MET", "2026-07-01 12:00:00", "2026-07-01 11:00:00"},
		{"EET", "2026-07-01 12:00:00", "2026-07-01 10:00:00"},
		{"WET", "2026-07-01 12:00:00", "2026-07-01 12:00:00"},
		{"EST", "1850-07-01 12:00:00", "1850-07-01 17:00:00"},
		{"MST", "1918-07-01 12:00:00", "1918-07-01 19:00:00"},
		{"HST", "1930-07-01 12:00:00", "1930-07-01 22:00:00"},
		{"GMT", "2026-07-01 12:00:00", "2026-07-01 12:00:00"},
		{"EST5EDT", "2026-07-01 12:00:00", "2026-07-01 16:00:00"},
	} {
		z, err := NewZone(c.zone)
		if err != nil {
			t.Fatal(err)
		}
		iso := layout(t, "", "")
		local, _ := iso.Micros([]byte(c.local))
		us, ok := z.Instant(local)
		if got := string(AppendTimestamp(nil, us)); got != c.instant || !ok {
			t.Errorf("%s in %s is %s, %v, want %s", c.local, c.zone, got, ok, c.instant)
		}
	}
	for _, name := range []string{"", "Local", "Mars/Olympus", "UTC+", "+3x", "+99", "a b+3"} {
		if _, err := NewZone(name); err == nil {
			t.Errorf("%q is taken for a zone", name)
		}
	}
}

// TestZoneThereAndBack: Local is what the time package gives, Instant brings back a time that clocks show once, and one of the instants
// of a time that they show twice.
func TestZoneThereAndBack(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, name := range []string{"Europe/Berlin", "America/Sao_Paulo", "Australia/Lord_Howe", "Africa/Casablanca", "Asia/Kathmandu", "UTC"} {
		z, err := NewZone(name)
		if err != nil {
			t.Fatal(err)
		}
		loc, _ := time.LoadLocation(name)
		for range 20000 {
			us := r.Int64N(5e15) - 1e15
			at := time.UnixMicro(us).In(loc)
			_, offset := at.Zone()
			local, ok := z.Local(us)
			if !ok || local != us+int64(offset)*usPerSecond {
				t.Fatalf("%s: local time at %v is %s", name, at, AppendTimestamp(nil, local))
			}
			back, _ := z.Instant(local)
			if again, _ := z.Local(back); again != local || back < us {
				t.Fatalf("%s: %s comes back as %s", name, AppendInstant(nil, us), AppendInstant(nil, back))
			}
		}
	}
	z, _ := NewZone("Europe/Berlin")
	const far = 1<<63 - 1
	if _, ok := z.Local(far); ok {
		t.Error("a local time beyond int64")
	}
	if _, ok := z.Instant(-far); ok {
		t.Error("an instant before int64")
	}
}
