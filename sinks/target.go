package sinks

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/apache/arrow/go/v17/arrow"

	"github.com/sluice-data/sluice/internal/objstore"
	"github.com/sluice-data/sluice/internal/spec"
)

// Target is what a run's committed files are brought to: a warehouse or database that loads them, a catalog that lists them, a bus that
// hears of them. It registers itself under the key of the sink: block that asks for it.
//
// Files are committed first, by their manifest; targets follow, one after the other by Rank. Each has its own way to be exactly once, with
// the run's id as the key, so a run that ends between two of them goes on with the next when it is started again, and reads no input for that.
type Target struct {
	Name    string // "redshift": the key in the sink: block
	Doc     string // one paragraph for the reference
	Example string // a sink: block
	// Rank says when its turn is: loads come before catalogs, and what tells others that all is there comes last.
	Rank Rank
	// Always says that a run which finds itself committed and delivered tells the target once more: a message may have got lost.
	Always bool
	// Open checks the block's keys and values against the rows' schema. It reaches out to nothing: errors are of kind Usage, at
	// their place in the pipeline file.
	Open func(req TargetRequest) (Delivery, error)
	// Failed, where a target has it, tells it that the run failed, with the receipt that says why. No columns may be known (Schema is nil).
	// It is called once at the end of an attempt, also where another attempt may succeed; what it returns is logged and changes nothing.
	Failed func(ctx context.Context, req TargetRequest, f Failure) error
}

// Failure is a run that failed.
type Failure struct {
	Err     error
	Receipt []byte // as JSON
}

// Rank is a target's turn.
type Rank int

// The turns of targets, first to last.
const (
	RankLoad    Rank = iota // puts the rows into tables of its own
	RankCatalog             // makes the files known as a table
	RankNotice              // tells others
)

// TargetRequest is what a target gets to open a delivery.
type TargetRequest struct {
	At *spec.Node // the block, not yet read
	// Schema is that of the rows: the columns of the files in their order, then those of PartitionBy, which are in the folders' names only.
	Schema      *arrow.Schema
	PartitionBy []string
	Format      string  // of the files: the name of their Destination. Who reads them refuses those that it cannot; Commit.Read reads Parquet
	Options     Options // of it
	Store       objstore.Store
	Dir         objstore.Ref // sink.uri as a prefix: Key is "" or ends in "/"
	RunID       string       // "RUN_ID" where a plan is explained that has no input yet
	Pipeline    string       // its name
	Version     string       // of the engine
	Mode        string       // sink.mode: append, replace_partitions or replace
	Forced      bool         // --force: the run may be committed, and delivered, before, and is going to be committed anew
	Getenv      func(string) string
	Log         *slog.Logger
}

// Delivery is a target bound to one run.
type Delivery interface {
	// Explain is what Deliver is going to do, for people to read and to run by hand: whole SQL statements or requests, in order.
	Explain() []string
	// Preflight holds the target against the rows' schema before the rows are read, and changes nothing there. What a value must keep
	// to so that the target takes it comes back as constraints: they are held against each row while it streams. It is not called for a
	// run that is found committed.
	Preflight(ctx context.Context) ([]Constraint, error)
	// Deliver brings the commit to the target exactly once, however often it is called for one commit, by attempts that may overlap, and
	// wherever an earlier call was killed. It returns a line about what it did, for the receipt. Superseded is no failure of the run.
	Deliver(ctx context.Context, c Commit) (string, error)
	// Close gives up connections. A delivery that was only explained is closed, too.
	Close() error
}

// Commit is a run that is committed: its manifest names its files. A notice gets all of them, a load those that stand, a catalog also those that were merged
// with others since, whose rows stand in the same folders.
type Commit struct {
	RunID string
	// At is when it was committed. A run is committed anew only by --force: a target that holds an earlier commit of the run has to put this one in
	// its place, or refuse it.
	At       time.Time
	Manifest objstore.Ref
	Files    []File
	Rows     int64
	// Read reads the files back: it calls emit with their rows, columns as in TargetRequest.Schema, in the order of the files. The records are lent
	// for the call.
	Read func(ctx context.Context, emit func(arrow.Record) error) error
	// Replaced says that the files took the place of those that stood in their folders (replace_partitions) or below Dir (replace).
	Replaced bool
	// ReplacedBy are runs that have taken the place of files of this one since, fifty at most.
	ReplacedBy []Replacement
	// Again says that the target was told of the commit before, of an Always target.
	Again bool
	// Receipt is the run's receipt so far as JSON: what a message about the commit may carry.
	Receipt []byte
}

// Replacement is a run that has taken the place of files of another.
type Replacement struct {
	RunID string `json:"run_id"`
	Mode  string `json:"mode"`  // replace, replace_partitions, or compact: then the rows are in its files
	Files int    `json:"files"` // how many
	Rows  int64  `json:"rows"`  // in those
}

// Superseded is what Deliver returns where it left the target as it was, since a later commit has taken the place there of all that this one would bring.
type Superseded struct{ Why string }

func (s Superseded) Error() string { return s.Why }

var targets = map[string]Target{}

// RegisterTarget adds a target; a name registered twice panics.
func RegisterTarget(t Target) {
	if _, dup := targets[t.Name]; dup {
		panic("sinks: target registered twice: " + t.Name)
	}
	targets[t.Name] = t
}

// Targets are the registered targets in the order of their turns.
func Targets() []Target {
	out := make([]Target, 0, len(targets))
	for _, t := range targets {
		out = append(out, t)
	}
	slices.SortFunc(out, func(a, b Target) int {
		if a.Rank != b.Rank {
			return int(a.Rank - b.Rank)
		}
		return strings.Compare(a.Name, b.Name)
	})
	return out
}
