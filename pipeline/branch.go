package pipeline

import "github.com/sluice-data/sluice/internal/fail"

// Branch is the way of one input of a union: the rows of its chunks go through its own steps, at least one, and then on with Steps[At:] of the
// segment. In front of that, the segment's own rows have had a step, too: so the ledger can tell whose rows are whose.
type Branch struct {
	At    int
	Steps []Step
}

// way is a segment's steps, those of its branches among them, in the order in which the ledger has them: a branch's before the step where it comes in.
type way struct {
	steps []Step
	of    []int // the branch that each belongs to; 0 for the segment's own
	enter []int // where the rows of each branch begin; len(steps) is behind the last
	next  []int // the step behind each
}

func (s Segment) way() (way, error) {
	w := way{enter: make([]int, 1+len(s.Branches))}
	for i, b := range s.Branches {
		if b.At < 1 || b.At > len(s.Steps) || len(b.Steps) == 0 {
			return w, fail.Newf(fail.Internal, "branch %d of %d steps comes in at step %d of %d", i+1, len(b.Steps), b.At, len(s.Steps))
		}
	}
	last := -1 // of the segment's own steps
	var joining []int
	for at := range len(s.Steps) + 1 {
		for b, br := range s.Branches {
			if br.At != at {
				continue
			}
			w.enter[b+1] = len(w.steps)
			for _, st := range br.Steps {
				w.steps, w.of, w.next = append(w.steps, st), append(w.of, b+1), append(w.next, len(w.steps)+1)
			}
			joining = append(joining, len(w.steps)-1)
		}
		here := len(w.steps)
		if last >= 0 {
			w.next[last] = here
		}
		for _, j := range joining {
			w.next[j] = here
		}
		if at < len(s.Steps) {
			joining = joining[:0]
			last = here
			w.steps, w.of, w.next = append(w.steps, s.Steps[at]), append(w.of, 0), append(w.next, here+1)
		}
	}
	return w, nil
}
