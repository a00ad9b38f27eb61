package pipeline

import (
	"cmp"
	"fmt"
)

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
	Branch  int             `json:"branch,omitempty"` // of a union: the number of the input whose own step it is
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

// flow is the account of the rows between steps. Each input of a union begins with its own first step and comes to the others where the first common step
// behind its last one begins.
type flow struct {
	have    int64  // rows of the common steps
	where   string // the step that gave them; "" before the first
	entered int64  // rows that the first steps of all inputs took
	branch  int    // whose steps these are
	own     int64  // rows of that branch
	joining int64  // rows of branches that have ended
}

// at goes on to s and returns an error if it did not take what the step before it gave.
func (f *flow) at(s StepCount) error {
	if s.Branch != f.branch {
		if f.branch != 0 {
			f.joining += f.own
		}
		f.branch, f.own = s.Branch, -1
	}
	have, where := f.have+f.joining, f.where
	if s.Branch != 0 {
		have = f.own
	}
	switch {
	case s.Branch != 0 && f.own < 0, s.Branch == 0 && f.where == "":
		f.entered += s.In
	case s.In != have:
		return fmt.Errorf("ledger does not balance: %s gave %d rows, %s took %d", where, have, s.Step, s.In)
	}
	if s.Branch != 0 {
		f.own = s.Out
	} else {
		f.have, f.joining, f.where = s.Out, 0, s.Step
	}
	return nil
}

// end is what came out in the end.
func (f *flow) end() int64 {
	if f.branch != 0 {
		f.joining += f.own
		f.branch = 0
	}
	return f.have + f.joining
}

// Check reports the first account that does not balance, or nil.
func (l *Ledger) Check() error {
	f := flow{have: l.Decoded}
	for i, s := range l.Steps {
		if err := f.at(s); err != nil {
			return err
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
	}
	if len(l.Steps) > 0 && f.entered != l.Decoded {
		return fmt.Errorf("ledger does not balance: decode gave %d rows, %s took %d", l.Decoded, l.Steps[0].Step, f.entered)
	}
	where := cmp.Or(f.where, "decode")
	if have := f.end(); l.Encoded != have {
		return fmt.Errorf("ledger does not balance: %s gave %d rows, %d were encoded", where, have, l.Encoded)
	}
	if l.Written != l.Encoded {
		return fmt.Errorf("ledger does not balance: %d rows were encoded, the store holds %d", l.Encoded, l.Written)
	}
	return nil
}
