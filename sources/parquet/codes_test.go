package parquet

import (
	"fmt"
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"
	pq "github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"

	"github.com/sluice-data/sluice/internal/codes"
)

type coded struct {
	Zone *string `parquet:"zone,optional,dict"`
	Note string  `parquet:"note,dict"`
	Key  string  `parquet:"key,dict"`
	Text string  `parquet:"text"`
}

// codedRows has few zones, some of them null, one note a row group, and a key a row: a dictionary that is too large to carry.
func codedRows(n int) []coded {
	rows := make([]coded, n)
	for i := range rows {
		zone := fmt.Sprint("zone ", i*7%13)
		rows[i] = coded{Note: fmt.Sprint("note ", i/3000), Key: fmt.Sprint("key ", i), Text: fmt.Sprint("text ", i%3)}
		if i%5 != 2 {
			rows[i].Zone = &zone
		}
	}
	return rows
}

// Columns whose pages are a small dictionary's carry its codes, row group by row group; read checks them against the values.
func TestCodes(t *testing.T) {
	rows := codedRows(10000)
	for _, group := range []int64{10000, 3000, 700} {
		res := mustRead(t, write(t, rows, pq.MaxRowsPerRowGroup(group)))
		if len(res.rows) != len(rows) {
			t.Fatalf("%d rows", len(res.rows))
		}
		if want := 2 * len(res.batches); res.coded < want {
			t.Errorf("row groups of %d: %d columns of %d batches carry codes, want %d", group, res.coded, len(res.batches), want)
		}
	}
}

// A batch whose values are of two dictionaries, or go on in plain pages behind the dictionary, has no codes; the next one has, of the dictionary that
// is then in use.
func TestCodesOfOneDictionary(t *testing.T) {
	mem := memory.NewCheckedAllocator(memory.NewGoAllocator())
	defer mem.AssertSize(t, 0)
	s := &text{mem: mem, typ: arrow.BinaryTypes.String, check: utf8Text, coded: true, soft: softBytes}
	page := func(enc format.Encoding, b string) *pageValues {
		p := &pageValues{phys: format.ByteArray}
		if err := p.reset(enc, []byte(b)); err != nil {
			t.Fatal(err)
		}
		return p
	}
	dictionary := func() {
		if err := s.dictionary(page(format.Plain, "\x01\x00\x00\x00a\x02\x00\x00\x00bc"), 2); err != nil {
			t.Fatal(err)
		}
	}
	numbers := func() *pageValues { return page(format.RLEDictionary, "\x01\x06\x01") } // of one bit each: three times 1
	plain := func() *pageValues { return page(format.Plain, "\x01\x00\x00\x00a\x01\x00\x00\x00a\x01\x00\x00\x00a") }
	for _, c := range []struct {
		name  string
		pages []func() *pageValues // nil: another column chunk begins
		want  string
	}{
		{"one dictionary", []func() *pageValues{nil, numbers, numbers}, "[1 1 1 1 1 1]"},
		{"plain pages behind it", []func() *pageValues{numbers, plain}, "[]"},
		{"and before it", []func() *pageValues{plain, numbers}, "[]"},
		{"again", []func() *pageValues{numbers}, "[1 1 1]"},
		{"two dictionaries", []func() *pageValues{numbers, nil, numbers}, "[]"},
		{"the second", []func() *pageValues{numbers}, "[1 1 1]"},
	} {
		s.begin(1)
		n := 0
		for _, p := range c.pages {
			if p == nil {
				s.forget()
				dictionary()
				continue
			}
			if _, err := s.take(p(), 3, true); err != nil {
				t.Fatal(err)
			}
			n += 3
		}
		d, err := s.finish(n, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		a := array.MakeFromData(d)
		d.Release()
		if of, _ := codes.Of(a); fmt.Sprint(of) != c.want {
			t.Errorf("%s: codes %v, want %s", c.name, of, c.want)
		}
		a.Release()
	}
}
