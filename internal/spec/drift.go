package spec

// Drift is the schema.drift: block: what follows when the inputs' columns are not the declared or locked ones. A field is "" if it is not given.
type Drift struct {
	New     string // a column that is not declared: fail, ignore (it is not read) or add
	Missing string // a declared column that the inputs lack: fail or ignore (it is null)
	Type    string // values of another type: quarantine (each is a bad row), widen (the column gets a type that holds both) or fail
}

// ColumnDrift are the words of a column's own drift:, which stand before the block's.
var ColumnDrift = []string{"quarantine", "widen", "fail", "ignore"}

func (s *Schema) readDrift(r *fields) {
	r.str("lock", &s.Lock)
	n := r.get("drift")
	if n == nil || r.err != nil {
		return
	}
	r2 := fields{n: n}
	r2.known("new", "missing", "type")
	r2.enum("new", &s.Drift.New, []string{"fail", "ignore", "add"})
	r2.enum("missing", &s.Drift.Missing, []string{"fail", "ignore"})
	r2.enum("type", &s.Drift.Type, []string{"quarantine", "widen", "fail"})
	r.fail(r2.err)
}
