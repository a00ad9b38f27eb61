package lines

import (
	"bytes"
	"context"
	"fmt"
	"hash/crc32"
	"io"
	"runtime"

	"golang.org/x/sync/errgroup"

	"github.com/sluice-data/sluice/internal/compress"
	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/sinks/files"
)

// verifyBytes is about how many bytes are read back at once.
const verifyBytes = 4 << 20

// file is a file in the making: the places of its members, with the rows they hold.
type file struct {
	w     *Writer
	parts []stretch
	begun bool
}

// stretch is one member of a file, or some.
type stretch struct {
	size, rows int64
	sum        uint32 // CRC-32C
}

// Room is endless.
func (*file) Room(int) bool { return true }

// Tail is nothing.
func (*file) Tail() int64 { return 0 }

func (f *file) Memory() int64 { return int64(cap(f.parts)) * 24 }

func (f *file) begin(w io.Writer) error {
	if f.begun || len(f.w.format.Head) == 0 {
		return nil
	}
	return f.head(w)
}

func (f *file) head(w io.Writer) error {
	f.begun = true
	return f.add(w, f.w.head, 0)
}

// add writes a member and notes it. Small ones are read back together.
func (f *file) add(w io.Writer, data []byte, rows int64) error {
	size := int64(len(data))
	if n := len(f.parts); n == 0 || f.parts[n-1].size+size > verifyBytes {
		f.parts = append(f.parts, stretch{})
	}
	p := &f.parts[len(f.parts)-1]
	p.size, p.rows, p.sum = p.size+size, p.rows+rows, crc32.Update(p.sum, castagnoli, data)
	_, err := w.Write(data)
	return err
}

func (f *file) Append(w io.Writer, b files.Block) error {
	if err := f.begin(w); err != nil {
		return err
	}
	data := b.(*block)
	return f.add(w, data.data, data.rows)
}

// Finish makes a whole stream, be it of nothing, of a file without rows.
func (f *file) Finish(w io.Writer) error {
	if len(f.parts) > 0 {
		return nil
	}
	return f.head(w)
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Verify reads all of the file back, decompresses it and counts its lines, some stretches side by side.
func (f *file) Verify(ctx context.Context, r files.Reader) (int64, error) {
	var g errgroup.Group
	g.SetLimit(min(4, runtime.GOMAXPROCS(0)))
	off, sum := int64(0), int64(0)
	for i, p := range f.parts {
		at, head := off, i == 0 && len(f.w.format.Head) > 0
		off += p.size
		sum += p.rows
		if p.size == 0 {
			continue
		}
		g.Go(func() error {
			return fail.Guard("read back", func() error {
				data, err := r.ReadRange(ctx, at, p.size)
				if err != nil {
					return err
				}
				if crc32.Checksum(data, castagnoli) != p.sum {
					return fmt.Errorf("the %d bytes at %d are not those that were written", p.size, at)
				}
				rows, err := f.w.count(data)
				if head {
					rows--
				}
				switch {
				case err != nil:
					return fmt.Errorf("the %d bytes at %d: %s", p.size, at, err.Error()) // whatever kind it is to who reads inputs
				case rows != p.rows:
					return fmt.Errorf("the %d bytes at %d have %d rows, %d were written", p.size, at, rows, p.rows)
				}
				return nil
			})
		})
	}
	if err := g.Wait(); err != nil {
		return 0, err
	}
	if off != r.Size() {
		return 0, fmt.Errorf("the file has %d bytes, %d were written", r.Size(), off)
	}
	return sum, nil
}

// count is the number of lines in whole members.
func (w *Writer) count(data []byte) (int64, error) {
	rc, err := compress.NewReader(w.codec.name, bytes.NewReader(data), compress.Options{})
	if err != nil {
		return 0, err
	}
	defer rc.Close()
	buf := make([]byte, 64<<10)
	rows, inside, last := int64(0), false, byte('\n')
	for {
		n, err := rc.Read(buf)
		if n > 0 {
			last = buf[n-1]
		}
		rows += w.lineEnds(buf[:n], &inside)
		if err == io.EOF {
			break
		}
		if err != nil {
			return 0, err
		}
	}
	if inside || last != '\n' {
		return 0, fmt.Errorf("the last line has no end")
	}
	return rows, nil
}

// lineEnds counts those that are not between quotes.
func (w *Writer) lineEnds(b []byte, inside *bool) (n int64) {
	quote := w.format.Quote
	for quote != 0 {
		q := bytes.IndexByte(b, quote)
		if q < 0 {
			break
		}
		if !*inside {
			n += int64(bytes.Count(b[:q], []byte{'\n'}))
		}
		*inside = !*inside
		b = b[q+1:]
	}
	if !*inside {
		n += int64(bytes.Count(b, []byte{'\n'}))
	}
	return n
}
