package redshifttest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"strings"
	"sync"
	"time"
)

// job is a statement, or a batch of them, that the Data API took.
type job struct {
	id     string
	sqls   []string
	batch  bool
	cancel context.CancelFunc

	mu     sync.Mutex
	status string
	err    string
	subs   []sub
	ended  bool
}

// sub is a statement of a job.
type sub struct {
	status, err string
	result      *result
}

type token struct {
	id   string
	sqls []string
}

// input is the union of what the operations take.
type input struct {
	Sql, ClientToken, ClusterIdentifier, Database, DbUser, SecretArn, WorkgroupName, ID, NextToken string
	StatementName, SessionID, ResultFormat                                                         string
	Sqls                                                                                           []string
	WithEvent                                                                                      bool
}

// apiError is an exception of the service.
type apiError struct{ name, message string }

func (e *apiError) Error() string { return e.name + ": " + e.message }

func invalid(format string, args ...any) *apiError {
	return &apiError{"ValidationException", fmt.Sprintf(format, args...)}
}

// serveAPI is JSON 1.1 over HTTP.
func (s *Server) serveAPI(w http.ResponseWriter, r *http.Request) {
	op, ok := strings.CutPrefix(r.Header.Get("X-Amz-Target"), "RedshiftData.")
	body, err := io.ReadAll(r.Body)
	if !ok || err != nil || !strings.Contains(r.Header.Get("Content-Type"), "application/x-amz-json-1.1") {
		answer(w, &apiError{"UnknownOperationException", "want JSON 1.1"}, nil)
		return
	}
	fault := s.event(op)
	switch fault {
	case Drop:
		hangUp(w)
		return
	case Throttle:
		answer(w, &apiError{"ThrottlingException", "Rate exceeded"}, nil)
		return
	}
	if auth := r.Header.Get("Authorization"); !strings.HasPrefix(auth, "AWS4-HMAC-SHA256 ") || !strings.Contains(auth, "/redshift-data/aws4_request") {
		answer(w, &apiError{"AccessDeniedException", "the request is not signed for redshift-data"}, nil)
		return
	}
	if !strings.Contains(r.Header.Get("Authorization"), "Credential="+s.s3.AccessKey+"/") {
		answer(w, &apiError{"AccessDeniedException", "User: nobody is not authorized to perform: redshift-data:" + op}, nil)
		return
	}
	var in input
	if err := json.Unmarshal(body, &in); err != nil {
		answer(w, &apiError{"SerializationException", err.Error()}, nil)
		return
	}
	out, err := s.call(op, &in)
	if fault == Lose {
		hangUp(w)
		return
	}
	answer(w, err, out)
}

func hangUp(w http.ResponseWriter) {
	if c, _, err := http.NewResponseController(w).Hijack(); err == nil {
		c.Close()
	}
}

func answer(w http.ResponseWriter, err error, out any) {
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	if err != nil {
		var e *apiError
		if !errors.As(err, &e) {
			e = &apiError{"InternalServerException", err.Error()}
		}
		status := http.StatusBadRequest
		if e.name == "InternalServerException" || e.name == "BatchExecuteStatementException" {
			status = http.StatusInternalServerError
		}
		w.WriteHeader(status)
		out = map[string]string{"__type": e.name, "Message": e.message, "message": e.message}
	}
	_ = json.NewEncoder(w).Encode(out)
}

func (s *Server) call(op string, in *input) (any, error) {
	switch op {
	case "ExecuteStatement":
		return s.take(in, []string{in.Sql}, false)
	case "BatchExecuteStatement":
		return s.take(in, in.Sqls, true)
	case "DescribeStatement":
		return s.describe(in.ID)
	case "CancelStatement":
		return s.cancel(in.ID)
	case "GetStatementResult":
		return s.rows(in.ID)
	}
	return nil, &apiError{"UnknownOperationException", op}
}

// take checks a request, and begins to carry it out unless its client token says that this was done before.
func (s *Server) take(in *input, sqls []string, batch bool) (any, error) {
	size := 0
	for _, q := range sqls {
		size += len(q)
		if q == "" {
			return nil, invalid("Sql must not be empty")
		}
	}
	switch {
	case len(sqls) == 0 || len(sqls) > 40:
		return nil, invalid("Sqls must have 1 to 40 members, has %d", len(sqls))
	case size > 100<<10:
		return nil, invalid("the statements are longer than 100 KB")
	case len(in.ClientToken) > 64:
		return nil, invalid("ClientToken is longer than 64")
	case (in.WorkgroupName == "") == (in.ClusterIdentifier == ""):
		return nil, invalid("Provide a Cluster Identifier or a Workgroup name")
	case in.WorkgroupName != "" && in.WorkgroupName != Workgroup:
		return nil, invalid("Redshift endpoint doesn't exist in this region.")
	case in.ClusterIdentifier != "" && in.ClusterIdentifier != Cluster:
		return nil, invalid("Cluster doesn't exist in this region.")
	case in.WorkgroupName != "" && in.DbUser != "":
		return nil, invalid("DbUser is not a parameter for serverless workgroups")
	case in.Database == "":
		return nil, invalid("Database is missing")
	case in.Database != Database:
		return nil, invalid("FATAL: database %q does not exist", in.Database)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if t, ok := s.tokens[in.ClientToken]; ok && in.ClientToken != "" {
		if !reflect.DeepEqual(t.sqls, sqls) {
			return nil, invalid("ClientToken %s was used with other parameters", in.ClientToken)
		}
		return map[string]any{"Id": t.id}, nil
	}
	s.numbers++
	ctx, cancel := context.WithCancel(s.life)
	j := &job{id: fmt.Sprintf("d9b6c0c9-0747-4bf4-b142-%012d", s.numbers), sqls: sqls, batch: batch, cancel: cancel, status: "SUBMITTED", subs: make([]sub, len(sqls))}
	for i := range j.subs {
		j.subs[i].status = "SUBMITTED"
	}
	s.statements[j.id] = j
	if in.ClientToken != "" {
		s.tokens[in.ClientToken] = token{j.id, sqls}
	}
	s.running.Go(func() { s.carryOut(ctx, j) })
	return map[string]any{"Id": j.id, "Database": in.Database, "CreatedAt": float64(time.Now().Unix())}, nil
}

// Forget makes the Data API forget a job, as it does after a day.
func (s *Server) Forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.statements)
	clear(s.tokens)
}

// carryOut runs a job on a session of its own, a batch in one transaction.
func (s *Server) carryOut(ctx context.Context, j *job) {
	defer j.cancel()
	end := func(status, text string) {
		j.mu.Lock()
		defer j.mu.Unlock()
		if !j.ended {
			j.status, j.err, j.ended = status, text, true
		}
	}
	c, err := s.lend(ctx)
	if err != nil {
		end("FAILED", err.Error())
		return
	}
	over, cancelled := make(chan struct{}), make(chan struct{})
	stop := context.AfterFunc(ctx, func() { // as a user would cancel it, until it is: PostgreSQL forgets a cancel that comes before its statement
		defer close(cancelled)
		for again := time.NewTicker(50 * time.Millisecond); ; {
			_ = c.pg.CancelRequest(context.Background())
			select {
			case <-over:
				again.Stop()
				return
			case <-again.C:
			}
		}
	})
	defer func() {
		close(over)
		if stop() {
			s.giveBack(c)
			return
		}
		<-cancelled
		c.close() // the cancel may hit the next statement
	}()
	j.mu.Lock()
	j.status = "STARTED"
	j.mu.Unlock()
	run := func() error {
		work := context.WithoutCancel(ctx)
		if j.batch {
			if _, err := c.raw(work, "BEGIN"); err != nil {
				return err
			}
		}
		for i, q := range j.sqls {
			if ctx.Err() != nil {
				return context.Canceled
			}
			r, err := c.exec(work, q)
			j.mu.Lock()
			j.subs[i] = sub{status: "FINISHED", result: r}
			if err != nil {
				j.subs[i] = sub{status: "FAILED", err: err.Error()}
			}
			j.mu.Unlock()
			if err != nil {
				return err
			}
		}
		if j.batch {
			if s.event("sql: COMMIT") == Conflict {
				return conflict("injected")
			}
			_, err := c.raw(work, "COMMIT")
			return err
		}
		return nil
	}
	err = run()
	switch {
	case err != nil && ctx.Err() != nil:
		end("ABORTED", "Query cancelled on user's request")
	case err != nil:
		j.mu.Lock()
		for i := range j.subs {
			if j.subs[i].status == "SUBMITTED" || j.subs[i].status == "FINISHED" {
				j.subs[i].status = "ABORTED"
			}
		}
		j.mu.Unlock()
		text := err.Error()
		for i, sb := range j.subs {
			if sb.status == "FAILED" && j.batch {
				text = fmt.Sprintf("Query #%d failed with %s", i+1, err)
			}
		}
		end("FAILED", text)
	default:
		end("FINISHED", "")
	}
}

func (s *Server) find(id string) (*job, int, error) {
	id, n, _ := strings.Cut(id, ":")
	s.mu.Lock()
	defer s.mu.Unlock()
	j := s.statements[id]
	if j == nil {
		return nil, 0, &apiError{"ResourceNotFoundException", "Query does not exist."}
	}
	number := 1
	if n != "" {
		if _, err := fmt.Sscan(n, &number); err != nil || number < 1 || number > len(j.sqls) {
			return nil, 0, invalid("no statement %s", n)
		}
	}
	return j, number, nil
}

func (s *Server) describe(id string) (any, error) {
	j, _, err := s.find(id)
	if err != nil {
		return nil, err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	out := map[string]any{"Id": j.id, "Status": j.status, "RedshiftQueryId": 4711, "HasResultSet": false}
	if j.err != "" {
		out["Error"] = j.err
	}
	if !j.batch {
		out["HasResultSet"] = j.subs[0].result != nil && len(j.subs[0].result.columns) > 0
		return out, nil
	}
	var subs []map[string]any
	for i, sb := range j.subs {
		m := map[string]any{"Id": fmt.Sprintf("%s:%d", j.id, i+1), "Status": sb.status, "QueryString": j.sqls[i]}
		if sb.err != "" {
			m["Error"] = sb.err
		}
		subs = append(subs, m)
	}
	out["SubStatements"] = subs
	return out, nil
}

func (s *Server) cancel(id string) (any, error) {
	j, _, err := s.find(id)
	if err != nil {
		return nil, err
	}
	j.mu.Lock()
	ended := j.ended
	j.mu.Unlock()
	if ended {
		return nil, invalid("Could not cancel a query that is already in %s state with ID: %s", j.status, j.id)
	}
	j.cancel()
	return map[string]any{"Status": true}, nil
}

// rows is a result, with values as the service types them.
func (s *Server) rows(id string) (any, error) {
	j, n, err := s.find(id)
	if err != nil {
		return nil, err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	r := j.subs[n-1].result
	if j.status != "FINISHED" || r == nil || len(r.columns) == 0 {
		return nil, &apiError{"ResourceNotFoundException", "Query does not have result. Please check query status with DescribeStatement."}
	}
	records := [][]map[string]any{}
	for _, row := range r.rows {
		var record []map[string]any
		for i, v := range row {
			switch {
			case v == nil:
				record = append(record, map[string]any{"isNull": true})
			case r.columns[i].DataTypeOID == 20 || r.columns[i].DataTypeOID == 21 || r.columns[i].DataTypeOID == 23:
				record = append(record, map[string]any{"longValue": json.Number(v)})
			case r.columns[i].DataTypeOID == 16:
				record = append(record, map[string]any{"booleanValue": string(v) == "t"})
			default:
				record = append(record, map[string]any{"stringValue": string(v)})
			}
		}
		records = append(records, record)
	}
	var columns []map[string]any
	for _, c := range r.columns {
		columns = append(columns, map[string]any{"name": c.Name, "label": c.Name})
	}
	return map[string]any{"Records": records, "ColumnMetadata": columns, "TotalNumRows": len(records)}, nil
}
