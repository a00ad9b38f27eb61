package textval

import (
	"fmt"
	"math"
	"strings"
)

// directive is one step of a compiled format: a strftime letter, or a literal byte when op is 0.
type directive struct{ op, lit byte }

var shorthand = map[byte]string{'T': "%H:%M:%S", 'F': "%Y-%m-%d", 'D': "%m/%d/%y", 'R': "%H:%M"}

func compile(f string) ([]directive, error) {
	prog, err := expand(f)
	if err != nil {
		return nil, err
	}
	count := map[byte]int{}
	for _, d := range prog {
		count[d.op]++
	}
	return prog, check(count)
}

// expand turns f into directives, the shorthands among them written out.
func expand(f string) ([]directive, error) {
	var prog []directive
	for i := 0; i < len(f); i++ {
		if f[i] != '%' {
			prog = append(prog, directive{lit: f[i]})
			continue
		}
		i++
		if i == len(f) {
			return nil, fmt.Errorf("%% at the end: write %%%% for a percent sign")
		}
		op := f[i]
		if long, ok := shorthand[op]; ok {
			sub, err := expand(long)
			if err != nil {
				return nil, err
			}
			prog = append(prog, sub...)
			continue
		}
		switch {
		case op == '%':
			prog = append(prog, directive{lit: '%'})
			continue
		case !strings.ContainsRune("YymdejbBaAHIpMSfzZs", rune(op)):
			return nil, fmt.Errorf("unknown directive %%%c: use %%Y %%y %%m %%d %%e %%j %%b %%B %%a %%A %%H %%I %%p %%M %%S %%f %%z %%Z %%s %%T %%F %%D %%R or %%%%", op)
		}
		prog = append(prog, directive{op: op})
	}
	return prog, nil
}

// exclusive are directives of which a format may have one at most: with two, one would silently win.
var exclusive = []string{"Yys", "mbBjs", "dejs", "aA", "HIs", "Ms", "Ss", "zZs", "p", "f"}

// check refuses formats that leave part of a value open or say it twice.
func check(count map[byte]int) error {
	has := func(ops string) (n int) {
		for _, c := range []byte(ops) {
			n += count[c]
		}
		return n
	}
	for _, group := range exclusive {
		if has(group) > 1 {
			return fmt.Errorf("more than one of %%%s", strings.Join(strings.Split(group, ""), ", %"))
		}
	}
	switch {
	case has("mbBdejaA") > 0 && has("Yys") == 0:
		return fmt.Errorf("a date needs its year (%%Y or %%y)")
	case has("de") > 0 && has("mbB") == 0:
		return fmt.Errorf("a day needs its month (%%m, %%b or %%B)")
	case has("I") != has("p"):
		return fmt.Errorf("%%I and %%p go together")
	case has("MSf") > 0 && has("HIs") == 0:
		return fmt.Errorf("a time needs its hour (%%H, or %%I with %%p)")
	case has("S") > has("M"), has("f") > has("Ss"):
		return fmt.Errorf("a time has hours, minutes, seconds, fraction in this order, none left out between")
	}
	return nil
}

var (
	monthNames   = [...]string{"january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november", "december"}
	weekdayNames = [...]string{"sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"}
)

// match reads all of b by prog.
func match(prog []directive, b []byte) (c clock, ok bool) {
	c.year, c.month, c.day = 1970, 1, 1
	var hour, minute, second, yday int
	var frac, epoch int64
	pm, weekday := -1, -1
	hasEpoch := false
	for _, d := range prog {
		n := 0
		switch d.op {
		case 0:
			if len(b) > 0 && b[0] == d.lit {
				n = 1
			}
		case 'Y':
			if c.year, n = upTo(b, 4); n != 4 || c.year == 0 {
				return c, false
			}
			c.hasDate = true
		case 'y': // POSIX: 69–99 are 1969–1999, 00–68 are 2000–2068
			if c.year, n = upTo(b, 2); n != 2 {
				return c, false
			}
			if c.year += 1900; c.year < 1969 {
				c.year += 100
			}
			c.hasDate = true
		case 'm':
			c.month, n = upTo(b, 2)
		case 'b', 'B':
			c.month, n = name(b, monthNames[:])
			c.month++
		case 'd':
			c.day, n = upTo(b, 2)
		case 'e':
			if len(b) > 1 && b[0] == ' ' {
				if c.day, n = upTo(b[1:], 1); n == 1 {
					n = 2
				}
			} else {
				c.day, n = upTo(b, 2)
			}
		case 'j':
			if yday, n = upTo(b, 3); n > 0 && yday == 0 {
				return c, false
			}
		case 'a', 'A':
			weekday, n = name(b, weekdayNames[:])
		case 'H':
			hour, n = upTo(b, 2)
			c.hasTime = true
		case 'I':
			if hour, n = upTo(b, 2); hour < 1 || hour > 12 {
				return c, false
			}
			c.hasTime = true
		case 'p':
			switch {
			case foldPrefix(b, "am"):
				pm, n = 0, 2
			case foldPrefix(b, "pm"):
				pm, n = 1, 2
			}
		case 'M':
			minute, n = upTo(b, 2)
		case 'S':
			second, n = upTo(b, 2)
		case 'f':
			var whole bool
			if frac, n, whole = scanFraction(b); n > 9 || !whole {
				return c, false
			}
		case 'z':
			if len(b) > 0 && (b[0] == '+' || b[0] == '-' || b[0]|0x20 == 'z') {
				n, c.offset = scanOffset(b)
			}
			c.hasOffset = true
		case 'Z':
			if len(b) > 0 && b[0] != '+' && b[0] != '-' {
				n, c.offset = scanOffset(b)
			}
			c.hasOffset = true
		case 's':
			epoch, n = scanEpoch(b)
			hasEpoch = true
		}
		if n == 0 {
			return c, false
		}
		b = b[n:]
	}
	if len(b) > 0 || hour > 23 || minute > 59 || second > 59 {
		return c, false
	}
	if hasEpoch {
		return epochClock(epoch, frac)
	}
	if pm >= 0 {
		hour = hour%12 + 12*pm
	}
	c.us = int64(hour*3600+minute*60+second)*usPerSecond + frac
	return c, c.settle(yday, weekday)
}

// settle checks the parts of the date against each other.
func (c *clock) settle(yday, weekday int) bool {
	if yday > 0 {
		first := daysFromCivil(c.year, 1, 1)
		y, m, d := civilFromDays(first + int64(yday) - 1)
		if int(y) != c.year {
			return false
		}
		c.month, c.day = m, d
	}
	if c.hasDate && !c.valid() {
		return false
	}
	if weekday >= 0 {
		w := (c.days() + 4) % 7 // 1970-01-01 was a Thursday
		if w < 0 {
			w += 7
		}
		return int(w) == weekday
	}
	return true
}

// upTo reads one to most digits.
func upTo(b []byte, most int) (v, n int) {
	for n < len(b) && n < most && b[n]-'0' <= 9 {
		v = v*10 + int(b[n]-'0')
		n++
	}
	return v, n
}

// name reads one of names, in full or its first three letters, in any case.
func name(b []byte, names []string) (i, n int) {
	for i, w := range names {
		if foldPrefix(b, w) {
			return i, len(w)
		}
	}
	for i, w := range names {
		if foldPrefix(b, w[:3]) {
			return i, 3
		}
	}
	return -1, 0
}

// scanEpoch reads whole seconds since the epoch.
func scanEpoch(b []byte) (v int64, n int) {
	for n < len(b) && (b[n]-'0' <= 9 || n == 0 && b[n] == '-') {
		n++
	}
	v, ok := Int(b[:n])
	if !ok || v > math.MaxInt64/usPerSecond || v < math.MinInt64/usPerSecond {
		return 0, 0
	}
	return v, n
}

func epochClock(sec, frac int64) (c clock, ok bool) {
	days, rest := sec/86_400, sec%86_400
	if rest < 0 {
		days, rest = days-1, rest+86_400
	}
	y, m, d := civilFromDays(days)
	c = clock{year: int(y), month: m, day: d, us: rest*usPerSecond + frac, hasDate: true, hasTime: true, hasOffset: true}
	return c, frac == 0 || sec >= 0 // -1.5 would be read as -0.5
}
