package glue

import (
	"slices"
	"strconv"
	"strings"

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
	if kind == "enum" {
		return d.enum(c, n, set)
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
		if v == "" || strings.Contains(v, ",") || hive.Escape(v) != v || strings.EqualFold(v, "null") {
			return list.Errorf("value %q of %s cannot be projected: its folder has another name", v, c.of.Name)
		}
	}
	set("values", strings.Join(values, ","))
	d.constraints = append(d.constraints, sinks.Constraint{Column: c.of.Name, Because: "partition projection of " + d.String() + " lists the values of " + c.of.Name, Check: func(a arrow.Array, refuse func(int, string)) {
		texts, ok := a.(*array.String)
		for i := range a.Len() {
			if ok && texts.IsValid(i) && !slices.Contains(values, texts.Value(i)) {
				refuse(i, "the value is not among those")
			}
		}
	}})
	return nil
}

// word is a text or number of the block; "" if it is not there.
func word(n *spec.Node, key string) (string, error) {
	at := n.Get(key)
	if at == nil {
		return "", nil
	}
	return at.Str()
}
