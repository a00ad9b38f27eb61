package expr

import "sort"

// Function is what the reference says about a function of the expression language.
type Function struct {
	Name      string
	Aliases   []string
	Signature string // "left(string, int) → string"
	Doc       string // one sentence
	Example   string // an expression without columns
	Result    string // what the example gives, as text; NULL for a null
}

// definition is a function as its file registers it.
type definition struct {
	Function
	bind func(b *binder, c *call, args []node) (node, *Error)
}

var functions = map[string]*definition{}

// register adds a function under its name and aliases; one registered twice panics.
func register(d definition) {
	for _, n := range append([]string{d.Name}, d.Aliases...) {
		if functions[n] != nil {
			panic("expr: function registered twice: " + n)
		}
		functions[n] = &d
	}
}

// Functions lists the functions by name, for the generated reference.
func Functions() []Function {
	var out []Function
	for n, d := range functions {
		if n == d.Name {
			out = append(out, d.Function)
		}
	}
	sort.Slice(out, func(i, j int) bool { return out[i].Name < out[j].Name })
	return out
}

// nearest is the name of the list that is closest to name by edits, if close enough to be a slip of the finger.
func nearest(name string, list []string) (string, bool) {
	best, at := "", max(1, len(name)/3)+1
	for _, n := range list {
		if d := distance(name, n); d < at || d == at && best != "" && n < best {
			best, at = n, d
		}
	}
	return best, best != ""
}

// distance is the number of runes to insert, delete, replace or swap with their neighbour to get from a to b, letter case
// aside.
func distance(a, b string) int {
	x, y := []rune(a), []rune(b)
	for _, s := range [][]rune{x, y} {
		for i := range s {
			s[i] = foldRune(s[i])
		}
	}
	older, prev, row := make([]int, len(y)+1), make([]int, len(y)+1), make([]int, len(y)+1)
	for j := range prev {
		prev[j] = j
	}
	for i := 1; i <= len(x); i++ {
		row[0] = i
		for j := 1; j <= len(y); j++ {
			cost := 1
			if x[i-1] == y[j-1] {
				cost = 0
			}
			row[j] = min(prev[j]+1, row[j-1]+1, prev[j-1]+cost)
			if i > 1 && j > 1 && x[i-1] == y[j-2] && x[i-2] == y[j-1] {
				row[j] = min(row[j], older[j-2]+1)
			}
		}
		older, prev, row = prev, row, older
	}
	return prev[len(y)]
}
