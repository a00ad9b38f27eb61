package expr

import (
	"math"
	"testing"
)

// FuzzInterval: what is read as an interval prints as text that reads as the same.
func FuzzInterval(f *testing.F) {
	for _, s := range []string{"1 day 2 hours", "1-2", "-1 year 2 mons +3 days -04:05:06.7", "P1Y2M3DT4H5M6.5S", "@ 1 day ago", "90", "1.5 months", "3 4:05", "9999999999 hours", "-0.000001"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		v, ok := parseInterval([]byte(s))
		if !ok {
			return
		}
		text := string(appendInterval(nil, v))
		if back, ok := parseInterval([]byte(text)); !ok || back != v {
			t.Fatalf("%q is %+v, prints as %q and comes back as %+v, %v", s, v, text, back, ok)
		}
	})
}

// FuzzTimeTemplate: any template prints any time, and where it has all of the date and time, reads it back.
func FuzzTimeTemplate(f *testing.F) {
	for _, s := range []string{"YYYY-MM-DD HH24:MI:SS.US", "FMMonth DDth, YYYY AM", `"a\"b"IYYY-IW-ID`, "FXYYYYMMDD", "J SSSSS", "Y,YYY RM DDD TZH:TZM", "\\\"", "DD/MM/YY", "世YYYY"} {
		f.Add(s, "2026-11-22 13:04:05", int64(1795352645123456))
	}
	f.Fuzz(func(t *testing.T, template, text string, us int64) {
		items := parseTimeTemplate(template)
		tm := timeOf(us, true)
		shown := appendTemplate(nil, printed(items), &tm)
		tm = timeOfInterval(interval{int32(us), int32(us >> 32), us})
		if checkIntervalTemplate(items) == nil {
			appendTemplate(nil, printed(items), &tm)
		}
		r, err := newTimeReader(template)
		if err != nil {
			return
		}
		r.instant([]byte(text))
		r.date([]byte(text))
		if back, ok := r.instant(shown); ok && template == "YYYY-MM-DD HH24:MI:SS.US" && back != us && us > -62135596800000000 {
			t.Fatalf("%q of %d prints %q, which is %d", template, us, shown, back)
		}
	})
}

// TestTimeTemplateReadsBack: each of these templates has all of a time.
func TestTimeTemplateReadsBack(t *testing.T) {
	for _, template := range []string{"YYYY-MM-DD HH24:MI:SS.US", "YYYYMMDDHH24MISSUS", "FMDay, FMDDth FMMonth YYYY FMHH12:MI:SS.US AM", "J SSSSS.US", "IYYY-IW-ID HH24:MI:SS.FF6", "IYYY-IDDD HH24:MI:SS.US",
		"Y,YYY RM DD HH:MI:SS.US p.m.", "YYYY-DDD HH24 MI SS US TZH:TZM", "DD Mon YYYY AD HH24:MI:SS.US OF", "US SS MI HH24 DD MM YYYY"} {
		r, err := newTimeReader(template)
		if err != nil {
			t.Errorf("%s: %v", template, err)
			continue
		}
		for us := int64(-6e16); us < 2.5e17; us += 1234567890123 * 97 {
			tm := timeOf(us, true)
			text := appendTemplate(nil, printed(r.items), &tm)
			if back, ok := r.instant(text); !ok || back != us {
				t.Fatalf("%s: %d prints %q and comes back as %d, %v", template, us, text, back, ok)
			}
		}
	}
}

// FuzzNumberTemplate: any template prints any number without a panic, and reads any text.
func FuzzNumberTemplate(f *testing.F) {
	for _, s := range []string{"FM999,990.00", "S99V9", "9PR", "RN", "9.99EEEE", `"x"L0MI`, "SG9th", "0", ".", "th"} {
		f.Add(s, "-1,234.5", int64(-12345), uint8(2))
	}
	f.Fuzz(func(t *testing.T, template, text string, n int64, scale uint8) {
		tmpl, err := parseNumberTemplate(template)
		if err != nil {
			return
		}
		show := func(w written, ok bool) {
			switch {
			case !ok || tmpl.exponent:
			case tmpl.roman:
				tmpl.appendRoman(nil, w)
			default:
				tmpl.appendNumber(nil, w)
			}
		}
		w, _, ok := writeDecimal(nil, decOf(n), int32(scale%39), tmpl)
		show(w, ok)
		w, _, ok = writeFloat(nil, math.Float64frombits(uint64(n)), false, tmpl)
		show(w, ok)
		if tmpl.pre+tmpl.post+tmpl.shift <= 38 && !tmpl.roman && !tmpl.exponent {
			tmpl.read(nil, []byte(text))
		}
	})
}

// TestNumberTemplateReadsBack: what a plain template prints of a decimal, to_number reads back.
func TestNumberTemplateReadsBack(t *testing.T) {
	for _, template := range []string{"999999999999999.999", "FM999,999,999,999,999.000", "S999999999999999.999", "999999999999999.999MI", "FM999,999,999,999,999.999PR", "SG000000000000000.000"} {
		tmpl, err := parseNumberTemplate(template)
		if err != nil {
			t.Fatal(err)
		}
		for n := int64(-9e17); n < 9e17; n += 98765432109 * 1713 {
			w, _, _ := writeDecimal(nil, decOf(n), 3, tmpl)
			text := tmpl.appendNumber(nil, w)
			if back, _, ok := tmpl.read(nil, text); !ok || back != decOf(n) {
				t.Fatalf("%s: %d prints %q and comes back as %v, %v", template, n, text, back, ok)
			}
		}
	}
}

// TestPrintedSteps: the steps that most templates have print what their patterns do, also of years and hours of other lengths, and of intervals.
func TestPrintedSteps(t *testing.T) {
	tmpl := parseTimeTemplate(`YYYY-MM-DD HH24:MI:SS "at" FMMM FMDDth YYYYth HH24TH MITH DDD`)
	var times []templateTime
	for _, us := range []int64{0, -1, 1795352645123456, -62135596800000000 - 1, 253402300800000000, 253402300799999999, -30610224000000000 - 1, -30610224000000000} {
		times = append(times, timeOf(us, false))
	}
	for _, v := range []interval{{}, {months: 14, days: 3, micros: 97506500000}, {months: -14, days: -3, micros: -97506500000}, {days: 100, micros: 100 * microsPerHour}, {days: 99, micros: 99 * microsPerHour}, {months: 12 * 12345}} {
		times = append(times, timeOfInterval(v))
	}
	for _, tm := range times {
		var want []byte
		for i := range tmpl {
			if p := &tmpl[i]; p.name == "" {
				want = append(want, p.text...)
			} else {
				want = p.append(want, &tm)
			}
		}
		if got := appendTemplate(nil, printed(tmpl), &tm); string(got) != string(want) {
			t.Errorf("%+v prints %q, want %q", tm, got, want)
		}
	}
}

// TestDayOf: the short way gives the day that the long one does, and civil leads back.
func TestDayOf(t *testing.T) {
	for y := int64(-40_100); y <= 40_100; y++ {
		for m := int64(1); m <= 12; m++ {
			got := dayOf(y, m, 1)
			if want := dayFar(y, m, 1); got != want {
				t.Fatalf("%d-%d: day %d, want %d", y, m, got, want)
			}
			if by, bm, bd := civil(got); by != y || bm != m || bd != 1 {
				t.Fatalf("%d-%d is day %d, which is %d-%d-%d", y, m, got, by, bm, bd)
			}
		}
	}
}
