package fail

import (
	"fmt"
	"runtime/debug"
)

// Guard runs f and turns a panic into an Internal error that says what panicked and has the stack.
func Guard(what string, f func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			cause, ok := v.(error)
			if !ok {
				cause = fmt.Errorf("%v", v)
			}
			e := Newf(Internal, "%s panicked: %w", what, cause)
			e.Stack = string(debug.Stack())
			err = e
		}
	}()
	return f()
}
