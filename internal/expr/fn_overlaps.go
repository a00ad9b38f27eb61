package expr

func init() {
	register(definition{Function{Name: "overlaps", Signature: "overlaps(start, end, start, end: date, timestamp or time) → bool",
		Doc: "Whether two periods share a moment: each holds its start and not its end, or its one moment if both are the same. The ends may come in either order, and the second be an interval from the first. " +
			"Also (start, end) OVERLAPS (start, end).",
		Example: "overlaps(DATE '2026-01-01', DATE '2026-02-01', DATE '2026-01-31', INTERVAL '10 days')", Result: "true"}, bindOverlaps})
}

// overlaps parses the rest of (a, b) OVERLAPS (c, d), behind a; from is where the first parenthesis stands. It is a call of the function.
func (p *parser) overlaps(a syntax, from int) (syntax, *Error) {
	comma := p.take()
	first, err := p.list("period")
	if err != nil {
		return nil, err
	}
	at := p.peek().span
	if !p.takeWord("overlaps") {
		return nil, errAt(comma.span, `expected ")" to close the parenthesis, not %s`, comma.describe())
	}
	if err := p.wantOp("(", "after OVERLAPS"); err != nil {
		return nil, err
	}
	second, err := p.list("period")
	if err != nil {
		return nil, err
	}
	n := &call{span: span{from, p.last().end}, name: "overlaps", at: at, args: append(append([]syntax{a}, first...), second...)}
	if len(first) != 1 || len(second) != 2 {
		return nil, errAt(n.span, "OVERLAPS stands between two periods: (start, end) OVERLAPS (start, end)")
	}
	for _, x := range n.args {
		n.argAt = append(n.argAt, x.place())
	}
	return n, nil
}

func bindOverlaps(b *binder, c *call, args []node) (node, *Error) {
	if len(args) != 4 {
		return nil, b.arguments(c, args, 0, anything, anything, anything, anything)
	}
	var lets []*letNode
	for i := 0; i < 4; i += 2 {
		if args[i+1].typ().kind != kInterval {
			continue
		}
		start, at, err := args[i], c.args[i].place(), (*Error)(nil)
		if isUntyped(start) {
			if start, err = b.cast(start, simple(kTimestamp), at); err != nil {
				return nil, err
			}
		}
		start, let := b.share(start)
		if let != nil {
			lets = append(lets, let)
		}
		args[i] = start
		if args[i+1], err = b.temporal("+", start, args[i+1], at, c.args[i+1].place(), c.span); err != nil {
			return nil, err
		}
	}
	args, t, err := b.alike(c, args)
	if err != nil {
		return nil, err
	}
	f := &function{t: simple(kBool), args: args, lenient: true, maybe: true, src: b.text(c.span)}
	switch {
	case t.kind == kDate:
		f.run = overlapsKernel[int32]
	case t.kind == kTime || t.kind.dated():
		f.run = overlapsKernel[int64]
	default:
		return nil, errAt(c.span, "OVERLAPS compares periods of dates, timestamps or times, not of %s", t)
	}
	out := fold(f)
	for _, let := range lets {
		out = wrap(let, out)
	}
	return out, nil
}

// overlapsKernel has PostgreSQL's rules for nulls (timestamp.c, overlaps_timestamp): an end that is null is open, and the answer is null where it would depend on it.
func overlapsKernel[T int32 | int64](f *function, r *run, _ []byte, args []*vector) *vector {
	out := &vector{typ: f.t, n: r.n, data: r.zeroBitmap()}
	// period is its lower end, and its upper one where both are known.
	period := func(a, b *vector) func(i int) (lo, hi T, some, both bool) {
		x, y, mx, my := values[T](a), values[T](b), a.mask(), b.mask()
		return func(i int) (lo, hi T, some, both bool) {
			switch na, nb := a.isNull(i), b.isNull(i); {
			case na && nb:
				return 0, 0, false, false
			case na:
				return y[i&my], 0, true, false
			case nb:
				return x[i&mx], 0, true, false
			}
			return min(x[i&mx], y[i&my]), max(x[i&mx], y[i&my]), true, true
		}
	}
	first, second := period(args[0], args[1]), period(args[2], args[3])
	for i := range r.n {
		lo1, hi1, some1, both1 := first(i)
		lo2, hi2, some2, both2 := second(i)
		if lo1 > lo2 { // then the first is the one that begins first; where the other ends does not matter
			lo1, hi1, both1, lo2, both2 = lo2, hi2, both2, lo1, both1
		}
		switch {
		case !some1 || !some2 || !both1 || lo1 == lo2 && !both2 || lo2 >= hi1 && lo1 != lo2 && !both2:
			r.setNull(out, i)
		case lo1 == lo2 || lo2 < hi1:
			setBit(out.data, i)
		}
	}
	return out
}
