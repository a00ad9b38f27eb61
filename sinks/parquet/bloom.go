package parquet

import (
	"math/bits"
	"slices"

	"github.com/parquet-go/parquet-go/bloom"
	"github.com/parquet-go/parquet-go/format"

	"github.com/sluice-data/sluice/internal/fail"
)

// bloomBits is how many bits a value has in a filter at least: one look in a hundred, or fewer, finds what is not there (BloomFilter.md of
// the Parquet format, "Sizing an SBBF").
const bloomBits = 11

// filter appends the split-block Bloom filter of the loaded column, of k dictionary entries, or of all its values where there are none.
func (e *encoder) filter(dst []byte, k int) ([]byte, error) {
	c := &e.col
	v := c.values
	n := c.count()
	if k > 0 {
		v, n = values{w32: e.dict.w32, w64: e.dict.w64, off: e.dict.off, data: e.dict.data}, k
	}
	e.hashes = slices.Grow(e.hashes[:0], n)[:n]
	switch c.leaf.kind {
	case kind32:
		bloom.XXH64{}.MultiSum64Uint32(e.hashes, v.w32[:n])
	case kind64:
		bloom.XXH64{}.MultiSum64Uint64(e.hashes, v.w64[:n])
	default:
		for i := range n {
			e.hashes[i] = bloom.XXH64{}.Sum64(v.data[v.off[i]:v.off[i+1]])
		}
	}
	// Some readers want a power of two.
	blocks := max(1, bloom.NumSplitBlocksOf(int64(n), bloomBits))
	blocks = 1 << bits.Len(uint(blocks-1))
	f := make(bloom.SplitBlockFilter, blocks)
	f.InsertBulk(e.hashes)
	h := format.BloomFilterHeader{NumBytes: int32(len(f.Bytes()))}
	h.Algorithm.Value, h.Hash.Value, h.Compression.Value = &format.SplitBlockAlgorithm{}, &format.XxHash{}, &format.BloomFilterUncompressed{}
	e.header.Reset()
	if err := e.thrift.Encode(&h); err != nil {
		return nil, fail.Newf(fail.Internal, "encode bloom filter: %w", err)
	}
	return append(append(dst, e.header.Bytes()...), f.Bytes()...), nil
}

// withFilters marks the leaves of the columns that have a filter.
func withFilters(leaves []leaf, columns []string) error {
	for _, name := range columns {
		found := false
		for i := range leaves {
			l := &leaves[i]
			if len(l.path) != 1 || l.path[0] != name {
				continue
			}
			found = true
			switch l.order {
			case orderBool:
				return fail.Newf(fail.Usage, "a bloom filter of two values says nothing").Of(name, "")
			case orderFloat16, orderFloat32, orderFloat64:
				return fail.Newf(fail.Usage, "a float has no bloom filter: 0 and -0 are equal, and have other bits").Of(name, "")
			}
			l.filter = true
		}
		if !found {
			return fail.Newf(fail.Usage, "bloom_filter names %q, which is no column of the files, or one of lists or structs", name)
		}
	}
	return nil
}
