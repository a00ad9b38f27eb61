package job

import (
	"context"
	"time"
)

// wait is one for another attempt: it looks often at first, and less often then.
type wait struct {
	end   time.Time
	pause time.Duration
	tell  func()
}

// newWait is a wait of at most patience from now on; tell, which may be nil, is called when it comes to that.
func newWait(patience time.Duration, tell func()) *wait {
	return &wait{end: time.Now().Add(patience), pause: 10 * time.Millisecond, tell: tell}
}

// next returns when it is time to look again, or says that the wait is over.
func (w *wait) next(ctx context.Context) (over bool, err error) {
	left := time.Until(w.end)
	if left <= 0 {
		return true, nil
	}
	if w.tell != nil {
		w.tell()
	}
	select {
	case <-ctx.Done():
		return true, context.Cause(ctx)
	case <-time.After(min(w.pause, left)):
	}
	w.pause = min(2*w.pause, 200*time.Millisecond)
	return false, nil
}
