package sinks

import "testing"

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
