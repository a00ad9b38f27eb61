package job

import (
	"context"

	"github.com/apache/arrow/go/v17/arrow"

	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/internal/pg"
	"github.com/sluice-data/sluice/internal/spec"
)

// queried is a reference that is what a query of PostgreSQL gives. The hash of its rows is its version.
type queried struct {
	job      *job
	spec     *spec.Reference
	settings pg.Settings
	sql      string
	got      pg.Fetched
}

func newQueried(j *job, r *reference) (origin, error) {
	q := &queried{job: j, spec: &r.spec}
	var err error
	if q.sql, err = r.spec.Query.Str(); err != nil {
		return nil, err
	}
	q.settings, err = pg.ReadURI(r.spec.At, j.opt.Getenv)
	return q, err
}

func (q *queried) late() bool { return true }

// find asks nobody: the database is asked once, by describe or read.
func (q *queried) find(context.Context) error { return nil }

func (q *queried) describe(ctx context.Context, _ bool) (s *arrow.Schema, err error) {
	err = q.ask(ctx, func(query *pg.Query) error {
		s = query.Schema()
		return nil
	})
	return s, err
}

// ask has the query checked for use; errors of the server have their place in the pipeline file.
func (q *queried) ask(ctx context.Context, use func(*pg.Query) error) (err error) {
	conn, err := q.settings.Connect(ctx)
	if err != nil {
		return err
	}
	defer func() {
		if cerr := conn.Close(); err == nil && cerr != nil {
			err = pg.Error(ctx, "query", cerr)
		}
	}()
	query, err := conn.Prepare(ctx, q.sql)
	if err == nil {
		err = use(query)
	}
	return q.placed(err)
}

// placed gives what is wrong with the query its place.
func (q *queried) placed(err error) error {
	from, length, ok := pg.Position(err, q.sql)
	if err == nil || !ok && fail.KindOf(err) != fail.Usage {
		return err
	}
	at := q.spec.Query.Errorf("%w", err)
	if ok {
		at = q.spec.Query.ErrorOver(from, length, "%w", err)
	}
	at.Kind = fail.KindOf(err)
	return at
}

// read fetches the rows, and settles the columns of r.
func (q *queried) read(ctx context.Context, r *reference, limit int64) (t *table, err error) {
	mem, part, held := q.job.tableMemory(), &tablePart{input: r.Name()}, int64(0)
	defer releaseParts([]*tablePart{part})
	err = q.ask(ctx, func(query *pg.Query) (err error) {
		r.schema = query.Schema()
		q.got, err = query.Read(ctx, mem, int(max(limit, 0)), func(rec arrow.Record) error {
			if held += heldBy(rec); held > limit {
				return tooLarge(limit)
			}
			part.add(rec, func(string) bool { return false }, mem) // what steps want of them is not known yet
			return nil
		})
		return err
	})
	if err != nil {
		return nil, err
	}
	return assemble(mem, r.schema, []*tablePart{part}, held)
}

func (q *queried) versions(t *table) []LookupRef {
	l := LookupRef{InputRef: InputRef{URI: q.spec.URI}}
	if q.spec.DSNEnv != "" {
		l.URI = "$" + q.spec.DSNEnv
	}
	if t != nil {
		l.Size, l.ETag, l.Rows = q.got.Bytes, q.got.Hash, q.got.Rows
	}
	return []LookupRef{l}
}
