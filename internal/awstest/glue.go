package awstest

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// The members of Glue's API that the target may use (AWS Glue Web API Reference).
type (
	Col       struct{ Name, Type string }
	SerdeInfo struct {
		SerializationLibrary string
		Parameters           map[string]string
	}
	Descriptor struct {
		Columns                             []Col
		Location, InputFormat, OutputFormat string
		SerdeInfo                           SerdeInfo
		Compressed, StoredAsSubDirectories  bool
		NumberOfBuckets                     int
	}
	TableInput struct {
		Name, TableType    string
		Description, Owner string `json:",omitempty"`
		Retention          int
		Parameters         map[string]string
		PartitionKeys      []Col
		StorageDescriptor  Descriptor
	}
	Table struct {
		TableInput
		DatabaseName, VersionId string
	}
	Partition struct {
		Values            []string
		StorageDescriptor Descriptor
	}
)

// Catalog is a double of Glue with the database "curated".
type Catalog struct {
	Double
	Tables     map[string]*Table
	Partitions map[string]Partition // of all tables, by their values
	Batches    []int                // sizes of BatchCreatePartition
	Fault      int                  // the number of the request that fares badly; -1 is none
	Lost       bool                 // it is carried out, and its answer does not arrive
	Between    func()               // called once after the next GetTable
	Say        map[string][]string  // errors of partitions by their values, one a request
	Deny       bool
}

// NewCatalog starts one without tables.
func NewCatalog(t testing.TB) *Catalog {
	t.Helper()
	c := &Catalog{Fault: -1, Say: map[string][]string{}}
	c.Reset()
	c.serve(t, "AWS_ENDPOINT_URL_GLUE", "glue", "AWSGlue.", func(action string, body []byte) answer {
		n := len(c.Requests)
		if n == c.Fault && !c.Lost {
			return answer{status: http.StatusServiceUnavailable}
		}
		a := c.carryOut(action, body)
		a.drop = n == c.Fault
		return a
	}, func(action string) {
		if f := c.Between; action == "GetTable" && f != nil {
			c.Between = nil
			f()
		}
	})
	return c
}

// Reset forgets all that it was told.
func (c *Catalog) Reset() {
	c.Lock()
	defer c.Unlock()
	c.Tables, c.Partitions, c.Batches, c.Requests = map[string]*Table{}, map[string]Partition{}, nil, nil
}

func (c *Catalog) carryOut(action string, body []byte) answer {
	var in struct {
		DatabaseName, Name, TableName, VersionId string
		TableInput                               *TableInput
		PartitionInputList                       []Partition
	}
	c.decode(action, body, &in)
	if c.Deny {
		return refuse("AccessDeniedException", "User x is not authorized to perform: glue:"+action)
	}
	if in.DatabaseName != "curated" {
		return refuse("EntityNotFoundException", "Database "+in.DatabaseName+" not found.")
	}
	name := in.Name + in.TableName
	if in.TableInput != nil {
		name = in.TableInput.Name
	}
	have := c.Tables[name]
	if action == "CreateTable" {
		if have != nil {
			return refuse("AlreadyExistsException", "Table already exists.")
		}
		c.Tables[name] = &Table{*in.TableInput, in.DatabaseName, "1"}
		return answer{out: struct{}{}}
	}
	if have == nil {
		return refuse("EntityNotFoundException", "Entity Not Found")
	}
	switch action {
	case "GetTable":
		return answer{out: map[string]any{"Table": have}}
	case "UpdateTable":
		if in.VersionId != have.VersionId {
			return refuse("ConcurrentModificationException", "Update table failed due to concurrent modifications.")
		}
		v, _ := strconv.Atoi(have.VersionId)
		c.Tables[name] = &Table{*in.TableInput, in.DatabaseName, strconv.Itoa(v + 1)}
		return answer{out: struct{}{}}
	case "BatchCreatePartition":
		return c.addPartitions(have, in.PartitionInputList)
	}
	c.t.Errorf("action %q", action)
	return refuse("UnknownOperationException", "")
}

func (c *Catalog) addPartitions(have *Table, list []Partition) answer {
	if len(list) == 0 || len(list) > 100 {
		return refuse("ValidationException", "1 validation error detected: Value at 'partitionInputList' failed to satisfy constraint: Member must have length less than or equal to 100")
	}
	c.Batches = append(c.Batches, len(list))
	failed := []map[string]any{}
	for _, p := range list {
		key := strings.Join(p.Values, "/")
		fails := func(code string) {
			failed = append(failed, map[string]any{"PartitionValues": p.Values, "ErrorDetail": map[string]string{"ErrorCode": code, "ErrorMessage": "said so"}})
		}
		if len(p.Values) != len(have.PartitionKeys) {
			return refuse("InvalidInputException", "The number of partition keys do not match the number of partition values")
		}
		if said := c.Say[key]; len(said) > 0 {
			c.Say[key] = said[1:]
			fails(said[0])
		} else if _, dup := c.Partitions[key]; dup {
			fails("AlreadyExistsException")
		} else {
			c.Partitions[key] = p
		}
	}
	return answer{out: map[string]any{"Errors": failed}}
}

// Told is what the catalog has: each table with its columns, then the partitions, a line each.
func (c *Catalog) Told() string {
	c.Lock()
	defer c.Unlock()
	var out []string
	for name, t := range c.Tables {
		out = append(out, fmt.Sprintf("table %s %s %v by %v", name, t.StorageDescriptor.Location, t.StorageDescriptor.Columns, t.PartitionKeys))
	}
	for key, p := range c.Partitions {
		out = append(out, "partition "+key+" "+p.StorageDescriptor.Location)
	}
	slices.Sort(out)
	slices.Reverse(out)
	return strings.Join(append(out, ""), "\n")
}
