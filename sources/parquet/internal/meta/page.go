package meta

import (
	"errors"
	"fmt"

	"github.com/parquet-go/parquet-go/format"
)

// Page is a page header.
type Page struct {
	Type         format.PageType
	Compressed   int // bytes that follow the header in the file
	Uncompressed int
	CRC          uint32
	HasCRC       bool
	NumValues    int // levels, that is with nulls; of a dictionary its entries
	Encoding     format.Encoding
	DefEncoding  format.Encoding // data page v1
	RepEncoding  format.Encoding
	NumNulls     int // data page v2
	NumRows      int
	DefBytes     int
	RepBytes     int
	IsCompressed bool
}

// ParsePage decodes the page header at the start of b and returns its length. The error wraps ErrShort if b is too short.
func ParsePage(b []byte) (Page, int, error) {
	c := &cursor{b: b}
	p := Page{Type: None, Compressed: None, Uncompressed: None, NumValues: None, IsCompressed: true}
	body := format.PageType(None)
	c.each(func(id int16, typ byte) bool {
		switch {
		case id == 1 && typ == tI32:
			p.Type = format.PageType(c.i32())
		case id == 2 && typ == tI32:
			p.Uncompressed = int(c.i32())
		case id == 3 && typ == tI32:
			p.Compressed = int(c.i32())
		case id == 4 && typ == tI32:
			p.CRC, p.HasCRC = uint32(c.i32()), true
		case id == 5 && typ == tStruct:
			body = format.DataPage
			c.each(p.dataPage(c))
		case id == 7 && typ == tStruct:
			body = format.DictionaryPage
			c.each(p.dictPage(c))
		case id == 8 && typ == tStruct:
			body = format.DataPageV2
			c.each(p.dataPageV2(c))
		default:
			return false
		}
		return true
	})
	switch {
	case c.err != nil:
		return p, 0, c.err
	case p.Compressed < 0 || p.Uncompressed < 0:
		return p, 0, fmt.Errorf("page header gives sizes %d and %d", p.Compressed, p.Uncompressed)
	case p.Type < format.DataPage || p.Type > format.DataPageV2:
		return p, 0, fmt.Errorf("page header gives unknown page type %d", p.Type)
	case p.Type == format.IndexPage:
		return p, c.pos, nil
	case p.Type != body:
		return p, 0, errors.New("page header lacks the part for its page type")
	case p.NumValues < 0:
		return p, 0, fmt.Errorf("page header gives %d values", p.NumValues)
	}
	if p.Type == format.DataPageV2 {
		if p.NumNulls < 0 || p.NumNulls > p.NumValues || p.NumRows < 0 || p.NumRows > p.NumValues {
			return p, 0, fmt.Errorf("page header gives %d values, %d nulls, %d rows", p.NumValues, p.NumNulls, p.NumRows)
		}
		if p.DefBytes < 0 || p.RepBytes < 0 || p.DefBytes > p.Compressed || p.RepBytes > p.Compressed-p.DefBytes || p.DefBytes+p.RepBytes > p.Uncompressed {
			return p, 0, fmt.Errorf("page header gives %d and %d bytes of levels in a page of %d", p.RepBytes, p.DefBytes, p.Compressed)
		}
	}
	return p, c.pos, nil
}

func (p *Page) dataPage(c *cursor) func(int16, byte) bool {
	return func(id int16, typ byte) bool {
		if typ != tI32 {
			return false
		}
		switch id {
		case 1:
			p.NumValues = int(c.i32())
		case 2:
			p.Encoding = format.Encoding(c.i32())
		case 3:
			p.DefEncoding = format.Encoding(c.i32())
		case 4:
			p.RepEncoding = format.Encoding(c.i32())
		default:
			return false
		}
		return true
	}
}

func (p *Page) dictPage(c *cursor) func(int16, byte) bool {
	return func(id int16, typ byte) bool {
		if typ != tI32 {
			return false
		}
		switch id {
		case 1:
			p.NumValues = int(c.i32())
		case 2:
			p.Encoding = format.Encoding(c.i32())
		default:
			return false
		}
		return true
	}
}

func (p *Page) dataPageV2(c *cursor) func(int16, byte) bool {
	return func(id int16, typ byte) bool {
		if id == 7 && typ <= tFalse {
			p.IsCompressed = typ == tTrue
			return true
		}
		if typ != tI32 {
			return false
		}
		switch id {
		case 1:
			p.NumValues = int(c.i32())
		case 2:
			p.NumNulls = int(c.i32())
		case 3:
			p.NumRows = int(c.i32())
		case 4:
			p.Encoding = format.Encoding(c.i32())
		case 5:
			p.DefBytes = int(c.i32())
		case 6:
			p.RepBytes = int(c.i32())
		default:
			return false
		}
		return true
	}
}
