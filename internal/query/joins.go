package query

func (b *block) joins(s *scope) error { return nil }
