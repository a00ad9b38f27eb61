package parquet

import (
	"context"

	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/internal/schema"
	"github.com/sluice-data/sluice/sources"
)

// survey reads the files' footers and holds the wanted columns against the types there: a run binds them, or fails, before it reads a value.
func survey(ctx context.Context, req sources.Request) (sources.Survey, error) {
	files, err := openFiles(ctx, req.Inputs)
	if err != nil {
		return sources.Survey{}, err
	}
	wanted := map[string]sources.Column{}
	for _, c := range req.Schema.Columns {
		wanted[c.Field.Name] = c
	}
	out := sources.Survey{Nothing: len(files) == 0, Typed: true}
	at := map[string]int{}
	for _, f := range files {
		for _, n := range f.cols {
			c, want := wanted[n.field.Name]
			fits := want && n.err != nil // such a column counts only if it is needed
			if want && !fits {
				_, err := bind(n, c.Field, req.Schema.Mode != sources.Strict)
				fits = err == nil
			}
			i, known := at[n.field.Name]
			if !known {
				at[n.field.Name] = len(out.Columns)
				out.Columns = append(out.Columns, sources.Seen{Field: n.field, Fits: fits})
				continue
			}
			col := &out.Columns[i]
			both, err := schema.Union(col.Field, n.field)
			switch {
			case err == nil && !col.Mixed:
				col.Field = both
			case !want:
				return sources.Survey{}, fail.Newf(fail.Data, "column %q %w", n.field.Name, err).In(f.in.URI)
			default:
				col.Mixed = true
				if col.Fits && !fits {
					col.Field = n.field
				}
			}
			col.Fits = col.Fits && fits
		}
	}
	for i := range out.Columns {
		out.Columns[i].Field = settle(out.Columns[i].Field)
	}
	return out, nil
}
