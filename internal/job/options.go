// Package job is one run from event to receipt: it settles the input, binds the pipeline file, runs the engine and
// commits. It is the only package that knows all the others.
package job

import (
	"io"
	"log/slog"
	"runtime"
	"time"

	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/sluice-data/sluice/internal/compress"
	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/internal/memlimit"
	"github.com/sluice-data/sluice/internal/objstore"
)

// Options are the flags of a run (DESIGN section 4); zero values are unset.
type Options struct {
	Pipeline    string            // path or s3:// URI of the pipeline file
	Event       string            // a file, "-" for standard input, or the JSON itself
	Inputs      []string          // URIs; globs and prefixes
	Output      string            // instead of sink.uri
	Set         map[string]string // variables of the pipeline file
	LocalRoot   string            // s3://bucket/key is LocalRoot/bucket/key
	EndpointURL string
	PathStyle   bool
	Lanes       int
	MemoryLimit string
	TmpDir      string
	UpdateLock  bool // write schema.lock
	Force       bool

	Getenv   func(string) string
	Stdin    io.Reader
	Log      *slog.Logger
	Progress func(Snapshot) // called a few times a second while the run goes on; may be nil
	Version  string         // of the engine, for the manifest and Parquet's created_by

	test hooks
}

// hooks let tests of this package put faults under a run, cut its row groups small, and count its Arrow memory.
type hooks struct {
	store     func(objstore.Store) objstore.Store
	blockRows int64
	mem       memory.Allocator
	renew     time.Duration // how often a claim is renewed
	patience  time.Duration // how long to wait for the commit of another attempt
	waiting   func()        // is called when such a wait begins
}

// sizes are the bounds that follow from the memory limit and the lanes.
type sizes struct {
	lanes      int
	limit      memlimit.Limit
	chunkBytes int
	chunkRows  int
	maxRecord  int
	blockRows  int64
	blockBytes int64
	// columnBytes is what one column of a block may take: the encoder holds it four times over.
	columnBytes int64
	// encodeBytes is what blocks may take from gathering to writing, as records; encoded they take about as much again.
	encodeBytes int64
	foldBytes   int64 // what folds may hold before they spill
	window      int64 // what a decompressor may hold
	readPart    int64 // bytes of one ranged GET
	idle        int64 // what released Arrow buffers may take until they are used again
}

// Row groups are cut by these, smaller in bytes only under a limit of less than 512 MiB: two attempts at a run under the same limit write the same files.
const (
	blockRows  = 122_880
	blockBytes = 16 << 20
	chunkBytes = 2 << 20
	chunkRows  = 1 << 16
	// maxRecord is the longest record that is read where memory allows.
	maxRecord = 64 << 20
	// laneBytes is what a lane wants: chunks and their batches, a block, its pages, its encoded twin.
	laneBytes = 72 << 20
	// leanBytes is what a lane makes do with: more lanes than that would break the limit, asked for or not.
	leanBytes = 48 << 20
	// programBytes is what the program takes before the first row, and what streams beside a fold.
	programBytes = 40 << 20
	// leastMemory is what one lane with nothing to remember needs.
	leastMemory = 64 << 20
	// assumedLimit stands in where nothing limits memory.
	assumedLimit = 4 << 30
)

// plan the sizes of a run from its flags and the machine.
func settle(o *Options) (sizes, error) {
	s := sizes{chunkRows: chunkRows, blockRows: blockRows}
	var err error
	if s.limit, err = memlimit.Detect(o.MemoryLimit); err != nil {
		return s, err
	}
	if o.MemoryLimit != "" && s.limit.Bytes < leastMemory {
		return s, fail.Newf(fail.Usage, "--memory-limit %s: the least is %d MiB", o.MemoryLimit, leastMemory>>20)
	}
	if s.limit.Cgroup > 0 && s.limit.Bytes > s.limit.Cgroup {
		o.Log.Warn("the memory limit is more than the container has, which ends a process that goes beyond: set it lower, or not at all", "memory_limit", s.limit.Bytes, "from", s.limit.Source, "container", s.limit.Cgroup)
	}
	limit := s.limit.Bytes
	if limit <= 0 {
		limit = assumedLimit
	}
	limit = max(limit, leastMemory)
	s.lanes = o.Lanes
	if s.lanes <= 0 {
		// More lanes than memory can feed would only make them wait.
		s.lanes = max(1, min(runtime.GOMAXPROCS(0), int(limit/laneBytes)))
	} else if most := max(1, int(limit/leanBytes)); s.lanes > most {
		o.Log.Warn("fewer lanes than asked for: memory is short", "lanes", most, "asked", s.lanes, "memory_limit", limit)
		s.lanes = most
	}
	s.window = min(compress.DefaultMaxWindow, max(8<<20, limit/4))
	s.idle = min(64<<20, limit/16)
	s.readPart = min(8<<20, max(1<<20, limit/64))
	s.maxRecord = int(min(maxRecord, max(4<<20, limit/16)))
	s.chunkBytes = int(min(chunkBytes, limit/128))
	s.blockBytes = min(blockBytes, limit/16)
	s.columnBytes = min(blockBytes, limit/32)
	s.foldBytes = (limit - programBytes) / 5 * 2
	s.encodeBytes = max(s.blockBytes, limit/8)
	if o.test.blockRows > 0 {
		s.blockRows = o.test.blockRows
	}
	return s, nil
}

// blocks takes the sizes of blocks that the pipeline file asks for in place of the defaults; 0 asks for nothing. bytes is a sixteenth of the memory at most.
func (s *sizes) blocks(rows, bytes int64) {
	if rows > 0 {
		s.blockRows = rows
	}
	if bytes > 0 {
		s.blockBytes, s.columnBytes = bytes, max(s.columnBytes, bytes/2)
		s.encodeBytes = max(s.encodeBytes, bytes)
	}
}
