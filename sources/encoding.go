package sources

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/sluice-data/sluice/internal/fail"
)

// Encodings are the names that Transcode knows, for messages.
var Encodings = []string{"utf-8", "utf-16", "utf-16le", "utf-16be", "latin-1", "windows-1252"}

// canonicalEncoding maps the usual spellings to those of Encodings.
var canonicalEncoding = map[string]string{
	"": "", "utf-8": "utf-8", "utf8": "utf-8", "ascii": "utf-8", "us-ascii": "utf-8",
	"utf-16": "utf-16", "utf16": "utf-16", "utf-16le": "utf-16le", "utf16le": "utf-16le", "utf-16be": "utf-16be", "utf16be": "utf-16be",
	"latin-1": "latin-1", "latin1": "latin-1", "iso-8859-1": "latin-1", "iso8859-1": "latin-1",
	"windows-1252": "windows-1252", "cp1252": "windows-1252", "win-1252": "windows-1252",
}

// CheckEncoding reports an unknown encoding name.
func CheckEncoding(name string) error {
	if _, ok := canonicalEncoding[strings.ToLower(name)]; !ok {
		return fmt.Errorf("unknown encoding %q: use one of %s", name, strings.Join(Encodings, ", "))
	}
	return nil
}

// Transcode returns a reader of r's text as UTF-8. encoding "" is UTF-8, or what a byte order mark says; "utf-16" is little
// endian unless a mark says otherwise. A UTF-16 mark is taken off; UTF-8 text passes as it is, its mark too. What has no
// counterpart (a lone surrogate, a byte that windows-1252 leaves undefined) becomes bytes that are not UTF-8, so that the
// record that holds it is found invalid: nothing is replaced. file names the object in errors.
func Transcode(encoding, file string, r io.Reader) (io.Reader, error) {
	enc, ok := canonicalEncoding[strings.ToLower(encoding)]
	if !ok {
		return nil, fail.Wrap(fail.Usage, CheckEncoding(encoding))
	}
	switch enc {
	case "latin-1":
		return &transcoder{r: bufio.NewReaderSize(r, 64<<10), step: stepSingle(nil)}, nil
	case "windows-1252":
		return &transcoder{r: bufio.NewReaderSize(r, 64<<10), step: stepSingle(&windows1252)}, nil
	}
	mark := make([]byte, 2)
	n, err := io.ReadFull(r, mark)
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		return nil, err
	}
	mark = mark[:n]
	rest := io.MultiReader(bytes.NewReader(mark), r)
	if n < 2 { // MultiReader would ask an ended stream again
		rest = bytes.NewReader(mark)
	}
	le, be := string(mark) == "\xFF\xFE", string(mark) == "\xFE\xFF"
	switch {
	case enc == "utf-8" && (le || be):
		return nil, fail.Newf(fail.Data, "starts with a UTF-16 byte order mark, but encoding is utf-8: set encoding: utf-16").In(file).At(1, 0)
	case enc == "utf-8", enc == "" && !le && !be:
		return rest, nil
	case enc == "utf-16le" && be, enc == "utf-16be" && le:
		return nil, fail.Newf(fail.Data, "its byte order mark contradicts encoding %s: set encoding: utf-16", enc).In(file).At(1, 0)
	case le || be:
		rest = r
	}
	big := be || enc == "utf-16be"
	return &transcoder{r: bufio.NewReaderSize(rest, 64<<10), step: stepUTF16(big, file)}, nil
}

// transcoder applies step to windows of its input.
type transcoder struct {
	r *bufio.Reader
	// step turns src into UTF-8 appended to dst and says how much of src it used; eof means that src is all there is.
	step func(dst, src []byte, eof bool) (_ []byte, used int, err error)
	out  []byte // made, not yet read
	buf  []byte
}

func (t *transcoder) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for len(t.out) == 0 {
		if _, err := t.r.Peek(4); err != nil && err != io.EOF { // 4: a surrogate pair is never cut but at the end
			return 0, err
		} else if t.r.Buffered() == 0 {
			return 0, io.EOF
		} else {
			src, _ := t.r.Peek(t.r.Buffered())
			out, used, serr := t.step(t.buf[:0], src, err == io.EOF)
			if serr != nil {
				return 0, serr
			}
			t.buf, t.out = out, out
			if _, err := t.r.Discard(used); err != nil {
				return 0, err
			}
		}
	}
	n := copy(p, t.out)
	t.out = t.out[n:]
	return n, nil
}

// stepSingle is a single-byte encoding: high gives the code points of 0x80 to 0x9F, 0 = undefined; nil is Latin-1, where
// each byte is its own code point.
func stepSingle(high *[32]rune) func(dst, src []byte, eof bool) ([]byte, int, error) {
	return func(dst, src []byte, _ bool) ([]byte, int, error) {
		for _, c := range src {
			switch {
			case c < utf8.RuneSelf:
				dst = append(dst, c)
			case c >= 0xA0 || high == nil:
				dst = utf8.AppendRune(dst, rune(c))
			case high[c-0x80] == 0:
				dst = append(dst, c) // a continuation byte with nothing before it: not UTF-8
			default:
				dst = utf8.AppendRune(dst, high[c-0x80])
			}
		}
		return dst, len(src), nil
	}
}

// windows1252 is 0x80 to 0x9F as Microsoft's best-fit table has them; five are undefined.
var windows1252 = [32]rune{
	'€', 0, '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', 0, 'Ž', 0,
	0, '‘', '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', 0, 'ž', 'Ÿ',
}

// stepUTF16 decodes RFC 2781. A lone surrogate is written as its own three bytes, which no UTF-8 reader accepts.
func stepUTF16(big bool, file string) func(dst, src []byte, eof bool) ([]byte, int, error) {
	unit := func(b []byte) rune {
		if big {
			return rune(b[0])<<8 | rune(b[1])
		}
		return rune(b[1])<<8 | rune(b[0])
	}
	var at int64
	return func(dst, src []byte, eof bool) ([]byte, int, error) {
		i := 0
		for ; i+2 <= len(src); i += 2 {
			u := unit(src[i:])
			if u < 0xD800 || u > 0xDFFF {
				dst = utf8.AppendRune(dst, u)
				continue
			}
			if u < 0xDC00 && i+4 > len(src) && !eof {
				break
			}
			if u < 0xDC00 && i+4 <= len(src) {
				if v := unit(src[i+2:]); v >= 0xDC00 && v <= 0xDFFF {
					dst = utf8.AppendRune(dst, (u-0xD800)<<10+(v-0xDC00)+0x10000)
					i += 2
					continue
				}
			}
			dst = append(dst, 0xE0|byte(u>>12), 0x80|byte(u>>6)&0x3F, 0x80|byte(u)&0x3F)
		}
		if eof && i+1 == len(src) {
			return dst, i, fail.Newf(fail.Data, "UTF-16 text ends in the middle of a character: the object is truncated or has another encoding").In(file).At(0, at+int64(i))
		}
		at += int64(i)
		return dst, i, nil
	}
}
