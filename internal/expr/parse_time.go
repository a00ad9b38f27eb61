package expr

import (
	"slices"
	"strings"
)

// atTimeZone parses AT TIME ZONE behind x, which is a call of timezone.
func (p *parser) atTimeZone(x syntax, bp, from int) (syntax, *Error) {
	at := p.last().span
	p.at += 2 // TIME ZONE
	end := x.place().end
	n := &call{name: "timezone", at: span{at.pos, p.last().end}}
	zone, err := p.expr(bp + 1)
	if err != nil {
		return nil, err
	}
	n.add(zone, zone.place())
	n.add(x, span{from, end})
	n.span = span{from, p.last().end}
	return n, nil
}

// intervalFields takes the standard's fields behind an interval's string: INTERVAL '3' DAY, INTERVAL '1-2' YEAR TO MONTH.
func (p *parser) intervalFields(n *literal) *Error {
	unit := p.peek()
	if _, ok := intervalUnits[unit.low]; !ok || unit.kind != tokIdent {
		return nil
	}
	p.at++
	n.end = unit.end
	if !p.takeWord("to") {
		n.text += " " + unit.low
		return nil
	}
	to := p.take()
	n.end = to.end
	switch unit.low + " " + to.low {
	case "year month", "day hour", "day minute", "day second", "hour minute", "hour second":
		return nil // the text says so, too
	}
	return errAt(span{unit.pos, to.end}, "%s TO %s is no field of an interval here: write it like '1 day 2 hours'", strings.ToUpper(unit.low), strings.ToUpper(to.low))
}

// countedInterval parses INTERVAL 3 DAY and INTERVAL (n + 1) HOURS behind t, the word INTERVAL.
func (p *parser) countedInterval(t token) (syntax, bool, *Error) {
	if t.low != "interval" || !(p.isOp("(") || p.peek().kind == tokNumber) {
		return nil, false, nil
	}
	x, err := p.prefix(bpSign)
	if err != nil {
		return nil, true, err
	}
	unit := p.take()
	if _, ok := intervalUnits[unit.low]; !ok || unit.kind != tokIdent {
		return nil, true, errAt(unit.span, "expected a unit such as DAY after the number of INTERVAL, not %s", unit.describe())
	}
	whole := span{t.pos, unit.end}
	return &binaryOp{whole, "*", unit.span, x, &literal{unit.span, litInterval, "1 " + unit.low}}, true, nil
}

// bareUnits are the functions whose unit may stand without quotes, as in Redshift, with their number of arguments then.
var bareUnits = map[string]int{"date_part": 2, "datediff": 3, "date_diff": 3, "dateadd": 3, "date_add": 3, "datesub": 3, "date_sub": 3}

// bareUnit makes a string of the unit in dateadd(day, 1, ts).
func (p *parser) bareUnit(n *call) {
	if len(n.args) == 0 || bareUnits[n.name] != len(n.args) {
		return
	}
	unit, ok := n.args[0].(*name)
	if !ok || len(unit.parts) != 1 || unit.parts[0].quoted {
		return
	}
	n.args[0] = &literal{unit.span, litString, strings.ToLower(unit.parts[0].text)}
	p.names = slices.DeleteFunc(p.names, func(o *name) bool { return o == unit })
}
