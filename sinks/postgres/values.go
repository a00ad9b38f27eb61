package postgres

import (
	"fmt"
	"math"
	"math/big"
	"slices"
	"strconv"
	"strings"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"

	"github.com/sluice-data/sluice/internal/pg"
	"github.com/sluice-data/sluice/internal/schema"
	"github.com/sluice-data/sluice/sinks"
)

// OIDs of the table's types that rows fit (src/include/catalog/pg_type.dat).
const (
	oidInt8, oidInt2, oidInt4, oidText, oidJSON, oidFloat4, oidFloat8 = 20, 21, 23, 25, 114, 700, 701
	oidBpchar, oidVarchar, oidNumeric, oidUUID, oidJSONB              = 1042, 1043, 1700, 2950, 3802
	oidTime, oidTimestamp, oidTimestamptz, oidDate                    = 1083, 1114, 1184, 1082
)

// fitColumn finds how the rows' column i goes into c: no value is to be changed on the way. It says what is wrong, or "".
func (t *target) fitColumn(f *fit, i int, c column) string {
	field, from := t.field(i), t.natural[i]
	because := fmt.Sprintf("column %s of %s is %s", c.name, t.title(), c.typ)
	demand := func(check func(a arrow.Array, refuse func(int, string))) {
		f.constraints = append(f.constraints, sinks.Constraint{Column: field.Name, Because: because, Check: check})
	}
	noNUL := func() { f.constraints = append(f.constraints, sinks.NoNUL(field.Name, because)) }
	days := func() { // "Date/Time Types" of PostgreSQL's manual: from 4714 BC to 5874898 AD; our timestamps end before theirs do
		f.constraints = append(f.constraints, sinks.Days(field.Name, -2440588, 2145042906, because))
	}
	if (c.notNull || slices.Contains(t.keys, field.Name)) && field.Nullable {
		f.constraints = append(f.constraints, sinks.NotNull(field.Name, because+" NOT NULL"))
	}
	if from.JSON {
		switch c.oid {
		case oidText:
			f.stage[i] = pg.Text
		case oidJSONB:
			f.stage[i] = pg.JSONB
		default:
			f.stage[i] = pg.JSON
		}
	}
	if f.stage[i].OID != c.oid {
		f.direct = false
	}
	no := fmt.Sprintf("column %q is %s in the rows, which does not go into %s unchanged: cast it to that", c.name, schema.TypeName(field), c.typ)
	switch id := field.Type.ID(); {
	case from.JSON:
		switch c.oid {
		case oidJSONB:
			demand(t.jsonCheck(field))
		case oidJSON, oidText:
			noNUL()
		default:
			return no
		}
	case id == arrow.STRING:
		noNUL()
		switch c.oid {
		case oidText:
		case oidVarchar, oidBpchar:
			if c.mod > 4 {
				f.constraints = append(f.constraints, sinks.MaxChars(field.Name, int(c.mod-4), because))
			}
			if c.oid == oidBpchar {
				f.constraints = append(f.constraints, sinks.NoTail(field.Name, "would be lost", because))
			}
		case oidUUID:
			f.casts[i] = "::uuid"
			demand(isUUID)
		default:
			return no
		}
	case isInteger(id):
		switch c.oid {
		case oidInt2, oidInt4, oidInt8:
			bits := map[uint32]uint{oidInt2: 16, oidInt4: 32, oidInt8: 64}[c.oid]
			least, most := ends(bits)
			if lo, hi := rangeOf(id); lo < float64(least) || hi > float64(most) {
				demand(inRange(least, most))
			}
		case oidNumeric:
			if c.mod >= 0 {
				p, s := numericMod(c.mod)
				if s < 0 {
					return no // it rounds
				}
				demand(belowPower(p-s, 0))
			}
		default:
			return no
		}
	case id == arrow.DECIMAL128:
		scale := field.Type.(*arrow.Decimal128Type).Scale
		p, s := int32(0), int32(0)
		switch c.oid {
		case oidNumeric:
			if c.mod < 0 {
				break
			}
			if p, s = numericMod(c.mod); s < scale {
				return no
			}
			if field.Type.(*arrow.Decimal128Type).Precision-scale > p-s {
				demand(belowPower(p-s, scale))
			}
		case oidInt8, oidInt4, oidInt2:
			if scale != 0 {
				return no
			}
			bits := map[uint32]uint{oidInt2: 16, oidInt4: 32, oidInt8: 64}[c.oid]
			demand(inRange(ends(bits)))
		default:
			return no
		}
	case id == arrow.FLOAT32 && c.oid == oidFloat8:
	case id == arrow.DATE32 && c.oid == oidDate:
		days()
	case id == arrow.TIMESTAMP && from.OID == c.oid:
		days()
		if c.mod >= 0 && c.mod < 6 {
			demand(wholeMicros(int(c.mod)))
		}
	case id == arrow.TIME64 && c.oid == oidTime:
		if c.mod >= 0 && c.mod < 6 {
			demand(wholeMicros(int(c.mod)))
		}
	case id == arrow.LIST && from.OID == c.oid:
		noNUL()
		days()
		if c.mod >= 0 && field.Type.(*arrow.ListType).Elem().ID() == arrow.DECIMAL128 {
			d := field.Type.(*arrow.ListType).Elem().(*arrow.Decimal128Type)
			if p, s := numericMod(c.mod); s < d.Scale || p-s < d.Precision-d.Scale {
				return no
			}
		}
	case from.OID != c.oid:
		return no
	}
	return ""
}

// numericMod is precision and scale of numeric's typmod.
func numericMod(mod int32) (p, s int32) {
	mod -= 4
	s = mod & 0x7ff
	return mod >> 16 & 0xffff, s ^ 1024 - 1024 // signed, 11 bits
}

// ends are the least and the most of an integer of so many bits.
func ends(bits uint) (least, most int64) {
	return math.MinInt64 >> (64 - bits), math.MaxInt64 >> (64 - bits)
}

func isInteger(id arrow.Type) bool { return id >= arrow.UINT8 && id <= arrow.INT64 }

// rangeOf are the ends of an integer type, as floats: enough to compare them.
func rangeOf(id arrow.Type) (lo, hi float64) {
	bits := map[arrow.Type]float64{arrow.INT8: 8, arrow.UINT8: 8, arrow.INT16: 16, arrow.UINT16: 16, arrow.INT32: 32, arrow.UINT32: 32, arrow.INT64: 64, arrow.UINT64: 64}[id]
	switch id {
	case arrow.UINT8, arrow.UINT16, arrow.UINT32, arrow.UINT64:
		return 0, math.Exp2(bits) - 1
	}
	return -math.Exp2(bits - 1), math.Exp2(bits-1) - 1
}

// each calls f with every value of an integer or decimal array, unscaled, that is not null.
func each(a arrow.Array, f func(i int, v *big.Int)) {
	for i := range a.Len() {
		if a.IsNull(i) {
			continue
		}
		switch a := a.(type) {
		case *array.Decimal128:
			f(i, a.Value(i).BigInt())
		case *array.Uint64:
			f(i, new(big.Int).SetUint64(a.Value(i)))
		default:
			v, err := strconv.ParseInt(a.ValueStr(i), 10, 64)
			if err == nil {
				f(i, big.NewInt(v))
			}
		}
	}
}

type check = func(a arrow.Array, refuse func(int, string))

func inRange(lo, hi int64) check {
	l, h := big.NewInt(lo), big.NewInt(hi)
	return func(a arrow.Array, refuse func(int, string)) {
		each(a, func(i int, v *big.Int) {
			if v.Cmp(l) < 0 || v.Cmp(h) > 0 {
				refuse(i, "out of range")
			}
		})
	}
}

// belowPower demands fewer than digits digits before the point, of values with scale digits behind it.
func belowPower(digits, scale int32) check {
	bound := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(max(0, digits+scale))), nil)
	return func(a arrow.Array, refuse func(int, string)) {
		each(a, func(i int, v *big.Int) {
			if v.CmpAbs(bound) >= 0 {
				refuse(i, fmt.Sprintf("it has more than %d digits before the point", digits))
			}
		})
	}
}

func isUUID(a arrow.Array, refuse func(int, string)) {
	s, ok := a.(*array.String)
	for i := range a.Len() {
		if !ok || s.IsNull(i) {
			continue
		}
		v := s.Value(i)
		sound := len(v) == 36
		for k := 0; k < len(v) && sound; k++ {
			if k == 8 || k == 13 || k == 18 || k == 23 {
				sound = v[k] == '-'
			} else {
				sound = strings.IndexByte("0123456789abcdefABCDEF", v[k]) >= 0
			}
		}
		if !sound {
			refuse(i, "not a UUID")
		}
	}
}

// wholeMicros demands no more than digits digits of a second's fraction.
func wholeMicros(digits int) check {
	unit := int64(math.Pow10(6 - digits))
	return func(a arrow.Array, refuse func(int, string)) {
		for i := range a.Len() {
			var v int64
			switch a := a.(type) {
			case *array.Timestamp:
				v = int64(a.Value(i))
			case *array.Time64:
				v = int64(a.Value(i))
			}
			if a.IsValid(i) && v%unit != 0 {
				refuse(i, fmt.Sprintf("its fraction of a second has more than %d digits", digits))
			}
		}
	}
}
