package parquet

import (
	"context"
	"errors"
	"fmt"

	"github.com/sluice-data/sluice/sources/parquet/internal/encoding"
)

const (
	// maxEntries bounds the levels held at once for a nested column.
	maxEntries = 1 << 24
	// levelBlock is how many levels are decoded at a time.
	levelBlock = 4096
	// fewLevels are looked at one by one.
	fewLevels = 64
)

var errBetween = errors.New("row begins in the middle: its first repetition level is not 0")

// startNested begins a batch of a nested column: what was decoded ahead moves to the front.
func (c *columnReader) startNested() {
	c.defs = c.defs[:copy(c.defs, c.defs[c.taken:])]
	c.reps = c.reps[:copy(c.reps, c.reps[c.taken:])]
	c.taken = 0
}

// nested reads the levels and values of up to n more rows into defs and reps [0, taken). With lead it may stop early, at the
// end of a row, to bound memory; rows is what it read.
func (c *columnReader) nested(ctx context.Context, n int, lead bool) (rows int, err error) {
	full := false // the sink has enough: the row is the last
	for {
		if c.taken == len(c.defs) {
			if c.page == 0 {
				if c.left == 0 {
					return rows, nil
				}
				if err := c.nextPage(ctx); err != nil {
					return rows, err
				}
			}
			if err := c.decodeLevels(min(c.page, levelBlock)); err != nil {
				return rows, err
			}
		}
		from, some, done := c.taken, 0, false
		maxDef := c.leaf.maxDef
		at := from
		for ahead := len(c.defs) - at; !full && ahead > 0 && (!lead || len(c.defs) < maxEntries/16); ahead = len(c.defs) - at {
			// even if each of them began a row there would not be too many
			k := min(ahead, n-rows)
			if k < ahead && k < fewLevels {
				break
			}
			if at == 0 && c.reps[0] != 0 {
				return rows, errBetween
			}
			begun, values := encoding.CountLevels(c.defs[at:at+k], c.reps[at:at+k], maxDef)
			rows += begun
			some += values
			at += k
			c.taken = at
		}
		for i := at; i < len(c.defs); i++ {
			if c.reps[i] == 0 {
				if rows == n || full || lead && rows > 0 && i >= maxEntries/16 {
					done = true
					break
				}
				rows++
			} else if i == 0 {
				return rows, errBetween
			}
			if c.defs[i] == maxDef {
				some++
			}
			c.taken++
		}
		got, err := c.values(some, lead && !full)
		if err != nil {
			return rows, err
		}
		if got < some {
			back, err := c.giveBack(from, got)
			if err != nil || back > 0 {
				return rows - back, err
			}
			full = true
		}
		if done {
			return rows, nil
		}
		if c.taken > maxEntries {
			return rows, fmt.Errorf("row with more than %d nested values is too long", maxEntries/16)
		}
	}
}

// giveBack ends the batch with the row in which the sink had enough: of the levels from number from on it took the values of the first got. It
// returns how many rows were given back; none if that row is the last there is.
func (c *columnReader) giveBack(from, got int) (rows int, err error) {
	end, dense, rest := from, 0, 0
	for ; end < c.taken; end++ {
		if dense >= got && c.reps[end] == 0 && end > 0 {
			break
		}
		if c.defs[end] == c.leaf.maxDef {
			if dense >= got {
				rest++
			}
			dense++
		}
	}
	if _, err := c.values(rest, false); err != nil {
		return 0, err
	}
	for _, rep := range c.reps[end:c.taken] {
		if rep == 0 {
			rows++
		}
	}
	c.taken = end
	return rows, nil
}

func (c *columnReader) decodeLevels(n int) error {
	at := len(c.defs)
	c.defs = append(c.defs, make([]uint8, n)...)
	c.reps = append(c.reps, make([]uint8, n)...)
	if err := c.rep.read(c.reps[at:]); err != nil {
		return fmt.Errorf("repetition levels: %w", err)
	}
	if err := c.def.read(c.defs[at:]); err != nil {
		return fmt.Errorf("definition levels: %w", err)
	}
	c.page -= n
	return nil
}
