package fail

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
)

func TestErrorIsOneLineWithItsPlace(t *testing.T) {
	cause := errors.New("not an int32")
	for _, c := range []struct {
		err  *Error
		want string
	}{
		{Newf(Data, "%w", cause), `not an int32`},
		{Newf(Data, "%w", cause).In("s3://b/k"), `s3://b/k: not an int32`},
		{Newf(Data, "%w", cause).In("s3://b/k").At(3, 17), `s3://b/k:3: offset 17: not an int32`},
		{Newf(Data, "%w", cause).In("s3://b/k").At(3, 0).Of("fare", "x"), `s3://b/k:3: column "fare", offset 0: not an int32 (value "x")`},
		{Newf(Data, "%w", cause).In("s3://b/k").At(3, -1).Of("fare", "x"), `s3://b/k:3: column "fare": not an int32 (value "x")`},
		{&Error{Kind: Usage, File: "p.yaml", Line: 4, Column: 5, Err: cause}, `p.yaml:4:5: not an int32`},
		{Newf(Data, "two\nlines"), `two lines`},
		{&Error{}, `unknown error`},
	} {
		if got := c.err.Error(); got != c.want {
			t.Errorf("got  %s\nwant %s", got, c.want)
		}
	}
}

func TestInKeepsTheFirstFile(t *testing.T) {
	if e := Newf(Data, "x").In("first").In("second"); e.File != "first" {
		t.Errorf("file %q", e.File)
	}
}

func TestKindOf(t *testing.T) {
	for _, c := range []struct {
		err  error
		kind Kind
		exit int
		name string
	}{
		{errors.New("anything"), Internal, 70, "internal"},
		{Newf(Usage, "x"), Usage, 2, "usage"},
		{fmt.Errorf("read: %w", Newf(Data, "x")), Data, 65, "data"},
		{Newf(Input, "gone: %w", io.EOF), Input, 66, "input"},
		{context.Canceled, Temporary, 75, "temporary"},
		{fmt.Errorf("get: %w", context.DeadlineExceeded), Temporary, 75, "temporary"},
		{Newf(Permission, "x"), Permission, 77, "permission"},
		{Newf(Temporary, "outer: %w", Newf(Data, "inner")), Temporary, 75, "temporary"},
	} {
		if k := KindOf(c.err); k != c.kind || k.ExitCode() != c.exit || k.String() != c.name {
			t.Errorf("%v: %v, exit %d", c.err, k, k.ExitCode())
		}
	}
}

func TestWrapKeepsAKindThatIsThere(t *testing.T) {
	if Wrap(Data, nil) != nil {
		t.Error("nil became an error")
	}
	if k := KindOf(Wrap(Temporary, Newf(Permission, "x"))); k != Permission {
		t.Errorf("kind %v", k)
	}
	if k := KindOf(Wrap(Temporary, io.EOF)); k != Temporary {
		t.Errorf("kind %v", k)
	}
}

func TestShorten(t *testing.T) {
	if s := Shorten("short"); s != "short" {
		t.Error(s)
	}
	long := Shorten(strings.Repeat("ä", 100))
	if !strings.HasSuffix(long, "…") || len(long) > 84 || strings.Contains(long, "\uFFFD") {
		t.Errorf("%q", long)
	}
}
