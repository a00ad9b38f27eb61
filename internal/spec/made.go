package spec

// Nodes that are not in the file but made of a text in it, such as the steps of an SQL statement. Their places are those of the text they were made of.

// Scalar is a value made of n's text: places[i] is the byte of n's text where byte i of text comes from, with one more for its end.
func (n *Node) Scalar(text string, places []int) *Node {
	out := &Node{doc: n.doc, off: n.off, kind: scalar, quoted: true, text: text}
	if len(n.places) > 0 {
		out.places = make([]int32, len(places))
		for i, p := range places {
			out.places[i] = n.places[min(max(p, 0), len(n.places)-1)]
		}
		if len(out.places) > 0 {
			out.off = out.places[0]
		}
	}
	return out
}

// Word is a value that stands for what begins at byte at of n's text.
func (n *Node) Word(text string, at int) *Node {
	places := make([]int, len(text)+1)
	for i := range places {
		places[i] = at
	}
	return n.Scalar(text, places)
}

// Mapping is a mapping made of n's text from byte at on; its entries' places are their own.
func (n *Node) Mapping(at int, entries ...Entry) *Node {
	out := n.Word("", at)
	out.kind, out.entries, out.quoted = mapping, entries, false
	return out
}

// Sequence is a list made of n's text from byte at on; its items' places are their own.
func (n *Node) Sequence(at int, items ...*Node) *Node {
	out := n.Word("", at)
	out.kind, out.items, out.quoted = sequence, items, false
	return out
}
