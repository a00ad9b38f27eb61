package spec

// Step is one item of steps:. Its name is not checked here: the registry of steps does.
type Step struct {
	Name string
	Node *Node // the arguments
	At   *Node // the name
}

func (p *Pipeline) readSteps(root *Node) error {
	n := root.Get("steps")
	if p.SQL = root.Get("sql"); p.SQL != nil {
		if n != nil {
			return p.SQL.Errorf("a pipeline has steps or sql, not both")
		}
		_, err := p.SQL.Str()
		return err
	}
	if n == nil {
		return nil
	}
	var err error
	p.Steps, err = ReadSteps(n)
	return err
}

// ReadSteps reads a list of steps: those of the pipeline, or of a step that has steps of its own.
func ReadSteps(n *Node) ([]Step, error) {
	items, err := n.List()
	if err != nil {
		return nil, err
	}
	var out []Step
	for _, it := range items {
		if it.IsScalar() || it.kind == mapping && len(it.entries) != 1 {
			return nil, it.Errorf("a step is one key, its name, with its arguments: - filter: a > 0")
		}
		entries, err := it.Map()
		if err != nil {
			return nil, err
		}
		if entries[0].Value.kind == null {
			return nil, entries[0].At.Errorf("step %q has no arguments", entries[0].Key)
		}
		out = append(out, Step{Name: entries[0].Key, Node: entries[0].Value, At: entries[0].At})
	}
	return out, nil
}
