package glue

import (
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow/go/v17/arrow"
	"go.uber.org/goleak"

	"github.com/sluice-data/sluice/internal/awstest"
	"github.com/sluice-data/sluice/internal/objstore"
	"github.com/sluice-data/sluice/internal/schema"
	"github.com/sluice-data/sluice/internal/spec"
	"github.com/sluice-data/sluice/sinks"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func start(t *testing.T) *awstest.Catalog {
	t.Helper()
	c := awstest.NewCatalog(t)
	c.Setenv(t)
	return c
}

// columns is a schema: "name type", separated by semicolons.
func columns(t *testing.T, text string) *arrow.Schema {
	t.Helper()
	var fields []arrow.Field
	for _, c := range strings.Split(text, ";") {
		name, typ, _ := strings.Cut(strings.TrimSpace(c), " ")
		f, err := schema.ParseField(name, typ)
		if err != nil {
			t.Fatal(err)
		}
		fields = append(fields, f)
	}
	return arrow.NewSchema(fields, nil)
}

const run = "00000000000000a1"

// bind opens the block for rows of the columns, the last of which, by, name the folders.
func bind(t *testing.T, block, cols string, by ...string) (*delivery, error) {
	t.Helper()
	root, err := spec.Parse("p.yaml", []byte("glue: "+block+"\n"))
	if err != nil {
		t.Fatal(err)
	}
	d, err := open(sinks.TargetRequest{At: root.Get("glue"), Schema: columns(t, cols), PartitionBy: by, Dir: objstore.Ref{Bucket: "b", Key: "trips/"}, RunID: run, Pipeline: "trips", Mode: "append", Format: "parquet",
		Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
	if err != nil {
		return nil, err
	}
	out := d.(*delivery)
	out.pause = func(int) time.Duration { return time.Millisecond }
	t.Cleanup(func() { _ = d.Close() })
	return out, nil
}

func bound(t *testing.T, block, cols string, by ...string) *delivery {
	t.Helper()
	d, err := bind(t, block, cols, by...)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func equal(t *testing.T, what string, got, want any) {
	t.Helper()
	if g, w := fmt.Sprint(got), fmt.Sprint(want); g != w {
		t.Fatalf("%s\n got %s\nwant %s", what, g, w)
	}
}

func sorted(c *awstest.Catalog) (out []string) {
	for _, p := range c.Partitions {
		out = append(out, strings.Join(p.Values, "|")+" "+p.StorageDescriptor.Location)
	}
	slices.Sort(out)
	return out
}
