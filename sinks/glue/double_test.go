package glue

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/apache/arrow/go/v17/arrow"
	"go.uber.org/goleak"

	"github.com/sluice-data/sluice/internal/objstore"
	"github.com/sluice-data/sluice/internal/schema"
	"github.com/sluice-data/sluice/internal/spec"
	"github.com/sluice-data/sluice/sinks"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The members of the API that the target may use (AWS Glue Web API Reference). Requests with others are refused.
type (
	col       struct{ Name, Type string }
	serdeInfo struct {
		SerializationLibrary string
		Parameters           map[string]string
	}
	descriptor struct {
		Columns                             []col
		Location, InputFormat, OutputFormat string
		SerdeInfo                           serdeInfo
		Compressed, StoredAsSubDirectories  bool
		NumberOfBuckets                     int
	}
	tableInput struct {
		Name, TableType    string
		Description, Owner string `json:",omitempty"`
		Retention          int
		Parameters         map[string]string
		PartitionKeys      []col
		StorageDescriptor  descriptor
	}
	table struct {
		tableInput
		DatabaseName, VersionId string
	}
	partition struct {
		Values            []string
		StorageDescriptor descriptor
	}
)

// catalog is a double of Glue with the database "curated".
type catalog struct {
	sync.Mutex
	t          *testing.T
	tables     map[string]*table
	partitions map[string]partition // of all tables, by their values
	batches    []int                // sizes of BatchCreatePartition
	requests   []string
	fault      int                 // the number of the request that fares badly; -1 is none
	lost       bool                // it is carried out, and its answer does not arrive
	between    func()              // called once after the next GetTable
	say        map[string][]string // errors of partitions by their values, one a request
	deny       bool
}

func start(t *testing.T) *catalog {
	t.Helper()
	c := &catalog{t: t, fault: -1, say: map[string][]string{}}
	c.reset()
	srv := httptest.NewServer(c)
	t.Cleanup(srv.Close)
	for k, v := range map[string]string{"AWS_ENDPOINT_URL_GLUE": srv.URL, "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "s", "AWS_REGION": "eu-central-1",
		"AWS_CONFIG_FILE": "/nonexistent", "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent"} {
		t.Setenv(k, v)
	}
	return c
}

func (c *catalog) reset() {
	c.Lock()
	defer c.Unlock()
	c.tables, c.partitions, c.batches, c.requests = map[string]*table{}, map[string]partition{}, nil, nil
}

func (c *catalog) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.Lock()
	defer c.Unlock()
	action, ok := strings.CutPrefix(r.Header.Get("X-Amz-Target"), "AWSGlue.")
	if !ok || !strings.Contains(r.Header.Get("Authorization"), "/glue/aws4_request") {
		c.t.Errorf("%s", r.Header)
	}
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	n := len(c.requests)
	c.requests = append(c.requests, action)
	if n == c.fault && !c.lost {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		c.t.Error(err)
	}
	out, code, message := c.carryOut(action, body)
	if n == c.fault {
		panic(http.ErrAbortHandler)
	}
	if code != "" {
		w.WriteHeader(http.StatusBadRequest)
		out = map[string]string{"__type": code, "Message": message}
	}
	if err := json.NewEncoder(w).Encode(out); err != nil {
		c.t.Error(err)
	}
	if f := c.between; action == "GetTable" && f != nil {
		c.between = nil
		f()
	}
}

func (c *catalog) carryOut(action string, body []byte) (out any, code, message string) {
	var in struct {
		DatabaseName, Name, TableName, VersionId string
		TableInput                               *tableInput
		PartitionInputList                       []partition
	}
	dec := json.NewDecoder(strings.NewReader(string(body)))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&in); err != nil {
		c.t.Errorf("%s: %v\n%s", action, err, body)
	}
	if c.deny {
		return nil, "AccessDeniedException", "User x is not authorized to perform: glue:" + action
	}
	if in.DatabaseName != "curated" {
		return nil, "EntityNotFoundException", "Database " + in.DatabaseName + " not found."
	}
	name := in.Name + in.TableName
	if in.TableInput != nil {
		name = in.TableInput.Name
	}
	have := c.tables[name]
	if action == "CreateTable" {
		if have != nil {
			return nil, "AlreadyExistsException", "Table already exists."
		}
		c.tables[name] = &table{*in.TableInput, in.DatabaseName, "1"}
		return struct{}{}, "", ""
	}
	if have == nil {
		return nil, "EntityNotFoundException", "Entity Not Found"
	}
	switch action {
	case "GetTable":
		return map[string]any{"Table": have}, "", ""
	case "UpdateTable":
		if in.VersionId != have.VersionId {
			return nil, "ConcurrentModificationException", "Update table failed due to concurrent modifications."
		}
		v, _ := strconv.Atoi(have.VersionId)
		c.tables[name] = &table{*in.TableInput, in.DatabaseName, strconv.Itoa(v + 1)}
		return struct{}{}, "", ""
	case "BatchCreatePartition":
		return c.addPartitions(have, in.PartitionInputList)
	}
	c.t.Errorf("action %q", action)
	return nil, "UnknownOperationException", ""
}

func (c *catalog) addPartitions(have *table, list []partition) (out any, code, message string) {
	if len(list) == 0 || len(list) > 100 {
		return nil, "ValidationException", "1 validation error detected: Value at 'partitionInputList' failed to satisfy constraint: Member must have length less than or equal to 100"
	}
	c.batches = append(c.batches, len(list))
	failed := []map[string]any{}
	for _, p := range list {
		key := strings.Join(p.Values, "/")
		fails := func(code string) {
			failed = append(failed, map[string]any{"PartitionValues": p.Values, "ErrorDetail": map[string]string{"ErrorCode": code, "ErrorMessage": "said so"}})
		}
		if len(p.Values) != len(have.PartitionKeys) {
			return nil, "InvalidInputException", "The number of partition keys do not match the number of partition values"
		}
		if said := c.say[key]; len(said) > 0 {
			c.say[key] = said[1:]
			fails(said[0])
		} else if _, dup := c.partitions[key]; dup {
			fails("AlreadyExistsException")
		} else {
			c.partitions[key] = p
		}
	}
	return map[string]any{"Errors": failed}, "", ""
}

// columns is a schema: "name type", separated by semicolons.
func columns(t *testing.T, text string) *arrow.Schema {
	t.Helper()
	var fields []arrow.Field
	for _, c := range strings.Split(text, ";") {
		name, typ, _ := strings.Cut(strings.TrimSpace(c), " ")
		f, err := schema.ParseField(name, typ)
		if err != nil {
			t.Fatal(err)
		}
		fields = append(fields, f)
	}
	return arrow.NewSchema(fields, nil)
}

const run = "00000000000000a1"

// bind opens the block for rows of the columns, the last of which, by, name the folders.
func bind(t *testing.T, block, cols string, by ...string) (*delivery, error) {
	t.Helper()
	root, err := spec.Parse("p.yaml", []byte("glue: "+block+"\n"))
	if err != nil {
		t.Fatal(err)
	}
	d, err := open(sinks.TargetRequest{At: root.Get("glue"), Schema: columns(t, cols), PartitionBy: by, Dir: objstore.Ref{Bucket: "b", Key: "trips/"}, RunID: run, Pipeline: "trips", Mode: "append", Format: "parquet",
		Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
	if err != nil {
		return nil, err
	}
	out := d.(*delivery)
	out.pause = func(int) time.Duration { return time.Millisecond }
	t.Cleanup(func() { _ = d.Close() })
	return out, nil
}

func bound(t *testing.T, block, cols string, by ...string) *delivery {
	t.Helper()
	d, err := bind(t, block, cols, by...)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func equal(t *testing.T, what string, got, want any) {
	t.Helper()
	if g, w := fmt.Sprint(got), fmt.Sprint(want); g != w {
		t.Fatalf("%s\n got %s\nwant %s", what, g, w)
	}
}

func sorted(c *catalog) (out []string) {
	for _, p := range c.partitions {
		out = append(out, strings.Join(p.Values, "|")+" "+p.StorageDescriptor.Location)
	}
	slices.Sort(out)
	return out
}
