// Package keys gives each distinct tuple of column values a dense number, by exact comparison: the group-by and the DISTINCT of
// aggregates. Null is a value of its own, all NaNs are one, and -0 is 0.
//
// Tuples that fit two 64-bit words are packed into them (strings of up to 15 bytes too); all others are byte rows in an arena. A
// table changes from words to byte rows when the first tuple arrives that does not fit; the hash of a tuple is the same in both
// forms, so that tables of different lanes agree on it.
package keys

import (
	"fmt"

	"github.com/apache/arrow/go/v17/arrow"

	"github.com/sluice-data/sluice/internal/schema"
	"github.com/sluice-data/sluice/transforms/internal/col"
)

type kind uint8

const (
	fixed    kind = iota // 1 to 16 bytes, taken as they are
	bool1                // one bit
	float32s             // NaN and -0 made one
	float64s
	varlen // string or binary
	null0  // the null type: no value at all
)

type column struct {
	typ   arrow.DataType
	kind  kind
	bytes int // of the value in a byte row; 0 for varlen and null0
	at    int // of the value in a byte row (fixed part)
	bits  uint
	// Places in the words, where the plan packs.
	word, shift         uint
	nullWord, nullShift uint
}

// Plan is how tuples of given types are encoded. It is immutable.
type Plan struct {
	cols  []column
	words bool // tuples may fit two words
	lone  bool // one string or binary column that has both words to itself
	w1    bool // the second word holds values, not only null marks
	fixed int  // bytes of a byte row before its var-length values: null bitmap and fixed values
	nvar  int
}

// NewPlan plans the encoding of tuples of types. The error names a type that cannot be compared.
func NewPlan(types []arrow.DataType) (*Plan, error) {
	p := &Plan{fixed: (len(types) + 7) / 8}
	for _, t := range types {
		c := column{typ: t, at: p.fixed}
		switch id := t.ID(); {
		case id == arrow.NULL:
			c.kind = null0
		case id == arrow.BOOL:
			c.kind, c.bits, c.bytes = bool1, 1, 1
		case id == arrow.FLOAT32:
			c.kind, c.bits, c.bytes = float32s, 32, 4
		case id == arrow.FLOAT64:
			c.kind, c.bits, c.bytes = float64s, 64, 8
		case col.IsVar(t):
			c.kind, c.bits = varlen, 64
			p.nvar++
		default:
			w := col.Width(t)
			if w != 1 && w != 2 && w != 4 && w != 8 && w != 16 || id == arrow.FLOAT16 || id == arrow.FIXED_SIZE_BINARY || id == arrow.INTERVAL_MONTH_DAY_NANO || id == arrow.INTERVAL_DAY_TIME {
				return nil, fmt.Errorf("values of type %s cannot be compared for equality", schema.DataTypeName(t))
			}
			c.bits, c.bytes = uint(w)*8, w
		}
		p.fixed += c.bytes
		p.cols = append(p.cols, c)
	}
	p.pack()
	return p, nil
}

// pack finds places for all values and null marks in two words.
func (p *Plan) pack() {
	if len(p.cols) == 1 && p.nvar == 1 {
		p.words, p.lone, p.w1 = true, true, true
		return
	}
	var used [2]uint
	place := func(bits uint) (uint, uint, bool) {
		for w := range used {
			if used[w]+bits <= 64 {
				used[w] += bits
				return uint(w), used[w] - bits, true
			}
		}
		return 0, 0, false
	}
	for i := range p.cols {
		c := &p.cols[i]
		var ok bool
		if c.word, c.shift, ok = place(c.bits); !ok {
			return
		}
	}
	p.w1 = used[1] > 0
	for i := range p.cols {
		c := &p.cols[i]
		if c.kind == varlen {
			continue // null is a length byte of its own
		}
		var ok bool
		if c.nullWord, c.nullShift, ok = place(1); !ok {
			return
		}
	}
	p.words = true
}
