package pipeline

import "fmt"

// Cause is why a row that came in did not go out.
type Cause string

const (
	Filtered     Cause = "filtered"
	Rejected     Cause = "rejected"
	Deduplicated Cause = "deduplicated"
	Folded       Cause = "folded" // went into a group; the group goes out instead
)

// StepCount is the account of one step: In + Added = Out + the sum of Dropped.
type StepCount struct {
	Step    string          `json:"step"`
	In      int64           `json:"in"`
	Added   int64           `json:"added,omitempty"` // rows made of others: further matches of a join, further elements of a list
	Out     int64           `json:"out"`
	Dropped map[Cause]int64 `json:"dropped,omitempty"`
}

// Ledger accounts for every row of a run (DESIGN section 7).
type Ledger struct {
	Read    int64       `json:"read"`    // records cut from the inputs
	Decoded int64       `json:"decoded"` // records that became rows
	Steps   []StepCount `json:"steps"`
	Encoded int64       `json:"encoded"` // rows handed to the sink in blocks
	Written int64       `json:"written"` // rows in the footers as read back from the store; set by the sink at commit
	// Groups is what folds account for themselves: step index to the sum of the groups' counts.
	Groups map[int]int64 `json:"groups,omitempty"`
}

// Sum is the number of rows dropped under cause c by decoding and all steps.
func (l *Ledger) Sum(c Cause) int64 {
	var n int64
	for _, s := range l.Steps {
		n += s.Dropped[c]
	}
	if c == Rejected {
		n += l.Read - l.Decoded
	}
	return n
}

// Added is the number of rows that steps made of others.
func (l *Ledger) Added() int64 {
	var n int64
	for _, s := range l.Steps {
		n += s.Added
	}
	return n
}

// Check reports the first account that does not balance, or nil.
func (l *Ledger) Check() error {
	have, where := l.Decoded, "decode"
	for i, s := range l.Steps {
		if s.In != have {
			return fmt.Errorf("ledger does not balance: %s gave %d rows, %s took %d", where, have, s.Step, s.In)
		}
		out := s.Out
		if _, folds := s.Dropped[Folded]; !folds {
			if got, ok := l.Groups[i]; ok && got != s.In-s.Dropped[Rejected] {
				return fmt.Errorf("ledger does not balance: %s took %d rows and rejected %d, it gathered %d", s.Step, s.In, s.Dropped[Rejected], got)
			}
		}
		for cause, n := range s.Dropped {
			if cause != Folded {
				out += n
				continue
			}
			if got := l.Groups[i]; got != n {
				return fmt.Errorf("ledger does not balance: %s folded %d rows, its groups count %d", s.Step, n, got)
			}
			out += n - s.Out // groups replace the rows folded into them
		}
		if out != s.In+s.Added {
			return fmt.Errorf("ledger does not balance: %s took %d rows, added %d and accounts for %d", s.Step, s.In, s.Added, out)
		}
		have, where = s.Out, s.Step
	}
	if l.Encoded != have {
		return fmt.Errorf("ledger does not balance: %s gave %d rows, %d were encoded", where, have, l.Encoded)
	}
	if l.Written != l.Encoded {
		return fmt.Errorf("ledger does not balance: %d rows were encoded, the store holds %d", l.Encoded, l.Written)
	}
	return nil
}
