package spec

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/apache/arrow/go/v17/arrow"

	"github.com/sluice-data/sluice/internal/schema"
	"github.com/sluice-data/sluice/internal/textval"
)

// Names the file may use; the first of each is the default.
var (
	Compressions     = []string{"auto", "none", "gzip", "zstd", "bzip2", "lz4", "snappy", "xz"}
	Modes            = []string{"strict", "evolve", "infer"}
	Encodings        = []string{"utf-8", "utf-16", "utf-16le", "utf-16be", "latin-1", "windows-1252"}
	encodingNames    = append([]string{"utf8", "ascii", "us-ascii", "utf16", "utf16le", "utf16be", "latin1", "iso-8859-1", "iso8859-1", "cp1252", "win-1252"}, Encodings...)
	ParquetCodecs    = []string{"zstd", "snappy", "gzip", "lz4", "none"}
	Formats          = []string{"csv", "tsv", "jsonl", "parquet"} // by default told from content
	pipelineKeys     = []string{"version", "name", "source", "schema", "lookups", "errors", "steps", "sql", "sink", "tests"}
	defaultFileBytes = int64(256_000_000)
)

// Pipeline is a pipeline file: every key known, every value of the right kind. Nodes stay where an error found later (a step's
// expression, a sink's URI) needs its place.
type Pipeline struct {
	File    string
	Root    *Node
	Version int
	Name    string
	Source  Source
	Schema  Schema
	Lookups []Reference
	Errors  Errors
	Steps   []Step
	SQL     *Node // the statement that stands for steps, nil if there is none: who runs the pipeline makes Steps of it
	Sink    Sink
	Tests   *Node // nil if there are none
}

// Source is the source: block. URI and Format are empty if not given.
type Source struct {
	At          *Node // nil without a source: block
	URI         string
	URIAt       *Node
	URIErr      error // a variable of the URI is not set: an error only if the URI is used
	Format      string
	Compression string // "auto" if not given
	CSV         CSV
}

// CSV is the csv: block; zero fields are to be detected or defaulted by the format.
type CSV struct {
	Delimiter  string
	Quote      string
	Header     *bool
	NullValues []string // nil if not given
	Encoding   string
	Comment    string
	SkipRows   int
}

// Schema is the schema: block.
type Schema struct {
	Mode    string // strict, evolve or infer; infer if no columns are given
	Columns []Column
	Lock    string // the file that holds the columns as they were; "" without one
	Drift   Drift
}

// Column is a declared column.
type Column struct {
	Field  arrow.Field
	Format string // strftime; "" = ISO 8601
	TZ     string // IANA name; "" = UTC
	Checks []Check
	Drift  string // of ColumnDrift; "" if not given
	At     *Node  // the column's name
}

// Check is a condition on a column: not null, or an SQL expression.
type Check struct {
	NotNull bool
	Expr    *Node // nil if NotNull
}

// Errors is the errors: block: without it (At nil) the first bad row fails the run. MaxRows and MaxRate are negative if not given.
type Errors struct {
	At         *Node
	Quarantine string
	MaxRate    float64 // share of the rows read, 0 to 1
	MaxRows    int64
}

// The modes of a sink: what becomes of the files that earlier runs have left below sink.uri.
const (
	Append            = "append"             // they stay
	ReplacePartitions = "replace_partitions" // those of the partitions that the run has rows of go
	Replace           = "replace"            // all go
)

// What a run that replaces files does about another that is about to replace some of the same part of the table.
const (
	Wait           = "wait"      // until that one has ended; then it replaces what that one wrote, too
	FailOnConflict = "fail"      // ends with exit 75
	LastWins       = "last_wins" // goes on: of the two the one that took its turn later stands
)

var onConflict = []string{Wait, FailOnConflict, LastWins}

var sinkModes = []string{Append, ReplacePartitions, Replace}

// Sink is the sink: block. URI is empty if not given.
type Sink struct {
	At             *Node
	URI            string
	URIAt          *Node
	URIErr         error    // a variable of the URI is not set: an error only if the URI is used
	Mode           string   // append, replace_partitions or replace
	ModeAt         *Node    // nil if not given
	OnConflict     string   // wait, fail or last_wins, of a mode that replaces
	PartitionBy    []string // names
	PartitionAt    *Node    // the list of columns, and of mappings {name: expression} for those that are computed
	SortBy         *Node    // an order as the step sort has it; nil without one
	TargetFileSize int64    // bytes
	Writes         Writes
	Targets        []Entry // blocks of the targets that Load was told of, as they are in the file
	// Format is the kind of file; FormatAt is nil if it is not given. Which there are, who writes them knows, and what their blocks mean.
	Format   string
	FormatAt *Node
	Options  SinkOptions // what the format made of its block; nil until it is asked
}

// SinkOptions are the options of a sink's format.
type SinkOptions interface {
	String() string // as a plan shows them
	// Identity are the keys and values for the run's id. Options that are left out have those of their defaults, or none.
	Identity() map[string]any
}

// sinkKeys are those of a sink: block that are the same for every format and target.
var sinkKeys = []string{"uri", "mode", "on_conflict", "partition_by", "sort_by", "target_file_size", "format", "s3"}

// Check reports a key that is neither a sink's own nor the name of a block.
func (s *Sink) Check(blocks ...string) error {
	if s.At == nil {
		return nil
	}
	_, err := s.At.Map(append(slices.Clip(sinkKeys), blocks...)...)
	return err
}

// Block is what is under the name of a format or target; nil if nothing is.
func (s *Sink) Block(name string) *Node {
	if s.At == nil {
		return nil
	}
	return s.At.Get(name)
}

// Load reads a pipeline file and replaces its variables by vars: --set values and those of the event. targets are the names of the
// blocks of sink: that are targets; who knows the formats checks its keys, by Sink.Check. Errors are *fail.Error of kind Usage with line and column.
func Load(file string, text []byte, vars map[string]string, targets ...string) (*Pipeline, error) {
	root, err := Parse(file, text)
	if err != nil {
		return nil, err
	}
	late, err := expandLate(root, vars)
	if err != nil {
		return nil, err
	}
	if _, err := root.Map(pipelineKeys...); err != nil {
		return nil, err
	}
	p := &Pipeline{File: file, Root: root, Tests: root.Get("tests")}
	for _, read := range []func(*Node) error{p.readHead, p.readSource, p.readSchema, p.readLookups, p.readErrors, p.readSteps, p.readTests} {
		if err := read(root); err != nil {
			return nil, err
		}
	}
	if err := p.readSink(root, targets); err != nil {
		return nil, err
	}
	p.Source.URIErr, p.Sink.URIErr = late["source"], late["sink"]
	return p, nil
}

// expandLate replaces the variables of everything. Those of source.uri and sink.uri may lack the event that sets them, as
// --input and --output may stand in: such errors are given back by the block's name.
func expandLate(root *Node, vars map[string]string) (map[string]error, error) {
	uris := map[string]*Node{}
	for _, block := range []string{"source", "sink"} {
		if b := root.Get(block); b != nil && b.IsMap() {
			if u := b.Get("uri"); u != nil && u.IsScalar() {
				u.late, uris[block] = true, u
			}
		}
	}
	if err := expand(root, vars); err != nil {
		return nil, err
	}
	errs := map[string]error{}
	for block, u := range uris {
		var late notSet
		if err := expand(u, vars); errors.As(err, &late) {
			errs[block] = err
		} else if err != nil {
			return nil, err
		}
	}
	return errs, nil
}

func (p *Pipeline) readHead(root *Node) error {
	v := root.Get("version")
	if v == nil {
		return root.Errorf("key \"version\" is missing: add version: 1")
	}
	if s, err := v.Str(); err != nil || s != "1" {
		return v.Errorf("version must be 1, the only one there is")
	}
	p.Version = 1
	n := root.Get("name")
	if n == nil {
		return root.Errorf("key \"name\" is missing: it is part of every run's id")
	}
	name, err := n.Str()
	if err != nil {
		return err
	}
	if !validName(name) {
		return n.Errorf("name %q: use letters, digits, . _ and -, at most 128, beginning with a letter or digit", name)
	}
	p.Name = name
	return nil
}

// validName reports whether name may be a pipeline's. A regular expression for it took two milliseconds of every start.
func validName(name string) bool {
	for i, c := range []byte(name) {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
		case i > 0 && (c == '.' || c == '_' || c == '-'):
		default:
			return false
		}
	}
	return name != "" && len(name) <= 128
}

func (p *Pipeline) readSource(root *Node) error {
	s := &p.Source
	s.Compression = "auto"
	if s.At = root.Get("source"); s.At == nil {
		return nil
	}
	r := fields{n: s.At}
	r.known("uri", "format", "compression", "csv")
	s.read(&r)
	return r.err
}

// read reads the keys of a source, which need not be the only ones of the mapping.
func (s *Source) read(r *fields) {
	s.Compression = "auto"
	s.URIAt = r.str("uri", &s.URI)
	r.enum("format", &s.Format, Formats)
	r.enum("compression", &s.Compression, Compressions)
	if csv := r.get("csv"); csv != nil && r.err == nil {
		c, r2 := &s.CSV, fields{n: csv}
		r2.known("delimiter", "quote", "header", "null_values", "encoding", "comment", "skip_rows")
		r2.oneByte("delimiter", &c.Delimiter, false)
		if q := r2.get("quote"); q != nil && q.text == "none" {
			c.Quote = q.text
		} else {
			r2.oneByte("quote", &c.Quote, false)
		}
		r2.oneByte("comment", &c.Comment, true)
		if enc := r2.str("encoding", &c.Encoding); enc != nil && !slices.Contains(encodingNames, strings.ToLower(c.Encoding)) {
			r2.fail(oneOf(enc, "encoding", c.Encoding, Encodings))
		}
		if h := r2.get("header"); h != nil {
			b, err := h.Bool()
			r2.fail(err)
			c.Header = &b
		}
		if v := r2.get("null_values"); v != nil {
			var err error
			c.NullValues, err = v.Strs()
			r2.fail(err)
		}
		if v := r2.get("skip_rows"); v != nil {
			k, err := v.Int()
			r2.fail(err)
			if err == nil && (k < 0 || k > 1<<30) {
				r2.fail(v.Errorf("skip_rows must be 0 or more"))
			}
			c.SkipRows = int(k)
		}
		if v := r2.get("quote"); v != nil && c.Quote != "" && c.Quote == c.Delimiter {
			r2.fail(v.Errorf("quote and delimiter are the same character %q", c.Quote))
		}
		if v := r2.get("comment"); v != nil && c.Comment != "" && (c.Comment == c.Delimiter || c.Comment == c.Quote) {
			r2.fail(v.Errorf("comment is the same character %q as delimiter or quote", c.Comment))
		}
		r.fail(r2.err)
	}
}

func (p *Pipeline) readSchema(root *Node) error {
	return p.Schema.read(root.Get("schema"))
}

// read reads a schema: block; n is nil if there is none.
func (s *Schema) read(n *Node) error {
	s.Mode = "infer"
	if n == nil {
		return nil
	}
	r := fields{n: n}
	r.known("mode", "columns", "lock", "drift")
	s.readDrift(&r)
	cols := r.get("columns")
	if cols != nil && r.err == nil {
		s.Mode = "strict"
		entries, err := cols.Map()
		r.fail(err)
		for _, e := range entries {
			c, err := readColumn(e)
			r.fail(err)
			s.Columns = append(s.Columns, c)
		}
	}
	mode := r.enum("mode", &s.Mode, Modes)
	if r.err == nil && mode != nil && s.Mode != "infer" && len(s.Columns) == 0 && s.Lock == "" {
		return mode.Errorf("schema.mode %s needs schema.columns", s.Mode)
	}
	return r.err
}

func readColumn(e Entry) (Column, error) {
	c := Column{At: e.At}
	if e.Key == "" {
		return c, e.At.Errorf("a column needs a name")
	}
	if e.Value.kind == null {
		return c, e.At.Errorf("column %q needs a type: %s: {type: string}", e.Key, e.Key)
	}
	typ, at, r := "", e.Value, fields{n: e.Value}
	if e.Value.IsScalar() { // short form, name: type
		typ, _ = e.Value.Str()
	} else {
		r.known("type", "format", "tz", "checks", "drift")
		r.enum("drift", &c.Drift, ColumnDrift)
		if at = r.str("type", &typ); at == nil && r.err == nil {
			return c, e.At.Errorf("column %q has no type: %s: {type: string}", e.Key, e.Key)
		}
	}
	if r.err != nil {
		return c, r.err
	}
	f, err := schema.ParseField(e.Key, typ)
	if err != nil {
		if near := Nearest(typ, schema.Names); near != "" && !strings.ContainsAny(typ, "(<[") {
			return c, at.Errorf("unknown type %q: did you mean %q?", typ, near)
		}
		return c, at.Errorf("%w", err)
	}
	c.Field = f
	if !e.Value.IsMap() {
		return c, nil
	}
	format, tz := r.str("format", &c.Format), r.str("tz", &c.TZ)
	if r.err != nil {
		return c, r.err
	}
	if id := f.Type.ID(); format != nil && id != arrow.DATE32 && id != arrow.TIMESTAMP && id != arrow.TIME64 {
		return c, format.Errorf("format is for date, time and timestamp columns, %q is %s", e.Key, schema.TypeName(f))
	}
	if tz != nil {
		if t, ok := f.Type.(*arrow.TimestampType); !ok || t.TimeZone == "" && c.TZ != "UTC" {
			return c, tz.Errorf("tz is the zone of a timestamptz column's values, %q is %s", e.Key, schema.TypeName(f))
		}
		if _, err := time.LoadLocation(c.TZ); err != nil || c.TZ == "" || c.TZ == "Local" {
			return c, tz.Errorf("unknown time zone %q: use an IANA name such as Europe/Berlin", c.TZ)
		}
	}
	if format != nil {
		if _, err := textval.NewLayout(c.Format, c.TZ); err != nil {
			return c, format.Errorf("column %q: %w", e.Key, err)
		}
	}
	checks := r.get("checks")
	if checks == nil {
		return c, r.err
	}
	items, err := checks.List()
	if err != nil {
		return c, err
	}
	for _, it := range items {
		s, err := it.Str()
		if err != nil {
			return c, err
		}
		switch strings.ToLower(strings.TrimSpace(s)) {
		case "":
			return c, it.Errorf("a check is not_null or an SQL expression")
		case "not_null", "not null":
			c.Checks = append(c.Checks, Check{NotNull: true})
		default:
			c.Checks = append(c.Checks, Check{Expr: it})
		}
	}
	return c, nil
}

func (p *Pipeline) readErrors(root *Node) error {
	e := &p.Errors
	e.MaxRate, e.MaxRows = -1, -1
	if e.At = root.Get("errors"); e.At == nil {
		return nil
	}
	r := fields{n: e.At}
	r.known("quarantine", "max_rate", "max_rows")
	r.str("quarantine", &e.Quarantine)
	if v := r.get("max_rows"); v != nil {
		k, err := v.Int()
		r.fail(err)
		if err == nil && k < 0 {
			r.fail(v.Errorf("max_rows must be 0 or more"))
		}
		e.MaxRows = k
	}
	if v := r.get("max_rate"); v != nil {
		s, err := v.Str()
		r.fail(err)
		digits, scale := strings.TrimSpace(s), 1.0
		if cut, ok := strings.CutSuffix(digits, "%"); ok {
			digits, scale = strings.TrimSpace(cut), 100
		}
		f, ferr := strconv.ParseFloat(digits, 64)
		if f /= scale; err == nil && (ferr != nil || !(f >= 0 && f <= 1)) {
			r.fail(v.Errorf("max_rate must be a share such as 0.5%% or 0.005, between 0 and 1, found %q", s))
		}
		e.MaxRate = f
	}
	return r.err
}

func (p *Pipeline) readSink(root *Node, targets []string) error {
	s := &p.Sink
	s.TargetFileSize, s.Format, s.Mode, s.OnConflict = defaultFileBytes, "parquet", Append, Wait
	if s.At = root.Get("sink"); s.At == nil {
		return nil
	}
	r := fields{n: s.At}
	if _, err := s.At.Map(); err != nil {
		return err
	}
	s.URIAt, s.FormatAt = r.str("uri", &s.URI), r.str("format", &s.Format)
	r.fail(s.Writes.read(r.get("s3")))
	s.ModeAt = r.enum("mode", &s.Mode, sinkModes)
	if at := r.enum("on_conflict", &s.OnConflict, onConflict); at != nil && s.Mode == Append {
		r.fail(at.Errorf("on_conflict is for mode: replace and replace_partitions: runs that append are never in each other's way"))
	}
	for _, e := range s.At.entries {
		switch {
		case !slices.Contains(targets, e.Key):
		case e.Value.kind != mapping:
			r.fail(e.At.Errorf("sink.%s wants a mapping of its settings, found %s", e.Key, e.Value.what()))
		default:
			s.Targets = append(s.Targets, e)
		}
	}
	if v := r.get("partition_by"); v != nil {
		var err error
		s.PartitionAt = v
		s.PartitionBy, err = partitionNames(v)
		r.fail(err)
	}
	s.SortBy = r.get("sort_by")
	if s.Mode == ReplacePartitions && len(s.PartitionBy) == 0 {
		r.fail(s.ModeAt.Errorf("mode: replace_partitions needs partition_by; to replace the whole table write mode: replace"))
	}
	if v := r.get("target_file_size"); v != nil {
		t, err := v.Str()
		r.fail(err)
		if err == nil {
			if s.TargetFileSize, err = ParseSize(t); err != nil {
				r.fail(v.Errorf("%w", err))
			}
		}
	}
	return r.err
}

// partitionNames are the names in a list of columns and of mappings {name: expression}.
func partitionNames(n *Node) ([]string, error) {
	items, err := n.List()
	if err != nil {
		return nil, err
	}
	var names []string
	add := func(at *Node, name string) error {
		if slices.Contains(names, name) {
			return at.Errorf("partition_by names %q twice", name)
		}
		names = append(names, name)
		return nil
	}
	for _, it := range items {
		if !it.IsMap() {
			name, err := it.Str()
			if err == nil {
				err = add(it, name)
			}
			if err != nil {
				return nil, err
			}
			continue
		}
		entries, err := it.Map()
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			if err := add(e.At, e.Key); err != nil {
				return nil, err
			}
		}
	}
	return names, nil
}

func (p *Pipeline) readTests(*Node) error {
	if p.Tests == nil {
		return nil
	}
	items, err := p.Tests.List()
	for _, it := range items {
		if _, err := it.Map("name", "input", "expect", "rejects"); err != nil {
			return err
		}
	}
	return err
}
