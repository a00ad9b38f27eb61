package main

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/sluice-data/sluice/internal/awstest"
)

// doubles are the services that scripts have started, by script and name.
var doubles sync.Map

// cmdAWS: aws SERVICE starts a double of it (glue, events or step_functions), which the worker asks from then on; aws told SERVICE prints what it was told.
func cmdAWS(t *testing.T, ts *testscript.TestScript, args []string) {
	told := len(args) == 2 && args[0] == "told"
	if !told && len(args) != 1 {
		ts.Fatalf("usage: aws SERVICE, or aws told SERVICE")
	}
	key := ts.Name() + " " + args[len(args)-1]
	if told {
		d, ok := doubles.Load(key)
		if !ok {
			ts.Fatalf("%s is not started", args[1])
		}
		fmt.Fprint(ts.Stdout(), d.(interface{ Told() string }).Told())
		return
	}
	var d interface {
		Told() string
		Env() []string
	}
	switch args[0] {
	case "glue":
		d = awstest.NewCatalog(t)
	case "events":
		d = awstest.NewBus(t)
	case "step_functions":
		m := awstest.NewMachine(t)
		ts.Setenv("TASK_TOKEN", awstest.Token)
		d = m
	default:
		ts.Fatalf("no double of %q", args[0])
	}
	for _, kv := range d.Env() {
		name, value, _ := strings.Cut(kv, "=")
		ts.Setenv(name, value)
	}
	doubles.Store(key, d)
	ts.Defer(func() { doubles.Delete(key) })
}
