package compress

import (
	"compress/bzip2"
	"errors"
	"io"
	"strings"
)

func init() { register(codec{name: "bzip2", magic: bzip2Magic, open: openBzip2}) }

// bzip2Magic looks at the first block's magic too, pi or the square root of pi: "BZh9" alone may well begin a table.
func bzip2Magic(head []byte) bool {
	if len(head) < 5 || string(head[:3]) != "BZh" || head[3] < '1' || head[3] > '9' {
		return false
	}
	block := string(head[4:min(len(head), 10)])
	return strings.HasPrefix("\x31\x41\x59\x26\x53\x59", block) || strings.HasPrefix("\x17\x72\x45\x38\x50\x90", block)
}

// bunzip2 reads bzip2 streams; the standard library goes on with the next one by itself.
type bunzip2 struct{ r io.Reader }

func openBzip2(src *source, _ Options) (io.ReadCloser, error) {
	return bunzip2{bzip2.NewReader(src.Reader)}, nil
}

func (b bunzip2) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	var se bzip2.StructuralError
	if errors.As(err, &se) {
		switch {
		case strings.Contains(string(se), "checksum"):
			err = errChecksum
		case strings.Contains(string(se), "continuation"):
			err = errTrailing
		}
	}
	return n, err
}

func (bunzip2) Close() error { return nil }
