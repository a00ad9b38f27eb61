package expr

// temporal binds + and - with a date, time, timestamp or interval on either side, and an interval times or by a number.
func (b *binder) temporal(op string, x, y node, atX, atY, at span) (node, *Error) {
	if op == "*" || op == "/" {
		if x.typ().kind == kNull && y.typ().kind == kInterval || x.typ().kind == kInterval && y.typ().kind == kNull {
			return nullNode(simple(kInterval)), nil
		}
		return b.scaleInterval(op, x, y, atX, atY, at)
	}
	if op == "+" && later(x) > later(y) { // + goes either way: what it is added to comes first
		x, y, atY = y, x, atX
	}
	x, y, err := b.besideTemporal(op, x, y, atX, atY)
	if err != nil {
		return nil, err
	}
	tx, ty := x.typ(), y.typ()
	to := func(k kind) { // of the first operand
		if err == nil {
			x, err = b.cast(x, simple(k), atX)
		}
	}
	and := func(k kind) { // of the second
		if err == nil {
			y, err = b.cast(y, simple(k), atY)
		}
	}
	t, k, mayFail := tx, kernel(nil), true
	minus := op == "-"
	switch {
	case op != "+" && op != "-":
	case tx.kind == kNull || ty.kind == kNull:
		if t.kind == kNull {
			t = ty
		}
		return nullNode(t), nil
	case tx.kind == kDate && ty.kind.integer():
		and(kInt64)
		k = addDays(minus)
	case tx.kind == kDate && ty.kind == kDate && minus:
		t, k = simple(kInt32), subDates
	case ty.kind == kInterval && tx.kind == kInterval:
		k = intervalArithmetic(minus)
	case ty.kind == kInterval && tx.kind == kTime:
		k, mayFail = shiftTime(minus), false
	case (ty.kind == kInterval || ty.kind == kTime) && tx.kind.dated():
		if tx.kind == kDate {
			t = simple(kTimestamp)
		}
		to(t.kind)
		and(kInterval)
		k = shift(minus)
	case minus && tx.kind == kTime && ty.kind == kTime:
		t, k, mayFail = simple(kInterval), subTimes, false
	case minus && tx.kind.dated() && ty.kind.dated():
		wide := max(tx.kind, ty.kind) // date, timestamp, timestamptz
		to(wide)
		and(wide)
		t, k = simple(kInterval), subTimestamps
	}
	switch {
	case err != nil:
		return nil, err
	case k != nil:
		return b.call(t, k, mayFail, at, x, y), nil
	}
	hint := ""
	if (tx.kind == kTimestamp || tx.kind == kTimestamptz) && ty.kind.numeric() && (op == "+" || op == "-") {
		hint = ": add an interval, as in ts + INTERVAL '1 day'"
	}
	return nil, errAt(at, "operator %s does not work on %s and %s%s", op, tx, ty, hint)
}

// dated reports whether values of the kind have a date.
func (k kind) dated() bool { return k == kDate || k == kTimestamp || k == kTimestamptz }

// later tells which operand of + is added to the other.
func later(x node) int {
	switch k := x.typ().kind; {
	case isUntyped(x):
		return 4
	case k == kInterval || k.integer():
		return 3
	case k == kTime:
		return 2
	}
	return 1
}

// besideTemporal reads a string literal beside a date, time, timestamp or interval: what is added is an interval, what is
// subtracted is of the other's type, as in PostgreSQL.
func (b *binder) besideTemporal(op string, x, y node, atX, atY span) (node, node, *Error) {
	var err *Error
	if _, text := constString(x); text && isUntyped(x) {
		x, err = b.cast(x, y.typ(), atX)
	}
	if _, text := constString(y); text && isUntyped(y) && err == nil {
		t := x.typ()
		switch {
		case op == "+" && t.kind == kDate:
			return nil, nil, errAt(atY, "is that a number of days or an interval? Write a number without quotes, or INTERVAL '…'")
		case op == "+":
			t = simple(kInterval)
		}
		y, err = b.cast(y, t, atY)
	}
	return x, y, err
}

// scaleInterval is interval * number, number * interval and interval / number.
func (b *binder) scaleInterval(op string, x, y node, atX, atY, at span) (node, *Error) {
	left, right := x.typ(), y.typ()
	if op == "*" && x.typ().kind != kInterval {
		x, y, atY = y, x, atX
	}
	tx, ty := x.typ(), y.typ()
	number := ty.kind.numeric() || isUntyped(y)
	if tx.kind != kInterval || !number {
		return nil, errAt(at, "operator %s does not work on %s and %s", op, left, right)
	}
	k, t := timesFloat(op == "/"), simple(kFloat64)
	if op == "*" && ty.kind.integer() {
		k, t = timesInt, simple(kInt64)
	}
	y, err := b.cast(y, t, atY)
	if err != nil {
		return nil, err
	}
	return b.call(tx, k, true, at, x, y), nil
}
