package job

import (
	"unsafe"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/bitutil"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/sluice-data/sluice/internal/codes"
)

// numbered is a column of texts that has codes as a dictionary array of two bytes a row, owned by the caller; nil for any other.
func numbered(a arrow.Array, mem memory.Allocator) arrow.Array {
	of, entries := codes.Of(a)
	if entries == nil || a.Len() == 0 {
		return nil
	}
	buf, index := numbers[uint16](mem, a.Len())
	defer buf.Release()
	for i, c := range of {
		index[i] = uint16(c) // of codes.MaxEntries at most
	}
	valid := validBits(mem, a.Len(), []arrow.Array{a})
	if valid != nil {
		defer valid.Release()
	}
	return entries.Dictionary(arrow.PrimitiveTypes.Uint16, a.Len(), valid, buf, a.NullN())
}

// numbers makes a buffer of n zeros, owned by the caller.
func numbers[T uint8 | uint16](mem memory.Allocator, n int) (*memory.Buffer, []T) {
	b := memory.NewResizableBuffer(mem)
	b.Resize(n * int(unsafe.Sizeof(T(0))))
	clear(b.Bytes())
	return b, arrow.GetData[T](b.Bytes())
}

// validBits is a bitmap of n rows that begins with those of pieces, the others null; nil if none is null.
func validBits(mem memory.Allocator, n int, pieces []arrow.Array) *memory.Buffer {
	valid := 0
	for _, a := range pieces {
		valid += a.Len() - a.NullN()
	}
	if valid == n {
		return nil
	}
	buf, bits := numbers[uint8](mem, (n+7)/8)
	at := 0
	for _, a := range pieces {
		if a.NullN() == 0 {
			bitutil.SetBitsTo(bits, int64(at), int64(a.Len()), true)
		} else {
			bitutil.CopyBitmap(a.NullBitmapBytes(), a.Data().Offset(), a.Len(), bits, at)
		}
		at += a.Len()
	}
	return buf
}

// joined is the rows of pieces and one more, which is null, in one array that the caller owns: a dictionary array if all of them are and their texts fit one.
func joined(pieces []arrow.Array, typ arrow.DataType, mem memory.Allocator) (arrow.Array, error) {
	if m := mergeDictionaries(pieces, typ); m != nil {
		return m.join(pieces, mem), nil
	}
	all := make([]arrow.Array, 0, len(pieces)+1)
	defer func() { releaseArrays(all) }()
	for _, a := range pieces {
		if d, ok := a.(*array.Dictionary); ok {
			a = spelled(d, typ, mem)
		} else {
			a.Retain()
		}
		all = append(all, a)
	}
	all = append(all, array.MakeArrayOfNull(mem, typ, 1))
	return array.Concatenate(all, mem)
}

// oneDictionary is the texts of several dictionaries in one.
type oneDictionary struct {
	entries *codes.Entries
	of      [][]uint16 // of each piece, the new number of each entry
}

// mergeDictionaries makes one dictionary of those of pieces; nil if one of them has none, or the texts are too many.
func mergeDictionaries(pieces []arrow.Array, typ arrow.DataType) *oneDictionary {
	m, by := &oneDictionary{}, map[string]uint16{}
	off, text := []uint32{0}, []byte(nil)
	var last *codes.Entries
	for _, a := range pieces {
		d, ok := a.(*array.Dictionary)
		if !ok {
			return nil
		}
		e := codes.EntriesOf(d)
		if last != nil && last.Same(e) {
			m.of = append(m.of, m.of[len(m.of)-1])
			continue
		}
		ends, data := e.Text()
		of := make([]uint16, e.Len())
		for i := range of {
			s := data[ends[i]:ends[i+1]]
			n, ok := by[string(s)]
			if !ok {
				if len(by) == codes.MaxEntries || len(text)+len(s) > codes.MaxBytes {
					return nil
				}
				n = uint16(len(by))
				by[string(s)] = n
				text = append(text, s...)
				off = append(off, uint32(len(text)))
			}
			of[i] = n
		}
		m.of, last = append(m.of, of), e
	}
	if m.entries = codes.NewEntries(typ, off, text); m.entries == nil {
		return nil
	}
	return m
}

// join is the rows of pieces, which were merged, and one more, which is null.
func (m *oneDictionary) join(pieces []arrow.Array, mem memory.Allocator) arrow.Array {
	n := 1
	for _, a := range pieces {
		n += a.Len()
	}
	if m.entries.Len() <= 1<<8 {
		return joinNumbers[uint8](m, pieces, n, arrow.PrimitiveTypes.Uint8, mem)
	}
	return joinNumbers[uint16](m, pieces, n, arrow.PrimitiveTypes.Uint16, mem)
}

func joinNumbers[T uint8 | uint16](m *oneDictionary, pieces []arrow.Array, n int, index arrow.DataType, mem memory.Allocator) arrow.Array {
	buf, out := numbers[T](mem, n)
	defer buf.Release()
	at, nulls := 0, 1
	for k, a := range pieces {
		of := m.of[k]
		for i, c := range arrow.GetValues[uint16](a.Data(), 1) {
			out[at+i] = T(of[c])
		}
		at, nulls = at+a.Len(), nulls+a.NullN()
	}
	valid := validBits(mem, n, pieces)
	defer valid.Release()
	return m.entries.Dictionary(index, n, valid, buf, nulls)
}

// spelled is a dictionary array of texts as plain texts, owned by the caller.
func spelled(d *array.Dictionary, typ arrow.DataType, mem memory.Allocator) arrow.Array {
	off, data := codes.EntriesOf(d).Text()
	b := array.NewBinaryBuilder(mem, typ.(arrow.BinaryDataType))
	defer b.Release()
	b.Reserve(d.Len())
	for i, c := range arrow.GetValues[uint16](d.Data(), 1) {
		if d.IsNull(i) {
			b.AppendNull()
		} else {
			b.Append(data[off[c]:off[c+1]])
		}
	}
	return b.NewArray()
}
