package expr

func init() {
	register(definition{Function{Name: "coalesce", Aliases: []string{"nvl", "ifnull"}, Signature: "coalesce(any, …) → any", Doc: "The first argument that is not null. Later ones are not looked at, so their errors do not count.",
		Example: "coalesce(NULL, 2, 3)", Result: "2"}, bindCoalesce})
	register(definition{Function{Name: "nullif", Signature: "nullif(any, any) → any", Doc: "NULL if both arguments are equal, else the first: x / nullif(y, 0) is null instead of an error.",
		Example: "nullif(7, 7)", Result: "NULL"}, bindNullif})
	for _, f := range []struct{ name, word, result string }{{"greatest", "greatest", "3"}, {"least", "smallest", "1"}} {
		register(definition{Function{Name: f.name, Signature: f.name + "(any, …) → any", Doc: "The " + f.word + " argument; nulls do not count.",
			Example: f.name + "(1, 3, NULL, 2)", Result: f.result}, bindExtreme(f.name == "greatest")})
	}
}

// alike brings all arguments to one type.
func (b *binder) alike(c *call, args []node) ([]node, typ, *Error) {
	if len(args) == 0 {
		return nil, typ{}, errAt(c.span, "%s takes at least 1 argument: %s", c.name, signature(c.name))
	}
	places := make([]span, len(args))
	for i, a := range c.args {
		places[i] = a.place()
	}
	return b.unifyAll(args, places, c.name)
}

func bindCoalesce(b *binder, c *call, args []node) (node, *Error) {
	args, t, err := b.alike(c, args)
	if err != nil {
		return nil, err
	}
	out := &coalesceNode{t: t}
	for _, a := range args {
		k, isConst := a.(*constNode)
		if isConst && k.v.null {
			continue
		}
		out.args = append(out.args, a)
		if isConst {
			break // nothing behind it is ever looked at
		}
	}
	switch {
	case len(out.args) == 0:
		return nullNode(t), nil
	case len(out.args) == 1:
		return out.args[0], nil
	}
	return out, nil
}

func bindNullif(b *binder, c *call, args []node) (node, *Error) {
	if len(args) != 2 {
		return nil, b.arguments(c, args, 0, anything, anything)
	}
	atX, atY := c.args[0].place(), c.args[1].place()
	x, let := b.share(args[0])
	if isUntyped(x) && !isUntyped(args[1]) {
		var err *Error
		if x, err = b.cast(x, args[1].typ(), atX); err != nil {
			return nil, err
		}
	}
	eq, err := b.compare("=", x, args[1], atX, atY, c.span)
	if err != nil {
		return nil, err
	}
	f := &function{t: x.typ(), args: []node{x, eq}, run: nullifKernel, lenient: true, maybe: true, src: b.text(c.span)}
	return wrap(let, fold(f)), nil
}

func bindExtreme(greatest bool) func(b *binder, c *call, args []node) (node, *Error) {
	return func(b *binder, c *call, args []node) (node, *Error) {
		args, t, err := b.alike(c, args)
		if err != nil {
			return nil, err
		}
		switch {
		case t.json:
			return nil, errAt(c.span, "json has no order or equality: cast it to string first")
		case t.kind == kList || t.kind == kStruct:
			return nil, errAt(c.span, "%s has no order for %s", c.name, t)
		}
		maybe := true
		for _, a := range args {
			maybe = maybe && a.nullable()
		}
		return fold(&function{t: t, args: args, run: extreme(greatest), lenient: true, maybe: maybe, never: !maybe, src: b.text(c.span)}), nil
	}
}
