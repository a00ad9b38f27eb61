package job

import (
	"errors"
	"strings"
	"testing"

	"github.com/sluice-data/sluice/internal/fail"
)

// A bug of ours outside of the engine, here while the input is resolved, is an error of its kind beside a receipt, not a
// crash: Go's own exit code for that is the one of wrong usage.
func TestPanicOutsideOfTheEngine(t *testing.T) {
	o := newOverlap(t)
	rec, err := o.run(t.Context(), 1, func(call string) error {
		if strings.HasPrefix(call, "list") {
			panic("injected panic")
		}
		return nil
	})
	var e *fail.Error
	if !errors.As(err, &e) || e.Kind != fail.Internal || e.Stack == "" || !strings.Contains(err.Error(), "run panicked: injected panic") {
		t.Errorf("the error is %v", err)
	}
	if rec == nil || rec.Status != Failed || rec.Error.Kind != "internal" {
		t.Errorf("the receipt is %+v", rec)
	}
}
