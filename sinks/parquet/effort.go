package parquet

import (
	"encoding/binary"

	"github.com/klauspost/compress/zstd"
	"github.com/parquet-go/parquet-go/format"

	"github.com/sluice-data/sluice/sinks/parquet/zstdpage"
)

// effort is what is done to the pages of a chunk under zstd, cheapest first. Frames of all of them are zstd to a reader.
type effort uint8

const (
	effortStored  effort = iota // zstdpage.Stored
	effortMatched               // zstdpage.Matched
	effortCoded                 // zstdpage.Coded
	effortQuick                 // a search for matches, at its fastest
	effortAsked                 // the level asked for
)

// searches says whether the effort finds what a page has in common with itself further away.
func (e effort) searches() bool { return e >= effortQuick }

// layout says where the values of a page begin and how many bytes each has; stride is 0 if they have no common width.
type layout struct {
	head, stride int
	lists        bool // they are those of lists
	indices      bool // they are indices of a dictionary
}

const (
	// A sample of so many bytes tells the efforts apart. It is less where it would cost as much as it saves, and there is
	// none of less than leastSample.
	sampleBytes = 16 << 10
	leastSample = 4 << 10
	// So many bytes are compressed where what recurs is further away than a sample is long; and so many of lists.
	wideSample = 160 << 10
	listSample = 512 << 10
	// So many places of the pages are remembered when it is found out whether anything does.
	places = 1 << 15
	// codeTable is about how long a table of codes is.
	codeTable = 64
	// smallDict is the size up to which a dictionary page is not worth a sample.
	smallDict = 64 << 10
	// smallChunk is the size up to which all of a chunk, or of a dictionary page, is tried: of the row groups of a thousand columns.
	smallChunk = 32 << 10
)

// choose settles the effort for pages, which stand one behind the other, by a sample of the values of page [from, to). It
// depends on these alone.
//
// A search for matches is tried at its fastest, and at the level asked for only where that finds some. Then the cheapest
// effort is taken that comes as near to the search as c.slack says; codes for bytes also where they save an eighth. Where a
// search finds nothing in the sample, more is searched at the fastest: those of lists, whose pages are long, and values
// whose end is in what is before it.
func (c *compressor) choose(pages []byte, from, to int, l layout) effort {
	if c.codec != format.Zstd {
		return effortAsked
	}
	from += min(l.head, to-from)
	sample := pages[from:to]
	if l.stride > 0 && len(sample) >= 256 && len(pages) <= smallChunk && c.slack <= 24 {
		return c.weigh(sample, l.stride)
	}
	if len(sample) < leastSample {
		return effortQuick
	}
	sample = sample[:min(len(sample), max(leastSample, min(sampleBytes, len(pages)/8)))]
	cheap, plain, coded := effortStored, len(sample), 0
	if l.stride > 0 {
		var matched int
		if matched, coded = c.pages.Sizes(sample, l.stride); matched < plain-plain/16 {
			cheap, plain = effortMatched, matched
		}
	} else {
		coded = zstdpage.Entropy(sample)
	}
	how := c.settle(sample, cheap, plain, coded)
	if !how.searches() && (l.lists || !l.indices && c.recurs(pages, min(len(sample), sampleBytes/2))) {
		n := wideSample
		if l.lists {
			n = listSample
		}
		wide := pages[max(0, len(pages)-n):]
		if quick := c.quickly(wide); int64(quick)*int64(len(sample)) < int64(min(plain, coded))*int64(len(wide))*3/4 {
			how = effortQuick
			if asked := len(c.search(c.asked, wide)); quick > asked+asked/c.slack {
				how = effortAsked
			}
		}
	}
	return how
}

// weigh takes the effort that makes the fewest bytes of all values, the cheaper one where they are nearly as few.
func (c *compressor) weigh(values []byte, stride int) effort {
	how, least := effortStored, len(values)
	matched, coded := c.pages.Sizes(values, stride)
	if matched < least-least/64 {
		how, least = effortMatched, matched
	}
	if coded += codeTable; coded < least-least/64 {
		how, least = effortCoded, coded
	}
	if quick := c.quickly(values); quick < least-least/64 {
		how = effortQuick
	}
	return how
}

// settle says which effort suits what is like sample, which takes plain bytes with the effort cheap and coded bytes with
// effortCoded.
func (c *compressor) settle(sample []byte, cheap effort, plain, coded int) effort {
	quick := c.quickly(sample)
	best := quick // the measure: what the level asked for makes of it, unless the fastest one does far better
	found := quick < min(plain, coded)-min(plain, coded)/32
	// Where codes save something of what is left, that is not noise: the level may find what its fastest way does not.
	found = found || cheap == effortMatched && coded < plain-plain/16 && coded >= plain-plain/8
	if found && c.asked != c.quick {
		best = min(len(c.search(c.asked, sample)), quick+quick/2)
	}
	most := best + best/c.slack
	switch {
	case coded < plain-plain/8 && coded <= most:
		return effortCoded
	case plain <= most:
		return cheap
	case coded <= most:
		return effortCoded
	case quick <= most:
		return effortQuick
	}
	return effortAsked
}

// search is b as a frame of z, good until the next call.
func (c *compressor) search(z *zstd.Encoder, b []byte) []byte {
	c.out = z.EncodeAll(b, c.out[:0])
	return c.out
}

// quickly is how long b is with effortQuick.
func (c *compressor) quickly(b []byte) int { return len(c.search(c.quick, b)) }

// recurs says whether five eighths of the last n bytes, in pieces of eight, are further back, too: often, for it knows one place
// there in eight, or fewer where there are many. Half is too few: numbers behind a length of four bytes share that and their
// first digits.
func (c *compressor) recurs(b []byte, n int) bool {
	const log = 15
	b = b[max(0, len(b)-longPageBytes):]
	sample := len(b) - n
	if sample < n {
		return false
	}
	if c.seen == nil {
		c.seen = make([]uint32, 1<<log)
	}
	clear(c.seen)
	step := max(8, sample/places)
	for i := 0; i+8 <= sample; i += step {
		x := binary.LittleEndian.Uint64(b[i:])
		c.seen[x*0x9E3779B97F4A7C15>>(64-log)] = uint32(i + 1)
	}
	found := 0
	for i := sample; i+8 <= len(b); i++ {
		x := binary.LittleEndian.Uint64(b[i:])
		if at := c.seen[x*0x9E3779B97F4A7C15>>(64-log)]; at > 0 && binary.LittleEndian.Uint64(b[at-1:]) == x {
			found += 8
			i += 7
		}
	}
	return found >= n*5/8
}
