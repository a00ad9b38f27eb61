package expr

import (
	"math"
	"strconv"

	"github.com/sluice-data/sluice/internal/textval"
)

// addInterval adds months (to the month's last day at most), then days, then µs to a timestamp: PostgreSQL's order. false if the
// result is out of range.
func addInterval(us int64, v interval) (int64, bool) {
	day, rest := floorDiv(us, microsPerDay), floorMod(us, microsPerDay)
	if v.months != 0 {
		day = addMonths(day, int64(v.months))
	}
	return onDay(day, rest, v)
}

// onDay is day, moved by v's months already, and the time rest, moved by the rest of v.
func onDay(day, rest int64, v interval) (int64, bool) {
	day += int64(v.days)
	hi := day*microsPerDay + rest
	out := hi + v.micros
	const most = math.MaxInt64/microsPerDay - 1
	return out, day <= most && day >= -most && (hi^out)&(v.micros^out) >= 0
}

// addMonths moves a day by months; a day that the month does not have becomes its last.
func addMonths(day, months int64) int64 {
	y, m, d := civil(day)
	m += months - 1
	y, m = y+floorDiv(m, 12), floorMod(m, 12)+1
	return dayOf(y, m, min(d, daysInMonth(y, m)))
}

// shift is timestamp ± interval.
func shift(minus bool) kernel {
	return func(f *function, r *run, sel []byte, args []*vector) *vector {
		x, y, mx, my := values[int64](args[0]), values[interval](args[1]), args[0].mask(), args[1].mask()
		out := r.fixed(f.t)
		out.valid = r.strictValid(args...)
		valid, dst := out.valid, values[int64](out)
		var memo dayMemo // where the interval is one
		months := int64(0)
		move := func(day int64) int64 { return addMonths(day, months) }
		for i := range dst {
			v, ok := y[i&my], true
			if minus {
				v, ok = v.negate()
			}
			var fits bool
			if my == 0 && v.months != 0 {
				months = int64(v.months)
				us := x[i&mx]
				dst[i], fits = onDay(memo.of(floorDiv(us, microsPerDay), move), floorMod(us, microsPerDay), v)
			} else {
				dst[i], fits = addInterval(x[i&mx], v)
			}
			if !(ok && fits) && active(sel, valid, i) {
				f.fail(r, out, i, string(textval.AppendTimestamp(nil, x[i&mx])), "timestamp out of range")
			}
		}
		return out
	}
}

// shiftTime is time ± interval: only its hours, minutes and seconds count, and midnight is passed.
func shiftTime(minus bool) kernel {
	return func(f *function, r *run, _ []byte, args []*vector) *vector {
		x, y, mx, my := values[int64](args[0]), values[interval](args[1]), args[0].mask(), args[1].mask()
		out := r.fixed(f.t)
		out.valid = r.strictValid(args...)
		dst := values[int64](out)
		for i := range dst {
			us := y[i&my].micros % microsPerDay
			if minus {
				us = -us
			}
			dst[i] = floorMod(x[i&mx]+us, microsPerDay)
		}
		return out
	}
}

// subTimestamps gives days and time, like PostgreSQL: no months.
func subTimestamps(f *function, r *run, sel []byte, args []*vector) *vector {
	return intervals(f, r, sel, args, func(a, b int64) (interval, bool) {
		d := a - b
		return interval{days: int32(d / microsPerDay), micros: d % microsPerDay}, (a^b)&(a^d) >= 0
	})
}

func subTimes(f *function, r *run, sel []byte, args []*vector) *vector {
	return intervals(f, r, sel, args, func(a, b int64) (interval, bool) { return interval{micros: a - b}, true })
}

// intervals makes an interval of each row's two arguments.
func intervals[S, T any](f *function, r *run, sel []byte, args []*vector, compute func(a S, b T) (interval, bool)) *vector {
	x, y, mx, my := values[S](args[0]), values[T](args[1]), args[0].mask(), args[1].mask()
	out := r.fixed(f.t)
	out.valid = r.strictValid(args...)
	valid, dst := out.valid, values[interval](out)
	for i := range dst {
		var ok bool
		if dst[i], ok = compute(x[i&mx], y[i&my]); !ok && active(sel, valid, i) {
			f.fail(r, out, i, string(appender(args[0])(nil, i)), "interval out of range")
		}
	}
	return out
}

// intervalArithmetic is interval ± interval.
func intervalArithmetic(minus bool) kernel {
	return func(f *function, r *run, sel []byte, args []*vector) *vector {
		return intervals(f, r, sel, args, func(a, b interval) (interval, bool) {
			ok := true
			if minus {
				b, ok = b.negate()
			}
			months, days, micros := int64(a.months)+int64(b.months), int64(a.days)+int64(b.days), a.micros+b.micros
			v := interval{int32(months), int32(days), micros}
			return v, ok && int64(v.months) == months && int64(v.days) == days && (a.micros^micros)&(b.micros^micros) >= 0
		})
	}
}

func negateInterval(f *function, r *run, sel []byte, args []*vector) *vector {
	return intervals(f, r, sel, []*vector{args[0], args[0]}, func(a, _ interval) (interval, bool) { return a.negate() })
}

// timesInt multiplies exactly.
func timesInt(f *function, r *run, sel []byte, args []*vector) *vector {
	return intervals(f, r, sel, args, func(v interval, n int64) (interval, bool) {
		var s intervalSum
		ok := s.add(n, 0, interval{months: v.months}) && s.add(n, 0, interval{days: v.days}) && s.add(n, 0, interval{micros: v.micros})
		out, fits := s.interval()
		return out, ok && fits
	})
}

// timesFloat multiplies or divides by a float: fractions of months become days of which it has 30, fractions of days become hours, each
// rounded to µs, as in PostgreSQL.
func timesFloat(divide bool) kernel {
	return func(f *function, r *run, sel []byte, args []*vector) *vector {
		x, y, mx, my := values[interval](args[0]), values[float64](args[1]), args[0].mask(), args[1].mask()
		out := r.fixed(f.t)
		out.valid = r.strictValid(args...)
		valid, dst := out.valid, values[interval](out)
		for i := range dst {
			by := y[i&my]
			scale := func(v float64) float64 { return v * by }
			if divide {
				scale = func(v float64) float64 { return v / by }
			}
			var ok bool
			dst[i], ok = scaled(x[i&mx], scale)
			if ok && !(divide && by == 0) || !active(sel, valid, i) {
				continue
			}
			reason := "interval out of range"
			if divide && by == 0 {
				reason = "division by zero"
			}
			f.fail(r, out, i, formatFloat(by), reason)
		}
		return out
	}
}

func scaled(v interval, scale func(float64) float64) (interval, bool) {
	micro := func(x float64) float64 { return math.RoundToEven(x*1e6) / 1e6 }
	fits := func(x float64) bool { return x >= math.MinInt32 && x <= math.MaxInt32 }
	months, days := scale(float64(v.months)), scale(float64(v.days))
	if !fits(months) || !fits(days) { // or NaN
		return interval{}, false
	}
	out := interval{months: int32(months)}
	more := micro((months - math.Trunc(months)) * 30)
	seconds := micro((days - math.Trunc(days) + more - math.Trunc(more)) * 86400)
	whole := math.Trunc(days) + math.Trunc(more)
	if math.Abs(seconds) >= 86400 {
		whole += math.Trunc(seconds / 86400)
		seconds -= math.Trunc(seconds/86400) * 86400
	}
	us := math.RoundToEven(scale(float64(v.micros)) + seconds*1e6)
	if !fits(whole) || !(us >= -1<<63 && us < 1<<63) {
		return interval{}, false
	}
	out.days, out.micros = int32(whole), int64(us)
	return out, true
}

// compareIntervals fills dst with a = b or a < b.
func (r *run) compareIntervals(dst []byte, op compareOp, a, b *vector) {
	clear(dst[:(r.n+7)/8])
	x, y, ma, mb := values[interval](a), values[interval](b), a.mask(), b.mask()
	for i := range r.n {
		xd, xu := x[i&ma].order()
		yd, yu := y[i&mb].order()
		if op.less && (xd < yd || xd == yd && xu < yu) || !op.less && xd == yd && xu == yu {
			setBit(dst, i)
		}
	}
}

// timeToInterval and intervalToTime are casts; of an interval only the time of day counts, as in PostgreSQL.
func timeToInterval(f *function, r *run, _ []byte, args []*vector) *vector {
	return mapFixed(func(us int64) interval { return interval{micros: us} })(f, r, nil, args)
}

func intervalToTime(f *function, r *run, _ []byte, args []*vector) *vector {
	return mapFixed(func(v interval) int64 { return floorMod(v.micros, microsPerDay) })(f, r, nil, args)
}

func addDays(minus bool) kernel {
	return func(f *function, r *run, sel []byte, args []*vector) *vector {
		x, mx, y, my := values[int32](args[0]), args[0].mask(), values[int64](args[1]), args[1].mask()
		out := r.fixed(f.t)
		out.valid = r.strictValid(args...)
		valid, dst := out.valid, values[int32](out)
		for i := range dst {
			n := y[i&my]
			if minus {
				n = -n
			}
			d := int64(x[i&mx]) + n
			dst[i] = int32(d)
			if (d != int64(dst[i]) || n > math.MaxUint32 || n < -math.MaxUint32) && active(sel, valid, i) {
				f.fail(r, out, i, strconv.FormatInt(y[i&my], 10), "date out of range")
			}
		}
		return out
	}
}

func subDates(f *function, r *run, sel []byte, args []*vector) *vector {
	return intKernel("-", subSigned[int32])(f, r, sel, args)
}
