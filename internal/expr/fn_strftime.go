package expr

import (
	"fmt"
	"strings"

	"github.com/sluice-data/sluice/internal/textval"
)

func init() {
	register(definition{Function{Name: "strftime", Signature: "strftime(date, timestamp or timestamptz, format) → string",
		Doc:     "Prints by a strftime format, as DuckDB does: %Y %y %m %d %j %b %B %a %A %H %I %p %M %S %f %z %Z %T %F %D %R %%. Names are English, instants in UTC. to_char takes PostgreSQL's templates.",
		Example: "strftime(TIMESTAMP '2026-11-22 13:04:05', '%a, %d %b %Y %I:%M %p')", Result: "Sun, 22 Nov 2026 01:04 PM"}, bindStrftime})
	register(definition{Function{Name: "strptime", Signature: "strptime(string, format) → timestamp, or timestamptz where the format has %z, %Z or %s",
		Doc:     "Reads a date and time by a strftime format, a literal: what the schema's format and the cast step take. All of the text must be used.",
		Example: "strptime('22/11/2026 13:04', '%d/%m/%Y %H:%M')", Result: "2026-11-22 13:04:00"}, bindStrptime})
}

// strftimeWords are the templates that directives stand for.
var strftimeWords = map[byte]string{'Y': "YYYY", 'y': "YY", 'm': "MM", 'd': "DD", 'j': "DDD", 'b': "Mon", 'B': "FMMonth", 'a': "Dy", 'A': "FMDay", 'H': "HH24", 'I': "HH12", 'p': "AM",
	'M': "MI", 'S': "SS", 'f': "US", 'z': "OF", 'Z': "TZ", 'T': "HH24:MI:SS", 'F': "YYYY-MM-DD", 'D': "MM/DD/YY", 'R': "HH24:MI"}

// strftimeTemplate is a strftime format as a template.
func strftimeTemplate(format string) ([]templatePart, error) {
	var out []templatePart
	for i := 0; i < len(format); i++ {
		c := format[i]
		if c != '%' {
			j := i
			for j < len(format) && format[j] != '%' {
				j++
			}
			out = append(out, parseTimeTemplate(quotedTemplate(format[i:j]))...)
			i = j - 1
			continue
		}
		if i++; i == len(format) {
			return nil, fmt.Errorf("%% at the end of the format: write %%%% for a percent sign")
		}
		switch word := strftimeWords[format[i]]; {
		case format[i] == '%':
			out = append(out, parseTimeTemplate(quotedTemplate("%"))...)
		case word == "":
			return nil, fmt.Errorf("unknown directive %%%c: use %%Y %%y %%m %%d %%j %%b %%B %%a %%A %%H %%I %%p %%M %%S %%f %%z %%Z %%T %%F %%D %%R or %%%%", format[i])
		default:
			out = append(out, parseTimeTemplate(word)...)
		}
	}
	return out, nil
}

// quotedTemplate is a template for text as it is.
func quotedTemplate(text string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(text) + `"`
}

func bindStrftime(b *binder, c *call, args []node) (node, *Error) {
	if len(args) != 2 {
		return nil, b.arguments(c, args, 0, anything, aString)
	}
	format, text, known, err := b.template(c, args, 1)
	if err != nil {
		return nil, err
	}
	if known {
		if _, bad := strftimeTemplate(text); bad != nil {
			return nil, errAt(c.args[1].place(), "%s", bad)
		}
	}
	x, at := args[0], c.args[0].place()
	if k := x.typ().kind; k == kDate || isUntyped(x) {
		if x, err = b.cast(x, simple(kTimestamp), at); err != nil {
			return nil, err
		}
	}
	if k := x.typ().kind; k != kTimestamp && k != kTimestamptz {
		return nil, errAt(at, "strftime prints dates and timestamps, not %s", x.typ())
	}
	return b.call(simple(kString), timeToChar(strftimeTemplate), !known, c.span, x, format), nil
}

func bindStrptime(b *binder, c *call, args []node) (node, *Error) {
	if err := b.arguments(c, args, 0, aString, aString); err != nil {
		return nil, err
	}
	text, ok := constString(args[1])
	if !ok {
		return nil, errAt(c.args[1].place(), "the format of strptime must be a literal such as '%%d/%%m/%%Y': it says whether there is an offset")
	}
	parse := func(s string) (*textval.Layout, error) {
		if s == "" {
			return nil, fmt.Errorf("the format is empty")
		}
		return textval.NewLayout(s, "")
	}
	if _, bad := parse(text); bad != nil {
		return nil, errAt(c.args[1].place(), "%s", bad)
	}
	if zoned := strings.NewReplacer("%%", "").Replace(text); strings.Contains(zoned, "%z") || strings.Contains(zoned, "%Z") || strings.Contains(zoned, "%s") {
		return b.call(simple(kTimestamptz), timeByTemplate(parse, (*textval.Layout).Instant), true, c.span, args...), nil
	}
	return b.call(simple(kTimestamp), timeByTemplate(parse, (*textval.Layout).Micros), true, c.span, args...), nil
}
