package expr

import "strconv"

// Parts of dates under names of their own, as DuckDB, Redshift and MySQL have them.
func init() {
	for _, f := range []struct {
		name, unit, example, result string
		aliases                     []string
	}{
		{"year", "year", "year(DATE '2026-11-22')", "2026", nil},
		{"quarter", "quarter", "quarter(DATE '2026-11-22')", "4", nil},
		{"month", "month", "month(DATE '2026-11-22')", "11", nil},
		{"week", "week", "week(DATE '2026-11-22')", "47", []string{"weekofyear"}},
		{"day", "day", "day(DATE '2026-11-22')", "22", []string{"dayofmonth"}},
		{"dayofweek", "dow", "dayofweek(DATE '2026-11-22')", "0", []string{"weekday"}},
		{"isodow", "isodow", "isodow(DATE '2026-11-22')", "7", nil},
		{"dayofyear", "doy", "dayofyear(DATE '2026-11-22')", "326", nil},
		{"isoyear", "isoyear", "isoyear(DATE '2027-01-01')", "2026", nil},
		{"decade", "decade", "decade(DATE '2026-11-22')", "202", nil},
		{"century", "century", "century(DATE '2000-12-31')", "20", nil},
		{"millennium", "millennium", "millennium(DATE '2001-01-01')", "3", nil},
		{"hour", "hour", "hour(TIMESTAMP '2026-11-22 13:04:05')", "13", nil},
		{"minute", "minute", "minute(TIME '13:04:05')", "4", nil},
		{"microsecond", "microseconds", "microsecond(TIME '13:04:05.25')", "5250000", nil},
		{"epoch", "epoch", "epoch(TIMESTAMP '1970-01-02 00:00:00.5')", "86400.500000", nil},
	} {
		doc := "extract(" + f.unit + " FROM x)."
		switch f.name {
		case "dayofweek":
			doc = "extract(dow FROM x): 0 is Sunday."
		case "isodow":
			doc = "extract(isodow FROM x): 1 is Monday, 7 Sunday."
		case "week":
			doc = "extract(week FROM x): the week of ISO 8601, 1 to 53."
		}
		register(definition{Function{Name: f.name, Aliases: f.aliases, Signature: f.name + "(date, time, timestamp or interval) → number", Doc: doc, Example: f.example, Result: f.result},
			func(b *binder, c *call, args []node) (node, *Error) {
				if len(args) != 1 {
					return nil, b.arguments(c, args, 0, anything)
				}
				return b.part(c, f.unit, args[0], c.args[0].place())
			}})
	}
	for _, f := range []struct {
		name, unit, doc, example, result string
		per                              int64
	}{
		{"second", "second", "The whole seconds; extract(second FROM x) has the fraction, too.", "second(TIME '13:04:05.25')", "5", microsPerSecond},
		{"millisecond", "milliseconds", "The whole milliseconds, those of the seconds included.", "millisecond(TIME '13:04:05.25')", "5250", 1000},
	} {
		register(definition{Function{Name: f.name, Signature: f.name + "(time, timestamp or interval) → int64", Doc: f.doc, Example: f.example, Result: f.result},
			func(b *binder, c *call, args []node) (node, *Error) {
				if len(args) != 1 {
					return nil, b.arguments(c, args, 0, anything)
				}
				us, err := b.part(c, "microseconds", args[0], c.args[0].place())
				if err != nil {
					return nil, err
				}
				return b.call(simple(kInt64), mapFixed(func(us int64) int64 { return us / f.per }), false, c.span, us), nil
			}})
	}
	register(definition{Function{Name: "yearweek", Signature: "yearweek(date or timestamp) → int64", Doc: "The year of ISO 8601 times 100, and the week in it.", Example: "yearweek(DATE '2027-01-01')", Result: "202653"},
		bindYearWeek})
	dayName := func(day int64) string { return dayNames[isoDow(day)%7] }
	monthName := func(day int64) string { _, m, _ := civil(day); return monthNames[m-1] }
	register(definition{Function{Name: "dayname", Signature: "dayname(date or timestamp) → string", Doc: "The name of the weekday, in English.", Example: "dayname(DATE '2026-11-22')", Result: "Sunday"}, bindName(dayName)})
	register(definition{Function{Name: "monthname", Signature: "monthname(date or timestamp) → string", Doc: "The name of the month, in English.", Example: "monthname(DATE '2026-11-22')", Result: "November"}, bindName(monthName)})
}

var (
	dayNames   = []string{"Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"}
	monthNames = []string{"January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"}
)

// day binds a function's first argument, a date or timestamp, as a date.
func (b *binder) day(c *call, args []node) (node, *Error) {
	at := c.args[0].place()
	switch k := args[0].typ().kind; {
	case k == kDate:
		return args[0], nil
	case k == kTimestamp || k == kTimestamptz || isUntyped(args[0]):
		return b.cast(args[0], simple(kDate), at)
	}
	return nil, errAt(at, "%s needs a date or timestamp, not %s", c.name, args[0].typ())
}

func bindYearWeek(b *binder, c *call, args []node) (node, *Error) {
	if len(args) != 1 {
		return nil, b.arguments(c, args, 0, anything)
	}
	d, err := b.day(c, args)
	if err != nil {
		return nil, err
	}
	year, week := datePart("isoyear"), datePart("week")
	return b.call(simple(kInt64), mapFixed(func(d int32) int64 {
		y, w := year(int64(d)), week(int64(d))
		if y < 0 {
			w = -w
		}
		return y*100 + w
	}), false, c.span, d), nil
}

func bindName(name func(day int64) string) func(b *binder, c *call, args []node) (node, *Error) {
	return func(b *binder, c *call, args []node) (node, *Error) {
		if len(args) != 1 {
			return nil, b.arguments(c, args, 0, anything)
		}
		d, err := b.day(c, args)
		if err != nil {
			return nil, err
		}
		return b.call(simple(kString), func(f *function, r *run, _ []byte, args []*vector) *vector {
			valid := r.strictValid(args...)
			out := r.newText(f.t, r.n*9)
			for i, d := range values[int32](args[0]) {
				if valid == nil || bit(valid, i) {
					out.buf = append(out.buf, name(int64(d))...)
				}
				out.end(i)
			}
			return out.finish(r, valid)
		}, false, c.span, d), nil
	}
}

func formatDay(d int64) string { return strconv.FormatInt(d, 10) + " days since 1970-01-01" }
