// Package parquet is the parquet input format: row groups are its chunks, column chunks go straight to Arrow buffers.
//
// Pages, levels and values are decoded here and not by parquet-go, whose formats and writers the package otherwise uses:
// its reader allocates what a page header or footer asks for before it looks at the data, and holds a page's levels and
// values whole, so that a damaged or hostile file of a few KB could take all memory. Here nothing is allocated on the
// word of the file alone, values are decoded some thousand at a time into the buffers that the batch keeps, dictionaries
// are converted once and gathered from.
//
// What becomes of the types, where it is not plain:
//
//   - Timestamps and times become microseconds. A value in nanoseconds with digits below the microsecond is refused with
//     its row, and so is one in milliseconds out of range. isAdjustedToUTC makes a timestamptz.
//   - INT96 becomes a timestamp; a declared timestamptz is allowed too, since the file does not say which it is.
//   - UUID becomes its text, FLOAT16 a float32, fixed-length bytes binary, ENUM a string, JSON json.
//   - A map becomes a list of structs of key and value, a repeated field a list.
//   - A column of type null becomes a string column of nulls.
//   - Text that is not UTF-8, JSON that is not, numbers beyond the declared digits: the row is refused.
//   - INTERVAL, VARIANT, GEOMETRY, GEOGRAPHY are not supported: the error names the column, unless it is not needed.
//
// Row groups and pages of which statistics say that a filter at the head of the pipeline drops every row are not read; the
// engine counts their rows as read and filtered. Bytes of columns, row groups and pages that are not needed count as consumed
// with their row group, so that the sum is the object's size.
package parquet

import (
	"context"

	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/pipeline"
	"github.com/sluice-data/sluice/sources"
)

func init() {
	sources.Register(sources.Format{
		Name: "parquet",
		Doc: `Apache Parquet, by any writer: data pages of both versions, all encodings, codecs uncompressed, snappy, gzip, zstd, brotli, lz4 and
lz4_raw, nested columns, legacy lists and INT96. Only the columns that the pipeline uses are read. Several inputs must agree by column name; without a
declared schema their columns are joined and numbers widened. Timestamps have microseconds: a finer value is refused, never cut.`,
		Example:    "source:\n  uri: s3://raw/trips/*.parquet\n  format: parquet\n",
		Extensions: []string{".parquet", ".pq"},
		Seekable:   true,
		Detect: func(head []byte, _ bool) int {
			if len(head) >= len(magic) && (string(head[:len(magic)]) == magic || string(head[:len(magic)]) == encrypted) {
				return 3
			}
			return 0
		},
		Open: func(ctx context.Context, req sources.Request) (src pipeline.Source, err error) {
			defer func() {
				if r := recover(); r != nil {
					src, err = nil, fail.Newf(fail.Data, "read parquet footer: decoding panicked: %v", r)
				}
			}()
			return open(ctx, req)
		},
		Survey: func(ctx context.Context, req sources.Request) (s sources.Survey, err error) {
			defer func() {
				if r := recover(); r != nil {
					err = fail.Newf(fail.Data, "read parquet footer: decoding panicked: %v", r)
				}
			}()
			return survey(ctx, req)
		},
	})
}
