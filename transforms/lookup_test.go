package transforms

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/sluice-data/sluice/internal/spec"
)

// testTable is a reference table of the head of testdata/lookup.txt.
type testTable struct {
	name string
	rec  arrow.Record
	used map[string]bool
}

var testTables = sync.OnceValue(func() map[string]*testTable {
	text, err := os.ReadFile("testdata/lookup.txt")
	if err != nil {
		panic(err)
	}
	head, _, _ := strings.Cut(string(text), "\n== ")
	out := map[string]*testTable{}
	for _, part := range strings.Split(head, "\ntable ")[1:] {
		name, rows, _ := strings.Cut(part, "\n")
		rows, _, _ = strings.Cut(rows, "\n\n")
		out[name] = &testTable{name, parseTable(&testing.T{}, memory.DefaultAllocator, rows), map[string]bool{}}
	}
	return out
})

// testInput opens one of them as the other input of a union.
func testInput(args *spec.Node) (Input, error) { return testTableOf(args) }

// testRelation opens one of them by table:, or by the file's name in uri:.
func testRelation(args *spec.Node) (Relation, error) { return testTableOf(args) }

func testTableOf(args *spec.Node) (*testTable, error) {
	name := ""
	if n := args.Get("table"); n != nil {
		name, _ = n.Str()
	} else if n := args.Get("uri"); n != nil {
		uri, _ := n.Str()
		name, _, _ = strings.Cut(uri[strings.LastIndex(uri, "/")+1:], ".")
	}
	t, ok := testTables()[name]
	if !ok {
		return nil, args.Errorf("no table %q", name)
	}
	return t, nil
}

func (t *testTable) Name() string          { return t.name }
func (t *testTable) Schema() *arrow.Schema { return t.rec.Schema() }
func (t *testTable) Rows() int             { return int(t.rec.NumRows()) }
func (t *testTable) Place(i int) string    { return fmt.Sprintf("row %d of %s", i+1, t.name) }
func (t *testTable) Use(columns ...string) { t.note("", columns) }
func (t *testTable) Add(columns ...string) { t.note("+", columns) }

func (t *testTable) note(how string, columns []string) {
	for _, c := range columns {
		t.used[how+c] = true
	}
}

// Pieces are of two rows each.
func (t *testTable) Pieces(columns ...string) (out [][]arrow.Array) {
	for lo := 0; lo < t.Rows(); lo += 2 {
		var piece []arrow.Array
		for _, name := range columns {
			piece = append(piece, array.NewSlice(t.column("", name), int64(lo), int64(min(lo+2, t.Rows()))))
		}
		out = append(out, piece)
	}
	return out
}

func (t *testTable) column(how, name string) arrow.Array {
	if !t.used[how+name] {
		panic("column " + name + " is asked for and was not named before")
	}
	return t.rec.Column(t.rec.Schema().FieldIndices(name)[0])
}

func (t *testTable) Columns(names []string, null bool) (out []arrow.Array, err error) {
	for _, name := range names {
		c := t.column("+", name)
		if null {
			none := array.MakeArrayOfNull(memory.DefaultAllocator, c.DataType(), 1)
			if c, err = array.Concatenate([]arrow.Array{c, none}, memory.DefaultAllocator); err != nil {
				return nil, err
			}
		}
		out = append(out, c)
	}
	return out, nil
}
