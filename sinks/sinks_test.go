package sinks

import (
	"slices"
	"testing"
)

func TestRegisterTwicePanics(t *testing.T) {
	d := Destination{Name: "test-twice"}
	Register(d)
	defer delete(destinations, d.Name)
	if _, ok := Lookup(d.Name); !ok || len(Names()) != len(destinations) {
		t.Errorf("%q is not found among %v", d.Name, Names())
	}
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	Register(d)
}

func TestTargetsTakeTheirTurns(t *testing.T) {
	for _, target := range []Target{{Name: "test-tell", Rank: RankNotice}, {Name: "test-load-b"}, {Name: "test-load-a"}} {
		RegisterTarget(target)
		defer delete(targets, target.Name)
	}
	var names []string
	for _, target := range Targets() {
		names = append(names, target.Name)
	}
	if !slices.IsSortedFunc(Targets(), func(a, b Target) int { return int(a.Rank - b.Rank) }) || slices.Index(names, "test-load-a") > slices.Index(names, "test-load-b") {
		t.Errorf("the order is %v", names)
	}
	defer func() {
		if recover() == nil {
			t.Error("registered twice: no panic")
		}
	}()
	RegisterTarget(Target{Name: "test-tell"})
}
