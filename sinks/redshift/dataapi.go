package redshift

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/redshiftdata"
	"github.com/aws/aws-sdk-go-v2/service/redshiftdata/types"

	"github.com/sluice-data/sluice/internal/awsconf"
	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/internal/objstore"
)

// The Data API's bounds for one call ("Considerations when calling the Amazon Redshift Data API").
const (
	mostStatements = 40
	mostBytes      = 100 << 10
)

// cancelTime is what cancelling a statement may take once the run was told to stop: SIGKILL follows SIGTERM after 30 seconds.
const cancelTime = 5 * time.Second

// dataAPI is Redshift behind HTTP: statements are handed in and asked after.
type dataAPI struct {
	client *redshiftdata.Client
	idle   func() // gives up connections that are kept for reuse
	cfg    *config
	store  objstore.Store
	state  objstore.Ref // of the load's statement, so that a restarted attempt asks after it instead of handing it in again
	log    *slog.Logger
	first  time.Duration // between the first two questions after a statement
}

func newDataAPI(ctx context.Context, d *delivery) (*dataAPI, error) {
	conf, idle, err := awsconf.Service(ctx, "REDSHIFT_DATA", "")
	if err != nil {
		return nil, err
	}
	return &dataAPI{idle: idle, client: redshiftdata.NewFromConfig(conf), cfg: &d.cfg, store: d.req.Store, state: d.runRef("redshift.json"), log: d.req.Log, first: d.poll}, nil
}

func (a *dataAPI) close(context.Context) error { a.idle(); return nil }

func (a *dataAPI) query(ctx context.Context, sql string) ([][]*string, error) {
	if err := fitsOneCall([]statement{{sql: sql}}); err != nil {
		return nil, err
	}
	out, err := a.client.ExecuteStatement(ctx, &redshiftdata.ExecuteStatementInput{Sql: &sql, Database: &a.cfg.database, WorkgroupName: opt(a.cfg.workgroup),
		ClusterIdentifier: opt(a.cfg.cluster), DbUser: opt(a.cfg.dbUser), SecretArn: opt(a.cfg.secretARN), StatementName: aws.String("sluice")})
	if err != nil {
		return nil, a.failed(ctx, err, "ExecuteStatement")
	}
	done, err := a.await(ctx, aws.ToString(out.Id))
	if err != nil {
		return nil, err
	}
	if done.Status != types.StatusStringFinished {
		return nil, refusal(done, []statement{{sql: sql}})
	}
	if !aws.ToBool(done.HasResultSet) {
		return nil, nil
	}
	return a.rows(ctx, aws.ToString(out.Id))
}

func (a *dataAPI) peek(ctx context.Context, before []statement, query string) ([][]*string, error) {
	statements := append(append([]statement{}, before...), statement{sql: query})
	id, err := a.submit(ctx, statements, nil)
	if err != nil {
		return nil, err
	}
	done, err := a.await(ctx, id)
	if err != nil {
		return nil, err
	}
	if done.Status != types.StatusStringFinished {
		return nil, refusal(done, statements)
	}
	return a.rows(ctx, fmt.Sprintf("%s:%d", id, len(statements)))
}

// underway is the state object: the statement that carries out the load.
type underway struct {
	// Load is a digest of what is carried out: a run that was forced anew, of other files, is another.
	Load string `json:"load"`
	Try  int    `json:"try"` // those before it failed
	ID   string `json:"statement_id"`
}

func (a *dataAPI) anew(ctx context.Context, statements []statement) error {
	now, err := a.recall(ctx, digestOf(statements))
	if err != nil {
		return err
	}
	now.Try, now.ID = now.Try+1, ""
	return a.remember(ctx, now)
}

// transact hands the statements in as one batch, which the Data API runs as one transaction. The client token is made of the load and the number
// of the try: of two attempts at one time, and of one that was killed before it could note the statement's id, all get the same statement, for
// the eight hours that a token holds. The ledger is what makes a load happen once; this saves waiting and doing it in vain.
func (a *dataAPI) transact(ctx context.Context, statements []statement) error {
	if err := fitsOneCall(statements); err != nil {
		return err
	}
	now, err := a.recall(ctx, digestOf(statements))
	if err != nil {
		return err
	}
	for {
		resumed := now.ID != ""
		if resumed {
			a.log.Info("redshift: going on with the statement of an earlier attempt", "statement_id", now.ID)
		} else {
			token := token(now)
			if now.ID, err = a.submit(ctx, statements, &token); err != nil {
				return err
			}
			if err := a.remember(ctx, now); err != nil {
				return err
			}
		}
		done, err := a.await(ctx, now.ID)
		if err == nil && done.Status == types.StatusStringFinished {
			return nil
		}
		gone := errors.Is(err, errNoStatement)
		if err != nil && !gone {
			return err
		}
		now.Try, now.ID = now.Try+1, ""
		if err := a.remember(ctx, now); err != nil {
			return err
		}
		if resumed {
			continue // what an earlier attempt failed by may be put right by now
		}
		if gone {
			return fail.Newf(fail.Temporary, "the Data API does not know the statement that it took: %w", err)
		}
		return refusal(done, statements)
	}
}

func digestOf(statements []statement) string {
	h := sha256.New()
	for _, s := range statements {
		fmt.Fprintf(h, "%d\x00%s\x00", len(s.sql), s.sql)
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

func token(u underway) string {
	h := sha256.Sum256([]byte(u.Load + "/" + strconv.Itoa(u.Try)))
	return hex.EncodeToString(h[:16])
}

// recall is the load's statement as an earlier attempt noted it, or none.
func (a *dataAPI) recall(ctx context.Context, load string) (underway, error) {
	none := underway{Load: load}
	info, err := a.store.Stat(ctx, a.state, objstore.Pin{})
	if errors.Is(err, objstore.ErrNotExist) {
		return none, nil
	}
	if err != nil {
		return none, fmt.Errorf("read the state of the load: %w", err)
	}
	body, err := a.store.ReadRange(ctx, info, 0, info.Size)
	if errors.Is(err, objstore.ErrChanged) {
		return none, fail.Newf(fail.Temporary, "another attempt at this run loads it, too: %w", err)
	}
	if err != nil {
		return none, fmt.Errorf("read the state of the load: %w", err)
	}
	defer body.Close()
	var u underway
	if err := json.NewDecoder(body).Decode(&u); err != nil || u.Load != load {
		return none, nil // what cannot be read tells nothing: the load begins anew, and the ledger holds
	}
	return u, nil
}

func (a *dataAPI) remember(ctx context.Context, u underway) error {
	b, err := json.Marshal(u)
	if err != nil {
		return err
	}
	if _, err := a.store.Put(ctx, a.state, b, "application/json", false); err != nil {
		return fmt.Errorf("note the state of the load: %w", err)
	}
	return nil
}

func (a *dataAPI) submit(ctx context.Context, statements []statement, token *string) (string, error) {
	sqls := make([]string, len(statements))
	for i, s := range statements {
		sqls[i] = s.sql
	}
	out, err := a.client.BatchExecuteStatement(ctx, &redshiftdata.BatchExecuteStatementInput{Sqls: sqls, ClientToken: token, Database: &a.cfg.database, WorkgroupName: opt(a.cfg.workgroup),
		ClusterIdentifier: opt(a.cfg.cluster), DbUser: opt(a.cfg.dbUser), SecretArn: opt(a.cfg.secretARN), StatementName: aws.String("sluice")})
	if err != nil {
		return "", a.failed(ctx, err, "BatchExecuteStatement")
	}
	return aws.ToString(out.Id), nil
}

var errNoStatement = errors.New("the Data API knows no such statement (any more)")

// await asks after the statement until it has ended. If ctx ends first the statement is cancelled.
func (a *dataAPI) await(ctx context.Context, id string) (*redshiftdata.DescribeStatementOutput, error) {
	for wait := a.first; ; wait = min(wait*3/2, 5*time.Second) {
		out, err := a.client.DescribeStatement(ctx, &redshiftdata.DescribeStatementInput{Id: &id})
		switch {
		case ctx.Err() != nil:
			a.cancel(ctx, id)
			return nil, context.Cause(ctx)
		case err != nil:
			if missing := (*types.ResourceNotFoundException)(nil); errors.As(err, &missing) {
				return nil, fmt.Errorf("%w: %w", errNoStatement, err)
			}
			return nil, a.failed(ctx, err, "DescribeStatement")
		}
		switch out.Status {
		case types.StatusStringFinished, types.StatusStringFailed, types.StatusStringAborted:
			return out, nil
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			a.cancel(ctx, id)
			return nil, context.Cause(ctx)
		case <-timer.C:
		}
	}
}

// cancel stops a statement that nobody waits for any more. If that fails it goes on, and the next attempt finds it.
func (a *dataAPI) cancel(ctx context.Context, id string) {
	ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), cancelTime)
	defer stop()
	if _, err := a.client.CancelStatement(ctx, &redshiftdata.CancelStatementInput{Id: &id}); err != nil {
		a.log.Warn("redshift: the statement could not be cancelled and may go on", "statement_id", id, "error", err.Error())
	}
}

// rows is the result of a statement.
func (a *dataAPI) rows(ctx context.Context, id string) ([][]*string, error) {
	var out [][]*string
	for next := (*string)(nil); ; {
		page, err := a.client.GetStatementResult(ctx, &redshiftdata.GetStatementResultInput{Id: &id, NextToken: next})
		if err != nil {
			return nil, a.failed(ctx, err, "GetStatementResult")
		}
		for _, r := range page.Records {
			row := make([]*string, len(r))
			for i, f := range r {
				row[i] = fieldText(f)
			}
			out = append(out, row)
		}
		if next = page.NextToken; aws.ToString(next) == "" {
			return out, nil
		}
	}
}

func fieldText(f types.Field) *string {
	s := ""
	switch v := f.(type) {
	case *types.FieldMemberStringValue:
		s = v.Value
	case *types.FieldMemberLongValue:
		s = strconv.FormatInt(v.Value, 10)
	case *types.FieldMemberDoubleValue:
		s = strconv.FormatFloat(v.Value, 'g', -1, 64)
	case *types.FieldMemberBooleanValue:
		s = strconv.FormatBool(v.Value)
	case *types.FieldMemberBlobValue:
		s = hex.EncodeToString(v.Value)
	default:
		return nil
	}
	return &s
}

// refusal is what a statement that ended without success says. One that somebody cancelled is to be tried again.
func refusal(out *redshiftdata.DescribeStatementOutput, statements []statement) error {
	e := &sqlError{text: aws.ToString(out.Error)}
	for i, s := range out.SubStatements {
		if s.Status == types.StatementStatusStringFailed && i < len(statements) {
			e.at = statements[i]
			if t := aws.ToString(s.Error); t != "" {
				e.text = t
			}
			break
		}
	}
	if len(statements) == 1 {
		e.at = statements[0]
	}
	if out.Status == types.StatusStringAborted {
		return fail.Newf(fail.Temporary, "redshift: statement %s was cancelled: %s", aws.ToString(out.Id), e.Error())
	}
	return e
}

func fitsOneCall(statements []statement) error {
	bytes := 0
	for _, s := range statements {
		bytes += len(s.sql)
	}
	if len(statements) > mostStatements || bytes > mostBytes {
		return fail.Newf(fail.Usage, "the load is %d statements of %d bytes, and the Data API takes %d of %d: use a direct connection (dsn), or fewer columns", len(statements), bytes, mostStatements, mostBytes)
	}
	return nil
}

func opt(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// failed gives a failed call its kind. What the Data API itself met with on the way to the database may pass.
func (a *dataAPI) failed(ctx context.Context, err error, action string) error {
	call := awsconf.Call{Action: "redshift-data:" + action, On: "cluster " + a.cfg.cluster + ", database " + a.cfg.database}
	if a.cfg.cluster == "" {
		call.On = "workgroup " + a.cfg.workgroup + ", database " + a.cfg.database
	}
	switch awsconf.CodeOf(err) {
	case "DatabaseConnectionException", "BatchExecuteStatementException", "ExecuteStatementException", "QueryTimeoutException":
		return fail.Newf(fail.Temporary, "%s on %s: %w", call.Action, call.On, awsconf.Shorten(err))
	}
	return call.Error(ctx, err)
}
