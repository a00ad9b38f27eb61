package sources

import (
	"bytes"
	"context"
	"io"

	"github.com/sluice-data/sluice/internal/fail"
)

const (
	// spreadFrom is the size of an object from which on a look at more than its head costs little beside reading it.
	spreadFrom  = 64 << 20
	spreadParts = 8
	spreadBytes = 128 << 10
)

// Piece is a part of an input's text that starts and ends anywhere.
type Piece struct {
	Offset int64
	Text   []byte
}

// Spread reads pieces of in that lie evenly spread behind its head, the last of them at its very end, so that a guess made from the head alone
// is not found wrong when most of the object is read. head are the first bytes of the text: where the object does not start with them, it
// is compressed or of another encoding, and cannot be read from the middle. Then, and for an object that is not large, there are no pieces.
// Errors are those of in.ReadRange.
func Spread(ctx context.Context, in Input, head []byte) ([]Piece, error) {
	if in.ReadRange == nil || in.Info.Size < spreadFrom {
		return nil, nil
	}
	head = head[:min(len(head), 64)]
	start, err := readPiece(ctx, in, 0, len(head))
	if err != nil || !bytes.Equal(start, head) {
		return nil, err
	}
	pieces := make([]Piece, spreadParts)
	for i := range pieces {
		end := in.Info.Size / spreadParts * int64(i+1)
		if i == spreadParts-1 {
			end = in.Info.Size
		}
		pieces[i].Offset = end - spreadBytes
		if pieces[i].Text, err = readPiece(ctx, in, pieces[i].Offset, spreadBytes); err != nil {
			return nil, err
		}
	}
	return pieces, nil
}

func readPiece(ctx context.Context, in Input, off int64, n int) ([]byte, error) {
	r, err := in.ReadRange(ctx, off, int64(n))
	if err != nil {
		return nil, err
	}
	defer r.Close()
	b := make([]byte, n)
	switch _, err := io.ReadFull(r, b); err {
	case nil:
		return b, nil
	case io.EOF, io.ErrUnexpectedEOF:
		return nil, fail.Newf(fail.Temporary, "read input: it ends before byte %d of %d", off+int64(n), in.Info.Size).In(in.URI)
	default:
		return nil, err
	}
}
