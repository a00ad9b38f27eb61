package transforms

import (
	"fmt"
	"strings"

	"github.com/apache/arrow/go/v17/arrow"

	"github.com/sluice-data/sluice/internal/expr"
	"github.com/sluice-data/sluice/internal/spec"
)

func init() {
	Register(Def{
		Name: "mask",
		Doc: "Takes personal data out of columns, in their place: redact puts *** for every value, \"null\" null, hash the SHA-256 of its text (equal values stay equal, and can be guessed), " +
			"{hmac: NAME} the HMAC-SHA-256 with the key in environment variable NAME (equal values stay equal, and cannot be guessed without it), and {keep_first: n} or {keep_last: n} a * for every other " +
			"character (for all of a value that is no longer than n). Null stays null. Bad rows go to the quarantine as they came: protect it as the input.",
		Example: "- mask: {trip_id: hash, zone: {keep_first: 1}, tip: \"null\"}",
		Bind:    bindMask,
	})
}

func bindMask(env Env, n *spec.Node, in *arrow.Schema) (Bound, error) {
	entries, err := n.Map()
	if err != nil {
		return Bound{}, n.Errorf("mask wants a mapping of columns: {email: hash, card: {keep_last: 4}}")
	}
	if len(entries) == 0 {
		return Bound{}, n.Errorf("mask needs at least one column: {email: hash}")
	}
	d := &derive{name: "mask"}
	s := in
	var says []string
	for _, e := range entries {
		i, err := lookup(e.At, in, e.Key)
		if err != nil {
			return Bound{}, err
		}
		f := in.Field(i)
		src, said, err := maskOf(e.Value, f)
		if err != nil {
			return Bound{}, err
		}
		p, err := expr.Compile(src, in, env.Expr)
		if err != nil {
			return Bound{}, e.Value.Errorf("mask %s: %w", e.Key, err)
		}
		out := p.Field()
		out.Name = f.Name
		s = d.add(s, out, p)
		says = append(says, f.Name+" "+said)
	}
	return d.bound("mask " + strings.Join(says, ", ")), nil
}

var maskWays = []string{"redact", "null", "hash"}

// maskOf is the expression that masks column f, and what it does in words.
func maskOf(n *spec.Node, f arrow.Field) (src, said string, err error) {
	c := expr.QuoteName(f.Name)
	text := c + "::text"
	if f.Type.ID() == arrow.STRING {
		text = c
	}
	if !n.IsMap() {
		way, err := n.Str()
		if err != nil {
			return "", "", err
		}
		switch way {
		case "redact":
			return "CASE WHEN " + c + " IS NULL THEN NULL ELSE '***' END", way, nil
		case "null":
			return "CASE WHEN FALSE THEN " + c + " END", way, nil
		case "hash":
			return "sha256(" + text + ")", way, nil
		}
		return "", "", n.Errorf("unknown way to mask %q%s", way, hint(way, append([]string{"{hmac: NAME}", "{keep_first: n}", "{keep_last: n}"}, maskWays...)))
	}
	entries, err := n.Map("hmac", "keep_first", "keep_last")
	if err != nil {
		return "", "", err
	}
	if len(entries) != 1 {
		return "", "", n.Errorf("want one of {hmac: NAME}, {keep_first: n} and {keep_last: n}")
	}
	e := entries[0]
	if e.Key == "hmac" {
		name, err := e.Value.Str()
		if err != nil {
			return "", "", err
		}
		return "hmac_sha256(" + text + ", " + quoted(name) + ")", "hmac by " + name, nil
	}
	k, err := e.Value.Int()
	if err != nil {
		return "", "", err
	}
	if k < 0 || k > 1000 {
		return "", "", e.Value.Errorf("%s must be 0 to 1000", e.Key)
	}
	stars := fmt.Sprintf("repeat('*', length(%s) - %d)", text, k)
	shown := fmt.Sprintf("%s || right(%s, %d)", stars, text, k)
	if e.Key == "keep_first" {
		shown = fmt.Sprintf("left(%s, %d) || %s", text, k, stars)
	}
	return fmt.Sprintf("CASE WHEN length(%s) > %d THEN %s ELSE repeat('*', length(%s)) END", text, k, shown, text), fmt.Sprintf("%s %d", e.Key, k), nil
}
