// Package compress is the registry of decompressors, one file each. A codec is told from the object's first bytes; its stream
// either ends where its format says that it ends, or with an error: a truncated or damaged object never looks complete.
//
// Three formats have places at which a cut cannot be seen, because what is left is a whole stream: the border between two
// members, frames or streams (all codecs), between two chunks (snappy) and between two blocks of the legacy lz4 format.
package compress

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"sort"
	"strings"
	"sync"

	"github.com/sluice-data/sluice/internal/fail"
)

// DefaultMaxWindow bounds the window (zstd) or dictionary (xz) that a stream may ask for, in bytes: the decoder holds that much. 128
// MiB is what the zstd command line accepts without --long.
const DefaultMaxWindow = 128 << 20

// Options of a decompressor.
type Options struct {
	MaxWindow int64 // bytes; 0 = DefaultMaxWindow
}

// codec is a decompressor as it registers itself.
type codec struct {
	name  string
	magic func(head []byte) bool
	// open reads from src, whose buffer it may look into. Read ends with io.EOF only at the end of the last stream.
	open func(src *source, o Options) (io.ReadCloser, error)
}

// Faults that codecs report in one way, so that messages are alike.
var (
	errChecksum = errors.New("checksum does not match: the object is damaged; upload it again")
	errTrailing = errors.New("stream is followed by bytes that are not part of it: the object is damaged or was appended to")
)

// errWindow is a stream that asks for more memory than allowed.
type errWindow struct{ want, most int64 }

func (e errWindow) Error() string {
	if e.want == 0 {
		return fmt.Sprintf("stream needs a window of more than %d MiB of memory: compress it anew with a smaller window", e.most>>20)
	}
	return fmt.Sprintf("stream needs a window of %d MiB of memory, at most %d MiB are allowed: compress it anew with a smaller window", e.want>>20, e.most>>20)
}

var codecs = map[string]codec{}

func register(c codec) {
	if _, dup := codecs[c.name]; dup {
		panic("compress: codec registered twice: " + c.name)
	}
	codecs[c.name] = c
}

// Names are the registered codecs, sorted.
func Names() []string {
	out := make([]string, 0, len(codecs))
	for n := range codecs {
		out = append(out, n)
	}
	sort.Strings(out)
	return out
}

// Detect names the codec whose magic bytes head begins with, "" if there is none. Skippable frames, which zstd and lz4 share, are
// looked through as far as head reaches.
func Detect(head []byte) string {
	skipped := false
	for skippable(head) && len(head) >= 8 {
		n := 8 + int(le32(head[4:]))
		if skipped = true; n >= len(head) {
			break
		}
		head = head[n:]
	}
	for name, c := range codecs { // no two magics begin alike
		if c.magic(head) {
			return name
		}
	}
	if skipped {
		return "zstd"
	}
	return ""
}

func le32(b []byte) uint32 {
	return uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16 | uint32(b[3])<<24
}

// skippable reports a frame of user data (RFC 8878 section 3.1.2; lz4 frame format, "Skippable Frames").
func skippable(b []byte) bool {
	return len(b) >= 4 && b[0]&0xf0 == 0x50 && b[1] == 0x2a && b[2] == 0x4d && b[3] == 0x18
}

func prefix(magic string) func([]byte) bool {
	return func(head []byte) bool { return strings.HasPrefix(string(head[:min(len(head), len(magic))]), magic) }
}

// source is the compressed object: buffered, counted, and aware of whether the decoder asked for more than there is.
type source struct {
	*bufio.Reader
	r       io.Reader
	read    int64
	looking bool  // the bytes asked for now are asked by us
	ended   bool  // r is at its end
	err     error // what r ended with, io.EOF included, once the decoder has asked for more
}

const sourceBuffer = 128 << 10

// sourceBuffers are the buffers of closed sources: many small objects need not one each.
var sourceBuffers = sync.Pool{New: func() any { return bufio.NewReaderSize(nil, sourceBuffer) }}

func newSource(r io.Reader) *source {
	s := &source{r: r, Reader: sourceBuffers.Get().(*bufio.Reader)}
	s.Reader.Reset(sourceReader{s})
	return s
}

// close gives the buffer to the next source. Nobody may read on.
func (s *source) close() {
	s.Reader.Reset(nil)
	sourceBuffers.Put(s.Reader)
	s.Reader = nil
}

// consumed is the number of compressed bytes that the decoder took.
func (s *source) consumed() int64 { return s.read - int64(s.Buffered()) }

type sourceReader struct{ s *source }

func (r sourceReader) Read(p []byte) (int, error) {
	s := r.s
	if s.ended && !s.looking {
		s.err = io.EOF
	}
	if s.err != nil {
		return 0, s.err
	}
	if s.ended {
		return 0, io.EOF
	}
	n, err := s.r.Read(p)
	s.read += int64(n)
	if err == nil || n > 0 && err == io.EOF { // the end is told by a read of its own: then the decoder has asked for more
		return n, nil
	}
	if s.ended = err == io.EOF; !s.ended || !s.looking {
		s.err = err
	}
	return n, err
}

// look is the first n bytes or as many as there are. It does not count as asking for more.
func (s *source) look(n int) ([]byte, error) {
	s.looking = true
	head, err := s.Peek(n)
	if s.looking = false; err == io.EOF {
		err = nil
	}
	return head, err
}

// reader puts codec and place to every fault.
type reader struct {
	name string
	uri  string
	src  *source
	rc   io.ReadCloser
	any  bool   // whether head was filled
	head []byte // what was read to look at and is not handed out yet
	next error  // what follows head
	err  error
}

// headBytes are looked at before the first is handed out, however small the caller's reads: a tar archive shows itself at 262.
const headBytes = 512

// NewReader decompresses r by the named codec ("none" copies). Read's and its own errors are *fail.Error of kind Data that name the codec
// and the byte of the compressed stream, except for errors of r, which pass unchanged. Close frees the decoder; it does not close r.
func NewReader(name string, r io.Reader, o Options) (io.ReadCloser, error) {
	return newReader(name, "", newSource(r), o)
}

func newReader(name, uri string, src *source, o Options) (rc io.ReadCloser, err error) {
	z := &reader{name: name, uri: uri, src: src}
	if name == "none" {
		z.rc = io.NopCloser(src)
		return z, nil
	}
	c, ok := codecs[name]
	if !ok {
		return nil, fail.Newf(fail.Usage, "unknown compression %q: use one of auto, none, %s", name, strings.Join(Names(), ", ")).In(uri)
	}
	if o.MaxWindow <= 0 {
		o.MaxWindow = DefaultMaxWindow
	}
	if _, err := src.Peek(1); err != nil { // no codec's stream is empty, whatever its library thinks
		return nil, z.fault(noEOF(err))
	}
	defer func() {
		if p := recover(); p != nil {
			rc, err = nil, z.fault(fmt.Errorf("decoder gave up: %v", p))
		}
	}()
	if z.rc, err = c.open(src, o); err != nil {
		return nil, z.fault(err)
	}
	return z, nil
}

// Open decompresses the object uri from r and says which codec it found. With name "auto" (or "") the object's first bytes decide; a name that they
// contradict is an Input error, and so is an object that is no table at all: an archive, a PDF, an HTML page.
func Open(name, uri string, r io.Reader) (io.ReadCloser, string, error) {
	return OpenOptions(name, uri, r, Options{})
}

// OpenOptions is Open with bounds of its own.
func OpenOptions(name, uri string, r io.Reader, o Options) (io.ReadCloser, string, error) {
	src := newSource(r)
	head, err := src.look(64)
	if err != nil {
		return nil, "", err
	}
	found := Detect(head)
	switch {
	case name == "auto" || name == "":
		if name = found; name == "" {
			name = "none"
		}
	case name == "none" || name == found:
	default:
		if _, ok := codecs[name]; !ok {
			break // newReader says so
		}
		what := "is not compressed that way"
		if len(head) == 0 {
			what = "is empty"
		} else if found != "" {
			what = "is " + found
		}
		return nil, "", fail.Newf(fail.Input, "compression is declared as %s, but the object %s: use compression: auto", name, what).In(uri)
	}
	rc, err := newReader(name, uri, src, o)
	return rc, name, err
}

func (z *reader) Read(p []byte) (n int, err error) {
	switch {
	case z.err != nil:
		return 0, z.err
	case len(p) == 0:
		return 0, nil
	case !z.any:
		if z.err = z.look(); z.err != nil {
			return 0, z.err
		}
	}
	if len(z.head) > 0 {
		n = copy(p, z.head)
		z.head = z.head[n:]
		return n, nil
	}
	if z.err = z.next; z.err != nil {
		return 0, z.err
	}
	n, z.err = z.decode(p)
	return n, z.err
}

// look fills head and refuses what is certainly no table.
func (z *reader) look() error {
	z.any = true
	head, n := make([]byte, headBytes), 0
	for n < len(head) && z.next == nil {
		var k int
		k, z.next = z.decode(head[n:])
		n += k
	}
	z.head = head[:n]
	if what := Foreign(z.head); what != "" {
		return fail.Newf(fail.Input, "the object is %s, not a table: extract or export it as CSV, JSON Lines or Parquet", what).In(z.uri)
	}
	return nil
}

// decode reads from the codec; its error is io.EOF or a *fail.Error.
func (z *reader) decode(p []byte) (n int, err error) {
	defer func() {
		if r := recover(); r != nil { // a decoder that a damaged stream brings down
			n, err = 0, z.fault(fmt.Errorf("decoder gave up: %v", r))
		}
	}()
	n, err = z.rc.Read(p)
	switch {
	case err == nil:
	case err == io.EOF && (z.name == "none" || z.src.err == io.EOF && z.src.Buffered() == 0):
	case err == io.EOF && z.src.err == nil:
		err = z.fault(errTrailing)
	default:
		err = z.fault(err)
	}
	return n, err
}

// fault turns a decoder's error into one that names object, codec and place.
func (z *reader) fault(err error) error {
	var before errAt // found in what was read ahead: what the source did since then is later
	if errors.As(err, &before) {
		return z.faultAt(before.err, before.at, false)
	}
	if z.src.err != nil && z.src.err != io.EOF {
		return z.src.err // the object could not be read: not the stream's fault
	}
	return z.faultAt(err, z.src.consumed(), z.src.err == io.EOF)
}

// errAt is a fault that was found before compressed byte at, though more has been read.
type errAt struct {
	err error
	at  int64
}

func (e errAt) Error() string { return e.err.Error() }

// faultAt is fault with the place; ended says that the decoder wanted more than there is.
func (z *reader) faultAt(err error, at int64, ended bool) error {
	var w errWindow
	var e *fail.Error
	switch {
	case errors.Is(err, errChecksum), errors.Is(err, errTrailing), errors.As(err, &w):
		e = fail.Newf(fail.Data, "%s %w (at compressed byte %d)", z.name, err, at)
	case errors.Is(err, io.ErrUnexpectedEOF), ended: // some libraries call it corrupt that they ran out of bytes
		e = fail.Newf(fail.Data, "%s stream ends in the middle, at compressed byte %d: the object is cut short; upload it again", z.name, at)
	default:
		e = fail.Newf(fail.Data, "%s stream is damaged before compressed byte %d: %w", z.name, at, err)
	}
	return e.In(z.uri)
}

// Close frees the decoder. Reading on is an error.
func (z *reader) Close() error {
	if z.rc == nil {
		return nil
	}
	err := z.rc.Close() // no goroutine of it reads on
	z.rc = nil
	z.src.close()
	if z.err == nil || z.err == io.EOF {
		z.err = fail.Newf(fail.Internal, "read of a closed %s stream", z.name).In(z.uri)
	}
	return err
}

// noEOF is err with the end of the input made unexpected.
func noEOF(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
