package expr

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// aggregates are refused with a better message than "unknown function".
var aggregates = map[string]bool{}

// Aggregate tells the names of an aggregate function, so that one in the wrong place is called that.
func Aggregate(names ...string) {
	for _, n := range names {
		aggregates[n] = true
	}
}

func (b *binder) function(c *call) (node, *Error) {
	d := functions[c.name]
	switch {
	case d == nil && aggregates[c.name]:
		return nil, errAt(c.at, "%s is an aggregate: it can only be a measure of an aggregate step", c.name)
	case d == nil && refused[c.name] != "":
		return nil, errAt(c.at, "%s", refused[c.name])
	case d == nil:
		names := slices.Collect(maps.Keys(functions))
		if b.calls != nil {
			names = slices.AppendSeq(names, maps.Keys(aggregates))
		}
		if best, ok := nearest(c.name, names); ok {
			return nil, errAt(c.at, "unknown function %q: did you mean %s?", c.name, best)
		}
		return nil, errAt(c.at, "unknown function %q", c.name)
	case c.star:
		return nil, errAt(c.span, "%s(*) makes no sense: only count takes *", c.name)
	case c.distinct:
		return nil, errAt(c.span, "DISTINCT makes no sense here: %s is not an aggregate", c.name)
	}
	args, err := b.bindAll(c.args)
	if err != nil {
		return nil, err
	}
	return d.bind(b, c, args)
}

// parameter is what one argument of a function may be.
type parameter uint8

const (
	aString parameter = iota
	anInt             // cast to int64
	aNumber
	aFloat // any number, cast to float64
	anything
	anInterval
)

// arguments checks the number and types of args against params, of which the last optional may be missing, and casts them.
func (b *binder) arguments(c *call, args []node, optional int, params ...parameter) *Error {
	if len(args) > len(params) || len(args) < len(params)-optional {
		want := fmt.Sprint(len(params))
		if optional > 0 {
			want = fmt.Sprintf("%d to %d", len(params)-optional, len(params))
		}
		s := "s"
		if want == "1" {
			s = ""
		}
		return errAt(c.span, "%s takes %s argument%s, not %d: %s", c.name, want, s, len(args), signature(c.name))
	}
	for i, x := range args {
		var err *Error
		if args[i], err = b.argument(c, i, x, params[i]); err != nil {
			return err
		}
	}
	return nil
}

func signature(name string) string {
	if d := functions[name]; d != nil {
		return d.Signature
	}
	return name
}

var ordinals = []string{"first", "second", "third", "fourth", "fifth"}

func (b *binder) argument(c *call, i int, x node, p parameter) (node, *Error) {
	t, at := x.typ(), c.args[i].place()
	want := ""
	switch p {
	case aString:
		if okOrNull(x, kString) {
			return b.cast(x, simple(kString), at)
		}
		want = "a string"
	case anInt:
		if isUntyped(x) || t.kind.integer() || t.kind == kNull {
			return b.cast(x, simple(kInt64), at)
		}
		want = "an integer"
	case aNumber, aFloat:
		if isUntyped(x) || p == aFloat && t.kind.numeric() {
			return b.cast(x, simple(kFloat64), at)
		}
		if t.kind.numeric() {
			return x, nil
		}
		want = "a number"
	case anInterval:
		if isUntyped(x) || t.kind == kInterval || t.kind == kTime {
			return b.cast(x, simple(kInterval), at)
		}
		want = "an interval"
	case anything:
		if t.kind == kInterval {
			return nil, errAt(at, "%s does not work on an interval", c.name)
		}
		return x, nil
	}
	which := ""
	if len(c.args) > 1 && i < len(ordinals) {
		which = ordinals[i] + " "
	}
	return nil, errAt(at, "the %sargument of %s must be %s, not %s: cast it, as in x::%s", which, c.name, want, t,
		map[parameter]string{aString: "string", anInt: "int64", aNumber: "float64", aFloat: "float64", anInterval: "interval"}[p])
}

// strict registers a function of fixed parameter and result types.
func strict(d Function, mayFail bool, t typ, k kernel, optional int, params ...parameter) {
	register(definition{d, func(b *binder, c *call, args []node) (node, *Error) {
		if err := b.arguments(c, args, optional, params...); err != nil {
			return nil, err
		}
		return b.call(t, k, mayFail, c.span, args...), nil
	}})
}

// unit reads the constant name of a date part, which must be one of units.
func (b *binder) unit(c *call, x node, units []string) (string, *Error) {
	s, ok := constString(x)
	if !ok {
		return "", errAt(c.args[0].place(), "the first argument of %s must be a literal such as '%s'", c.name, units[0])
	}
	u := strings.ToLower(strings.TrimSpace(s))
	if long, ok := unitAliases[u]; ok {
		u = long
	}
	for _, n := range units {
		if n == u || n == strings.TrimSuffix(u, "s") && u != "s" {
			return n, nil
		}
	}
	msg := fmt.Sprintf("unknown unit %q of %s", s, c.name)
	if best, ok := nearest(u, units); ok {
		msg += fmt.Sprintf(": did you mean %s?", best)
	} else {
		msg += ": use one of " + strings.Join(units, ", ")
	}
	return "", errAt(c.args[0].place(), "%s", msg)
}

var unitAliases = map[string]string{"us": "microseconds", "usec": "microseconds", "microsecond": "microseconds", "ms": "milliseconds", "msec": "milliseconds",
	"millisecond": "milliseconds", "sec": "second", "s": "second", "min": "minute", "m": "minute", "hr": "hour", "h": "hour", "d": "day", "w": "week",
	"mon": "month", "qtr": "quarter", "yr": "year", "y": "year", "centuries": "century", "millennia": "millennium"}
