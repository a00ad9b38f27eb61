package objstore

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/sluice-data/sluice/internal/fail"
)

func TestParseRef(t *testing.T) {
	for _, test := range []struct {
		uri  string
		want Ref
		back string // what String gives, if not uri
	}{
		{"s3://bucket/key", Ref{"bucket", "key"}, ""},
		{"s3://bucket/a b+c%20d\"e'f#g?h=i&j", Ref{"bucket", "a b+c%20d\"e'f#g?h=i&j"}, ""},
		{"s3://bucket/ünï/日本 🦆", Ref{"bucket", "ünï/日本 🦆"}, ""},
		{"s3://bucket//double//slash/", Ref{"bucket", "/double//slash/"}, ""},
		{"s3://bucket/s3://other/key", Ref{"bucket", "s3://other/key"}, ""},
		{"s3://bucket/", Ref{"bucket", ""}, ""},
		{"s3://bucket", Ref{"bucket", ""}, "s3://bucket/"},
		{"S3://bucket/Key", Ref{"bucket", "Key"}, "s3://bucket/Key"},
		{"data/in.csv", Ref{"", "data/in.csv"}, ""},
		{"/abs/in put%.csv", Ref{"", "/abs/in put%.csv"}, ""},
		{"../up.csv", Ref{"", "../up.csv"}, ""},
		{"file:///abs/a%20b.csv", Ref{"", "/abs/a%20b.csv"}, "/abs/a%20b.csv"},
		{"file://localhost/abs.csv", Ref{"", "/abs.csv"}, "/abs.csv"},
		{"file://rel/a.csv", Ref{"", "rel/a.csv"}, "rel/a.csv"},
		{"s3:/odd", Ref{"", "s3:/odd"}, ""},
		{"a:b/c", Ref{"", "a:b/c"}, ""},
		{"1x://y", Ref{"", "1x://y"}, ""},
		{"a b://y", Ref{"", "a b://y"}, ""},
		{"://y", Ref{"", "://y"}, ""},
	} {
		got, err := ParseRef(test.uri)
		if err != nil || got != test.want {
			t.Errorf("ParseRef(%q) = %+v, %v, want %+v", test.uri, got, err, test.want)
		}
		back := test.back
		if back == "" {
			back = test.uri
		}
		if got.String() != back {
			t.Errorf("ParseRef(%q).String() = %q, want %q", test.uri, got.String(), back)
		}
	}
	for uri, says := range map[string]string{
		"": "empty", "s3://": "bucket", "s3:///key": "bucket", "https://host/x": `"https"`, "gs://bucket/key": `"gs"`, "s3a://b/k": `"s3a"`,
		"s3://b/\xff": "UTF-8", "s3://b/\x00": "NUL", "file://": "no file",
	} {
		if got, err := ParseRef(uri); fail.KindOf(err) != fail.Usage || !strings.Contains(err.Error(), says) {
			t.Errorf("ParseRef(%q) = %+v, %v, want a usage error about %s", uri, got, err, says)
		}
	}
}

func FuzzParseRef(f *testing.F) {
	for _, uri := range []string{"s3://b/k", "file:///x", "plain", "s3://b//", "x://y", "S3://b/%2F"} {
		f.Add(uri)
	}
	f.Fuzz(func(t *testing.T, uri string) {
		ref, err := ParseRef(uri)
		if err != nil {
			if fail.KindOf(err) != fail.Usage {
				t.Errorf("%q: %v", uri, err)
			}
			return
		}
		if ref.Bucket == "" {
			return // file:// is gone, so a path may look like a URI now
		}
		if again, err := ParseRef(ref.String()); err != nil || again != ref {
			t.Errorf("%q is %+v, which reads back as %+v, %v", uri, ref, again, err)
		}
		if !strings.HasSuffix(uri, ref.Key) {
			t.Errorf("%q: key %q is not as it was written", uri, ref.Key)
		}
	})
}

func TestJoin(t *testing.T) {
	for _, test := range [][3]string{{"s3://b", "x", "s3://b/x"}, {"s3://b/out", "x", "s3://b/out/x"}, {"s3://b/out/", "a/x", "s3://b/out/a/x"}, {"dir", "x", "dir/x"}} {
		ref, err := ParseRef(test[0])
		if got := ref.Join(test[1]).String(); err != nil || got != test[2] {
			t.Errorf("%s join %s = %s, want %s", test[0], test[1], got, test[2])
		}
	}
}

func TestGlobMatch(t *testing.T) {
	for _, test := range []struct {
		pattern string
		yes, no string // space-separated keys
	}{
		{"a/*.csv", "a/x.csv a/é.csv a/x.y.csv", "a/.csv a/b/x.csv a/x.csv.gz b/x.csv a/.x.csv a/_x.csv"},
		{"*", "x x.y", "_x .x x/y"},
		{"a/?.csv", "a/x.csv a/é.csv", "a/xy.csv a/.csv a//.csv a/_.csv"},
		{"a/[a-c].csv", "a/b.csv", "a/d.csv a/ab.csv a/[.csv"},
		{"a/[!a-c].csv", "a/d.csv a/é.csv", "a/b.csv a/_.csv"},
		{"a/[^a-c].csv", "a/d.csv", "a/b.csv"},
		{"a/[]x].csv", "a/].csv a/x.csv", "a/y.csv"},
		{"a/[x-].csv", "a/x.csv a/-.csv", "a/y.csv"},
		{"a/[x.csv", "a/[x.csv", "a/x.csv"},
		{"a/**", "a/x a/b/c a/b/c/d", "a/_x a/b/_x a/.b/x b"},
		{"a/**/x", "a/x a/b/x a/b/c/x", "a/bx a/_b/x ax a/b/x/y"},
		{"**/x", "x a/x a/b/x", "ax a/bx"},
		{"a/**/b/**/c", "a/b/c a/x/b/c a/b/x/y/c", "a/c a/b/xc"},
		{"a**.csv", "a.csv ax.csv a/x.csv a/b/x.csv", "a/_x.csv b.csv"},
		{"_a/_*", "_a/_x _a/_", "_a/x"},
		{"*_x/.h*", "a_x/.h a_x/.hidden", "_x/.h a_x/h"},
		{"*/_d/*", "a/_d/x", "a/d/x a/_d/_x"},
		{"***/x", "x a/x", "ax"},
		{"day=2024-0[1-3]-*/*.csv", "day=2024-02-11/p.csv", "day=2024-04-11/p.csv"},
	} {
		g := compileGlob(test.pattern)
		for _, key := range strings.Fields(test.yes) {
			if !g.match(key) {
				t.Errorf("%s does not match %s", test.pattern, key)
			}
		}
		for _, key := range strings.Fields(test.no) {
			if g.match(key) {
				t.Errorf("%s matches %s", test.pattern, key)
			}
		}
	}
	for key, want := range map[string]bool{"a.csv": false, "a*": true, "a?b": true, "a[b]": true, "a[b": false, "a]b": false, "": false} {
		if HasGlob(key) != want {
			t.Errorf("HasGlob(%q) is %v", key, !want)
		}
	}
}

// FuzzGlob holds what is true of any pattern: it is bounded, its literal prefix is one of all it matches, and an escaped
// name matches itself.
func FuzzGlob(f *testing.F) {
	f.Add("a/**/*.csv", "a/b/c.csv")
	f.Add("[a-", "[a-")
	f.Add("*[]-a]?", "x]y")
	f.Add(strings.Repeat("*a", 50), strings.Repeat("a", 100)+"b")
	f.Fuzz(func(t *testing.T, pattern, key string) {
		if !utf8.ValidString(pattern) || !utf8.ValidString(key) || len(pattern)+len(key) > 1<<12 {
			return
		}
		if compileGlob(pattern).match(key) && !strings.HasPrefix(key, literalPrefix(pattern)) {
			t.Errorf("%q matches %q, which does not begin with %q", pattern, key, literalPrefix(pattern))
		}
		if !HasGlob(pattern) && compileGlob(pattern).match(key) != (pattern == key) {
			t.Errorf("%q is no glob, and matches %q", pattern, key)
		}
		if !compileGlob(escapeGlob(key)).match(key) {
			t.Errorf("%q does not match itself", key)
		}
	})
}
