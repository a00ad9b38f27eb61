package files

import (
	"context"
	"fmt"
	"runtime"
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/sluice-data/sluice/internal/objstore"
	"github.com/sluice-data/sluice/sinks"
)

// emptyStore takes uploads and keeps nothing of them.
type emptyStore struct{ objstore.Store }

type emptyUpload struct{ objstore.Upload }

func (emptyStore) Upload(context.Context, objstore.Ref, string) (objstore.Upload, error) {
	return emptyUpload{}, nil
}
func (emptyUpload) Write(b []byte) (int, error) { return len(b), nil }
func (emptyUpload) Flush(context.Context) error { return nil }
func (emptyUpload) Abort(context.Context) error { return nil }

// What waits for the commit is a list of files, which no budget knows: each is small, so that a hundred thousand partitions fit a small machine.
func TestManyFilesAreSmall(t *testing.T) {
	const n, most = 20_000, 750
	s, err := New(lines, sinks.Request{Schema: byZone, PartitionBy: []string{"zone"}, Store: emptyStore{}, Dir: dir, RunID: runID})
	if err != nil {
		t.Fatal(err)
	}
	enc, err := s.NewEncoder(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer enc.Close()
	held := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := held()
	rows := array.NewRecordBuilder(memory.DefaultAllocator, byZone)
	defer rows.Release()
	for i := range n {
		rows.Field(0).(*array.StringBuilder).Append(fmt.Sprint("zone ", i))
		rows.Field(1).(*array.Int64Builder).Append(int64(i))
		rec := rows.NewRecord()
		b, err := enc.Encode(t.Context(), []arrow.Record{rec})
		rec.Release()
		if err == nil {
			err = s.Write(t.Context(), b)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if each := (held() - before) / n; each > most {
		t.Errorf("a file that waits for the commit holds %d bytes, want %d at most", each, most)
	} else {
		t.Logf("%d bytes a file", each)
	}
	if err := s.Abort(t.Context()); err != nil {
		t.Fatal(err)
	}
}
