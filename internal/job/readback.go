package job

import (
	"context"
	"errors"
	"io"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/internal/hive"
	"github.com/sluice-data/sluice/internal/objstore"
	"github.com/sluice-data/sluice/internal/schema"
	"github.com/sluice-data/sluice/pipeline"
	"github.com/sluice-data/sluice/sinks"
	"github.com/sluice-data/sluice/sources"
)

// rowSchema is that of the rows of a commit, from its manifest: the columns of the files, then those in the folders' names.
func rowSchema(columns []ManifestColumn) (*arrow.Schema, error) {
	fields := make([]arrow.Field, len(columns))
	for i, c := range columns {
		f, err := schema.ParseField(c.Name, c.Type)
		if err != nil {
			return nil, fail.Newf(fail.Usage, "column %q cannot be given to a target: %w", c.Name, err)
		}
		f.Nullable = c.Nullable
		fields[i] = f
	}
	return arrow.NewSchema(fields, nil), nil
}

// committedFiles are the manifest's files as targets see them.
func committedFiles(m *Manifest) ([]sinks.File, error) {
	out := make([]sinks.File, len(m.Files))
	for i, f := range m.Files {
		ref, err := objstore.ParseRef(f.URI)
		if err != nil {
			return nil, err
		}
		out[i] = sinks.File{URI: f.URI, Ref: ref, Size: f.Size, Rows: f.Rows, ETag: f.ETag, Partition: f.Partition}
	}
	return out, nil
}

// readBack calls emit with the rows of committed files, in order, in columns as s has them. Records are lent.
func (j *job) readBack(ctx context.Context, files []sinks.File, s *arrow.Schema, emit func(arrow.Record) error) error {
	format, ok := sources.Lookup("parquet")
	if !ok {
		return fail.Newf(fail.Internal, "the parquet format is not built in")
	}
	mem := memory.DefaultAllocator
	if j.opt.test.mem != nil {
		mem = j.opt.test.mem
	}
	for _, f := range files {
		if err := j.readFile(ctx, format, mem, f, s, emit); err != nil {
			return err
		}
	}
	return nil
}

func (j *job) readFile(ctx context.Context, format sources.Format, mem memory.Allocator, f sinks.File, s *arrow.Schema, emit func(arrow.Record) error) (err error) {
	in := j.intakeOf([]objstore.Info{{Ref: f.Ref, Size: f.Size, ETag: f.ETag}}, "none", &pipeline.Progress{})
	defer in.close()
	src, err := format.Open(ctx, sources.Request{Inputs: in.inputs(), Schema: sources.SchemaSpec{Mode: sources.Infer}, ChunkBytes: j.sizes.chunkBytes,
		ChunkRows: j.sizes.chunkRows, MaxRecord: j.sizes.maxRecord, Lanes: 1})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, src.Close()) }()
	dec, err := src.NewDecoder(mem)
	if err != nil {
		return err
	}
	defer dec.Close()
	rows := int64(0)
	for {
		chunk, err := src.Next(ctx)
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
		var rej pipeline.Rejects
		err = dec.Decode(ctx, chunk, &rej, func(b pipeline.Batch) error {
			rows += b.Rec.NumRows()
			rec, err := arrange(mem, b.Rec, f.Partition, s)
			if err != nil {
				return fail.Wrap(fail.Data, err)
			}
			defer rec.Release()
			return emit(rec)
		})
		chunk.Release()
		if err == nil && rej.Len() > 0 {
			err = rej.Rows()[0].Err()
		}
		if err != nil {
			return err
		}
	}
	if rows != f.Rows {
		return fail.Newf(fail.Data, "read back, it has %d rows; committed were %d", rows, f.Rows).In(f.URI)
	}
	return nil
}

// arrange is rec with its partition's columns, in the order of s. The caller releases it.
func arrange(mem memory.Allocator, rec arrow.Record, partition map[string]hive.Value, s *arrow.Schema) (arrow.Record, error) {
	cols := make([]arrow.Array, s.NumFields())
	defer func() {
		for _, c := range cols {
			if c != nil {
				c.Release()
			}
		}
	}()
	for i, f := range s.Fields() {
		if v, ok := partition[f.Name]; ok {
			c, err := hive.Column(mem, f.Type, v, int(rec.NumRows()))
			if err != nil {
				return nil, err
			}
			cols[i] = c
			continue
		}
		at := rec.Schema().FieldIndices(f.Name)
		if len(at) != 1 {
			return nil, fail.Newf(fail.Data, "a committed file has column %q %d times", f.Name, len(at))
		}
		c := rec.Column(at[0])
		if !arrow.TypeEqual(c.DataType(), f.Type) {
			return nil, fail.Newf(fail.Data, "column %q was committed as %s and is read back as %s", f.Name, schema.TypeName(f), schema.DataTypeName(c.DataType()))
		}
		c.Retain()
		cols[i] = c
	}
	return array.NewRecord(s, cols, rec.NumRows()), nil
}
