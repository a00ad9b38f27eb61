package parquet

import (
	"encoding/json"
	"fmt"
	"math"
	"testing"
	"time"

	pq "github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress"
	"github.com/parquet-go/parquet-go/format"

	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/sources/parquet/internal/meta"
)

type flat struct {
	B   bool
	I32 int32
	I64 int64
	F32 float32
	F64 float64
	S   string
	D   string  `parquet:",dict"`
	DI  int64   `parquet:",dict"`
	DD  int32   `parquet:",delta"`
	DL  int64   `parquet:",delta"`
	DS  string  `parquet:",delta"`
	SP  float64 `parquet:",split"`
	OB  *bool
	OI  *int32  `parquet:",optional"`
	OL  *int64  `parquet:",dict"`
	OS  *string `parquet:",optional"`
	OD  *string `parquet:",dict"`
	ODS *string
	Z   *string `parquet:",optional"` // always null
	RAW []byte
}

func ptr[T any](v T) *T { return &v }

func flatRows(n int) []flat {
	rows := make([]flat, n)
	for i := range rows {
		r := &rows[i]
		*r = flat{B: i%3 == 0, I32: int32(i * 7919), I64: int64(i) * math.MaxInt32, F32: float32(i) / 4, F64: float64(i) / 8,
			S: fmt.Sprintf("row %d äöü€𝄞", i), D: []string{"red", "green", "a rather long colour name, longer than a word", ""}[i%4],
			DI: int64(i % 100), DD: int32(i*i) - 5, DL: int64(i)<<40 - int64(i*i), DS: fmt.Sprintf("key/%08d", i), SP: math.Sqrt(float64(i)), RAW: []byte{byte(i), 0xff}}
		if i%2 == 0 {
			r.OB, r.OI, r.OS = ptr(i%4 == 0), ptr(int32(-i)), ptr(fmt.Sprint("some ", i))
		}
		if i%5 != 0 {
			r.OL, r.OD, r.ODS = ptr(int64(i%10)), ptr(fmt.Sprint("d", i%7)), ptr(fmt.Sprintf("prefix/%d/suffix", i))
		}
	}
	return rows
}

func flatJSON(t testing.TB, rows []flat) []string {
	t.Helper()
	out := make([]string, len(rows))
	for i, r := range rows {
		b, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		out[i] = string(b)
	}
	return out
}

// Every encoding and codec, in both page versions, in pages small and large, gives the values that were written.
func TestCodecsAndPages(t *testing.T) {
	codecs := map[string]compress.Codec{"none": &pq.Uncompressed, "snappy": &pq.Snappy, "gzip": &pq.Gzip, "zstd": &pq.Zstd, "brotli": &pq.Brotli, "lz4_raw": &pq.Lz4Raw}
	rows := flatRows(3000)
	want := flatJSON(t, rows)
	for name, codec := range codecs {
		for version := 1; version <= 2; version++ {
			for _, page := range []int{300, 64 << 10} {
				t.Run(fmt.Sprintf("%s/v%d/page %d", name, version, page), func(t *testing.T) {
					data := write(t, rows, pq.Compression(codec), pq.DataPageVersion(version), pq.PageBufferSize(page), pq.MaxRowsPerRowGroup(1100))
					res := mustRead(t, data)
					wantRows(t, res.rows, want...)
					if len(res.batches) != 3 {
						t.Errorf("got %d batches, want one for each row group", len(res.batches))
					}
				})
			}
		}
	}
}

// A dictionary that grows too large falls back to plain pages within one column chunk.
func TestDictionaryFallback(t *testing.T) {
	type row struct {
		S string `parquet:",dict"`
	}
	var rows []row
	var want []string
	for i := range 5000 {
		rows = append(rows, row{fmt.Sprintf("value number %d", i)})
		want = append(want, fmt.Sprintf(`{"S":"value number %d"}`, i))
	}
	data := write(t, rows, pq.DictionaryMaxBytes(4096), pq.PageBufferSize(1000))
	wantRows(t, mustRead(t, data).rows, want...)
}

func TestEmptyFiles(t *testing.T) {
	data := write(t, []flat{})
	res := mustRead(t, data)
	if len(res.rows) != 0 || res.schema.NumFields() != 20 {
		t.Errorf("got %d rows of %d columns", len(res.rows), res.schema.NumFields())
	}
}

// Only the needed columns are read; none at all still gives the rows.
func TestNeed(t *testing.T) {
	data := write(t, flatRows(10), pq.MaxRowsPerRowGroup(4))
	req := request(data)
	req.Need = map[string]bool{"OI": true, "B": true, "nope": true}
	res := mustReadReq(t, req)
	if got := res.types(); got != "B bool, OI int32" {
		t.Errorf("schema %s", got)
	}
	wantRows(t, res.rows[:3], `{"B":true,"OI":0}`, `{"B":false,"OI":null}`, `{"B":false,"OI":-2}`)
	req.Need = map[string]bool{}
	if res = mustReadReq(t, req); len(res.rows) != 10 || res.rows[0] != "{}" {
		t.Errorf("no columns: %d rows", len(res.rows))
	}
}

// Batches are cut by rows, and a row group of several batches is read page by page.
func TestBatches(t *testing.T) {
	rows := flatRows(5000)
	data := write(t, rows, pq.PageBufferSize(2000))
	req := request(data)
	req.ChunkRows = 1024
	res := mustReadReq(t, req)
	wantRows(t, res.rows, flatJSON(t, rows)...)
	if len(res.batches) != 5 {
		t.Errorf("batches of %v rows", res.batches)
	}
}

type logical struct {
	Date  int32     `parquet:",date"`
	TSms  time.Time `parquet:",timestamp(millisecond)"`
	TSus  time.Time `parquet:",timestamp(microsecond)"`
	TSns  time.Time `parquet:",timestamp(nanosecond)"`
	Local time.Time `parquet:",timestamp(microsecond:local)"`
	T     int32     `parquet:",time(millisecond)"`
	Tus   int64     `parquet:",time(microsecond)"`
	Dec9  int32     `parquet:",decimal(2:9)"`
	Dec18 int64     `parquet:",decimal(3:18)"`
	DecF  [16]byte  `parquet:",decimal(4:38)"`
	U     [16]byte  `parquet:",uuid"`
	I8    int8
	I16   int16
	U8    uint8
	U16   uint16
	U32   uint32
	U64   uint64
	E     string          `parquet:",enum"`
	J     json.RawMessage `parquet:",json"`
	Fix   [3]byte
}

func TestLogicalTypes(t *testing.T) {
	at := time.Date(2024, 2, 29, 12, 34, 56, 789_000_000, time.UTC)
	old := time.Date(1901, 1, 1, 0, 0, 0, 1_000_000, time.UTC)
	minusOne := [16]byte{}
	for i := range minusOne {
		minusOne[i] = 0xff
	}
	rows := []logical{
		{19782, at, at, at, at, 45_296_789, 45_296_789_012, 123456789, -1, [16]byte{15: 5}, [16]byte{0x12, 0x34, 0x56, 0x78, 0x9a, 0xbc, 0xde, 0xf0, 1, 2, 3, 4, 5, 6, 7, 8},
			-128, -32768, 255, 65535, math.MaxUint32, math.MaxUint64, "one", []byte(`{"a":[1,2]}`), [3]byte{1, 2, 3}},
		{-25202, old, old, old, old, 0, 0, -100, 0, minusOne, [16]byte{}, 127, 32767, 0, 0, 0, 0, "two", []byte(`null`), [3]byte{}},
	}
	res := mustRead(t, write(t, rows))
	if got, want := res.types(), "Date date, TSms timestamptz, TSus timestamptz, TSns timestamptz, Local timestamp, T time, Tus time, Dec9 decimal(9,2), "+
		"Dec18 decimal(18,3), DecF decimal(38,4), U string, I8 int8, I16 int16, U8 uint8, U16 uint16, U32 uint32, U64 uint64, E string, J json, Fix binary"; got != want {
		t.Errorf("types\n got %s\nwant %s", got, want)
	}
	wantRows(t, res.rows,
		`{"Date":"2024-02-29","TSms":"2024-02-29T12:34:56.789Z","TSus":"2024-02-29T12:34:56.789Z","TSns":"2024-02-29T12:34:56.789Z","Local":"2024-02-29T12:34:56.789",`+
			`"T":"12:34:56.789","Tus":"12:34:56.789012","Dec9":1234567.89,"Dec18":-0.001,"DecF":0.0005,"U":"12345678-9abc-def0-0102-030405060708",`+
			`"I8":-128,"I16":-32768,"U8":255,"U16":65535,"U32":4294967295,"U64":18446744073709551615,"E":"one","J":{"a":[1,2]},"Fix":"AQID"}`,
		`{"Date":"1901-01-01","TSms":"1901-01-01T00:00:00.001Z","TSus":"1901-01-01T00:00:00.001Z","TSns":"1901-01-01T00:00:00.001Z","Local":"1901-01-01T00:00:00.001",`+
			`"T":"00:00:00","Tus":"00:00:00","Dec9":-1.00,"Dec18":0.000,"DecF":-0.0001,"U":"00000000-0000-0000-0000-000000000000",`+
			`"I8":127,"I16":32767,"U8":0,"U16":0,"U32":0,"U64":0,"E":"two","J":null,"Fix":"AAAA"}`)
}

// Old writers left the header of the dictionary page out of a chunk's size. Files of theirs are read, also in parts, and what lies like them is not.
func TestForgottenHeaders(t *testing.T) {
	rows := make([]nested, 5000)
	for i := range rows {
		rows[i] = nested{int64(i % 50), ptr(fmt.Sprint("s", i))}
	}
	for _, opts := range [][]pq.WriterOption{nil, {pq.MaxRowsPerRowGroup(1000), pq.PageBufferSize(500)}} {
		data := write(t, rows, opts...)
		want := mustRead(t, data).rows
		old := func(createdBy string) []byte {
			return refoot(t, withoutIndexes(t, data), func(md *format.FileMetaData) {
				md.CreatedBy = createdBy
				for _, g := range md.RowGroups {
					for i := range g.Columns {
						c := &g.Columns[i].MetaData
						if at := c.DictionaryPageOffset; at > 0 {
							_, n, err := meta.ParsePage(data[at:])
							if err != nil {
								t.Fatal(err)
							}
							c.TotalCompressedSize -= int64(n)
						}
					}
				}
			})
		}
		for _, by := range []string{"parquet-mr", "parquet-mr version 1.2.8 (build abc)", "parquet-mr version 1.2.5-cdh4.5.0", "parquet-mr version 0.9.9"} {
			wantRows(t, mustRead(t, old(by)).rows, want...)
			req := request(old(by))
			req.Lanes = 3
			got, _, _ := readSkipping(t, req)
			wantRows(t, got, want...)
		}
		for _, by := range []string{"", "parquet-mr version 1.2.9", "parquet-mr version 1.10.0 (build abc)", "parquet-mr version 2.0.0", "parquet-cpp version 1.0.0", "parquet-mr version x"} {
			_, err := read(t, request(old(by)))
			wantError(t, err, fail.Data, "X", "beyond its column chunk")
		}
	}
}
