package sinks

import (
	"context"
	"log/slog"
	"slices"
	"strings"

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
	// Schema is that of the rows, partition columns among them. The files have its fields but for those of PartitionBy, in order; what
	// PartitionBy names is in the folders' names only.
	Schema      *arrow.Schema
	PartitionBy []string
	Store       objstore.Store
	Dir         objstore.Ref // sink.uri as a prefix: Key is "" or ends in "/"
	RunID       string
	Pipeline    string // its name
	Version     string // of the engine
	Mode        string // sink.mode: append, replace_partitions or replace
	Log         *slog.Logger
}

// Delivery is a target bound to one run.
type Delivery interface {
	// Explain is what Deliver is going to do, for people to read and to run by hand: whole SQL statements or requests, in order.
	Explain() []string
	// Preflight holds the target against the rows' schema before the input is read, and changes nothing there. What a value must keep
	// to so that the target takes it comes back as constraints: they are held against each row while it streams.
	Preflight(ctx context.Context) ([]Constraint, error)
	// Deliver brings the commit to the target exactly once, however often it is called for one run and wherever an earlier call was
	// killed. It returns a line about what it did, for the receipt.
	Deliver(ctx context.Context, c Commit) (string, error)
	// Close gives up connections. A delivery that was only explained is closed, too.
	Close() error
}

// Constraint is what a target demands of the values of one column.
type Constraint struct {
	Column   string
	MaxBytes int    // octets a text or binary value may have; 0 for any number
	NotNull  bool   // null is refused
	Because  string // "column city of stg.trips is varchar(20)", for the reason of a bad row
}

// Commit is a run that is committed: its files stand and its manifest names them.
type Commit struct {
	RunID    string
	Manifest objstore.Ref
	Files    []File
	Rows     int64
	// Replaced says that the files took the place of those that stood in their folders (replace_partitions) or below Dir (replace).
	Replaced bool
	// Again says that the target was told of the commit before, of an Always target.
	Again bool
	// Receipt is the run's receipt so far as JSON: what a message about the commit may carry.
	Receipt []byte
}

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
