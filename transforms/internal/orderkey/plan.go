// Package orderkey turns the columns that rows are ordered by into keys that compare as unsigned integers and bytes do: numbers
// by value with -0 equal to 0 and NaN above all else, text and binary byte by byte (collation "C"), false before true, and nulls where each
// column wants them.
package orderkey

import (
	"bytes"
	"fmt"

	"github.com/apache/arrow/go/v17/arrow"

	"github.com/sluice-data/sluice/transforms/internal/col"
)

// Column is one column of an order.
type Column struct {
	Type       arrow.DataType
	Nullable   bool
	Desc       bool
	NullsFirst bool
}

// How the values of a column become sortable bits.
type kind uint8

const (
	unsigned kind = iota
	signed
	float
	boolean
	decimal // in 64 bits
	wide    // 16 bytes
	text
	null
)

type column struct {
	Column
	kind  kind
	bytes int  // of a value; 0 of text
	bits  uint // of a value, without the one for nulls
}

// Plan is how keys are made of columns. It is immutable.
type Plan struct {
	cols []column
	bits uint // of a key that fits into words
	tail bool
	hash bool
}

// New plans keys of the columns. The error names a type that has no order.
func New(cols []Column) (*Plan, error) {
	p := &Plan{}
	for _, c := range cols {
		k, err := planned(c)
		if err != nil {
			return nil, err
		}
		p.cols = append(p.cols, k)
		p.bits += k.bits
		if c.Nullable {
			p.bits++
		}
		p.tail = p.tail || k.kind == text || k.kind == wide
	}
	p.tail = p.tail || p.bits > 128
	return p, nil
}

// NewEqual plans keys that only tell equal rows from others, in an order of their own.
func NewEqual(cols []Column) (*Plan, error) {
	p, err := New(cols)
	if err == nil {
		p.hash = p.tail
	}
	return p, err
}

// Orderable reports whether values of type t have an order.
func Orderable(t arrow.DataType) bool {
	_, err := planned(Column{Type: t})
	return err == nil
}

func planned(c Column) (column, error) {
	k := column{Column: c, bytes: col.Width(c.Type)}
	k.bits = uint(8 * k.bytes)
	switch t := c.Type.(type) {
	case *arrow.BooleanType:
		k.kind, k.bits = boolean, 1
	case *arrow.Uint8Type, *arrow.Uint16Type, *arrow.Uint32Type, *arrow.Uint64Type:
		k.kind = unsigned
	case *arrow.Int8Type, *arrow.Int16Type, *arrow.Int32Type, *arrow.Int64Type, *arrow.Date32Type, *arrow.Date64Type, *arrow.Time32Type,
		*arrow.Time64Type, *arrow.TimestampType, *arrow.DurationType:
		k.kind = signed
	case *arrow.Float32Type, *arrow.Float64Type:
		k.kind = float
	case *arrow.Decimal128Type:
		k.kind = wide
		if t.Precision <= 18 {
			k.kind, k.bits = decimal, 64
		}
	case *arrow.NullType:
		k.kind, k.bits, k.Nullable = null, 0, true
	default:
		if !col.IsVar(c.Type) {
			return k, fmt.Errorf("values of type %s have no order", c.Type)
		}
		k.kind, k.bytes, k.bits = text, 0, 0
	}
	return k, nil
}

// Words is how many integers a key begins with: 0 to 2.
func (p *Plan) Words() int {
	switch {
	case len(p.cols) == 0:
		return 0
	case p.tail || p.bits <= 64:
		return 1
	}
	return 2
}

// Tail reports whether keys have bytes behind the word.
func (p *Plan) Tail() bool { return p.tail }

// Keys are the keys of rows, one after the other: they compare by W0, then by W1 where the plan has two words, then by the tail
// where it has one.
type Keys struct {
	N      int
	W0, W1 []uint64
	Ends   []uint32 // of tails in Bytes
	Bytes  []byte
}

// Reset makes k empty; its memory stays.
func (k *Keys) Reset() {
	k.N, k.W0, k.W1, k.Ends, k.Bytes = 0, k.W0[:0], k.W1[:0], k.Ends[:0], k.Bytes[:0]
}

// Tail is the tail of row i.
func (k *Keys) Tail(i int) []byte {
	from := uint32(0)
	if i > 0 {
		from = k.Ends[i-1]
	}
	return k.Bytes[from:k.Ends[i]]
}

// Size is the bytes that the keys take.
func (k *Keys) Size() int64 { return int64(8*len(k.W0) + 8*len(k.W1) + 4*len(k.Ends) + len(k.Bytes)) }

// Less reports whether row i is before row j.
func (k *Keys) Less(p *Plan, i, j int) bool {
	switch words := p.Words(); {
	case words == 0:
		return false
	case k.W0[i] != k.W0[j]:
		return k.W0[i] < k.W0[j]
	case words == 2:
		return k.W1[i] < k.W1[j]
	}
	return p.tail && bytes.Compare(k.Tail(i), k.Tail(j)) < 0
}
