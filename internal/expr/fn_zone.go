package expr

import (
	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/internal/textval"
)

func init() {
	register(definition{Function{Name: "timezone", Signature: "timezone(zone, timestamp), timestamp AT TIME ZONE zone → timestamptz or timestamp",
		Doc: "The instant at which the clocks of a zone show a timestamp; of a timestamptz, the timestamp that they show then. The zone is an IANA name, an abbreviation (CET is an hour east of UTC in summer, too), " +
			"an interval east of UTC, or an offset as text, where PostgreSQL counts + to the west. A time that the clocks skip is taken to be later by as much, of one that they show twice the second counts.",
		Example: "TIMESTAMP '2026-07-01 12:00:00' AT TIME ZONE 'Europe/Berlin'", Result: "2026-07-01 10:00:00"}, bindTimezone})
	register(definition{Function{Name: "convert_timezone", Signature: "convert_timezone([from_zone,] to_zone, timestamp) → timestamp",
		Doc:     "What clocks in to_zone show when those in from_zone (UTC) show a timestamp; Redshift's form of AT TIME ZONE twice.",
		Example: "convert_timezone('America/New_York', 'Europe/Berlin', TIMESTAMP '2026-07-01 12:00:00')", Result: "2026-07-01 18:00:00"}, bindConvertTimezone})
}

func bindTimezone(b *binder, c *call, args []node) (node, *Error) {
	if len(args) != 2 {
		return nil, b.arguments(c, args, 0, aString, anything)
	}
	return b.atZone(c, args[0], args[1], c.args[0].place(), c.args[1].place())
}

func bindConvertTimezone(b *binder, c *call, args []node) (node, *Error) {
	if len(args) == 2 {
		args = append([]node{stringNode("UTC", true)}, args...)
	} else if len(args) != 3 {
		return nil, b.arguments(c, args, 1, aString, aString, anything)
	}
	at := func(i int) span { return c.args[max(0, i-3+len(c.args))].place() }
	x, err := b.asTimestamp(args[2], at(2))
	if err != nil {
		return nil, err
	}
	if x.typ().kind == kTimestamp {
		if x, err = b.atZone(c, args[0], x, at(0), at(2)); err != nil {
			return nil, err
		}
	}
	return b.atZone(c, args[1], x, at(1), at(2))
}

// asTimestamp casts dates and literals to timestamp.
func (b *binder) asTimestamp(x node, at span) (node, *Error) {
	switch k := x.typ().kind; {
	case k == kTimestamp || k == kTimestamptz:
		return x, nil
	case k == kDate || isUntyped(x):
		return b.cast(x, simple(kTimestamp), at)
	}
	return nil, errAt(at, "want a timestamp or date, not %s", x.typ())
}

// atZone binds x AT TIME ZONE zone.
func (b *binder) atZone(c *call, zone, x node, atZone, atX span) (node, *Error) {
	var err *Error
	if x.typ().kind == kDate || isUntyped(x) { // an instant, as in PostgreSQL
		x, err = b.cast(x, simple(kTimestamptz), atX)
	} else {
		x, err = b.asTimestamp(x, atX)
	}
	if err != nil {
		return nil, err
	}
	t, back := simple(kTimestamptz), false
	if x.typ().kind == kTimestamptz {
		t, back = simple(kTimestamp), true
	}
	z, zones, err := b.zone(zone, atZone)
	switch {
	case err != nil:
		return nil, err
	case zones == nil:
		return b.call(t, inZone(func(z *textval.Zone, us int64) (int64, bool) { return convert(z, us, back) }, z), true, c.span, x), nil
	}
	return b.call(t, inZone(func(z *textval.Zone, us int64) (int64, bool) { return convert(z, us, back) }, nil), true, c.span, x, zones), nil
}

func convert(z *textval.Zone, us int64, back bool) (int64, bool) {
	if back {
		return z.Local(us)
	}
	return z.Instant(us)
}

// zone is the zone that a constant names, or the node that gives the names.
func (b *binder) zone(x node, at span) (*textval.Zone, node, *Error) {
	if x.typ().kind == kInterval {
		c, ok := x.(*constNode)
		if !ok || c.v.null {
			return nil, nil, errAt(at, "the interval of a time zone must be a literal such as INTERVAL '2 hours'")
		}
		v := values[interval](c.v)[0]
		if v.months != 0 || v.days != 0 || v.micros%microsPerSecond != 0 || v.micros >= microsPerDay || v.micros <= -microsPerDay {
			return nil, nil, errAt(at, "an interval of less than a day, in whole seconds, is wanted as a time zone")
		}
		return textval.FixedZone(int(v.micros / microsPerSecond)), nil, nil
	}
	if name, ok := constString(x); ok {
		z, err := textval.NewZone(name)
		if err != nil {
			return nil, nil, errAt(at, "%s", err)
		}
		return z, nil, nil
	}
	if !okOrNull(x, kString) {
		return nil, nil, errAt(at, "a time zone must be a string such as 'Europe/Berlin', not %s", x.typ())
	}
	x, err := b.cast(x, simple(kString), at)
	return nil, x, err
}

// inZone computes each row's µs in z, or, if that is nil, in the zone that the second argument names.
func inZone(compute func(z *textval.Zone, us int64) (int64, bool), z *textval.Zone) kernel {
	return func(f *function, r *run, sel []byte, args []*vector) *vector {
		out := r.fixed(f.t)
		out.valid = r.strictValid(args...)
		src, m := values[int64](args[0]), args[0].mask()
		valid, dst := out.valid, values[int64](out)
		z, last := z, ""
		for i := range dst {
			if valid != nil && !bit(valid, i) {
				dst[i] = 0
				continue
			}
			us := src[i&m]
			if len(args) > 1 {
				if name := args[1].str(i & args[1].mask()); z == nil || string(name) != last {
					last = string(name)
					var err error
					if z, err = textval.NewZone(last); err != nil {
						dst[i] = 0
						if active(sel, valid, i) {
							f.fail(r, out, i, fail.Shorten(last), "unknown time zone")
						}
						continue
					}
				}
			}
			var ok bool
			if dst[i], ok = compute(z, us); !ok && active(sel, valid, i) {
				f.fail(r, out, i, string(textval.AppendTimestamp(nil, us)), "timestamp out of range")
			}
		}
		return out
	}
}
