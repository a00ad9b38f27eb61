package take

import (
	"encoding/binary"
	"math"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/sluice-data/sluice/internal/codes"
	"github.com/sluice-data/sluice/internal/recycle"
)

// texts is rows idx of a column of codes.Entries' Dictionary as plain texts that carry their codes.
func texts(a *array.Dictionary, idx []int32, mem memory.Allocator) (arrow.Array, error) {
	g := gather{mem: mem, sel: &selection{n: len(idx), idx: idx}}
	defer g.release()
	g.validity(a)
	buf := recycle.Undefined(mem, 4*len(idx))
	defer buf.Release()
	of, index := arrow.GetData[uint32](buf.Bytes()), a.Data()
	if a.Data().DataType().(*arrow.DictionaryType).IndexType.ID() == arrow.UINT8 {
		pickCodes(of, arrow.GetValues[uint8](index, 1), idx)
	} else {
		pickCodes(of, arrow.GetValues[uint16](index, 1), idx)
	}
	entries := codes.EntriesOf(a)
	if err := g.entries(of, entries); err != nil {
		return nil, err
	}
	d := codes.Attach(a.DataType().(*arrow.DictionaryType).ValueType, len(idx), g.bufs, g.nulls, buf, entries)
	defer d.Release()
	return array.MakeFromData(d), nil
}

func pickCodes[T uint8 | uint16](dst []uint32, src []T, idx []int32) {
	dst = dst[:len(idx)]
	for i, r := range idx {
		dst[i] = uint32(src[r])
	}
}

// entries appends the offsets and bytes of the entries of; there are none under a null.
func (g *gather) entries(of []uint32, e *codes.Entries) error {
	off, data := e.Text()
	var valid []byte
	if g.nulls > 0 {
		valid = g.bufs[0].Bytes()
	}
	ends := arrow.GetData[int32](g.alloc(4 * (len(of) + 1)))
	ends[0] = 0
	at := 0
	for i, c := range of {
		if valid == nil || valid[i>>3]>>(i&7)&1 != 0 {
			if at += int(off[c+1] - off[c]); at > math.MaxInt32 {
				return errHuge
			}
		}
		ends[i+1] = int32(at)
	}
	dst := g.alloc(at)
	for i, c := range of {
		at, n, f := int(ends[i]), int(ends[i+1]-ends[i]), int(off[c])
		if n <= 16 && f+16 <= len(data) && at+16 <= len(dst) { // what is too much the next texts overwrite
			s, d := data[f:f+16:f+16], dst[at:at+16:at+16]
			binary.LittleEndian.PutUint64(d, binary.LittleEndian.Uint64(s))
			binary.LittleEndian.PutUint64(d[8:], binary.LittleEndian.Uint64(s[8:]))
		} else {
			copy(dst[at:at+n], data[f:])
		}
	}
	return nil
}
