package csv

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"
	"pgregory.net/rapid"

	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/internal/textval"
	"github.com/sluice-data/sluice/pipeline"
	"github.com/sluice-data/sluice/sources"
)

// plainRead is what a cell of the type must come out as, by the readers of internal/textval alone: its text, "NULL" or "rejected".
func plainRead(typ, cell string) string {
	if cell == "" {
		return "NULL"
	}
	b := []byte(strings.Trim(cell, " "))
	text := func(v any, ok bool) string {
		if !ok {
			return "rejected"
		}
		return fmt.Sprint(v)
	}
	switch typ {
	case "int8", "int32", "int64":
		v, ok := textval.Int(b)
		limit := map[string]int64{"int8": 1 << 7, "int32": 1 << 31}[typ]
		return text(v, ok && (limit == 0 || v >= -limit && v < limit))
	case "uint16", "uint64":
		v, ok := textval.Uint(b)
		return text(v, ok && (typ == "uint64" || v < 1<<16))
	case "float64":
		v, ok := textval.Float64(b)
		return text(v, ok)
	case "float32":
		v, ok := textval.Float32(b)
		return text(v, ok)
	case "decimal(9,2)":
		v, ok := textval.Decimal(b, 9, 2)
		return text(string(textval.AppendDecimal(nil, v, 2)), ok)
	}
	v, ok := iso.Micros(b)
	return text(string(textval.AppendTimestamp(nil, v)), ok)
}

func valueText(a arrow.Array, i int) string {
	if a.IsNull(i) {
		return "NULL"
	}
	switch a := a.(type) {
	case *array.Decimal128:
		return string(textval.AppendDecimal(nil, a.Value(i), 2))
	case *array.Timestamp:
		return string(textval.AppendTimestamp(nil, int64(a.Value(i))))
	case *array.Float64:
		return fmt.Sprint(a.Value(i))
	case *array.Float32:
		return fmt.Sprint(a.Value(i))
	}
	return a.ValueStr(i)
}

// TestShortCutsReadWhatTextvalReads holds the loops' short cuts to the plain readers, wherever in the text a cell stands.
func TestShortCutsReadWhatTextvalReads(t *testing.T) {
	types := []string{"int8", "int32", "int64", "uint16", "uint64", "float64", "float32", "decimal(9,2)", "timestamp"}
	cells := rapid.OneOf(
		rapid.StringMatching(`-?[0-9]{1,10}`), rapid.StringMatching(`-?[0-9]{0,8}\.[0-9]{0,8}`), rapid.StringMatching(`[-+.0-9e ]{0,9}`), rapid.Just(""),
		rapid.StringMatching(`20[0-9]{2}-[01][0-9]-[0-3][0-9][ T][0-2][0-9]:[0-5][0-9]:[0-6][0-9]`), rapid.StringMatching(`[0-9:;/-]{8}`))
	rapid.Check(t, func(t *rapid.T) {
		typ := rapid.SampledFrom(types).Draw(t, "type")
		in := rapid.SliceOfN(cells, 1, 20).Draw(t, "cells")
		lead := rapid.SampledFrom([]string{"", "x,"}).Draw(t, "lead")
		h := false
		req := sources.Request{ChunkBytes: 1 << 16, MaxRecord: 1 << 16, Options: sources.Options{Header: &h, Delimiter: ","}}
		if lead != "" {
			req.Schema.Columns = append(req.Schema.Columns, sources.Column{Field: mustField("lead", "string")})
		}
		req.Schema.Columns = append(req.Schema.Columns, sources.Column{Field: mustField("c", typ)}, sources.Column{Field: mustField("end", "string")})
		var text strings.Builder
		var want []string
		for _, c := range in {
			fmt.Fprintf(&text, "%s%s,\n", lead, c)
			if w := plainRead(typ, c); w != "rejected" {
				want = append(want, w)
			}
		}
		req.Inputs = []sources.Input{textInput("f", text.String())}
		var got []string
		rejected := 0
		err := decode(t, req, 0, func(b pipeline.Batch) {
			col := b.Rec.Column(int(b.Rec.NumCols()) - 2)
			for i := range col.Len() {
				got = append(got, valueText(col, i))
			}
		}, &rejected)
		if err != nil || fmt.Sprint(got) != fmt.Sprint(want) || rejected != len(in)-len(want) {
			t.Fatalf("%s %q\ngot  %q, %d rejected, %v\nwant %q", typ, in, got, rejected, err, want)
		}
	})
}

// decode reads req and hands the batches over; limit > 0 is the most rows of a batch.
func decode(t fataler, req sources.Request, limit int, f func(pipeline.Batch), rejected *int) error {
	t.Helper()
	mem := memory.NewCheckedAllocator(memory.NewGoAllocator())
	defer mem.AssertSize(t, 0)
	src, err := open(context.Background(), req, false)
	if err != nil {
		return err
	}
	defer src.Close()
	dec, err := src.NewDecoder(mem)
	if err != nil {
		return err
	}
	defer dec.Close()
	if limit > 0 {
		dec.(*decoder).limit = limit
	}
	for {
		c, err := src.Next(context.Background())
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		var rej pipeline.Rejects
		err = dec.Decode(context.Background(), c, &rej, func(b pipeline.Batch) error { f(b); return nil })
		if rejected != nil {
			*rejected += rej.Len()
		}
		c.Release()
		if err != nil {
			return err
		}
	}
}

// TestInferredValuesComeBack: whatever is inferred by a full scan, each cell prints as a number equal to its text, or as its text.
func TestInferredValuesComeBack(t *testing.T) {
	pools := [][]string{
		{"1", "-2", "0", "9007199254740993", "9223372036854775807", "-9223372036854775808"},
		{"1", "18446744073709551615", "99999999999999999999", "-5"},
		{"0.1", "2.50", "-0.0", "1e-05", "1.5E10", "3", "123456789.123456789", "0.30000000000000004", ".5", "7."},
		{"0.1", "12345678901234567890.5", "4", "100000000000000000000"},
		{"007", "1", "+1", "-0", "1e5"},
		{"true", "false", "TRUE", "t"},
		{"2026-11-22", "2026-01-01"},
		{"2026-11-22 10:00:00", "2026-11-22T10:00:00.25", "2026-11-22"},
		{"10:00:00", "23:59:59.5", "10:00"},
		{"2026-11-22 10:00:00Z", "2026-11-22 10:00:00+00", "2026-11-22 10:00:00"},
		{"a", "1", "é", " x "},
	}
	rapid.Check(t, func(t *rapid.T) {
		cells := rapid.SliceOfN(rapid.SampledFrom(rapid.SampledFrom(pools).Draw(t, "pool")), 1, 8).Draw(t, "cells")
		text := "x,y\n" + strings.Join(cells, ",\n") + ",\n"
		req := sources.Request{ChunkBytes: 64, MaxRecord: 1 << 16, FullScan: true, Inputs: []sources.Input{textInput("f", text)}, Options: sources.Options{Delimiter: ","}}
		r := read(t, req, false, 0)
		req.Lanes = 3
		if on3 := read(t, req, false, 0); on3.schema != r.schema {
			t.Fatalf("%q: on three lanes %s, on one %s", cells, on3.schema, r.schema)
		}
		if r.err != nil || len(r.rows) != len(cells) || len(r.rejects) > 0 {
			t.Fatalf("%q: %d rows, %v, %v", cells, len(r.rows), r.rejects, r.err)
		}
		for i, row := range r.rows {
			_, got, _ := strings.Cut(row, " ")
			got = strings.TrimSuffix(got, " | NULL")
			number := textval.IsNumber([]byte(got)) && textval.IsNumber([]byte(cells[i]))
			if strings.Contains(r.schema, "x string") {
				number = false
			}
			switch {
			case number && sameNumber([]byte(got), []byte(cells[i])), got == cells[i], strings.EqualFold(got, cells[i]):
			case sameTime(got, cells[i]):
			default:
				t.Fatalf("%s of %q came back as %s (%s)", cells[i], cells, got, r.schema)
			}
		}
	})
}

// TestLanesOfAFullScanShareTheLayout: without a header the names of declared columns are put over those of the input, which all lanes
// read. The race detector is the judge.
func TestLanesOfAFullScanShareTheLayout(t *testing.T) {
	header := false
	req := sources.Request{
		Inputs: []sources.Input{textInput("f", strings.Repeat("a,1\n", 5000)+"b,x\n")}, Options: sources.Options{Delimiter: ",", Header: &header},
		Schema:   sources.SchemaSpec{Mode: sources.Evolve, Columns: []sources.Column{{Field: arrow.Field{Name: "id", Type: arrow.BinaryTypes.String, Nullable: true}}}},
		FullScan: true, Lanes: 4, ChunkBytes: 64, MaxRecord: 1 << 16,
	}
	r := read(t, req, false, 0)
	if want := "id string | column2 string"; r.err != nil || r.schema != want || len(r.rows) != 5001 {
		t.Errorf("%d rows of %s, %v; want %s", len(r.rows), r.schema, r.err, want)
	}
}

func sameTime(a, b string) bool {
	x, ok1 := iso.Micros([]byte(a))
	y, ok2 := iso.Micros([]byte(b))
	if !ok1 || !ok2 {
		x, ok1 = iso.TimeOfDay([]byte(a))
		y, ok2 = iso.TimeOfDay([]byte(b))
	}
	return ok1 && ok2 && x == y
}

// TestMisfit: the head promises integers, a later value breaks that; a full scan finds the type that holds all.
func TestMisfit(t *testing.T) {
	var text strings.Builder
	text.WriteString("id,n\n")
	for i := range 30_000 {
		fmt.Fprintf(&text, "%d,%d\n", i, i)
	}
	at := text.Len()
	text.WriteString("x,0.5\n007,1\n")
	req := sources.Request{ChunkBytes: 1 << 16, MaxRecord: 1 << 16, Inputs: []sources.Input{textInput("s3://b/k", text.String())}}
	err := decode(t, req, 0, func(pipeline.Batch) {}, nil)
	var m *sources.Misfit
	if !errors.As(err, &m) {
		t.Fatalf("got %v, want a misfit", err)
	}
	if m.Line != 30_002 || m.Offset != int64(at) || m.Column != "id" || m.Value != "x" || m.Type != "int64" || m.Input != "s3://b/k" {
		t.Errorf("misfit %+v", m)
	}
	req.FullScan = true
	rows := 0
	err = decode(t, req, 0, func(b pipeline.Batch) {
		rows += int(b.Rec.NumRows())
		if s := b.Rec.Schema().String(); !strings.Contains(s, "id: type=utf8") || !strings.Contains(s, "n: type=float64") {
			t.Fatal(s)
		}
	}, nil)
	if err != nil || rows != 30_002 {
		t.Errorf("full scan: %d rows, %v", rows, err)
	}
}

// TestMisfitsOfEachType puts a value that its inferred type would not give back after a head that fits.
func TestMisfitsOfEachType(t *testing.T) {
	for _, c := range [][3]string{
		{"1", "01", "int64"}, {"1", "+1", "int64"}, {"12345678", " 1", "int64"}, {"1", "-0", "int64"}, {"1", "x", "int64"},
		{"1.5", "00.5", "float64"}, {"1.5", "0.1234567890123456789", "float64"}, {"1.5", "nan", "float64"}, {"1.5", "9007199254740993", "float64"},
		{"18446744073709551615", "-1", "uint64"}, {"99999999999999999999", "1.5", "decimal(38,0)"}, {"true", "t", "bool"},
		{"2026-11-22", "2026-11-22 10:00:00", "date"}, {"2026-11-22 10:00:00", "2026-11-22", "timestamp"}, {"2026-11-22 10:00:00", "2026-11-22 10:00:00Z", "timestamp"},
		{"2026-11-22 10:00:00Z", "2026-11-22 10:00:00", "timestamptz"}, {"10:00:00", "10:00", "time"},
	} {
		head := "a,n\n" + strings.Repeat("a row to fill the head,"+c[0]+"\n", inferRows)
		req := sources.Request{ChunkBytes: 1 << 20, MaxRecord: 1 << 20, Inputs: []sources.Input{textInput("f", head+"y,"+c[1]+"\n")}}
		err := decode(t, req, 0, func(pipeline.Batch) {}, nil)
		var m *sources.Misfit
		if !errors.As(err, &m) || m.Type != c[2] || m.Value != c[1] {
			t.Errorf("%s after %s: %v, want a misfit of %s", c[1], c[0], err, c[2])
		}
	}
}

func TestBatchesAreBounded(t *testing.T) {
	text := "a,b\n" + strings.Repeat("1,x\n", 1000) + strings.Repeat("y,bad\n", 50) + strings.Repeat("2,z\n", 1000)
	req := sources.Request{ChunkBytes: 1 << 20, MaxRecord: 1 << 20, Inputs: []sources.Input{textInput("f", text)},
		Schema: sources.SchemaSpec{Columns: []sources.Column{{Field: mustField("a", "int32")}, {Field: mustField("b", "string")}}}}
	var sizes []int64
	rejected, line := 0, int64(1)
	err := decode(t, req, 300, func(b pipeline.Batch) {
		sizes = append(sizes, b.Rec.NumRows())
		for i := range int(b.Rec.NumRows()) {
			line++
			if line == 1002 {
				line += 50
			}
			if o := b.Rows.Origin(i); o.Line != line {
				t.Fatalf("row %d of batch %d is line %d, want %d", i, len(sizes), o.Line, line)
			}
		}
		last := int(b.Rec.NumRows()) - 1
		if first, again := b.Rows.Origin(0), b.Rows.Origin(last); first.Line >= again.Line || again.Line != line { // asked backwards
			t.Fatalf("batch %d: lines %d to %d, want up to %d", len(sizes), first.Line, again.Line, line)
		}
	}, &rejected)
	if err != nil || rejected != 50 || fmt.Sprint(sizes) != "[300 300 300 300 300 300 200]" {
		t.Errorf("batches of %v, %d rejected, %v", sizes, rejected, err)
	}
}

func TestEmitErrorEndsTheChunk(t *testing.T) {
	stop := errors.New("stop")
	req := sources.Request{ChunkBytes: 1 << 20, MaxRecord: 1 << 20, Inputs: []sources.Input{textInput("f", "a,b\n1,x\n")}}
	mem := memory.NewCheckedAllocator(memory.NewGoAllocator())
	defer mem.AssertSize(t, 0)
	src, err := open(t.Context(), req, false)
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	dec, err := src.NewDecoder(mem)
	if err != nil {
		t.Fatal(err)
	}
	defer dec.Close()
	c, err := src.Next(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var rej pipeline.Rejects
	if err := dec.Decode(t.Context(), c, &rej, func(pipeline.Batch) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("got %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := dec.Decode(ctx, c, &rej, func(pipeline.Batch) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

func TestLongRecordsAndMany(t *testing.T) {
	long := strings.Repeat("wide ", 100_000) // longer than a piece
	text := "a,b\n1,\"" + long + "\"\n2,y\n"
	req := sources.Request{ChunkBytes: 1 << 10, MaxRecord: 1 << 20, Inputs: []sources.Input{textInput("f", text)}}
	r := read(t, req, false, 0)
	if r.err != nil || len(r.rows) != 2 || !strings.HasSuffix(r.rows[0], long) {
		t.Errorf("%d rows, %v", len(r.rows), r.err)
	}
	req.MaxRecord = 1 << 16
	if r := read(t, req, false, 0); fail.KindOf(r.err) != fail.Data || !strings.Contains(r.err.Error(), "f:2: offset 4: a record starts here that does not end within 65536 bytes") {
		t.Errorf("over the limit: %v", r.err)
	}
}

func TestTenThousandColumns(t *testing.T) {
	var head, row []string
	for i := range 10_000 {
		head = append(head, fmt.Sprintf("a_column_with_a_long_name_so_that_the_header_is_long_%05d", i))
		row = append(row, "1")
	}
	text := strings.Join(head, ",") + "\n" + strings.Join(row, ",") + "\n"
	req := sources.Request{ChunkBytes: 1 << 16, MaxRecord: 1 << 21, Need: map[string]bool{head[9_999]: true}, Inputs: []sources.Input{textInput("f", text)}}
	r := read(t, req, false, 0)
	if r.err != nil || r.schema != head[9_999]+" int64" || len(r.rows) != 1 {
		t.Errorf("%s, %d rows, %v", r.schema, len(r.rows), r.err)
	}
}

func TestDetect(t *testing.T) {
	for _, c := range []struct {
		head     string
		csv, tsv int
	}{
		{"a,b\n1,2\n", 2, 0}, {"a;b\n1;2\n", 2, 0}, {"a\tb\n1\t2\n", 1, 2}, {"one\ntwo\n", 1, 0}, {"", 0, 0}, {`{"a": 1}` + "\n", 1, 0}, {"PK\x03\x04\x14\x00\x06\x00", 0, 0}, {"PAR1\x15\x04", 0, 0},
		{"\xff\xfea\x00\t\x00b\x00\n\x00", 1, 2}, {"\xef\xbb\xbfa,b\r\n1,2", 2, 0},
	} {
		var got [2]int
		for i, name := range []string{"csv", "tsv"} {
			f, ok := sources.Lookup(name)
			if !ok {
				t.Fatal("not registered:", name)
			}
			got[i] = f.Detect([]byte(c.head), true)
		}
		if got != [2]int{c.csv, c.tsv} {
			t.Errorf("detect(%q) = %v, want %d and %d", c.head, got, c.csv, c.tsv)
		}
	}
}
