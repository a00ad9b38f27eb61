package data

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	kgzip "github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/sluice-data/sluice/bench"
	"github.com/sluice-data/sluice/bench/trips"
)

// Strikes is the demo's rows again and again.
const Strikes = "strikes.csv.gz"

// Sets are all there are. To add one is to add an entry.
var Sets = []Set{
	{Name: "trips.csv", Format: "csv", Rows: trip, Row: 118, build: writer(trips.Write)},
	{Name: "trips.csv.gz", Format: "csv", From: "trips.csv", Rows: trip, Row: 37, build: gzipped},
	{Name: "trips.csv.zst", Format: "csv", From: "trips.csv", Rows: trip, Row: 37, build: zstandard},
	{Name: "trips.jsonl", Format: "jsonl", Rows: half, Row: 337, build: writer(trips.WriteJSON)},
	{Name: "trips.jsonl.gz", Format: "jsonl", From: "trips.jsonl", Rows: half, Row: 46, build: gzipped},
	{Name: "trips.zstd.parquet", Format: "parquet", From: "trips.csv", Rows: trip, Row: 27, build: parquet("zstd, COMPRESSION_LEVEL 3")},
	{Name: "trips.snappy.parquet", Format: "parquet", From: "trips.csv", Rows: trip, Row: 36, build: parquet("snappy")},
	{Name: "wide.csv", Format: "csv", Rows: wide, Row: 8800, build: writer(trips.WriteMany)},
	{Name: "narrow.csv", Format: "csv", Rows: func(s Size) int { return 5 * s.Trips }, Row: 24, build: writer(trips.WriteFew)},
	{Name: "nested.parquet", Format: "parquet", Rows: half, Row: 60, build: nested},
	{Name: "zones.csv", Format: "csv", Rows: func(Size) int { return 1000 }, Row: 40, build: zones},
	{Name: "orders.parquet", Format: "parquet", From: "trips.csv", Rows: func(s Size) int { return trip(s) * 9 / 10 }, Row: 12, build: orders},
	{Name: "objects/", Format: "csv", Rows: func(s Size) int { return max(1, s.Trips/1000) * objectRows }, Row: 118, build: objects},
	{Name: Strikes, Format: "csv", Rows: func(s Size) int { return strikesTimes(s) * strikesRows }, Row: 14, build: strikes},
}

func trip(s Size) int { return s.Trips }

func half(s Size) int { return max(1, s.Trips/2) }

func wide(s Size) int {
	if s.Wide > 0 {
		return s.Wide
	}
	return max(1, s.Trips/50)
}

// writer makes a file of a function that writes that many rows.
func writer(write func(w io.Writer, rows int) error) func(context.Context, *build) error {
	return func(_ context.Context, b *build) error {
		return create(b.path, func(w io.Writer) error { return write(w, b.rows) })
	}
}

// gzipped is the set that b is made of, as gzip at its usual level.
func gzipped(_ context.Context, b *build) error {
	return recode(b, func(w io.Writer) (io.WriteCloser, error) { return kgzip.NewWriterLevel(w, 6) })
}

// zstandard is the set that b is made of, as zstd at its usual level.
func zstandard(_ context.Context, b *build) error {
	return recode(b, func(w io.Writer) (io.WriteCloser, error) { return zstd.NewWriter(w) })
}

func recode(b *build, encoder func(io.Writer) (io.WriteCloser, error)) error {
	in, err := os.Open(b.from.Path)
	if err != nil {
		return err
	}
	defer in.Close()
	b.text = b.from.Text
	return create(b.path, func(w io.Writer) error {
		z, err := encoder(w)
		if err != nil {
			return err
		}
		if _, err := io.Copy(z, in); err != nil {
			return err
		}
		return z.Close()
	})
}

// parquet is the trips as DuckDB writes them.
func parquet(codec string) func(context.Context, *build) error {
	return func(ctx context.Context, b *build) error {
		return b.duck(ctx, "COPY (SELECT * FROM "+bench.ReadCSV(b.from.Path, trips.Floats, "")+") TO "+bench.Quote(b.path)+" (FORMAT parquet, COMPRESSION "+codec+")")
	}
}

// nested is orders with a struct in a struct, a list of structs, a list of texts that is null at times, and a list of lists.
func nested(ctx context.Context, b *build) error {
	return b.duck(ctx, fmt.Sprintf(`COPY (
SELECT i AS id, TIMESTAMP '2023-01-01' + to_seconds((i * 31)::BIGINT) AS at,
  {'name': 'customer ' || (i * 7919 %% 100003), 'age': CASE WHEN i %% 23 > 0 THEN (18 + i %% 70)::INT END,
   'address': {'city': ['Lyon', 'Graz', '東京', 'Oslo', 'São Paulo'][1 + (i * 13 %% 5)::INT], 'zip': lpad((i * 2654435761 %% 100000)::VARCHAR, 5, '0')}} AS customer,
  list_transform(range(i * 48271 %% 5), lambda k: {'sku': 'S' || (i * 31 + k * 7907) %% 5003, 'qty': (1 + (i + k) %% 9)::INT, 'price': ((i * 69621 + k * 101) %% 100000) / 100.0::DOUBLE}) AS items,
  CASE WHEN i %% 10 > 0 THEN list_transform(range(i %% 4), lambda k: ['new', 'sale', 'gift', 'return'][1 + ((i + k) %% 4)::INT]) END AS tags,
  list_transform(range(i %% 3), lambda k: list_transform(range(k + i %% 2), lambda m: (i * 16807 %% 1000) / 8.0 + k + m)) AS grid
FROM range(%d) t(i)) TO %s (FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 3)`, b.rows, bench.Quote(b.path)))
}

// zones is a table to join trips' locations with: not all of them are there.
func zones(_ context.Context, b *build) error {
	return create(b.path, func(w io.Writer) error {
		var t strings.Builder
		t.WriteString("id,zone,borough\n")
		for i, n := 0, 0; n < b.rows; i++ {
			if i%11 != 3 {
				n++
				fmt.Fprintf(&t, "%d,\"Zone %d, %s\",Borough %d\n", i, i*7919%1009, strings.Repeat("x", i%13), i%6)
			}
		}
		_, err := io.WriteString(w, t.String())
		return err
	})
}

// orders is a table to join trips' orders with: nine of ten are there, in another order.
func orders(ctx context.Context, b *build) error {
	return b.duck(ctx, "COPY (SELECT order_id, 'segment ' || hash(order_id) % 50 AS segment, (hash(order_id) % 1000)::DOUBLE AS discount FROM "+bench.ReadCSV(b.from.Path, trips.Floats, "")+
		fmt.Sprintf(" ORDER BY hash(order_id) LIMIT %d) TO ", b.rows)+bench.Quote(b.path)+" (FORMAT parquet, COMPRESSION zstd)")
}

// objectRows are the rows of each of the small objects: 100 KB.
const objectRows = 850

// objects is a folder of small files with a header each.
func objects(_ context.Context, b *build) error {
	s := splitter{dir: b.path}
	return errors.Join(trips.Write(&s, b.rows), s.flush())
}

// splitter writes what comes, lines under a header, into files of objectRows lines with a header each.
type splitter struct {
	dir          string
	header, text []byte // of the file that is being filled
	lines, files int
}

func (s *splitter) Write(p []byte) (int, error) {
	for rest := p; len(rest) > 0; {
		end := bytes.IndexByte(rest, '\n') + 1
		if end == 0 {
			s.text = append(s.text, rest...)
			break
		}
		s.text = append(s.text, rest[:end]...)
		rest = rest[end:]
		if s.header == nil {
			s.header, s.text = s.text, nil
			continue
		}
		if s.lines++; s.lines == objectRows {
			if err := s.flush(); err != nil {
				return 0, err
			}
		}
	}
	return len(p), nil
}

// flush writes the file that is being filled.
func (s *splitter) flush() error {
	if s.lines == 0 {
		return nil
	}
	name := filepath.Join(s.dir, fmt.Sprintf("part-%05d.csv", s.files))
	err := os.WriteFile(name, append(bytes.Clone(s.header), s.text...), 0o644)
	s.text, s.lines = s.text[:0], 0
	s.files++
	return err
}

const (
	strikesRows  = 10_000    // of the demo's file
	strikesBytes = 1_223_329 // of its text
)

// strikesTimes is how often the demo's rows are in a set: a tenth less text than trips.csv has.
func strikesTimes(s Size) int { return max(1, s.Trips*100/strikesBytes) }

// strikes is the rows of the demo's file again and again under one header.
func strikes(_ context.Context, b *build) error {
	f, err := os.Open(filepath.Join(b.root, "testdata", "demo", "birdstrikes.csv.gz"))
	if err != nil {
		return err
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		return err
	}
	text, err := io.ReadAll(z)
	if err != nil {
		return err
	}
	head := bytes.IndexByte(text, '\n') + 1
	end := "\n"
	if strings.HasSuffix(string(text[:head]), "\r\n") {
		end = "\r\n"
	}
	if !bytes.HasSuffix(text, []byte(end)) { // DuckDB wants all lines to end alike
		text = append(text, end...)
	}
	times := b.rows / strikesRows
	b.text = int64(head) + int64(times)*int64(len(text)-head)
	return create(b.path, func(w io.Writer) error {
		z := kgzip.NewWriter(w)
		if _, err := z.Write(text[:head]); err != nil {
			return err
		}
		for range times {
			if _, err := z.Write(text[head:]); err != nil {
				return err
			}
		}
		return z.Close()
	})
}

// create writes a file, complete or not at all.
func create(path string, write func(io.Writer) error) (err error) {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			f.Close()
			err = errors.Join(err, os.Remove(path))
		}
	}()
	if err := write(f); err != nil {
		return err
	}
	return f.Close()
}
