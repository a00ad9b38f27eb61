package parquet

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math"
	"math/big"
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	pq "github.com/parquet-go/parquet-go"
	"go.uber.org/goleak"

	"github.com/sluice-data/sluice/internal/objstore"
	"github.com/sluice-data/sluice/internal/objstore/storetest"
	"github.com/sluice-data/sluice/pipeline"
	"github.com/sluice-data/sluice/sinks"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// triple is a slot of a leaf column: its levels and its value, "" and null if there is none.
type triple struct {
	rep, def int
	value    string
	null     bool
}

func (t triple) String() string {
	if t.null {
		return fmt.Sprintf("r%d d%d null", t.rep, t.def)
	}
	return fmt.Sprintf("r%d d%d %s", t.rep, t.def, t.value)
}

// shredRows is Dremel's shredding as the textbook has it: row by row, by recursion. The encoder's is by column and level.
func shredRows(recs []arrow.Record) [][]triple {
	var o oracle
	for _, rec := range recs {
		for row := range int(rec.NumRows()) {
			o.leaf = 0
			for i, f := range rec.Schema().Fields() {
				o.node(f, rec.Column(i), row, 0, 0, 0)
			}
		}
	}
	return o.out
}

type oracle struct {
	out  [][]triple
	leaf int
}

func (o *oracle) emit(t triple) {
	for len(o.out) <= o.leaf {
		o.out = append(o.out, nil)
	}
	o.out[o.leaf] = append(o.out[o.leaf], t)
	o.leaf++
}

// node emits value i of arr (nothing if arr is nil) at repetition level rep, below depth repeated nodes.
func (o *oracle) node(f arrow.Field, arr arrow.Array, i, rep, def, depth int) {
	if d, ok := f.Type.(*arrow.DictionaryType); ok {
		f.Type = d.ValueType
		if arr != nil && arr.IsValid(i) {
			dict := arr.(*array.Dictionary)
			i = dict.GetValueIndex(i)
			arr = dict.Dictionary()
		}
	}
	if f.Nullable && arr != nil {
		if arr.IsNull(i) {
			arr = nil
		} else {
			def++
		}
	}
	switch t := f.Type.(type) {
	case *arrow.StructType:
		for k, c := range t.Fields() {
			var child arrow.Array
			if arr != nil {
				child = arr.(*array.Struct).Field(k)
			}
			o.node(c, child, i, rep, def, depth)
		}
		return
	case *arrow.MapType:
		o.list([]arrow.Field{t.KeyField(), t.ItemField()}, arr, i, rep, def, depth)
		return
	case *arrow.ListType, *arrow.LargeListType, *arrow.FixedSizeListType:
		o.list([]arrow.Field{t.(arrow.ListLikeType).ElemField()}, arr, i, rep, def, depth)
		return
	}
	if arr == nil {
		o.emit(triple{rep: rep, def: def, null: true})
		return
	}
	o.emit(triple{rep: rep, def: def, value: physical(f.Type, arr, i)})
}

// list emits a list (one child) or a map (two).
func (o *oracle) list(children []arrow.Field, arr arrow.Array, i, rep, def, depth int) {
	first := o.leaf
	start, end := int64(0), int64(0)
	if arr != nil {
		start, end = arr.(array.ListLike).ValueOffsets(i)
	}
	if start == end {
		for _, c := range children {
			o.node(c, nil, 0, rep, def, depth+1)
		}
		return
	}
	values := arr.(array.ListLike).ListValues()
	for e := start; e < end; e++ {
		o.leaf = first
		for k, c := range children {
			at := values
			if len(children) == 2 {
				at = values.(*array.Struct).Field(k)
				c.Nullable = c.Nullable && k == 1
			}
			o.node(c, at, int(e), rep, def+1, depth+1)
		}
		rep = depth + 1
	}
}

// physical is value i of a leaf as its Parquet physical type holds it.
func physical(dt arrow.DataType, arr arrow.Array, i int) string {
	switch a := arr.(type) {
	case *array.Boolean:
		return fmt.Sprint(a.Value(i))
	case *array.Int8:
		return fmt.Sprint(a.Value(i))
	case *array.Int16:
		return fmt.Sprint(a.Value(i))
	case *array.Int32:
		return fmt.Sprint(a.Value(i))
	case *array.Int64:
		return fmt.Sprint(a.Value(i))
	case *array.Uint8:
		return fmt.Sprint(a.Value(i))
	case *array.Uint16:
		return fmt.Sprint(a.Value(i))
	case *array.Uint32:
		return fmt.Sprint(int32(a.Value(i)))
	case *array.Uint64:
		return fmt.Sprint(int64(a.Value(i)))
	case *array.Float16:
		bits := a.Value(i).Uint16()
		return fmt.Sprintf("%x", []byte{byte(bits), byte(bits >> 8)})
	case *array.Float32:
		return fmt.Sprintf("f%08x", math.Float32bits(a.Value(i)))
	case *array.Float64:
		return fmt.Sprintf("f%016x", math.Float64bits(a.Value(i)))
	case *array.Date32:
		return fmt.Sprint(int32(a.Value(i)))
	case *array.Date64:
		return fmt.Sprint(int64(a.Value(i)) / 86_400_000)
	case *array.Time32:
		return fmt.Sprint(scaled(dt.(*arrow.Time32Type).Unit, int64(a.Value(i))))
	case *array.Time64:
		return fmt.Sprint(int64(a.Value(i)))
	case *array.Timestamp:
		return fmt.Sprint(scaled(dt.(*arrow.TimestampType).Unit, int64(a.Value(i))))
	case *array.Decimal128:
		return decimalText(a.Value(i).BigInt(), dt.(arrow.DecimalType), false)
	case *array.Decimal256:
		return decimalText(a.Value(i).BigInt(), dt.(arrow.DecimalType), true)
	case *array.String:
		return fmt.Sprintf("%x", a.Value(i))
	case *array.LargeString:
		return fmt.Sprintf("%x", a.Value(i))
	case *array.Binary:
		return fmt.Sprintf("%x", a.Value(i))
	case *array.LargeBinary:
		return fmt.Sprintf("%x", a.Value(i))
	case *array.FixedSizeBinary:
		return fmt.Sprintf("%x", a.Value(i))
	}
	panic(fmt.Sprintf("no physical value for %T", arr))
}

func scaled(u arrow.TimeUnit, v int64) int64 {
	if u == arrow.Second {
		return v * 1000
	}
	return v
}

// decimalText is a decimal as an integer, or as two's complement of the fewest bytes for its precision.
func decimalText(v *big.Int, t arrow.DecimalType, wide bool) string {
	if t.GetPrecision() <= 18 && !wide {
		return v.String()
	}
	width := 1
	limit := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(t.GetPrecision())), nil)
	for new(big.Int).Lsh(big.NewInt(1), uint(8*width-1)).Cmp(limit) < 0 {
		width++
	}
	if v.Sign() < 0 {
		v = new(big.Int).Add(v, new(big.Int).Lsh(big.NewInt(1), uint(8*width)))
	}
	return fmt.Sprintf("%x", v.FillBytes(make([]byte, width)))
}

// readTriples is what parquet-go reads of the file, leaf by leaf.
func readTriples(t tester, f *pq.File) [][]triple {
	t.Helper()
	var out [][]triple
	for _, g := range f.RowGroups() {
		for i, chunk := range g.ColumnChunks() {
			for len(out) <= i {
				out = append(out, nil)
			}
			out[i] = append(out[i], readChunk(t, chunk)...)
		}
	}
	return out
}

func readChunk(t tester, chunk pq.ColumnChunk) []triple {
	t.Helper()
	pages := chunk.Pages()
	defer pages.Close()
	var out []triple
	buf := make([]pq.Value, 1000)
	for {
		page, err := pages.ReadPage()
		if err == io.EOF {
			return out
		}
		if err != nil {
			t.Fatalf("parquet-go: read page: %v", err)
		}
		for values := page.Values(); ; {
			n, err := values.ReadValues(buf)
			for _, v := range buf[:n] {
				out = append(out, tripleOf(v))
			}
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatalf("parquet-go: read values: %v", err)
			}
		}
		pq.Release(page)
	}
}

func tripleOf(v pq.Value) triple {
	tr := triple{rep: v.RepetitionLevel(), def: v.DefinitionLevel(), null: v.IsNull()}
	if tr.null {
		return tr
	}
	switch v.Kind() {
	case pq.Boolean:
		tr.value = fmt.Sprint(v.Boolean())
	case pq.Int32:
		tr.value = fmt.Sprint(v.Int32())
	case pq.Int64:
		tr.value = fmt.Sprint(v.Int64())
	case pq.Float:
		tr.value = fmt.Sprintf("f%08x", math.Float32bits(v.Float()))
	case pq.Double:
		tr.value = fmt.Sprintf("f%016x", math.Float64bits(v.Double()))
	default:
		tr.value = fmt.Sprintf("%x", v.ByteArray())
	}
	return tr
}

// checkFile compares the file with the records, in the order they were written.
func checkFile(t tester, data []byte, recs []arrow.Record) *pq.File {
	t.Helper()
	f, err := pq.OpenFile(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatalf("parquet-go: %v", err)
	}
	rows := int64(0)
	for _, r := range recs {
		rows += r.NumRows()
	}
	if f.NumRows() != rows {
		t.Fatalf("file has %d rows, want %d", f.NumRows(), rows)
	}
	if rows == 0 {
		return f
	}
	got, want := readTriples(t, f), shredRows(recs)
	if len(got) != len(want) {
		t.Fatalf("file has %d leaf columns, want %d", len(got), len(want))
	}
	for i := range want {
		name := f.Schema().Columns()[i]
		if len(got[i]) != len(want[i]) {
			t.Fatalf("column %v has %d slots, want %d", name, len(got[i]), len(want[i]))
		}
		for k := range want[i] {
			if got[i][k] != want[i][k] {
				t.Fatalf("column %v, slot %d: read %v, want %v", name, k, got[i][k], want[i][k])
			}
		}
	}
	return f
}

// writeFile encodes each group of records as one row group and commits; it returns the one file's bytes.
func writeFile(t tester, req sinks.Request, groups ...[]arrow.Record) []byte {
	t.Helper()
	store := storetest.NewMemory()
	req.Store, req.Dir, req.RunID = store, objstore.Ref{Bucket: "b", Key: "out/"}, "0123456789abcdef"
	s, err := newSink(req)
	if err != nil {
		t.Fatal(err)
	}
	enc, err := s.NewEncoder(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer enc.Close()
	ctx := context.Background()
	want := int64(0)
	for _, g := range groups {
		b, err := enc.Encode(ctx, g)
		if err != nil {
			t.Fatal(err)
		}
		want += b.Rows()
		if err := s.Write(ctx, b); err != nil {
			t.Fatal(err)
		}
	}
	l := &pipeline.Ledger{}
	if err := s.Commit(ctx, l); err != nil {
		t.Fatal(err)
	}
	if l.Written != want {
		t.Fatalf("ledger has %d rows written, want %d", l.Written, want)
	}
	if len(s.Files()) != 1 {
		t.Fatalf("wrote %d files, want 1", len(s.Files()))
	}
	return store.Objects["out/part-0123456789abcdef-00000.parquet"]
}

// tester is what testing.T and rapid.T have in common here.
type tester interface {
	Helper()
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}
