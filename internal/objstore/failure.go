package objstore

import (
	"context"
	"fmt"

	"github.com/sluice-data/sluice/internal/fail"
)

// failf is the error of an operation on an object: it names the object, and keeps what %w wraps.
func failf(kind fail.Kind, ref Ref, format string, args ...any) error {
	return &fail.Error{Kind: kind, File: ref.String(), Err: fmt.Errorf(format, args...)}
}

// cancelled is the error of an operation that ended because ctx did, or nil if ctx is alive.
func cancelled(ctx context.Context, ref Ref, verb string) error {
	if ctx.Err() == nil {
		return nil
	}
	return failf(fail.Temporary, ref, "%s: %w", verb, ctx.Err())
}

// orNone shows a part of a version in a message.
func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}

// gaveUp marks a Temporary error behind which all retries have been spent already, so that no layer above multiplies them.
type gaveUp struct{ error }

func (g gaveUp) Unwrap() error { return g.error }
