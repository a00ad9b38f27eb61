package glue

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"

	"github.com/sluice-data/sluice/internal/hive"
	"github.com/sluice-data/sluice/internal/spec"
	"github.com/sluice-data/sluice/sinks"
)

// projection reads the block of that name into the table's properties: Athena then makes up the partitions from these, and none has to be added ("Partition
// projection with Amazon Athena", "Supported types for partition projection"). What it would not find, no row may have: that becomes constraints.
func (d *delivery) projection(n *spec.Node) error {
	entries, err := n.Map(d.req.PartitionBy...)
	if err != nil {
		return err
	}
	if len(entries) != len(d.req.PartitionBy) || len(entries) == 0 {
		return n.Errorf("projection must have each column of sink.partition_by (%s), and no other", strings.Join(d.req.PartitionBy, ", "))
	}
	d.properties["projection.enabled"] = "true"
	location := d.location
	for _, k := range d.keys {
		location += hive.Escape(k.of.Name) + "=${" + k.name + "}/"
	}
	d.properties["storage.location.template"] = location
	for _, e := range entries {
		i := slices.IndexFunc(d.keys, func(c column) bool { return c.of.Name == e.Key })
		if err := d.project(d.keys[i], e.Value); err != nil {
			return err
		}
		d.constraints = append(d.constraints, sinks.NotNull(e.Key, "partition projection of "+d.String()+" finds no nulls"))
	}
	return nil
}

// project reads what one partition column's values are.
func (d *delivery) project(c column, n *spec.Node) error {
	known := map[string][]string{"enum": {"values"}, "integer": {"range", "interval", "digits"}, "date": {"range", "format", "interval", "interval_unit"}, "injected": nil}
	kind, err := word(n, "type")
	if err != nil {
		return err
	}
	keys, ok := known[kind]
	if !ok {
		return n.Errorf("projection of %s needs type: enum, integer, date or injected", c.of.Name)
	}
	if _, err := n.Map(append([]string{"type"}, keys...)...); err != nil {
		return err
	}
	text := c.typ == "string"
	whole := c.typ == "tinyint" || c.typ == "smallint" || c.typ == "int" || c.typ == "bigint"
	switch {
	case kind == "date" && !text && c.typ != "date", kind == "integer" && !text && !whole, (kind == "injected" || kind == "enum") && !text:
		return n.Errorf("projection of type %s does not go with column %s of type %s", kind, c.of.Name, c.typ)
	case whole && n.Get("digits") != nil:
		return n.Get("digits").Errorf("digits asks for folders such as %s=07, and integers are written as they are: 7", c.of.Name)
	}
	set := func(property, value string) { d.properties["projection."+c.name+"."+property] = value }
	set("type", kind)
	switch kind {
	case "enum":
		return d.enum(c, n, set)
	case "injected":
		d.demand(c, "takes "+c.of.Name+" for the folder's name", nil)
	}
	for _, key := range keys {
		v, err := word(n, key)
		switch {
		case err != nil:
			return err
		case key == "range" && strings.Count(v, ",") != 1:
			return n.Errorf(`projection of %s needs range: "from,to"`, c.of.Name)
		case key == "range" && kind == "integer":
			for _, bound := range strings.Split(v, ",") {
				if _, err := strconv.ParseInt(strings.TrimSpace(bound), 10, 64); err != nil {
					return n.Get(key).Errorf("range %q of %s: %q is no integer", v, c.of.Name, bound)
				}
			}
		case key == "format" && v == "":
			if text {
				return n.Errorf("projection of %s needs format: how its texts write a date, such as yyyy-MM-dd", c.of.Name)
			}
			v = "yyyy-MM-dd" // as folders have it
		case key == "format" && !text && v != "yyyy-MM-dd":
			return n.Get(key).Errorf("the folders of a date are written yyyy-MM-dd")
		case key == "format" && text:
			if err := d.dates(c, n.Get(key), v); err != nil {
				return err
			}
		case key == "digits" && text:
			if err := d.integers(c, n, v); err != nil {
				return err
			}
		}
		if v != "" {
			set(strings.ReplaceAll(key, "_", "."), v)
		}
	}
	return nil
}

// enum is a list of values; a row with another would be in a folder that nobody reads.
func (d *delivery) enum(c column, n *spec.Node, set func(property, value string)) error {
	list := n.Get("values")
	if list == nil {
		return n.Errorf("projection of %s needs values", c.of.Name)
	}
	values, err := list.Strs()
	if err != nil {
		return err
	}
	for _, v := range values {
		if v == "" || strings.Contains(v, ",") || hive.EscapeValue(v) != v {
			return list.Errorf("value %q of %s cannot be projected: its folder has another name", v, c.of.Name)
		}
	}
	set("values", strings.Join(values, ","))
	d.demand(c, "lists the values of "+c.of.Name, func(v string) string {
		if !slices.Contains(values, v) {
			return "the value is not among those"
		}
		return ""
	})
	return nil
}

// integers are texts that Athena makes up from numbers: without leading zeros, or with as many as make digits of them.
func (d *delivery) integers(c column, n *spec.Node, digits string) error {
	width := 0
	because := "writes " + c.of.Name + " as integers"
	if digits != "" {
		var err error
		if width, err = strconv.Atoi(digits); err != nil || width < 1 || width > 100 {
			return n.Get("digits").Errorf("digits %q of %s: want a number from 1 to 100", digits, c.of.Name)
		}
		because += " of " + digits + " digits"
	}
	d.demand(c, because, func(v string) string {
		i, err := strconv.ParseInt(v, 10, 64)
		switch {
		case err != nil:
			return "it is no integer"
		case width > 0 && i < 0: // where the zeros of a negative number go is not documented
			return "a negative number has no fixed number of digits"
		}
		if as := fmt.Sprintf("%0*d", width, i); as != v {
			return "it would be written " + as
		}
		return ""
	})
	return nil
}

// dates are texts of a pattern of Java's DateTimeFormatter. Patterns with other parts than numbers of a fixed width are not held against the rows.
func (d *delivery) dates(c column, at *spec.Node, format string) error {
	layout, known, quoted := "", true, false
	for rest := format; rest != ""; {
		r, run := rest[0], 1
		for run < len(rest) && rest[run] == r {
			run++
		}
		part := rest[:run]
		rest = rest[run:]
		letter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
		switch {
		case r == '\'' && run == 1:
			quoted = !quoted
		case letter && !quoted:
			known = known && parts[part] != ""
			layout += parts[part]
		case hive.Escape(part) != part:
			return at.Errorf("format %q of %s puts %s into dates, which folders' names have as %s: no row would be found", format, c.of.Name, part, hive.Escape(part))
		default:
			known = known && strings.Trim(part, "-_. T") == "" // others may mean something in a layout of Go's
			layout += part
		}
	}
	if !known {
		d.demand(c, "takes "+c.of.Name+" for the folder's name", nil)
		return nil
	}
	d.demand(c, "writes "+c.of.Name+" as "+format, func(v string) string {
		if at, err := time.Parse(layout, v); err != nil || at.Format(layout) != v {
			return "it is no such date"
		}
		return ""
	})
	return nil
}

// parts are those of a pattern, and of a layout of Go's.
var parts = map[string]string{"yyyy": "2006", "MM": "01", "dd": "02", "HH": "15", "mm": "04", "ss": "05"}

// demand holds the texts of a column to what partition projection does with it, which because says; wrong is what is wrong about one, or "". In any case Athena puts a value into
// storage.location.template as it is, so that its folder must not have it in another form.
func (d *delivery) demand(c column, because string, wrong func(v string) string) {
	d.constraints = append(d.constraints, sinks.Constraint{Column: c.of.Name, Because: "partition projection of " + d.String() + " " + because, Check: func(a arrow.Array, refuse func(int, string)) {
		texts, ok := a.(*array.String)
		for i := range a.Len() {
			if !ok || texts.IsNull(i) {
				continue
			}
			reason, v := "", texts.Value(i)
			if wrong != nil {
				reason = wrong(v)
			}
			if e := hive.EscapeValue(v); e != v && reason == "" {
				reason = "its folder is named " + e
			}
			if reason != "" {
				refuse(i, reason)
			}
		}
	}})
}

// word is a text or number of the block; "" if it is not there.
func word(n *spec.Node, key string) (string, error) {
	at := n.Get(key)
	if at == nil {
		return "", nil
	}
	return at.Str()
}
