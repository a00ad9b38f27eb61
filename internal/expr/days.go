package expr

// dayMemo keeps what was computed of days: those of a batch are few, mostly.
type dayMemo struct {
	keys, values [memoDays]int64
}

const (
	memoDays = 512
	aDay     = 1 << 62 // added to a day, so that none is 0
)

// of is compute(day), which depends on nothing else.
func (m *dayMemo) of(day int64, compute func(day int64) int64) int64 {
	k := day & (memoDays - 1)
	if m.keys[k] != day+aDay {
		m.keys[k], m.values[k] = day+aDay, compute(day)
	}
	return m.values[k]
}
