package query

import "github.com/sluice-data/sluice/internal/spec"

// unnest makes the step of CROSS JOIN UNNEST(list) AS name, or AS t(name): a row for each element, which is column name.
func (b *block) unnest(s *scope, t *joined) error {
	f, err := s.resolve(*t.join.Table.Unnest)
	if err != nil {
		return err
	}
	at, table := t.join.At.Pos, t.join.Table
	if name, ok := f.Name(); !ok || name != t.element {
		b.add("derive", at, b.at.Mapping(at, spec.Entry{Key: t.element, At: b.at.Word(t.element, at), Value: b.scalar(f)}))
	}
	if !table.Ordinality {
		b.add("unnest", at, b.at.Word(t.element, at))
		return nil
	}
	number := "ordinality"
	if len(table.Columns) > 1 {
		number = table.Columns[1]
	}
	b.add("unnest", at, b.at.Mapping(at, b.entry("column", at, b.at.Word(t.element, at)), b.entry("with_ordinality", at, b.at.Word(number, at))))
	return nil
}
