package parquet

import (
	"fmt"
	"strings"

	"github.com/parquet-go/parquet-go/format"

	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/internal/spec"
	"github.com/sluice-data/sluice/sinks"
)

const (
	defaultZstd = 3
	defaultGzip = 6

	// A page is what a reader skips by the page index. These bounds are those of the other writers.
	maxPageRows  = 20_000
	maxPageBytes = 1 << 20
	// Where pages are searched for what recurs, and their bounds would not let a reader skip most of them, they are as long as the search reaches.
	longPageBytes = 2 << 20

	// The footer in the making is some KB for each column chunk with its page index: a file ends rather than have more of them.
	maxChunks = 25_000

	// So many column chunks have a page index whatever is in it. Of more it takes a hundredth of the file, which is for nothing where each is one page.
	fewChunks = 1000

	// Row group ordinals are 16 bits wide.
	maxRowGroups = 1<<15 - 1
)

// Options is the parquet: block of a sink.
type Options struct {
	Compression string // one of spec.ParquetCodecs; "" = zstd
	Level       int    // of zstd (1 to 22) and gzip (1 to 9); 0 = the codec's default
	// BloomFilter names the top-level columns whose chunks have a filter.
	BloomFilter []string
	// RowGroupRows and RowGroupSize are what a row group has at most, in rows and in bytes of records in memory; 0 is the engine's default.
	RowGroupRows, RowGroupSize int64
}

// Blocks are the row groups: an encoder makes one of what it gets.
func (o Options) Blocks() (rows, size int64, key string) {
	return o.RowGroupRows, o.RowGroupSize, "row_group_size"
}

// Row groups that readers and their memory are made for: below, the footer and the dictionaries weigh more than rows; above, one row group is a file.
const (
	leastRowGroupRows, mostRowGroupRows = 1000, 1 << 20
	leastRowGroupSize, mostRowGroupSize = 1 << 20, 256 << 20
)

func (o Options) String() string {
	out := o.Compression
	if o.Level > 0 {
		out += fmt.Sprintf(" level %d", o.Level)
	}
	if len(o.BloomFilter) > 0 {
		out += ", bloom filters of " + strings.Join(o.BloomFilter, ", ")
	}
	if o.RowGroupRows > 0 {
		out += fmt.Sprintf(", row groups of %d rows", o.RowGroupRows)
	}
	if o.RowGroupSize > 0 {
		out += fmt.Sprintf(", row groups of %d bytes in memory", o.RowGroupSize)
	}
	return out
}

// defaultGroupRows is what row groups have where nothing is said (internal/job): said, it is the same run.
const defaultGroupRows = 122_880

// Identity has codec and level always, and the others where they are given: run ids stay.
func (o Options) Identity() map[string]any {
	out := map[string]any{"codec": o.Compression, "level": o.Level}
	if len(o.BloomFilter) > 0 {
		out["bloom_filter"] = o.BloomFilter
	}
	if o.RowGroupRows > 0 && o.RowGroupRows != defaultGroupRows {
		out["row_group_rows"] = o.RowGroupRows
	}
	if o.RowGroupSize > 0 {
		out["row_group_size"] = o.RowGroupSize
	}
	return out
}

// readOptions reads the block.
func readOptions(n *spec.Node) (sinks.Options, error) {
	o := Options{Compression: spec.ParquetCodecs[0]}
	if n == nil {
		return o, nil
	}
	r := spec.Read(n, "compression", "level", "bloom_filter", "row_group_rows", "row_group_size")
	r.Strs("bloom_filter", &o.BloomFilter)
	r.Enum("compression", &o.Compression, spec.ParquetCodecs)
	if at := r.Int("level", &o.Level); at != nil && r.Err() == nil {
		switch most := levels[o.Compression]; {
		case most == 0:
			return nil, at.Errorf("compression %s has no levels", o.Compression)
		case o.Level < 1 || o.Level > most:
			return nil, at.Errorf("level of %s must be 1 to %d", o.Compression, most)
		}
	}
	rows := 0
	if at := r.Int("row_group_rows", &rows); at != nil && r.Err() == nil && (rows < leastRowGroupRows || rows > mostRowGroupRows) {
		return nil, at.Errorf("row_group_rows must be %d to %d", leastRowGroupRows, mostRowGroupRows)
	}
	o.RowGroupRows = int64(rows)
	if at := r.Size("row_group_size", &o.RowGroupSize); at != nil && r.Err() == nil && (o.RowGroupSize < leastRowGroupSize || o.RowGroupSize > mostRowGroupSize) {
		return nil, at.Errorf("row_group_size must be %d to %d MiB", leastRowGroupSize>>20, mostRowGroupSize>>20)
	}
	return o, r.Err()
}

// levels are the highest ones.
var levels = map[string]int{"zstd": 22, "gzip": 9}

// settings are the checked options of a sink.
type settings struct {
	codec format.CompressionCodec
	level int
}

var codecs = map[string]format.CompressionCodec{
	"zstd": format.Zstd, "snappy": format.Snappy, "gzip": format.Gzip, "lz4": format.Lz4Raw, "lz4_raw": format.Lz4Raw,
	"none": format.Uncompressed, "uncompressed": format.Uncompressed,
}

// settle fills in the defaults and refuses what cannot be done.
func settle(o Options) (settings, error) {
	s := settings{level: o.Level}
	name := strings.ToLower(o.Compression)
	if name == "" {
		name = "zstd"
	}
	var ok bool
	if s.codec, ok = codecs[name]; !ok {
		return s, fail.Newf(fail.Usage, "unknown parquet compression %q: use zstd, snappy, gzip, lz4 or none", o.Compression)
	}
	most := 0
	switch s.codec {
	case format.Zstd:
		most = 22
		if s.level == 0 {
			s.level = defaultZstd
		}
	case format.Gzip:
		most = 9
		if s.level == 0 {
			s.level = defaultGzip
		}
	}
	switch {
	case most == 0 && s.level != 0:
		return s, fail.Newf(fail.Usage, "parquet compression %s has no level (level is %d)", name, o.Level)
	case s.level < 0 || s.level > most:
		return s, fail.Newf(fail.Usage, "level %d of parquet compression %s is not in 1 to %d", o.Level, name, most)
	}
	return s, nil
}
