// Package targettest is the suite that every target passes: whatever happens on the way, a commit is there once.
package targettest

import (
	"context"
	"fmt"
	"os"
	"slices"
	"sync"
	"testing"

	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/sinks"
)

// Rig is a target with a place to deliver to.
type Rig struct {
	// Open opens the target as a new process would.
	Open func(t *testing.T) sinks.Delivery
	// Faulty opens it so that its request number at is not carried out or, with lost, its answer does not arrive, and those after it fare well. reached reports
	// whether there was such a request.
	Faulty func(t *testing.T, at int, lost bool) (d sinks.Delivery, reached func() bool)
	Commit sinks.Commit
	// Reset brings the place back to how it was; Times is how often the commit is there, an error if it is there in part.
	Reset func(t *testing.T)
	Times func(t *testing.T) (int, error)
}

// Run runs the suite.
func Run(t *testing.T, r Rig) {
	once := func(t *testing.T, what string) {
		t.Helper()
		if n, err := r.Times(t); n != 1 || err != nil {
			t.Fatalf("%s: the commit is there %d times, %v", what, n, err)
		}
	}
	t.Run("explain is the same each time", func(t *testing.T) {
		a, b := r.Open(t), r.Open(t)
		if x := a.Explain(); len(x) == 0 || !slices.Equal(x, b.Explain()) || !slices.Equal(x, a.Explain()) {
			t.Errorf("%q\n%q", x, b.Explain())
		}
		closeTwice(t, a)
		closeTwice(t, b)
	})
	t.Run("preflight changes nothing", func(t *testing.T) {
		r.Reset(t)
		d := r.Open(t)
		for range 2 {
			if _, err := d.Preflight(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if n, err := r.Times(t); n != 0 || err != nil {
			t.Errorf("the commit is there %d times, %v", n, err)
		}
		if detail, err := d.Deliver(t.Context(), r.Commit); err != nil || detail == "" {
			t.Fatalf("%q, %v", detail, err)
		}
		once(t, "after preflight")
		closeTwice(t, d)
	})
	t.Run("again, in the same process and in another", func(t *testing.T) {
		r.Reset(t)
		d := r.Open(t)
		for range 2 {
			deliver(t, d, r.Commit)
		}
		closeTwice(t, d)
		d = r.Open(t)
		deliver(t, d, r.Commit)
		closeTwice(t, d)
		once(t, "three times delivered")
	})
	t.Run("at the same time", func(t *testing.T) {
		r.Reset(t)
		var all sync.WaitGroup
		for range 3 {
			d := r.Open(t)
			all.Go(func() { deliver(t, d, r.Commit); closeTwice(t, d) })
		}
		all.Wait()
		once(t, "three attempts at once")
	})
	t.Run("cancelled", func(t *testing.T) {
		r.Reset(t)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		d := r.Open(t)
		if _, err := d.Deliver(ctx, r.Commit); fail.KindOf(err) != fail.Temporary {
			t.Errorf("%v", err)
		}
		closeTwice(t, d)
		d = r.Open(t)
		deliver(t, d, r.Commit)
		closeTwice(t, d)
		once(t, "after a cancel")
	})
	t.Run("a fault at every request", func(t *testing.T) {
		step := 1
		if os.Getenv("SLUICE_EVERY") == "" { // all of them take minutes
			step = 4
		}
		for _, lost := range []bool{false, true} {
			for at := 0; ; at += step {
				where := fmt.Sprintf("request %d, lost: %v", at, lost)
				r.Reset(t)
				d, reached := r.Faulty(t, at, lost)
				_, err := d.Deliver(t.Context(), r.Commit)
				closeTwice(t, d)
				if !reached() {
					if err != nil || at < 3 {
						t.Fatalf("%s: %v", where, err)
					}
					break
				}
				if err != nil && fail.KindOf(err) != fail.Temporary {
					t.Errorf("%s: %v", where, err)
				}
				if n, terr := r.Times(t); terr != nil || n > 1 || err == nil && n != 1 {
					t.Errorf("%s: after %v the commit is there %d times, %v", where, err, n, terr)
				}
				d = r.Open(t)
				deliver(t, d, r.Commit)
				closeTwice(t, d)
				once(t, where)
			}
		}
	})
}

func deliver(t *testing.T, d sinks.Delivery, c sinks.Commit) {
	t.Helper()
	if _, err := d.Deliver(t.Context(), c); err != nil {
		t.Error(err)
	}
}

func closeTwice(t *testing.T, d sinks.Delivery) {
	t.Helper()
	for range 2 {
		if err := d.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	}
}
