package job

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/apache/arrow/go/v17/arrow"

	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/internal/objstore"
	"github.com/sluice-data/sluice/internal/schema"
	"github.com/sluice-data/sluice/internal/spec"
)

// The schema lock is a file beside the pipeline file that holds the columns of the inputs as they were when --update-lock wrote it. It is not part of the run's id: it is a state,
// and the run that changes it must still be found by its retry.

// lockPath is where schema.lock is: relative to the pipeline file.
func lockPath(pipe *spec.Pipeline) string {
	l := pipe.Schema.Lock
	if dir, ok := strings.CutPrefix(pipe.File, "s3://"); ok && !strings.HasPrefix(l, "s3://") {
		return "s3://" + path.Join(path.Dir(dir), l)
	}
	if strings.HasPrefix(l, "s3://") || filepath.IsAbs(l) {
		return l
	}
	return filepath.Join(filepath.Dir(pipe.File), l)
}

// readLock reads the locked columns.
func readLock(ctx context.Context, store objstore.Store, pipe *spec.Pipeline) ([]arrow.Field, error) {
	name := lockPath(pipe)
	text, err := readText(ctx, store, name)
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, objstore.ErrNotExist) {
		return nil, fail.Newf(fail.Usage, "schema.lock %s is not there: write it with --update-lock", name)
	}
	if err != nil {
		return nil, fmt.Errorf("read schema lock: %w", err)
	}
	root, err := spec.Parse(name, text)
	if err != nil {
		return nil, err
	}
	if _, err := root.Map("version", "columns"); err != nil {
		return nil, err
	}
	n := root.Get("columns")
	if n == nil {
		return nil, root.Errorf("a schema lock has columns: write it anew with --update-lock")
	}
	entries, err := n.Map()
	if err != nil {
		return nil, err
	}
	var out []arrow.Field
	for _, e := range entries {
		typ, err := e.Value.Str()
		if err != nil {
			return nil, err
		}
		f, err := schema.ParseField(e.Key, typ)
		if err != nil {
			return nil, e.Value.Errorf("%w", err)
		}
		f.Nullable = true
		out = append(out, f)
	}
	return out, nil
}

func readText(ctx context.Context, store objstore.Store, name string) ([]byte, error) {
	if !strings.HasPrefix(name, "s3://") {
		return os.ReadFile(name)
	}
	ref, err := objstore.ParseRef(name)
	if err != nil {
		return nil, err
	}
	info, err := store.Stat(ctx, ref, objstore.Pin{})
	if err != nil {
		return nil, err
	}
	return readObject(ctx, store, info)
}

// lockText is the lock of columns.
func lockText(fields []arrow.Field) []byte {
	var b strings.Builder
	b.WriteString("# The columns of the inputs, written by worker run --update-lock.\nversion: 1\ncolumns:\n")
	for _, f := range fields {
		fmt.Fprintf(&b, "  %s: %s\n", quoteYAML(f.Name), quoteYAML(schema.TypeName(f)))
	}
	return []byte(b.String())
}

// quoteYAML writes s as a double-quoted scalar: any text may be a column's name.
func quoteYAML(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r < ' ' || r == 0x7f || r == 0x85 || r == 0xFEFF || r == 0x2028 || r == 0x2029:
			fmt.Fprintf(&b, `\u%04X`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// updateLock writes the columns that the run read; a lock that says the same stays as it is.
func updateLock(ctx context.Context, store objstore.Store, pipe *spec.Pipeline, read *arrow.Schema) error {
	name, text := lockPath(pipe), lockText(read.Fields())
	if old, err := readText(ctx, store, name); err == nil && string(old) == string(text) {
		return nil
	}
	var err error
	if ref, perr := objstore.ParseRef(name); perr == nil && strings.HasPrefix(name, "s3://") {
		_, err = store.Put(ctx, ref, text, "application/yaml", false)
	} else {
		err = replaceFile(name, text)
	}
	if err != nil {
		return fmt.Errorf("write schema lock: %w", err)
	}
	return nil
}

// lockHeads writes the lock of inputs whose run is committed already: the columns are those of their heads.
func (j *job) lockHeads(ctx context.Context) error {
	in := j.intakes()
	defer in.close()
	b := &binder{pipe: j.pipe, in: in[0], unions: j.unions, sizes: j.sizes, env: j.env, relock: true}
	p, err := b.bind(ctx, false)
	if err != nil {
		return err
	}
	return errors.Join(updateLock(ctx, j.store, j.pipe, p.read), p.close())
}

// replaceFile puts text in the place of a file, all at once.
func replaceFile(name string, text []byte) error {
	f, err := os.CreateTemp(filepath.Dir(name), ".sluice-*")
	if err == nil {
		_, err = f.Write(text)
		err = errors.Join(err, f.Sync(), f.Chmod(0o644), f.Close())
		if err == nil {
			err = os.Rename(f.Name(), name)
		}
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}
	if err == nil {
		return nil
	}
	kind := fail.Usage
	if errors.Is(err, os.ErrPermission) {
		kind = fail.Permission
	}
	return fail.Wrap(kind, err)
}
