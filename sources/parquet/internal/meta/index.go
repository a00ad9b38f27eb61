package meta

import "errors"

// PageLocation is where a data page is. Source: parquet.thrift, PageLocation.
type PageLocation struct {
	Off   int64 // of its header
	Size  int32 // header and data
	First int64 // number of its first row in the row group
}

// ParseOffsetIndex decodes an offset index; nil if it is damaged.
func ParseOffsetIndex(b []byte) []PageLocation {
	c := &cursor{b: b}
	var pages []PageLocation
	c.each(func(id int16, typ byte) bool {
		if id != 1 || typ != tList {
			return false
		}
		n, elem := c.list()
		if elem != tStruct && n > 0 {
			c.fail(errors.New("page locations are not a list of structs"))
		}
		for ; n > 0 && c.err == nil; n-- {
			p := PageLocation{Off: None, Size: None, First: None}
			c.each(func(id int16, typ byte) bool {
				switch {
				case id == 1 && typ == tI64:
					p.Off = c.i64()
				case id == 2 && typ == tI32:
					p.Size = c.i32()
				case id == 3 && typ == tI64:
					p.First = c.i64()
				default:
					return false
				}
				return true
			})
			pages = append(pages, p)
		}
		return true
	})
	if c.err != nil {
		return nil
	}
	return pages
}

// ColumnIndex is what a column chunk says of the values of each of its pages. Its lists are as long as the file makes them.
type ColumnIndex struct {
	NullPages []bool // nothing but nulls; its bounds mean nothing
	Min, Max  [][]byte
	Nulls     []int64 // nil if absent
}

// ParseColumnIndex decodes a column index. Its bounds alias b.
func ParseColumnIndex(b []byte) (*ColumnIndex, error) {
	c := &cursor{b: b}
	x := &ColumnIndex{}
	c.each(func(id int16, typ byte) bool {
		if typ != tList || id == 4 || id > 5 {
			return false
		}
		n, elem := c.list()
		want := map[int16]byte{1: tTrue, 2: tBinary, 3: tBinary, 5: tI64}[id]
		if n > 0 && elem != want && !(id == 1 && elem == tFalse) {
			c.fail(errors.New("column index has a list of another type"))
		}
		for ; n > 0 && c.err == nil; n-- {
			switch id {
			case 1:
				x.NullPages = append(x.NullPages, c.u8() == tTrue)
			case 2:
				x.Min = append(x.Min, c.binary())
			case 3:
				x.Max = append(x.Max, c.binary())
			case 5:
				x.Nulls = append(x.Nulls, c.i64())
			}
		}
		return true
	})
	return x, c.err
}
