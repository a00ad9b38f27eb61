package parquet

import (
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
	// shortest is the size below which a search is cheaper than to see whether it is in vain.
	shortest = 256
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
	page := pages[from:to]
	sample := page[min(l.head, len(page)):]
	few := len(sample) < leastSample
	if few && (len(sample) < shortest || c.slack > 24) {
		return effortQuick
	}
	if c.slack <= 24 && (few || len(pages) <= smallChunk && (l.stride > 0 || l.indices)) {
		return c.weigh(page, sample, l.stride)
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

// weigh takes the effort that makes the fewest bytes of a page whose values are given, or nearly so few.
func (c *compressor) weigh(page, values []byte, stride int) effort {
	how, least, coded := effortStored, len(values), 0
	if stride > len(values)/8 {
		stride = 0 // too few to compare
	}
	if stride > 0 {
		n := max(leastSample, len(values)/4)
		n = min(len(values), n-n%stride)
		matched := 0
		matched, coded = c.pages.Sizes(values[:n], stride)
		matched, coded = matched*len(values)/n, coded*len(values)/n
		if matched < least-least/64 {
			how, least = effortMatched, matched
		}
	} else {
		coded = zstdpage.Entropy(values)
	}
	if coded += codeTable; coded < least-least/64 {
		how, least = effortCoded, coded
	}
	if c.worthSearch(values, stride) && c.keep(page) < least-least/64 {
		return effortQuick
	}
	return how
}

// keep is how long b is with effortQuick. The frame is kept for when it is asked for, until forget.
func (c *compressor) keep(b []byte) int {
	c.kept, c.keptOf = c.quick.EncodeAll(b, c.kept[:0]), b
	return len(c.kept)
}

// forget is called when pages that were weighed may change.
func (c *compressor) forget() { c.keptOf = nil }

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
