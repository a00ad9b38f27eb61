package expr

import (
	"encoding/binary"
	"regexp"
	resyntax "regexp/syntax"
	"slices"
)

// dfa tells whether a regular expression matches anywhere in a text, by one look-up a byte. It is the subset construction over the program of
// package regexp/syntax (Thompson; R. Cox, "Regular Expression Matching Can Be Simple And Fast", 2007), made while binding and not written after.
type dfa struct {
	next  []uint16 // of state s and byte c at s<<8|c
	final []bool   // of states: the text may end there
	start uint16
}

// States that end the search.
const (
	dfaMatch  uint16 = iota // whatever follows
	dfaDead                 // no match, whatever follows
	dfaBeyond               // a byte that is not ASCII: ask the engine
	dfaFirst                // the first of the others
)

const (
	dfaStates = 128 // a pattern that takes more is left to the engine
	dfaProg   = 256 // instructions, likewise
)

// newDFA is nil where the engine is to be asked: word and line boundaries, and patterns of too many states.
func newDFA(re *regexp.Regexp) *dfa {
	tree, err := resyntax.Parse(re.String(), resyntax.Perl)
	if err != nil {
		return nil
	}
	prog, err := resyntax.Compile(tree.Simplify())
	if err != nil || len(prog.Inst) > dfaProg {
		return nil
	}
	for _, in := range prog.Inst {
		if in.Op == resyntax.InstEmptyWidth && resyntax.EmptyOp(in.Arg)&^(resyntax.EmptyBeginText|resyntax.EmptyEndText) != 0 {
			return nil
		}
	}
	b := &dfaBuilder{prog: prog, d: &dfa{}, known: map[string]uint16{}, seen: make([]int, len(prog.Inst))}
	if !b.build() {
		return nil
	}
	return b.d
}

// dfaBuilder makes the states of a dfa: each is a sorted set of instructions that wait for a rune or for the end of the text.
type dfaBuilder struct {
	prog  *resyntax.Prog
	d     *dfa
	sets  [][]uint32 // by state
	known map[string]uint16
	seen  []int // of instructions: the round in which they were followed last
	round int
}

func (b *dfaBuilder) build() bool {
	for range dfaFirst {
		b.add(nil)
	}
	b.d.final[dfaMatch] = true
	classes, byClass := b.classes()
	// The first state is no other, even of the same instructions: a text may begin and end there.
	b.round++
	set, match := b.follow(nil, b.prog.Start, resyntax.EmptyBeginText)
	if match {
		b.d.start = dfaMatch
		return true
	}
	b.d.start = b.add(set)
	b.d.final[b.d.start] = b.ends(set, resyntax.EmptyBeginText|resyntax.EmptyEndText)
	to := make([]uint16, len(byClass))
	for s := int(dfaFirst); s < len(b.sets); s++ {
		for k, c := range byClass {
			if to[k] = b.step(b.sets[s], rune(c)); len(b.sets) > dfaStates {
				return false
			}
		}
		row := b.d.next[s<<8 : (s+1)<<8]
		for c := range row {
			row[c] = dfaBeyond
			if c < len(classes) {
				row[c] = to[classes[c]]
			}
		}
	}
	return true
}

// classes are the numbers of ASCII's classes of characters that no instruction tells apart, and one of each.
func (b *dfaBuilder) classes() (of [128]uint8, one []byte) {
	numbers := map[string]uint8{}
	for c := range of {
		var sig []byte
		for i := range b.prog.Inst {
			sig = append(sig, b2u(b.takes(uint32(i), rune(c))))
		}
		k, ok := numbers[string(sig)]
		if !ok {
			k = uint8(len(one))
			numbers[string(sig)] = k
			one = append(one, byte(c))
		}
		of[c] = k
	}
	return of, one
}

// takes tells whether instruction pc waits for a rune like c.
func (b *dfaBuilder) takes(pc uint32, c rune) bool {
	switch in := &b.prog.Inst[pc]; in.Op {
	case resyntax.InstRune, resyntax.InstRune1, resyntax.InstRuneAny, resyntax.InstRuneAnyNotNL:
		return (in.Op != resyntax.InstRuneAnyNotNL || c != '\n') && in.MatchRune(c)
	}
	return false
}

// step is the state behind c.
func (b *dfaBuilder) step(set []uint32, c rune) uint16 {
	b.round++
	var out []uint32
	match := false
	follow := func(pc int) {
		var m bool
		out, m = b.follow(out, pc, 0)
		match = match || m
	}
	for _, pc := range set {
		if b.takes(pc, c) {
			follow(int(b.prog.Inst[pc].Out))
		}
	}
	follow(b.prog.Start) // a match may begin here, too
	switch {
	case match:
		return dfaMatch
	case len(out) == 0:
		return dfaDead
	}
	slices.Sort(out)
	key := make([]byte, 0, 4*len(out))
	for _, pc := range out {
		key = binary.LittleEndian.AppendUint32(key, pc)
	}
	s, ok := b.known[string(key)]
	if !ok {
		s = b.add(out)
		b.known[string(key)] = s
		b.d.final[s] = b.ends(out, resyntax.EmptyEndText)
	}
	return s
}

func (b *dfaBuilder) add(set []uint32) uint16 {
	b.sets = append(b.sets, set)
	b.d.final = append(b.d.final, false)
	b.d.next = append(b.d.next, make([]uint16, 256)...)
	return uint16(len(b.sets) - 1)
}

// ends tells whether the text may end where the set is.
func (b *dfaBuilder) ends(set []uint32, at resyntax.EmptyOp) bool {
	for _, pc := range set {
		if b.prog.Inst[pc].Op == resyntax.InstEmptyWidth {
			b.round++
			if _, match := b.follow(nil, int(pc), at); match {
				return true
			}
		}
	}
	return false
}

// follow adds to set the instructions that wait for something, from pc on, but for those that have been followed in this round; match tells whether
// the program may end here.
func (b *dfaBuilder) follow(set []uint32, pc int, at resyntax.EmptyOp) (out []uint32, match bool) {
	todo := []uint32{uint32(pc)}
	for len(todo) > 0 {
		pc := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if b.seen[pc] == b.round {
			continue
		}
		b.seen[pc] = b.round
		switch in := &b.prog.Inst[pc]; in.Op {
		case resyntax.InstMatch:
			match = true
		case resyntax.InstAlt, resyntax.InstAltMatch:
			todo = append(todo, in.Arg, in.Out)
		case resyntax.InstCapture, resyntax.InstNop:
			todo = append(todo, in.Out)
		case resyntax.InstEmptyWidth:
			switch op := resyntax.EmptyOp(in.Arg); {
			case op&^at == 0:
				todo = append(todo, in.Out)
			case op&resyntax.EmptyEndText != 0:
				set = append(set, pc)
			}
		case resyntax.InstFail:
		default:
			set = append(set, pc)
		}
	}
	return set, match
}

// match tells whether the expression matches in s; known is false where the engine has to be asked.
func (d *dfa) match(s []byte) (found, known bool) {
	at, next := d.start, d.next
	for _, c := range s {
		if at < dfaFirst {
			break
		}
		at = next[int(at)<<8|int(c)]
	}
	return d.final[at], at != dfaBeyond
}

// regex is a compiled regular expression.
type regex struct {
	*regexp.Regexp
	dfa *dfa // nil: ask the engine
}

// constRegex is one for many rows.
func constRegex(re *regexp.Regexp) *regex { return &regex{re, newDFA(re)} }

// matches reports whether s has a match.
func (p *regex) matches(s []byte) bool {
	if p.dfa != nil {
		if found, known := p.dfa.match(s); known {
			return found
		}
	}
	return p.Match(s)
}

// misses reports whether s is known to have no match, without asking the engine.
func (p *regex) misses(s []byte) bool {
	if p.dfa == nil {
		return false
	}
	found, known := p.dfa.match(s)
	return known && !found
}
