// Package textval reads typed values from text, exactly or not at all, and prints them back: what CSV cells, JSON
// strings, CAST, schema inference and the quarantine share. Nothing here trims, rounds or guesses.
package textval

import "github.com/apache/arrow/go/v17/arrow/decimal128"

// Int reads an optionally signed decimal integer: [+-]?[0-9]+. ok is false on anything else and on overflow.
func Int(b []byte) (v int64, ok bool) { panic("to be written") }

// Uint reads [+]?[0-9]+.
func Uint(b []byte) (v uint64, ok bool) { panic("to be written") }

// Float64 reads a decimal floating-point number (also inf, infinity, nan in any case), correctly rounded to nearest even;
// ok is false on overflow to infinity.
func Float64(b []byte) (v float64, ok bool) { panic("to be written") }

// Float32 likewise.
func Float32(b []byte) (v float32, ok bool) { panic("to be written") }

// Bool reads true, false, t, f, yes, no, y, n, on, off, 1, 0 in any case (PostgreSQL's set).
func Bool(b []byte) (v, ok bool) { panic("to be written") }

// Decimal reads a decimal number (exponents too) as an integer scaled by 10^scale. ok is false if it does not fit precision digits
// or has non-zero digits beyond scale: nothing is rounded.
func Decimal(b []byte, precision, scale int32) (v decimal128.Num, ok bool) { panic("to be written") }

// Layout reads dates, times and timestamps.
type Layout struct{}

// NewLayout compiles a strftime format ("" = ISO 8601 / PostgreSQL forms: 2026-11-22, 2026-11-22 13:04:05.123456, T for the space,
// optional offset Z, +02, +02:00, +0200) with the IANA zone that timestamps without offset are in ("" = UTC). Directives: %Y %y %m %d %e %j %b %B %a %A
// %H %I %p %M %S %f (1–9 digits) %z %Z(UTC, GMT, Z) %s %T %F %D %R %% and literals.
func NewLayout(strftime, tz string) (*Layout, error) { panic("to be written") }

// Date reads days since 1970-01-01. A time part is refused unless it is midnight.
func (l *Layout) Date(b []byte) (days int32, ok bool) { panic("to be written") }

// Micros reads a local timestamp as µs since 1970-01-01 00:00:00 of its own clock. An offset in the text is refused (ok false)
// unless it is UTC: dropping it would change the value. More than 6 fraction digits are refused unless zero.
func (l *Layout) Micros(b []byte) (us int64, ok bool) { panic("to be written") }

// Instant reads a timestamptz as µs since the epoch: the offset in the text, else the layout's zone. A local time that the zone skips
// or has twice is refused.
func (l *Layout) Instant(b []byte) (us int64, ok bool) { panic("to be written") }

// TimeOfDay reads µs since midnight.
func (l *Layout) TimeOfDay(b []byte) (us int64, ok bool) { panic("to be written") }

// AppendDate, AppendTimestamp, AppendInstant, AppendTime and AppendFloat64 print as PostgreSQL does: 2026-11-22, 2026-11-22 13:04:05.123456
// (no trailing zeros of the fraction), with +00 for an instant, 13:04:05; floats in the shortest form that reads back equal.
func AppendDate(dst []byte, days int32) []byte                       { panic("to be written") }
func AppendTimestamp(dst []byte, us int64) []byte                    { panic("to be written") }
func AppendInstant(dst []byte, us int64) []byte                      { panic("to be written") }
func AppendTime(dst []byte, us int64) []byte                         { panic("to be written") }
func AppendFloat64(dst []byte, v float64) []byte                     { panic("to be written") }
func AppendFloat32(dst []byte, v float32) []byte                     { panic("to be written") }
func AppendDecimal(dst []byte, v decimal128.Num, scale int32) []byte { panic("to be written") }
