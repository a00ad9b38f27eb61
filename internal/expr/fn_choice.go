package expr

func init() {
	register(definition{Function{Name: "iff", Aliases: []string{"if"}, Signature: "iff(bool, any, any) → any", Doc: "The second argument where the condition is true, else (false or null) the third. The other one is not looked at.",
		Example: "iff(2 > 1, 'yes', 'no')", Result: "yes"}, bindIff})
	register(definition{Function{Name: "nvl2", Signature: "nvl2(any, any, any) → any", Doc: "The second argument where the first is not null, else the third.", Example: "nvl2(NULL, 1, 2)", Result: "2"}, bindNvl2})
	register(definition{Function{Name: "zeroifnull", Signature: "zeroifnull(number) → number", Doc: "0 in place of a null.", Example: "zeroifnull(NULL::int)", Result: "0"},
		func(b *binder, c *call, args []node) (node, *Error) {
			if err := b.arguments(c, args, 0, aNumber); err != nil {
				return nil, err
			}
			two := &call{span: c.span, name: c.name, at: c.at, args: []syntax{c.args[0], c.args[0]}}
			zero, err := b.cast(intNode(kInt32, 0), args[0].typ(), c.span)
			if err != nil {
				return nil, err
			}
			return bindCoalesce(b, two, []node{args[0], zero})
		}})
	register(definition{Function{Name: "nullifzero", Signature: "nullifzero(number) → number", Doc: "Null in place of 0.", Example: "nullifzero(0)", Result: "NULL"},
		func(b *binder, c *call, args []node) (node, *Error) {
			if err := b.arguments(c, args, 0, aNumber); err != nil {
				return nil, err
			}
			zero := intNode(kInt32, 0)
			zero.number = true
			two := &call{span: c.span, name: c.name, at: c.at, args: []syntax{c.args[0], c.args[0]}}
			return bindNullif(b, two, []node{args[0], zero})
		}})
	for _, f := range []struct {
		name, which, result string
		nulls               bool
	}{{"num_nulls", "null", "2", true}, {"num_nonnulls", "not null", "1", false}} {
		register(definition{Function{Name: f.name, Signature: f.name + "(any, …) → int32", Doc: "How many of the arguments are " + f.which + ".", Example: f.name + "(1, NULL, NULL)", Result: f.result},
			func(b *binder, c *call, args []node) (node, *Error) {
				if len(args) == 0 {
					return nil, errAt(c.span, "%s takes at least 1 argument: %s", c.name, signature(c.name))
				}
				return fold(&function{t: simple(kInt32), args: args, run: countNulls(f.nulls), lenient: true, never: true, src: b.text(c.span)}), nil
			}})
	}
}

func bindIff(b *binder, c *call, args []node) (node, *Error) {
	if err := b.arguments(c, args, 0, anything, anything, anything); err != nil {
		return nil, err
	}
	cond, err := b.boolean(args[0], c.args[0].place(), c.name)
	if err != nil {
		return nil, err
	}
	out := &caseNode{conds: []node{cond}}
	if err := b.results(out, args[1:], []span{c.args[1].place(), c.args[2].place()}, c.name); err != nil {
		return nil, err
	}
	return out, nil
}

func bindNvl2(b *binder, c *call, args []node) (node, *Error) {
	if err := b.arguments(c, args, 0, anything, anything, anything); err != nil {
		return nil, err
	}
	cond := fold(&function{t: simple(kBool), args: args[:1], run: isNullKernel(true), lenient: true, never: true, src: b.text(c.span)})
	out := &caseNode{conds: []node{cond}}
	if err := b.results(out, args[1:], []span{c.args[1].place(), c.args[2].place()}, c.name); err != nil {
		return nil, err
	}
	return out, nil
}

// decode binds Oracle's and Redshift's decode(x, search, result, …, default): like CASE x WHEN, but null finds null.
func (b *binder) decode(c *call, args []node) (node, *Error) {
	x, let := b.share(args[0])
	out := &caseNode{}
	var results []node
	var places []span
	for i := 1; i+1 < len(args); i += 2 {
		cond, err := b.compare("IS NOT DISTINCT FROM", x, args[i], c.args[0].place(), c.args[i].place(), c.args[i].place())
		if err != nil {
			return nil, err
		}
		out.conds = append(out.conds, cond)
		results, places = append(results, args[i+1]), append(places, c.args[i+1].place())
	}
	if len(args)%2 == 0 {
		results, places = append(results, args[len(args)-1]), append(places, c.args[len(args)-1].place())
	}
	if err := b.results(out, results, places, c.name); err != nil {
		return nil, err
	}
	return wrap(let, out), nil
}

// countNulls is num_nulls and num_nonnulls.
func countNulls(nulls bool) kernel {
	return func(f *function, r *run, _ []byte, args []*vector) *vector {
		out := r.fixed(f.t)
		dst := values[int32](out)
		clear(dst)
		for _, a := range args {
			for i := range dst {
				dst[i] += int32(b2u(a.isNull(i) == nulls))
			}
		}
		return out
	}
}
