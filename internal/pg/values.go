package pg

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"math/bits"
	"strings"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/decimal128"

	"github.com/sluice-data/sluice/internal/schema"
)

// OIDs of the types that are read only.
const oidName, oidBPChar, oidVarchar, oidUUID = 19, 1042, 1043, 2950

// getter appends a value in its binary form (what its type's send function makes) to the builder of its column.
type getter func(b array.Builder, v []byte) error

var errForeign = errors.New("a type of PostgreSQL that there is none for")

// getterOf reads a column's values; the field is what they become. errForeign where nothing does.
func getterOf(name string, oid uint32, mod int32) (getter, arrow.Field, error) {
	f := arrow.Field{Name: name, Nullable: true}
	get := func(t arrow.DataType, g getter) (getter, arrow.Field, error) {
		f.Type = t
		return g, f, nil
	}
	switch oid {
	case oidBool:
		return get(arrow.FixedWidthTypes.Boolean, sized(1, func(b array.Builder, v []byte) error {
			b.(*array.BooleanBuilder).Append(v[0] != 0)
			return nil
		}))
	case oidInt2:
		return get(arrow.PrimitiveTypes.Int16, sized(2, func(b array.Builder, v []byte) error {
			b.(*array.Int16Builder).Append(int16(binary.BigEndian.Uint16(v)))
			return nil
		}))
	case oidInt4:
		return get(arrow.PrimitiveTypes.Int32, sized(4, func(b array.Builder, v []byte) error {
			b.(*array.Int32Builder).Append(int32(binary.BigEndian.Uint32(v)))
			return nil
		}))
	case oidInt8:
		return get(arrow.PrimitiveTypes.Int64, sized(8, func(b array.Builder, v []byte) error {
			b.(*array.Int64Builder).Append(int64(binary.BigEndian.Uint64(v)))
			return nil
		}))
	case oidFloat4:
		return get(arrow.PrimitiveTypes.Float32, sized(4, func(b array.Builder, v []byte) error {
			b.(*array.Float32Builder).Append(math.Float32frombits(binary.BigEndian.Uint32(v)))
			return nil
		}))
	case oidFloat8:
		return get(arrow.PrimitiveTypes.Float64, sized(8, func(b array.Builder, v []byte) error {
			b.(*array.Float64Builder).Append(math.Float64frombits(binary.BigEndian.Uint64(v)))
			return nil
		}))
	case oidNumeric:
		return numericGetter(f, mod)
	case oidText, oidVarchar, oidName:
		return get(arrow.BinaryTypes.String, getText)
	case oidBPChar: // the blanks that fill it up are no part of the value (manual, "Character Types"), and a cast to text leaves them out
		return get(arrow.BinaryTypes.String, func(b array.Builder, v []byte) error {
			return getText(b, []byte(strings.TrimRight(string(v), " ")))
		})
	case oidBytea:
		return get(arrow.BinaryTypes.Binary, func(b array.Builder, v []byte) error {
			b.(*array.BinaryBuilder).Append(v)
			return nil
		})
	case oidDate:
		return get(schema.Date, sized(4, func(b array.Builder, v []byte) error {
			d := int32(binary.BigEndian.Uint32(v))
			if d == math.MinInt32 || d == math.MaxInt32 {
				return infinite("date", name)
			}
			b.(*array.Date32Builder).Append(arrow.Date32(int64(d) + epochDays))
			return nil
		}))
	case oidTime:
		return get(schema.Time, sized(8, func(b array.Builder, v []byte) error {
			t := int64(binary.BigEndian.Uint64(v))
			if t >= 86_400_000_000 {
				return errors.New("24:00:00 is no time of a day here")
			}
			b.(*array.Time64Builder).Append(arrow.Time64(t))
			return nil
		}))
	case oidTimestamp:
		return get(schema.Timestamp, timestampGetter("timestamp", name))
	case oidTimestamptz:
		return get(schema.Timestamptz, timestampGetter("timestamptz", name))
	case oidUUID:
		return get(arrow.BinaryTypes.String, sized(16, func(b array.Builder, v []byte) error {
			h := hex.EncodeToString(v)
			b.(*array.StringBuilder).Append(h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:])
			return nil
		}))
	case oidJSON:
		return getText, schema.JSONField(name), nil
	case oidJSONB:
		return func(b array.Builder, v []byte) error {
			if len(v) == 0 || v[0] != 1 {
				return errors.New("jsonb in a form that is not known")
			}
			return getText(b, v[1:])
		}, schema.JSONField(name), nil
	}
	return nil, f, errForeign
}

func getText(b array.Builder, v []byte) error {
	s, err := utf8Text(v)
	if err != nil {
		return err
	}
	b.(*array.StringBuilder).Append(s)
	return nil
}

// sized holds values to their length before g reads them.
func sized(n int, g getter) getter {
	return func(b array.Builder, v []byte) error {
		if len(v) != n {
			return fmt.Errorf("a value of %d bytes, where there are to be %d", len(v), n)
		}
		return g(b, v)
	}
}

func infinite(typ, name string) error {
	return fmt.Errorf("an infinite %s has no value here: write nullif(%s, 'infinity'), which is null in its place, or what stands for it", typ, Ident(name))
}

func timestampGetter(typ, name string) getter {
	return sized(8, func(b array.Builder, v []byte) error {
		t := int64(binary.BigEndian.Uint64(v))
		switch {
		case t == math.MinInt64 || t == math.MaxInt64:
			return infinite(typ, name)
		case t > math.MaxInt64-epochMicros:
			return fmt.Errorf("%s behind the year 294246, the last one here", typ)
		}
		b.(*array.TimestampBuilder).Append(arrow.Timestamp(t + epochMicros))
		return nil
	})
}

// numericGetter is for numeric(p,s): the modifier is ((p << 16) | s) + 4, with s of 11 bits, signed (numeric.c, make_numeric_typmod).
func numericGetter(f arrow.Field, mod int32) (getter, arrow.Field, error) {
	cast := func(why string) error {
		return fmt.Errorf("%s: write %s::numeric(p,s) AS %s, with p up to 38", why, Ident(f.Name), Ident(f.Name))
	}
	if mod < 4 {
		return nil, f, cast("is numeric without a precision")
	}
	p, s := (mod-4)>>16&0xffff, (mod-4)<<21>>21
	if s < 0 { // numeric(3,-2): thousands of hundreds
		p, s = p-s, 0
	}
	if p = max(p, s); p > 38 {
		return nil, f, cast("is numeric of more than 38 digits")
	}
	t := &arrow.Decimal128Type{Precision: p, Scale: s}
	f.Type = t
	return func(b array.Builder, v []byte) error {
		d, err := numeric(v, t)
		if err != nil {
			return err
		}
		b.(*array.Decimal128Builder).Append(d)
		return nil
	}, f, nil
}

// numeric reads what numeric_send makes (numeric.c): the number of digits to the base of 10,000, the weight of the first one, sign, scale, and the digits.
func numeric(v []byte, t *arrow.Decimal128Type) (decimal128.Num, error) {
	none := decimal128.Num{}
	if len(v) < 8 || len(v) != 8+2*int(binary.BigEndian.Uint16(v)) {
		return none, errors.New("numeric in a form that is not known")
	}
	weight, sign := int(int16(binary.BigEndian.Uint16(v[2:]))), binary.BigEndian.Uint16(v[4:])
	if sign != 0 && sign != 0x4000 {
		return none, fmt.Errorf("NaN and infinities are no decimals: write nullif(…, 'NaN'), or cast to float8")
	}
	misfit := fmt.Errorf("a number that does not fit %s", t)
	var hi, lo uint64
	scaled := func(m, a uint64) bool {
		h, l := bits.Mul64(lo, m)
		over, hm := bits.Mul64(hi, m)
		l, c := bits.Add64(l, a, 0)
		hi, c = bits.Add64(hm, h, c)
		lo = l
		return over == 0 && c == 0 && hi>>63 == 0
	}
	pow := [...]uint64{1, 10, 100, 1000, 10_000}
	at := 4*(weight+1) + int(t.Scale) // places that the digits read so far stand left of
	for v = v[8:]; len(v) > 0; v = v[2:] {
		d := uint64(binary.BigEndian.Uint16(v))
		take := min(max(at, 0), 4) // decimal digits of d that count
		if cut := pow[4-take]; d%cut != 0 || !scaled(pow[take], d/cut) {
			return none, misfit
		}
		at -= 4
	}
	for ; at > 0 && (hi|lo) != 0; at -= min(at, 4) {
		if !scaled(pow[min(at, 4)], 0) {
			return none, misfit
		}
	}
	d := decimal128.New(int64(hi), lo)
	if !d.FitsInPrecision(t.Precision) {
		return none, misfit
	}
	if sign != 0 {
		d = d.Negate()
	}
	return d, nil
}
