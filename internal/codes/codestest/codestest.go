// Package codestest gives texts the codes of a dictionary, as a reader of Parquet does.
package codestest

import (
	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/sluice-data/sluice/internal/codes"
)

// With is a with codes, owned by the caller; a as it is if it is no strings, has no value, or more than a dictionary may hold. unused entries of the dictionary are in no row. The code of
// a null row is that of any text.
func With(a arrow.Array, unused int) arrow.Array {
	texts, ok := a.(*array.String)
	if !ok || texts.NullN() == texts.Len() {
		a.Retain()
		return a
	}
	data, off, number := []byte(nil), []uint32{0}, map[string]uint32{}
	for range unused {
		data = append(data, "(unused"...)
		off = append(off, uint32(len(data)))
	}
	of := make([]uint32, texts.Len())
	for i := range of {
		if texts.IsNull(i) {
			continue
		}
		v := texts.Value(i)
		k, ok := number[v]
		if !ok {
			k = uint32(len(off) - 1)
			number[v] = k
			data = append(data, v...)
			off = append(off, uint32(len(data)))
		}
		of[i] = k
	}
	e := codes.NewEntries(texts.DataType(), off, data)
	if e == nil {
		a.Retain()
		return a
	}
	d := codes.Attach(texts.DataType(), texts.Len(), texts.Data().Buffers(), texts.NullN(), memory.NewBufferBytes(arrow.GetBytes(of)), e)
	defer d.Release()
	return array.MakeFromData(d)
}
