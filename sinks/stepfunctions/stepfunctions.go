// Package stepfunctions is the target that ends the task of an AWS Step Functions state machine that waits for the run: with what was committed,
// or with why it failed.
package stepfunctions

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sfn"

	"github.com/sluice-data/sluice/internal/awsconf"
	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/sinks"
)

func init() {
	sinks.RegisterTarget(sinks.Target{
		Name: "step_functions",
		Doc: "Ends the task of a Step Functions state machine that waits for the run (`.waitForTaskToken`): SendTaskSuccess once the run is committed and the other targets have it, with `run_id`, `dataset`, " +
			"`status`, `manifest`, `rows`, `files`, `bytes` and `committed_at` as output, and `replaced_by` where other runs have taken the place of files of it since; SendTaskFailure when it failed for good, not when another attempt may succeed (exit 75). The token is read from the " +
			"environment variable that `token_env` names, by default `TASK_TOKEN`: in the pipeline file it would make each execution another run.",
		Example: "sink:\n  uri: s3://curated/trips/\n  step_functions: {token_env: TASK_TOKEN}\n",
		Rank:    sinks.RankNotice,
		Always:  true, // the execution that found the run committed waits, too
		Open:    open,
		Failed:  failed,
	})
}

// Bounds of the API's reference (SendTaskSuccess, SendTaskFailure).
const (
	mostToken  = 2048
	mostOutput = 262_144
	mostError  = 256
	mostCause  = 32_768
)

type delivery struct {
	env    string // names the variable that has the token
	token  string
	name   string // the pipeline's
	log    *slog.Logger
	client *sfn.Client
	idle   func()
}

func open(req sinks.TargetRequest) (sinks.Delivery, error) { return bind(req) }

func bind(req sinks.TargetRequest) (*delivery, error) {
	if n := req.At.Get("task_token"); n != nil {
		return nil, n.Errorf("a token in the pipeline file would make each execution another run: name the environment variable that has it, token_env: TASK_TOKEN")
	}
	if _, err := req.At.Map("token_env"); err != nil {
		return nil, err
	}
	d := &delivery{env: "TASK_TOKEN", name: req.Pipeline, log: req.Log}
	if n := req.At.Get("token_env"); n != nil {
		s, err := n.Str()
		if err != nil {
			return nil, err
		}
		if s == "" || strings.ContainsAny(s, "= \x00") {
			return nil, n.Errorf("token_env %q is no name of an environment variable; it names the one that has the token", fail.Shorten(s))
		}
		d.env = s
	}
	if req.Getenv != nil {
		d.token = req.Getenv(d.env)
	}
	return d, nil
}

// tokenThere checks the token as far as one can without asking.
func (d *delivery) tokenThere() error {
	switch {
	case d.token == "":
		return fail.Newf(fail.Usage, "environment variable %s has no task token: pass it to the job by ContainerOverrides.Environment, with Value.$: $$.Task.Token", d.env)
	case len(d.token) > mostToken:
		return fail.Newf(fail.Usage, "environment variable %s has %d bytes, and a task token has %d at most", d.env, len(d.token), mostToken)
	}
	return nil
}

func (d *delivery) Explain() []string {
	return []string{"states:SendTaskSuccess for the task token in " + d.env + " when all is committed, states:SendTaskFailure when the run fails for good"}
}

func (d *delivery) Preflight(context.Context) ([]sinks.Constraint, error) {
	return nil, d.tokenThere()
}

func (d *delivery) connect(ctx context.Context) error {
	if d.client != nil {
		return nil
	}
	conf, idle, err := awsconf.Service(ctx, "SFN", "")
	if err != nil {
		return err
	}
	d.client, d.idle = sfn.NewFromConfig(conf), idle
	return nil
}

// Deliver ends the task. One that is closed already was ended by an earlier attempt, or gave up waiting: there is nobody left to tell, and the rows are
// committed in any case, so that is no error.
func (d *delivery) Deliver(ctx context.Context, c sinks.Commit) (string, error) {
	if err := d.tokenThere(); err != nil {
		return "", err
	}
	status := "committed"
	if c.Again {
		status = "already_committed"
	}
	var bytes int64
	for _, f := range c.Files {
		bytes += f.Size
	}
	said := map[string]any{"run_id": c.RunID, "dataset": d.name, "status": status, "manifest": c.Manifest.String(), "rows": c.Rows, "files": len(c.Files), "bytes": bytes,
		"committed_at": c.At.UTC().Format(time.RFC3339Nano)}
	if len(c.ReplacedBy) > 0 {
		said["replaced_by"] = c.ReplacedBy
	}
	out, err := json.Marshal(said)
	if err != nil {
		return "", fail.Wrap(fail.Internal, err)
	}
	if len(out) > mostOutput {
		return "", fail.Newf(fail.Usage, "the task's output has %d bytes, and a state takes %d", len(out), mostOutput)
	}
	if err := d.connect(ctx); err != nil {
		return "", err
	}
	_, err = d.client.SendTaskSuccess(ctx, &sfn.SendTaskSuccessInput{TaskToken: &d.token, Output: aws.String(string(out))})
	if closed, err := d.told(ctx, "SendTaskSuccess", err); err != nil {
		return "", err
	} else if closed {
		const text = "the task was closed already: an earlier attempt ended it, or it has timed out"
		if !c.Again {
			d.log.Warn("step_functions: " + text)
		}
		return text, nil
	}
	return "ended the task with success", nil
}

// told says what an answer means, and whether the task was closed before.
func (d *delivery) told(ctx context.Context, action string, err error) (closed bool, _ error) {
	switch code := awsconf.CodeOf(err); code {
	case "TaskTimedOut", "TaskDoesNotExist": // the former is what a task says that is closed for any reason
		return true, nil
	case "InvalidToken":
		return false, fail.Newf(fail.Usage, "states:%s: what environment variable %s has is no task token of this account and region: pass $$.Task.Token on as it is: %w", action, d.env, awsconf.Shorten(err))
	}
	return false, awsconf.Call{Action: "states:" + action, On: "the task whose token is in " + d.env}.Error(ctx, err)
}

// failed ends the task with why the run failed, unless another attempt may succeed: then that one tells.
func failed(ctx context.Context, req sinks.TargetRequest, f sinks.Failure) error {
	kind := fail.KindOf(f.Err)
	if kind == fail.Temporary {
		return nil
	}
	d, err := bind(req)
	if err != nil {
		return err
	}
	defer d.Close()
	if err := d.tokenThere(); err != nil {
		return err
	}
	if err := d.connect(ctx); err != nil {
		return err
	}
	cause := cut(strings.TrimSpace(string(f.Receipt)), mostCause)
	if len(f.Receipt) > mostCause { // half a receipt is no JSON: its error alone says most
		cause = cut(f.Err.Error(), mostCause)
	}
	_, err = d.client.SendTaskFailure(ctx, &sfn.SendTaskFailureInput{TaskToken: &d.token, Error: aws.String(cut("Sluice."+kind.String(), mostError)), Cause: &cause})
	closed, err := d.told(ctx, "SendTaskFailure", err)
	if closed {
		return fmt.Errorf("the task was closed already: an earlier attempt ended it, or it has timed out")
	}
	return err
}

// cut is the beginning of s of n bytes at most, without half a character at its end.
func cut(s string, n int) string {
	if len(s) > n {
		s = strings.ToValidUTF8(s[:n], "")
	}
	return s
}

func (d *delivery) Close() error {
	if d.idle != nil {
		d.idle()
	}
	return nil
}
