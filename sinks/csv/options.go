package csv

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/sluice-data/sluice/internal/spec"
	"github.com/sluice-data/sluice/sinks"
	"github.com/sluice-data/sluice/sinks/files/lines"
)

// Options is the csv: block of a sink.
type Options struct {
	Delimiter byte   // 0 = a comma
	NullValue string // what stands for null, without quotes
	NoHeader  bool
	lines.Compression
}

func (o Options) withDefaults() Options {
	if o.Delimiter == 0 {
		o.Delimiter = ','
	}
	return o
}

func (o Options) String() string {
	s := o.Compression.String()
	if o.Delimiter != ',' {
		s += fmt.Sprintf(", delimiter %q", string(o.Delimiter))
	}
	if o.NullValue != "" {
		s += fmt.Sprintf(", null as %q", o.NullValue)
	}
	if o.NoHeader {
		s += ", no header"
	}
	return s
}

// Identity is all of them.
func (o Options) Identity() map[string]any { return map[string]any{"csv": o.String()} }

// QuickSight is what its manifest says of such files.
func (o Options) QuickSight() (map[string]string, error) {
	if err := o.Compression.QuickSight(); err != nil {
		return nil, err
	}
	return map[string]string{"format": "CSV", "delimiter": string(o.Delimiter), "textqualifier": `"`, "containsHeader": strconv.FormatBool(!o.NoHeader)}, nil
}

func readOptions(n *spec.Node) (sinks.Options, error) {
	o := Options{}.withDefaults()
	if n == nil {
		return o, nil
	}
	r := spec.Read(n, "delimiter", "null_value", "header", "compression", "level")
	delimiter, header := "", true
	if at := r.Byte("delimiter", &delimiter); at != nil && r.Err() == nil {
		o.Delimiter = delimiter[0]
		if err := o.check(); err != nil {
			return nil, at.Errorf("%w", err)
		}
	}
	if at := r.Text("null_value", &o.NullValue); at != nil && r.Err() == nil {
		if err := o.check(); err != nil {
			return nil, at.Errorf("%w", err)
		}
	}
	r.Bool("header", &header)
	o.NoHeader = !header
	o.Read(r)
	return o, r.Err()
}

// check says what is wrong with delimiter and null value.
func (o Options) check() error {
	switch c := o.Delimiter; {
	case c < ' ' && c != '\t', c >= 0x7f, c == '"', c == '\\', c == '#',
		strings.IndexByte("+-.: _", c) >= 0, c >= '0' && c <= '9', c >= 'A' && c <= 'Z', c >= 'a' && c <= 'z':
		return fmt.Errorf("delimiter %q is of what values are made of: use , ; | or a tab", string(c))
	case strings.ContainsAny(o.NullValue, "\"\r\n\x00"+string(c)):
		return fmt.Errorf("null_value %q has a quote, the delimiter or a line end in it", o.NullValue)
	}
	return nil
}
