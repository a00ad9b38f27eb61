package parquet

import (
	"fmt"
	"strings"
	"testing"
	"time"

	pq "github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/deprecated"
	"github.com/parquet-go/parquet-go/format"

	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/sources"
	"github.com/sluice-data/sluice/sources/parquet/internal/meta"
)

type order struct {
	ID    int32
	Price int64 `parquet:",decimal(2:9)"`
	Day   int32 `parquet:",date"`
	Name  string
	Tags  []string `parquet:",list"`
	At    address
}

type address struct {
	Street string
	Zip    *int32 `parquet:",optional"`
}

var orders = []order{{1, 150, 19782, "anna", []string{"a", "b"}, address{"Main", ptr(int32(7))}}, {2, -1, 0, "bob", nil, address{"Side", nil}}}

// A declared schema is matched by name; types widen exactly.
func TestDeclared(t *testing.T) {
	data := write(t, orders)
	for _, tc := range []struct {
		name string
		spec sources.SchemaSpec
		want []string
		err  []string
	}{
		{"as it is, in another order", columns(t, sources.Strict, "Name", "string", "ID", "int32", "Price", "decimal(18,2)", "Day", "date", "Tags", "list<string>", "At", "struct<Street: string, Zip: int32>"),
			[]string{`{"Name":"anna","ID":1,"Price":1.50,"Day":"2024-02-29","Tags":["a","b"],"At":{"Street":"Main","Zip":7}}`,
				`{"Name":"bob","ID":2,"Price":-0.01,"Day":"1970-01-01","Tags":[],"At":{"Street":"Side","Zip":null}}`}, nil},
		{"wider", columns(t, sources.Strict, "ID", "int64", "Price", "decimal(38,6)", "Day", "timestamp", "Name", "binary", "Tags", "list<string>", "At", "struct<Zip: float64, Street: string>"),
			[]string{`{"ID":1,"Price":1.500000,"Day":"2024-02-29T00:00:00","Name":"YW5uYQ==","Tags":["a","b"],"At":{"Zip":7,"Street":"Main"}}`,
				`{"ID":2,"Price":-0.010000,"Day":"1970-01-01T00:00:00","Name":"Ym9i","Tags":[],"At":{"Zip":null,"Street":"Side"}}`}, nil},
		{"an integer as a decimal", columns(t, sources.Evolve, "ID", "decimal(12,2)"),
			[]string{`{"ID":1.00,"Price":1.50,"Day":"2024-02-29","Name":"anna","Tags":["a","b"],"At":{"Street":"Main","Zip":7}}`,
				`{"ID":2.00,"Price":-0.01,"Day":"1970-01-01","Name":"bob","Tags":[],"At":{"Street":"Side","Zip":null}}`}, nil},
		{"missing and new columns, in evolve", columns(t, sources.Evolve, "Extra", "timestamp", "Name", "string", "At", "struct<City: string, Street: string>"),
			[]string{`{"Extra":null,"Name":"anna","At":{"City":null,"Street":"Main"},"ID":1,"Price":1.50,"Day":"2024-02-29","Tags":["a","b"]}`,
				`{"Extra":null,"Name":"bob","At":{"City":null,"Street":"Side"},"ID":2,"Price":-0.01,"Day":"1970-01-01","Tags":[]}`}, nil},
		{"narrower", columns(t, sources.Evolve, "ID", "int16"), nil, []string{`column "ID": "ID" is int32 in the file, but int16 is wanted`}},
		{"fewer decimals", columns(t, sources.Evolve, "Price", "decimal(18,1)"), nil, []string{`is decimal(9,2) in the file, but decimal(18,1) is wanted`}},
		{"text to number", columns(t, sources.Evolve, "Name", "int64"), nil, []string{`"Name" is string in the file, but int64 is wanted`}},
		{"nested", columns(t, sources.Evolve, "Tags", "list<date>"), nil, []string{`"Tags.list.element" is string in the file, but date is wanted`}},
		{"not a list", columns(t, sources.Evolve, "ID", "list<int32>"), nil, []string{`"ID" is int32 in the file, but list<int32> is wanted`}},
		{"strict, column missing", columns(t, sources.Strict, "ID", "int32", "Price", "decimal(9,2)", "Day", "date", "Name", "string", "Tags", "list<string>", "At", "struct<Street: string, Zip: int32>", "Oh", "date"),
			nil, []string{`s3://b/a.parquet: column "Oh": column is declared, but the file does not have it`}},
		{"strict, column too many", columns(t, sources.Strict, "ID", "int32"), nil, []string{`column "Price": column is not declared, and the schema is strict`}},
		{"strict, nested column too many", columns(t, sources.Strict, "ID", "int32", "Price", "decimal(9,2)", "Day", "date", "Name", "string", "Tags", "list<string>", "At", "struct<Street: string>"),
			nil, []string{`column "At": "At" has "Zip", which is not declared`}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			req := request(data)
			req.Schema = tc.spec
			if tc.err != nil {
				_, err := read(t, req)
				wantError(t, err, fail.Data, tc.err...)
				return
			}
			wantRows(t, mustReadReq(t, req).rows, tc.want...)
		})
	}
}

// Several inputs without a declared schema are joined by column name; numbers widen, nothing else changes its type.
func TestSeveralInputs(t *testing.T) {
	type a struct {
		K int32
		V float32
		N string
	}
	type b struct {
		V float64
		K int64
		X []int32 `parquet:",list"`
	}
	type c struct {
		X []int64 `parquet:",list"`
		K uint32
	}
	one, two, three := write(t, []a{{1, 0.5, "n"}}), write(t, []b{{0.1, 1 << 40, []int32{3}}}), write(t, []c{{[]int64{1 << 50}, 1<<32 - 1}})
	res := mustRead(t, one, two, three)
	if got := res.types(); got != "K int64, V float64, N string, X list<int64>" {
		t.Errorf("schema %s", got)
	}
	wantRows(t, res.rows, `{"K":1,"V":0.5,"N":"n","X":null}`, `{"K":1099511627776,"V":0.1,"N":null,"X":[3]}`, `{"K":4294967295,"V":null,"N":null,"X":[1125899906842624]}`)

	type d struct{ K string }
	_, err := read(t, request(one, write(t, []d{{"1"}})))
	wantError(t, err, fail.Data, `s3://b/b.parquet: column "K" is string here and int32 in the inputs before`)

	type e struct{ K uint64 }
	_, err = read(t, request(two, write(t, []e{{1}})))
	wantError(t, err, fail.Data, `column "K" is uint64 here and int64 in the inputs before`)
}

func TestDuplicateColumn(t *testing.T) {
	type twice struct {
		A int32 `parquet:"aa"`
		B int32 `parquet:"ab"`
	}
	data := write(t, []twice{{1, 2}}, pq.SkipPageBounds("aa"), pq.SkipPageBounds("ab"))
	for i := range data {
		if string(data[i:min(i+2, len(data))]) == "ab" {
			data[i+1] = 'a'
		}
	}
	_, err := read(t, request(data))
	wantError(t, err, fail.Data, `column "aa" is there twice`)
}

// INT96 is read exactly, as a timestamp or, if declared, as an instant; digits below the microsecond refuse the row.
func TestInt96(t *testing.T) {
	type row struct{ T deprecated.Int96 }
	at := func(day, ns int64) row {
		return row{deprecated.Int96{uint32(ns), uint32(ns >> 32), uint32(day + 2440588)}}
	}
	data := write(t, []row{at(0, 0), at(19782, 86_399_999_999_000), at(-25567, 1000), at(1, 1)})
	res := mustRead(t, data)
	if got := res.types(); got != "T timestamp" {
		t.Errorf("type %s", got)
	}
	wantRows(t, res.rows, `{"T":"1970-01-01T00:00:00"}`, `{"T":"2024-02-29T23:59:59.999999"}`, `{"T":"1900-01-01T00:00:00.000001"}`)
	if len(res.rejects) != 1 || res.rejects[0].Column != "T" || res.rejects[0].Value != "day 1 + 1 ns" {
		t.Errorf("rejects %+v", res.rejects)
	}
	req := request(data)
	req.Schema = columns(t, sources.Strict, "T", "timestamptz")
	wantRows(t, mustReadReq(t, req).rows[:1], `{"T":"1970-01-01T00:00:00Z"}`)
}

// A row with a value that cannot be kept is refused whole, once, and shown as it was; the rows around it stay in order.
func TestRejects(t *testing.T) {
	type inner struct{ S string }
	type row struct {
		ID int32
		S  *string    `parquet:",optional"`
		D  string     `parquet:",dict"`
		TS *time.Time `parquet:",optional,timestamp(nanosecond)"`
		J  string     `parquet:",json"`
		L  []inner
	}
	ns := time.Date(2024, 1, 1, 0, 0, 0, 1, time.UTC)
	us := ns.Add(-time.Nanosecond)
	ok := func(i int32) row { return row{ID: i, S: ptr("é"), D: "d", TS: &us, J: "1", L: []inner{{"a"}, {"b"}}} }
	rows := []row{ok(0), ok(1), ok(2), ok(3), ok(4), ok(5), ok(6)}
	rows[0].S = nil
	rows[1].S = ptr("bad \xff")
	rows[2].D = "\xc3"
	rows[3].TS = &ns
	rows[3].D = "\xc3"
	rows[5].J = "{"
	rows[6].L[1].S = "\x80"
	res := mustRead(t, write(t, rows))
	row0 := `"TS":"2024-01-01T00:00:00Z","J":1,"L":[{"S":"a"},{"S":"b"}]}`
	wantRows(t, res.rows, `{"ID":0,"S":null,"D":"d",`+row0, `{"ID":4,"S":"é","D":"d",`+row0)
	var got []string
	for _, r := range res.rejects {
		got = append(got, r.Err().Error(), string(r.Raw))
		if r.Line == 0 || r.Offset != -1 || r.Input != "s3://b/a.parquet" {
			t.Errorf("origin %+v", r.Origin)
		}
	}
	wantRows(t, got,
		`s3://b/a.parquet:2: column "S": not valid UTF-8 (value "bad \xff")`, `{"ID":1,"S":"bad \ufffd","D":"d",`+row0,
		`s3://b/a.parquet:3: column "D": not valid UTF-8 (value "\xc3")`, `{"ID":2,"S":"é","D":"\ufffd",`+row0,
		`s3://b/a.parquet:4: column "D": not valid UTF-8 (value "\xc3")`, `{"ID":3,"S":"é","D":"\ufffd","TS":"2024-01-01T00:00:00.000000001","J":1,"L":[{"S":"a"},{"S":"b"}]}`,
		`s3://b/a.parquet:6: column "J": not valid JSON (value "{")`, `{"ID":5,"S":"é","D":"d","TS":"2024-01-01T00:00:00Z","J":"{","L":[{"S":"a"},{"S":"b"}]}`,
		`s3://b/a.parquet:7: column "L": not valid UTF-8 (value "\x80")`, `{"ID":6,"S":"é","D":"d","TS":"2024-01-01T00:00:00Z","J":1,"L":[{"S":"a"},{"S":"\ufffd"}]}`)
}

// Paths that no footer of a sound file could repeat for each column chunk, as each row group's does, are refused.
func TestLongPaths(t *testing.T) {
	const columns = 2000
	for name, ok := range map[int]bool{maxPaths/columns - 10: true, maxPaths/columns + 1: false} {
		elems := []meta.Element{{Name: "root", Type: meta.None, NumChildren: 1, Converted: meta.None},
			{Name: strings.Repeat("n", name), Type: meta.None, NumChildren: columns, Converted: meta.None}}
		for i := range columns {
			elems = append(elems, meta.Element{Name: fmt.Sprint("c", i), Type: format.Int32, Converted: meta.None})
		}
		_, _, err := parseSchema(elems)
		if ok && err != nil || !ok && (err == nil || !strings.Contains(err.Error(), "names of the columns, with those of the groups they are in, have more than 16777216 bytes") || len(err.Error()) > 300) {
			t.Errorf("a name of %d: %v", name, err)
		}
	}
}

// A long name is not copied for each of the columns below it, sound or not.
func TestLongNames(t *testing.T) {
	const name, columns = 32 << 10, 500
	for _, kind := range []meta.Logical{{}, {Kind: meta.Interval}} {
		elems := []meta.Element{{Name: "root", Type: meta.None, NumChildren: 1, Converted: meta.None},
			{Name: strings.Repeat("n", name), Type: meta.None, NumChildren: columns, Converted: meta.None}}
		for i := range columns {
			elems = append(elems, meta.Element{Name: fmt.Sprint("c", i), Type: format.Int32, Converted: meta.None, Logical: kind})
		}
		var cols []*node
		var err error
		n := allocated(func() {
			if cols, _, err = parseSchema(elems); err == nil && cols[0].err == nil {
				_, err = bind(cols[0], cols[0].field, true)
			}
		})
		if err != nil || len(cols) != 1 || (cols[0].err != nil) != (kind.Kind == meta.Interval) {
			t.Fatalf("%d columns, %v", len(cols), err)
		}
		if n > 4<<20 {
			t.Errorf("a name of %d bytes with %d columns below took %d MiB", name, columns, n>>20)
		}
		if err := cols[0].err; err != nil && (!strings.HasPrefix(err.Error(), `column "nnn`) || !strings.Contains(err.Error(), `n.c0": logical type`)) {
			t.Errorf("%.100s", err)
		}
	}
}
