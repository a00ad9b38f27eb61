package awstest

import (
	"encoding/json"
	"strings"
	"testing"
)

// Token is that of the one task which a Machine has.
const Token = "AQCEAAAAKgAAAAMAAAAA"

// Machine is a double of Step Functions with one task, which takes its end once.
type Machine struct {
	Double
	Open  bool
	Lose  bool // the next answer does not arrive
	Deny  bool
	Ended []string // "action output" or "action error cause"
}

// NewMachine starts one whose task is open.
func NewMachine(t testing.TB) *Machine {
	t.Helper()
	m := &Machine{Open: true}
	m.serve(t, "AWS_ENDPOINT_URL_SFN", "states", "AWSStepFunctions.", m.carryOut, nil)
	return m
}

func (m *Machine) carryOut(action string, body []byte) answer {
	var token, end string
	switch action { // bounds: the API's reference
	case "SendTaskSuccess":
		var in struct{ TaskToken, Output string }
		m.decode(action, body, &in)
		if !json.Valid([]byte(in.Output)) || len(in.Output) > 262_144 {
			return refuse("InvalidOutput", "Invalid Output")
		}
		token, end = in.TaskToken, in.Output
	case "SendTaskFailure":
		var in struct{ TaskToken, Error, Cause string }
		m.decode(action, body, &in)
		if len(in.Error) > 256 || len(in.Cause) > 32_768 {
			return refuse("ValidationException", "too long")
		}
		token, end = in.TaskToken, in.Error+" "+in.Cause
	default:
		m.t.Errorf("action %q", action)
	}
	switch {
	case m.Deny:
		return refuse("AccessDeniedException", "User x is not authorized")
	case token != Token:
		return refuse("InvalidToken", "Invalid Token: 'Invalid token'")
	case !m.Open:
		return refuse("TaskTimedOut", "Task Timed Out: 'Provided task does not exist anymore'")
	}
	m.Open = false
	m.Ended = append(m.Ended, action+" "+end)
	lost := m.Lose
	m.Lose = false
	return answer{out: struct{}{}, drop: lost}
}

// Told is what ended the task, a line each.
func (m *Machine) Told() string {
	m.Lock()
	defer m.Unlock()
	return strings.Join(append(m.Ended, ""), "\n")
}
