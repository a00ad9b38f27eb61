package hive

import (
	"fmt"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/sluice-data/sluice/internal/textval"
)

// Column is n rows of the value v, as ValueAt gave it, in a column of type t. The caller releases it.
func Column(mem memory.Allocator, t arrow.DataType, v Value, n int) (arrow.Array, error) {
	if v.Null {
		return array.MakeArrayOfNull(mem, t, n), nil
	}
	b := array.NewBuilder(mem, t)
	defer b.Release()
	b.Reserve(n)
	put, ok := appender(b, v.Text)
	if !ok {
		return nil, fmt.Errorf("partition value %q is not of type %s", v.Text, t)
	}
	for range n {
		put()
	}
	return b.NewArray(), nil
}

// appender is what appends text, read as a value of b's type; false if it is not one.
func appender(b array.Builder, text string) (put func(), ok bool) {
	var iso textval.Layout
	in := []byte(text)
	switch b := b.(type) {
	case *array.BooleanBuilder:
		v, ok := textval.Bool(in)
		return func() { b.Append(v) }, ok
	case *array.Int8Builder:
		v, ok := textval.Int(in)
		return func() { b.Append(int8(v)) }, ok && int64(int8(v)) == v
	case *array.Int16Builder:
		v, ok := textval.Int(in)
		return func() { b.Append(int16(v)) }, ok && int64(int16(v)) == v
	case *array.Int32Builder:
		v, ok := textval.Int(in)
		return func() { b.Append(int32(v)) }, ok && int64(int32(v)) == v
	case *array.Int64Builder:
		v, ok := textval.Int(in)
		return func() { b.Append(v) }, ok
	case *array.Uint8Builder:
		v, ok := textval.Uint(in)
		return func() { b.Append(uint8(v)) }, ok && uint64(uint8(v)) == v
	case *array.Uint16Builder:
		v, ok := textval.Uint(in)
		return func() { b.Append(uint16(v)) }, ok && uint64(uint16(v)) == v
	case *array.Uint32Builder:
		v, ok := textval.Uint(in)
		return func() { b.Append(uint32(v)) }, ok && uint64(uint32(v)) == v
	case *array.Uint64Builder:
		v, ok := textval.Uint(in)
		return func() { b.Append(v) }, ok
	case *array.StringBuilder:
		return func() { b.Append(text) }, true
	case *array.Date32Builder:
		v, ok := iso.Date(in)
		return func() { b.Append(arrow.Date32(v)) }, ok
	case *array.TimestampBuilder:
		v, ok := iso.Micros(in)
		return func() { b.Append(arrow.Timestamp(v)) }, ok
	case *array.Decimal128Builder:
		t := b.Type().(*arrow.Decimal128Type)
		v, ok := textval.Decimal(in, t.Precision, t.Scale)
		return func() { b.Append(v) }, ok
	}
	return nil, false
}
