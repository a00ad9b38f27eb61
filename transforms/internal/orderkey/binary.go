package orderkey

import (
	"encoding/binary"
	"errors"
	"math"

	"github.com/apache/arrow/go/v17/arrow"

	"github.com/sluice-data/sluice/transforms/internal/col"
)

var errHugeKeys = errors.New("order rows: more than 2 GiB of keys in one batch")

// Binary is the keys, each with the number of its row behind it, as a column of values that compare by their bytes: the words big-endian,
// the tail, and the number big-endian with its sign flipped.
func (k *Keys) Binary(rows []int64) (arrow.Array, error) {
	words := 0
	if len(k.W0) > 0 {
		words++
	}
	if len(k.W1) > 0 {
		words++
	}
	off := make([]int32, k.N+1)
	total := k.N*8*(words+1) + len(k.Bytes)
	if total > math.MaxInt32 {
		return nil, errHugeKeys
	}
	out := make([]byte, 0, total)
	for i := range k.N {
		if words > 0 {
			out = binary.BigEndian.AppendUint64(out, k.W0[i])
		}
		if words > 1 {
			out = binary.BigEndian.AppendUint64(out, k.W1[i])
		}
		if len(k.Ends) > 0 {
			out = append(out, k.Tail(i)...)
		}
		out = binary.BigEndian.AppendUint64(out, uint64(rows[i])^1<<63)
		off[i+1] = int32(len(out))
	}
	return col.NewVar(arrow.BinaryTypes.Binary, off, out, nil), nil
}
