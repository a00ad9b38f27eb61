package pg

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/sluice-data/sluice/internal/fail"
)

// Error gives a failed request its kind and a message for a person. Classes of SQLSTATE: PostgreSQL manual, appendix A.
func Error(ctx context.Context, verb string, err error) error {
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return fail.Newf(fail.Temporary, "%s: %w", verb, ctx.Err())
	}
	var already *fail.Error
	if errors.As(err, &already) {
		return err
	}
	var pe *pgconn.PgError
	if !errors.As(err, &pe) {
		var dns *net.DNSError
		switch {
		case errors.As(err, &dns) && dns.IsNotFound:
			return fail.Newf(fail.Temporary, "%s: host %s is unknown: %w", verb, dns.Name, short{err})
		case strings.Contains(err.Error(), "tls error"), strings.Contains(err.Error(), "certificate"):
			return fail.Newf(fail.Permission, "%s: %w", verb, short{err})
		case strings.Contains(err.Error(), "server refused TLS"), strings.Contains(err.Error(), "password"):
			return fail.Newf(fail.Permission, "%s: %w", verb, short{err})
		}
		return fail.Newf(fail.Temporary, "%s: %w", verb, short{err})
	}
	kind, hint := meaning(pe)
	text := pe.Message
	if pe.Detail != "" {
		text += ": " + strings.TrimSuffix(pe.Detail, ".")
	}
	if hint != "" {
		text += "; " + hint
	}
	e := fail.Newf(kind, "%s: %s (SQLSTATE %s)%w", verb, text, pe.Code, hidden{err})
	e.Field = pe.ColumnName
	return e
}

// meaning is the kind of an error of the server, and what to do about it.
func meaning(pe *pgconn.PgError) (fail.Kind, string) {
	switch pe.Code {
	case "42501":
		return fail.Permission, ""
	case "54000":
		return fail.Data, "" // a value for which an index has no room
	case "25006":
		return fail.Usage, "this server takes no writes: " + Primary
	case "21000":
		return fail.Data, "two rows of the run have the same keys: add a dedupe step"
	case "57014":
		return fail.Temporary, "" // cancelled by a person or a timeout of the server
	case "40001", "40P01", "55P03", "57P01", "57P02", "57P03", "57P05", "25P03":
		return fail.Temporary, ""
	case "3D000", "3F000":
		return fail.Usage, ""
	}
	switch pe.Code[:min(2, len(pe.Code))] {
	case "28":
		return fail.Permission, ""
	case "08", "53", "58":
		return fail.Temporary, ""
	case "22", "23":
		return fail.Data, ""
	case "0A", "42", "54":
		return fail.Usage, ""
	}
	return fail.Internal, ""
}

// Primary is what to do about a server that takes no writes.
const Primary = "name the primary, or, where a name may lead to a replica, set target_session_attrs=read-write in the URL or PGTARGETSESSIONATTRS=read-write"

// ReadOnly reports whether the server took no writes: it is a replica, or has become one.
func ReadOnly(err error) bool {
	var pe *pgconn.PgError
	return errors.As(err, &pe) && pe.Code == "25006"
}

// Transient reports whether what failed so may succeed when it is done again at once.
func Transient(err error) bool {
	var pe *pgconn.PgError
	if errors.As(err, &pe) {
		switch pe.Code {
		case "40001", "40P01", "57P01", "57P02", "57P03":
			return true
		}
		return strings.HasPrefix(pe.Code, "08")
	}
	return fail.KindOf(err) == fail.Temporary && !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded)
}

// short is an error of the connection in its innermost words.
type short struct{ error }

func (s short) Unwrap() error { return s.error }

func (s short) Error() string {
	var op *net.OpError
	switch {
	case errors.As(s.error, &op):
		return op.Error()
	case errors.Is(s.error, io.ErrUnexpectedEOF), errors.Is(s.error, io.EOF), errors.Is(s.error, net.ErrClosed), errors.Is(s.error, os.ErrDeadlineExceeded):
		return "the connection broke"
	}
	return strings.TrimSpace(fmt.Sprint(s.error))
}

// hidden keeps an error for errors.As whose text is already told.
type hidden struct{ error }

func (h hidden) Unwrap() error { return h.error }
func (hidden) Error() string   { return "" }
