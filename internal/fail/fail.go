// Package fail is the one error type of Sluice: what kind of failure it is (so which exit code it gets) and where it
// happened (object, line, column, byte offset, field, value), on one line a person can act on at 3 a.m.
package fail

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// Kind says what a failure means to whoever started the job. The zero Kind is a bug of ours.
type Kind int

const (
	Internal   Kind = iota // a bug of ours: exit 70
	Usage                  // usage or pipeline file wrong: exit 2
	Data                   // bad rows, drift, a ledger that does not balance: exit 65
	Input                  // the input is not there (any more) or not readable as named: exit 66
	Temporary              // throttling, network, interruption: exit 75, try again
	Permission             // access denied: exit 77
)

var kinds = [...]struct {
	name string
	exit int
}{{"internal", 70}, {"usage", 2}, {"data", 65}, {"input", 66}, {"temporary", 75}, {"permission", 77}}

// String is the kind's name as the receipt's error.kind gives it.
func (k Kind) String() string { return kinds[k].name }

// ExitCode is the process exit code of the kind (DESIGN contract: 2, 65, 66, 70, 75, 77).
func (k Kind) ExitCode() int { return kinds[k].exit }

// Error is a failure with its place. Zero fields are unknown and not printed; Offset counts from 1 here for that
// reason: set it with At.
type Error struct {
	Kind   Kind
	File   string // object URI or pipeline file
	Line   int64  // 1-based
	Column int64  // 1-based, in the pipeline file
	offset int64  // byte offset + 1; 0 = unknown
	Field  string // column of the data
	Value  string // the offending value, shortened when printed
	Stack  string // of a panic; for the log, not part of the message
	// Excerpt is the line of the pipeline file that is wrong and, below it, the place underlined; "" where there is none. It is not part of the message.
	Excerpt string
	Err     error
}

// Newf makes an Error of kind k; %w wraps.
func Newf(k Kind, format string, args ...any) *Error {
	return &Error{Kind: k, Err: fmt.Errorf(format, args...)}
}

// Wrap gives err the kind k unless it (or what it wraps) already is an *Error, which then keeps its own kind.
func Wrap(k Kind, err error) error {
	if err == nil {
		return nil
	}
	var e *Error
	if errors.As(err, &e) {
		return err
	}
	return &Error{Kind: k, Err: err}
}

// In sets the file if none is set yet and returns e.
func (e *Error) In(file string) *Error {
	if e.File == "" {
		e.File = file
	}
	return e
}

// At sets the line (1-based) and byte offset (0-based; negative = unknown) and returns e.
func (e *Error) At(line, offset int64) *Error {
	e.Line, e.offset = line, offset+1
	if offset < 0 {
		e.offset = 0
	}
	return e
}

// Offset is the byte offset of the failure in the decompressed object, or -1 when unknown.
func (e *Error) Offset() int64 { return e.offset - 1 }

// Of sets the data column and the offending value and returns e.
func (e *Error) Of(field, value string) *Error {
	e.Field, e.Value = field, value
	return e
}

// Error is one line: "file:line:column: column "f", offset n: cause (value "v")".
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.File)
	if e.Line > 0 {
		fmt.Fprintf(&b, ":%d", e.Line)
		if e.Column > 0 {
			fmt.Fprintf(&b, ":%d", e.Column)
		}
	}
	if b.Len() > 0 {
		b.WriteString(": ")
	}
	if e.Field != "" {
		fmt.Fprintf(&b, "column %q", e.Field)
		if e.offset > 0 {
			fmt.Fprintf(&b, ", offset %d", e.offset-1)
		}
		b.WriteString(": ")
	} else if e.offset > 0 {
		fmt.Fprintf(&b, "offset %d: ", e.offset-1)
	}
	b.WriteString(e.Message())
	return b.String()
}

// Message is the cause without the place, on one line.
func (e *Error) Message() string {
	msg := "unknown error"
	if e.Err != nil {
		msg = strings.ReplaceAll(e.Err.Error(), "\n", " ")
	}
	if e.Value != "" {
		msg += fmt.Sprintf(" (value %q)", Shorten(e.Value))
	}
	return msg
}

func (e *Error) Unwrap() error { return e.Err }

// KindOf is the kind of err: that of the outermost *Error in its chain, Temporary for a cancelled or timed-out context,
// Internal for anything else.
func KindOf(err error) Kind {
	var e *Error
	switch {
	case errors.As(err, &e):
		return e.Kind
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return Temporary
	}
	return Internal
}

// ExcerptOf is the excerpt of the outermost *Error in err's chain that has one, or "".
func ExcerptOf(err error) string {
	for {
		var e *Error
		if !errors.As(err, &e) {
			return ""
		}
		if e.Excerpt != "" {
			return e.Excerpt
		}
		err = e.Err
	}
}

// Shorten cuts a value for printing to at most 80 bytes, at a rune border.
func Shorten(s string) string {
	const most = 80
	if len(s) <= most {
		return s
	}
	s = s[:most]
	for len(s) > 0 && !utf8.RuneStart(s[len(s)-1]) {
		s = s[:len(s)-1]
	}
	return strings.TrimRight(s, "\uFFFD") + "…"
}
