package expr

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
)

func init() { Aggregate("count", "sum") }

func testAggregate(name string) bool {
	return slices.Contains([]string{"count", "sum", "avg", "min", "max", "string_agg", "percentile_cont"}, name)
}

// show is a call in one line: name, clauses, and the arguments as written.
func show(c *Call) string {
	out := c.Name + "("
	if c.Star {
		out += "*"
	}
	if c.Distinct {
		out += "distinct "
	}
	for i, a := range c.Args {
		if i > 0 {
			out += "; "
		}
		out += a.Source
	}
	out += ")"
	for _, o := range c.Order {
		out += fmt.Sprintf(" by %s desc=%v nullsfirst=%v", o.Source, o.Desc, o.NullsFirst)
	}
	if c.Within {
		out += " within"
	}
	if c.Filter != nil {
		out += " where " + c.Filter.Source
	}
	return out
}

func TestParseMeasure(t *testing.T) {
	for _, c := range []struct {
		src  string
		lone bool
		want []string
	}{
		{"count(*)", true, []string{"count(*)"}},
		{"  SUM( a + b )", true, []string{"sum(a + b)"}},
		{"(count(DISTINCT x))", true, []string{"count(distinct x)"}},
		{`max(CASE WHEN a = ',)' THEN "x,y" END)`, true, []string{`max(CASE WHEN a = ',)' THEN "x,y" END)`}},
		{"sum(a) / nullif(count(*), 0)", false, []string{"sum(a)", "count(*)"}},
		{"coalesce(sum(a) FILTER (WHERE b > 0 OR (c)), 0) || upper(k)", false, []string{"sum(a) where b > 0 OR (c)"}},
		{"string_agg(DISTINCT s, ', ' ORDER BY s DESC, length(s), t NULLS FIRST, u DESC NULLS LAST)", true,
			[]string{"string_agg(distinct s; ', ') by s desc=true nullsfirst=true by length(s) desc=false nullsfirst=false by t desc=false nullsfirst=true by u desc=true nullsfirst=false"}},
		{"percentile_cont(0.5) WITHIN GROUP (ORDER BY fare) FILTER (WHERE fare > 0)", true, []string{"percentile_cont(0.5) by fare desc=false nullsfirst=false within where fare > 0"}},
		{"upper(k)", false, nil},
		{"filter + within", false, nil}, // no keywords elsewhere
	} {
		m, err := ParseMeasure(c.src, testAggregate)
		if err != nil {
			t.Errorf("%s: %v", c.src, err)
			continue
		}
		var got []string
		for _, call := range m.Calls {
			got = append(got, show(call))
			if c.src[call.Pos:call.Pos+len(call.Source)] != call.Source {
				t.Errorf("%s: %s is not at %d", c.src, call.Source, call.Pos)
			}
			for _, a := range call.Args {
				if c.src[a.Pos:a.Pos+len(a.Source)] != a.Source {
					t.Errorf("%s: %s is not at %d", c.src, a.Source, a.Pos)
				}
			}
		}
		if !slices.Equal(got, c.want) || m.Lone() != c.lone {
			t.Errorf("%s: calls %q, alone %v", c.src, got, m.Lone())
		}
	}
	for src, want := range map[string]string{
		"":                                "0: expression is empty",
		"sum(a":                           `5: expected ")" to close the arguments of sum, not the end of the expression`,
		"sum(,)":                          `4: expected a value, not ","`,
		"count(distinct)":                 `14: expected a value, not ")"`,
		"sum(1 + count(*))":               "8: count is inside another aggregate function: aggregate the result of this step in a second one",
		"sum(a) FILTER (b)":               `15: expected WHERE in FILTER (WHERE condition), not "b"`,
		"sum(a ORDER a)":                  `12: expected BY after ORDER, not "a"`,
		"sum(a ORDER BY b NULLS)":         `22: expected LAST or FIRST after NULLS, not ")"`,
		"sum(a ORDER BY b) WITHIN GROUP ": "18: sum has an ORDER BY already",
		"sum(a) OVER (PARTITION BY b)":    "7: window functions (OVER) do not go into a measure",
		"upper(a ORDER BY b)":             `8: expected ")" to close the arguments of upper, not "ORDER"`,
	} {
		_, err := ParseMeasure(src, testAggregate)
		var e *Error
		if !errors.As(err, &e) || fmt.Sprint(e.Pos, ": ", e.Msg) != want {
			t.Errorf("%s: error %v, want %s", src, err, want)
		}
	}
}

// A measure is bound to the groups: keys by name, results by their place.
func TestCompileMeasure(t *testing.T) {
	field := func(name string, typ arrow.DataType) arrow.Field { return arrow.Field{Name: name, Type: typ} }
	rows := arrow.NewSchema([]arrow.Field{field("k", arrow.BinaryTypes.String), field("a", arrow.PrimitiveTypes.Int64)}, nil)
	groups := arrow.NewSchema([]arrow.Field{field("k", arrow.BinaryTypes.String), field("sum(a)", arrow.PrimitiveTypes.Int64), field("count(*)", arrow.PrimitiveTypes.Int64)}, nil)
	for src, want := range map[string]string{
		"sum(a) / count(*)":       "int64 k= sum(a),count(*)",
		"k || ':' || count(*)":    "utf8 k= k,count(*)",
		"a + count(*)":            `0: column "a" is neither a key of the groups nor inside an aggregate function: add it to by, or choose one of its values, as in any_value(a)`,
		"nope + count(*)":         `0: unknown column "nope": there are count(*), k, sum(a)`,
		"cuont(*)":                `0: unknown function "cuont": did you mean count?`,
		"sum(a) AND count(*) > 0": "0: AND needs a condition, not int64",
	} {
		m, err := ParseMeasure(src, testAggregate)
		if err != nil {
			t.Errorf("%s: %v", src, err)
			continue
		}
		var columns []string
		for _, c := range m.Calls {
			columns = append(columns, c.Source)
		}
		got := ""
		if p, err := m.Compile(columns, groups, rows, testEnv); err != nil {
			var e *Error
			if !errors.As(err, &e) {
				t.Fatal(err)
			}
			got = fmt.Sprint(e.Pos, ": ", e)
		} else {
			got = fmt.Sprint(p.Field().Type, " k= ", strings.Join(p.Columns(), ","))
		}
		if got != want {
			t.Errorf("%s: %s, want %s", src, got, want)
		}
	}
}
