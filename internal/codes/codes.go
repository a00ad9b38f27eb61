// Package codes lets a column of texts carry, beside its values, their numbers in a dictionary, as the pages of Parquet files have them: what is computed of
// a text alone is computed once for each entry, not for each row.
//
// The codes travel in the dictionary of the column's data, which Arrow leaves alone for texts: references and slices keep them. Who makes a
// new column without them loses nothing but time. A column with codes is one of its type in every other respect.
package codes

import (
	"unsafe"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"
)

// Bounds of a dictionary that is worth carrying: it is held as long as any batch that refers to it.
const (
	MaxEntries = 4096
	MaxBytes   = 64 << 10
)

// Entries are the values of a dictionary, immutable, in memory that nobody has to release.
type Entries struct{ data *array.Data }

// NewEntries copies a dictionary of len(offsets)-1 values of typ, string or binary; nil if it is over the bounds, or empty.
func NewEntries(typ arrow.DataType, offsets []uint32, data []byte) *Entries {
	n := len(offsets) - 1
	if n < 1 || n > MaxEntries || offsets[n] > MaxBytes {
		return nil
	}
	off := make([]int32, n+1)
	for i, o := range offsets {
		off[i] = int32(o)
	}
	text := append(make([]byte, 0, offsets[n]), data[:offsets[n]]...)
	bufs := []*memory.Buffer{nil, memory.NewBufferBytes(arrow.GetBytes(off)), memory.NewBufferBytes(text)}
	return &Entries{array.NewData(typ, n, bufs, nil, 0, 0)}
}

// Attach makes data of a text column, bufs being its validity, offsets and bytes, whose row i is entry codes[i], unless it is null; codes of null
// rows are any that there are. The caller owns the result, and keeps its hold on the buffers.
func Attach(typ arrow.DataType, n int, bufs []*memory.Buffer, nulls int, codes *memory.Buffer, e *Entries) arrow.ArrayData {
	coded := array.NewDataWithDictionary(&arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Uint32, ValueType: typ}, n, []*memory.Buffer{nil, codes}, 0, 0, e.data)
	defer coded.Release()
	return array.NewDataWithDictionary(typ, n, bufs, nulls, 0, coded)
}

// Of gives the codes of a's rows and the entries they are of, borrowed from a; nil if it has none.
func Of(a arrow.Array) ([]uint32, *Entries) {
	d, ok := a.Data().(*array.Data)
	if !ok || a.DataType().ID() != arrow.STRING && a.DataType().ID() != arrow.BINARY {
		return nil, nil
	}
	coded, ok := d.Dictionary().(*array.Data)
	if !ok || coded == nil || coded.DataType().ID() != arrow.DICTIONARY {
		return nil, nil
	}
	entries, ok := coded.Dictionary().(*array.Data)
	if !ok || entries == nil {
		return nil, nil
	}
	all := arrow.GetData[uint32](coded.Buffers()[1].Bytes())
	return all[d.Offset() : d.Offset()+d.Len()], &Entries{entries}
}

// Len is the number of entries.
func (e *Entries) Len() int { return e.data.Len() }

// Text gives the offsets of the entries, Len()+1 of them, and the bytes they are in.
func (e *Entries) Text() (offsets []int32, data []byte) {
	b := e.data.Buffers()
	p := b[1].Bytes()
	return unsafe.Slice((*int32)(unsafe.Pointer(&p[0])), len(p)/4), b[2].Bytes()
}

// Values are the entries as a column, owned by the caller.
func (e *Entries) Values() arrow.Array { return array.MakeFromData(e.data) }

// Dictionary is a column of typ whose row i is entry index[i], in n rows: a dictionary array that holds no text but the entries'. index are values of uint8 or uint16, and
// valid a bitmap or nil; the caller owns the result, which has its own hold on them.
func (e *Entries) Dictionary(index arrow.DataType, n int, valid, codes *memory.Buffer, nulls int) *array.Dictionary {
	typ := &arrow.DictionaryType{IndexType: index, ValueType: e.data.DataType()}
	d := array.NewDataWithDictionary(typ, n, []*memory.Buffer{valid, codes}, nulls, 0, e.data)
	defer d.Release()
	return array.NewDictionaryData(d)
}

// EntriesOf are the entries that a column of Dictionary is of.
func EntriesOf(a *array.Dictionary) *Entries {
	return &Entries{a.Data().(*array.Data).Dictionary().(*array.Data)}
}

// Same reports whether e and o are one dictionary.
func (e *Entries) Same(o *Entries) bool { return e.data == o.data }
