package csv

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/internal/schema"
	"github.com/sluice-data/sluice/pipeline"
	"github.com/sluice-data/sluice/sources"
)

var rewrite = flag.Bool("rewrite", false, "rewrite the expected output in testdata")

// TestScripts runs testdata/*.txt: blocks of "# title", directives, inputs as Go string literals, "----" and what reading them gives.
func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no scripts", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			blocks := strings.Split(strings.TrimSpace(string(text)), "\n\n")
			for i, b := range blocks {
				head, want, _ := strings.Cut(b+"\n", "----\n")
				got := runScript(t, head)
				if *rewrite {
					blocks[i] = head + "----\n" + got
				} else if strings.TrimSpace(got) != strings.TrimSpace(want) {
					t.Errorf("%s\ngot:\n%s\nwant:\n%s", head, got, want)
				}
			}
			if *rewrite {
				if err := os.WriteFile(file, []byte(strings.Join(blocks, "\n\n")+"\n"), 0o644); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

func runScript(t *testing.T, head string) string {
	t.Helper()
	var c scriptCase
	for _, line := range strings.Split(strings.TrimSpace(head), "\n") {
		if err := c.directive(line); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
	}
	c.req.ChunkBytes, c.req.MaxRecord, c.req.Lanes = 1<<20, 1<<20, 3
	r := read(t, c.req, c.tab, 0)
	var out strings.Builder
	if r.schema != "" {
		fmt.Fprintln(&out, r.schema)
	}
	for _, l := range append(r.rows, r.rejects...) {
		fmt.Fprintln(&out, l)
	}
	if r.err != nil {
		kind := fail.KindOf(r.err).String()
		if misfit := (*sources.Misfit)(nil); errors.As(r.err, &misfit) {
			kind = "misfit"
		}
		fmt.Fprintf(&out, "%s error: %v\n", kind, r.err)
	}
	return strings.TrimSuffix(out.String(), "\n")
}

type scriptCase struct {
	req sources.Request
	tab bool
}

func (c *scriptCase) directive(line string) error {
	word, arg, _ := strings.Cut(line, " ")
	str := func() string {
		if s, err := strconv.Unquote(arg); err == nil {
			return s
		}
		return arg
	}
	o := &c.req.Options
	switch word {
	case "#":
	case "in":
		text, err := strconv.Unquote(arg)
		if err != nil {
			return err
		}
		c.req.Inputs = append(c.req.Inputs, textInput(fmt.Sprintf("f%d", len(c.req.Inputs)+1), text))
	case "column":
		name, typ, _ := strings.Cut(arg, " ")
		typ, format, _ := strings.Cut(typ, " as ")
		typ, tz, _ := strings.Cut(typ, " in ")
		f, err := schema.ParseField(name, typ)
		if err != nil {
			return err
		}
		c.req.Schema.Columns = append(c.req.Schema.Columns, sources.Column{Field: f, Format: format, TZ: tz, Line: 7})
	case "mode":
		c.req.Schema.Mode = sources.Mode(arg)
	case "need":
		c.req.Need = map[string]bool{}
		for _, n := range strings.Fields(arg) {
			c.req.Need[n] = true
		}
	case "header":
		h := arg == "true"
		o.Header = &h
	case "null":
		if o.NullValues == nil {
			o.NullValues = []string{}
		}
		for _, n := range strings.Fields(arg) {
			o.NullValues = append(o.NullValues, strings.Trim(n, `"`))
		}
	case "delimiter":
		o.Delimiter = str()
	case "quote":
		o.Quote = str()
	case "encoding":
		o.Encoding = arg
	case "comment":
		o.Comment = str()
	case "skip_rows":
		o.SkipRows, _ = strconv.Atoi(arg)
	case "fullscan":
		c.req.FullScan = true
	case "tsv":
		c.tab = true
	default:
		return fmt.Errorf("unknown directive %q", word)
	}
	return nil
}

func textInput(uri, text string) sources.Input {
	return sources.Input{URI: uri, Stream: func(context.Context) (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(text)), nil }}
}

// result is what reading gave, as text.
type result struct {
	schema  string
	rows    []string // f1:2@8 a | 1 | NULL
	rejects []string
	raws    []pipeline.Origin // of rows and rejects
	err     error
}

// read opens and reads req to its end. piece overrides the decoder's piece size.
func read(t fataler, req sources.Request, tab bool, piece int) (r result) {
	t.Helper()
	mem := memory.NewCheckedAllocator(memory.NewGoAllocator())
	defer mem.AssertSize(t, 0)
	src, err := open(context.Background(), req, tab)
	if err != nil {
		r.err = err
		return r
	}
	defer src.Close()
	var fields []string
	for _, f := range src.Schema().Fields() {
		fields = append(fields, f.Name+" "+schema.TypeName(f))
	}
	r.schema = strings.Join(fields, " | ")
	dec, err := src.NewDecoder(mem)
	if err != nil {
		r.err = err
		return r
	}
	defer dec.Close()
	if piece > 0 {
		dec.(*decoder).piece = piece
	}
	for {
		c, err := src.Next(context.Background())
		if err == io.EOF {
			return r
		}
		if err != nil {
			r.err = err
			return r
		}
		var rej pipeline.Rejects
		err = dec.Decode(context.Background(), c, &rej, func(b pipeline.Batch) error {
			checkNulls(t, b)
			for i := range int(b.Rec.NumRows()) {
				o := b.Rows.Origin(i)
				var cells []string
				for k := range int(b.Rec.NumCols()) {
					cells = append(cells, cellText(b, k, i))
				}
				r.rows = append(r.rows, fmt.Sprintf("%s:%d@%d %s", o.Input, o.Line, o.Offset, strings.Join(cells, " | ")))
				o.Raw = []byte(string(o.Raw))
				r.raws = append(r.raws, o)
			}
			return nil
		})
		for _, j := range rej.Rows() {
			r.rejects = append(r.rejects, fmt.Sprintf("rejected %s:%d@%d %q: %s: %q %s", j.Input, j.Line, j.Offset, j.Raw, j.Column, j.Value, j.Reason))
			r.raws = append(r.raws, j.Origin)
		}
		c.Release()
		if err != nil {
			r.err = err
			return r
		}
	}
}

func cellText(b pipeline.Batch, col, row int) string {
	a := b.Rec.Column(col)
	if a.IsNull(row) {
		return "NULL"
	}
	if s := a.ValueStr(row); s != "" && !strings.ContainsAny(s, "\r\n|\x00") && s != "NULL" {
		return s
	}
	return strconv.Quote(a.ValueStr(row))
}

// checkNulls compares each column's null count with its validity bits.
func checkNulls(t fataler, b pipeline.Batch) {
	t.Helper()
	for k, a := range b.Rec.Columns() {
		n := 0
		for i := range a.Len() {
			if a.IsNull(i) {
				n++
			}
		}
		if n != a.NullN() {
			t.Fatalf("column %d says %d nulls, it has %d", k, a.NullN(), n)
		}
	}
}
