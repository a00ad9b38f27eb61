package objstore

import (
	"strings"
	"unicode/utf8"

	"github.com/sluice-data/sluice/internal/fail"
)

// ParseRef reads an object's name: s3://bucket/key, or a path (also as file:///path). The key is raw: nothing in it is
// ever decoded, so a space, '+', '%', '#' or '?' is that character. s3://bucket alone has the empty key, which is good
// as a prefix only. Another scheme is a Usage error.
func ParseRef(uri string) (Ref, error) {
	if uri == "" {
		return Ref{}, fail.Newf(fail.Usage, "read object name: it is empty (want s3://bucket/key or a path)")
	}
	if !utf8.ValidString(uri) || strings.ContainsRune(uri, 0) {
		return Ref{}, fail.Newf(fail.Usage, "read object name %q: it is not valid UTF-8 or holds a NUL", fail.Shorten(uri))
	}
	scheme, rest, ok := cutScheme(uri)
	switch {
	case !ok:
		return Ref{Key: uri}, nil
	case scheme == "file":
		path := strings.TrimPrefix(rest, "localhost/")
		if len(path) != len(rest) {
			path = "/" + path
		}
		if path == "" {
			return Ref{}, fail.Newf(fail.Usage, "read object name %q: it names no file", uri)
		}
		return Ref{Key: path}, nil
	case scheme != "s3":
		return Ref{}, fail.Newf(fail.Usage, "read object name %q: unknown scheme %q (want s3://bucket/key or a path)", uri, scheme)
	}
	bucket, key, _ := strings.Cut(rest, "/")
	if bucket == "" {
		return Ref{}, fail.Newf(fail.Usage, "read object name %q: it names no bucket (want s3://bucket/key)", uri)
	}
	return Ref{Bucket: bucket, Key: key}, nil
}

// cutScheme splits "scheme://rest" when what stands before :// is shaped like a URI scheme (RFC 3986, 3.1).
func cutScheme(uri string) (scheme, rest string, ok bool) {
	scheme, rest, ok = strings.Cut(uri, "://")
	if !ok || scheme == "" {
		return "", "", false
	}
	for i, c := range []byte(scheme) {
		letter := c|0x20 >= 'a' && c|0x20 <= 'z'
		if !letter && (i == 0 || !strings.ContainsRune("0123456789+-.", rune(c))) {
			return "", "", false
		}
	}
	return strings.ToLower(scheme), rest, true
}

// String is the name that ParseRef reads back: s3://bucket/key, or the path.
func (r Ref) String() string {
	if r.Bucket == "" {
		return r.Key
	}
	return "s3://" + r.Bucket + "/" + r.Key
}

// Join is the ref of name below r, which is taken as a folder.
func (r Ref) Join(name string) Ref {
	if r.Key != "" && !strings.HasSuffix(r.Key, "/") {
		r.Key += "/"
	}
	r.Key += name
	return r
}
