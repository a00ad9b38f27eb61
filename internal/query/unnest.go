package query

import "github.com/sluice-data/sluice/internal/spec"

// unnest makes the step of CROSS JOIN UNNEST(list) AS name: a row for each element, which is column name.
func (b *block) unnest(s *scope, t *joined) error {
	f, err := s.resolve(*t.join.Table.Unnest)
	if err != nil {
		return err
	}
	at := t.join.At.Pos
	if name, ok := f.Name(); !ok || name != t.name {
		b.add("derive", at, b.at.Mapping(at, spec.Entry{Key: t.name, At: b.at.Word(t.name, at), Value: b.scalar(f)}))
	}
	b.add("unnest", at, b.at.Word(t.name, at))
	return nil
}
