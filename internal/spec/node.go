package spec

import (
	"github.com/sluice-data/sluice/internal/fail"
)

// Node is a YAML value with its place. Methods that expect a kind return a Usage *fail.Error naming line and column.
type Node struct{}

// Entry is a key of a mapping, in file order.
type Entry struct {
	Key   string
	At    *Node // the key's own node, for messages about the key
	Value *Node
}

// Parse reads a pipeline file; file is its name for messages. Duplicate keys, anchors that recurse, tabs and more than one document
// are errors.
func Parse(file string, text []byte) (*Node, error) { panic("to be written") }

// Str is the scalar as text, exactly as written (numbers and booleans too: `count: 007` gives "007").
func (n *Node) Str() (string, error) { panic("to be written") }

// Int, Bool and Float read the scalar.
func (n *Node) Int() (int64, error)     { panic("to be written") }
func (n *Node) Bool() (bool, error)     { panic("to be written") }
func (n *Node) Float() (float64, error) { panic("to be written") }

// Map is the mapping's entries in file order. With known keys given, any other key is an error that names the nearest known one.
func (n *Node) Map(known ...string) ([]Entry, error) { panic("to be written") }

// Get is the value of key in a mapping, nil if absent (or null).
func (n *Node) Get(key string) *Node { panic("to be written") }

// List is the sequence's items. A scalar is not a list.
func (n *Node) List() ([]*Node, error) { panic("to be written") }

// Strs is a list of scalars as text.
func (n *Node) Strs() ([]string, error) { panic("to be written") }

// IsMap, IsList and IsScalar say what the node is.
func (n *Node) IsMap() bool    { panic("to be written") }
func (n *Node) IsList() bool   { panic("to be written") }
func (n *Node) IsScalar() bool { panic("to be written") }

// Errorf is a Usage error at the node's place.
func (n *Node) Errorf(format string, args ...any) *fail.Error { panic("to be written") }

// ErrorAt is a Usage error at byte offset pos within the node's scalar text (where an expression in it is wrong), correct for plain and
// quoted scalars on one line and for block scalars.
func (n *Node) ErrorAt(pos int, format string, args ...any) *fail.Error { panic("to be written") }

// Nearest is the name in known closest to name by edit distance, or "" if none is near.
func Nearest(name string, known []string) string { panic("to be written") }
