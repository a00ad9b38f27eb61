// Package memlimit finds out how much memory the process may use, and tells the Go runtime.
package memlimit

import (
	"context"
	"encoding/json"
	"io"
	"math"
	"net/http"
	"os"
	"runtime/debug"
	"strings"
	"time"

	"github.com/KimMachineGun/automemlimit/memlimit"

	"github.com/sluice-data/sluice/internal/fail"
	"github.com/sluice-data/sluice/internal/spec"
)

// Limit is what the process may use before it is killed. Bytes is 0 if no limit was found.
type Limit struct {
	Bytes  int64
	Source string // "--memory-limit", "GOMEMLIMIT", "cgroup", "ECS task metadata" or "none"
	// Cgroup is what the container's cgroup allows, 0 if it says nothing: who goes by more is killed.
	Cgroup int64
}

const (
	fromFlag = "--memory-limit"
	fromEnv  = "GOMEMLIMIT"

	// From a limit of plenty on the heap's first bytes are in huge pages, of which those in use in part took 5 MiB more in runs of 90, and the collector waits longer.
	plenty    = 256 << 20
	hugeBytes = 256 << 20
)

// probes are the places to look at.
type probes struct {
	getenv func(string) string
	cgroup func() (uint64, error)
	client *http.Client
}

// Detect finds the limit: flag (a size such as 2GiB; a Usage error if it is none), else GOMEMLIMIT, else the smaller of the cgroup's limit (v1 or v2) and
// that of ECS task metadata. Batch on EC2 and docker set the cgroup's; on Fargate only the task may have one. A place that does not
// answer within a second counts as silent.
func Detect(flag string) (Limit, error) {
	transport := &http.Transport{DisableKeepAlives: true} // no proxy: the metadata address is link-local
	return probes{os.Getenv, memlimit.FromCgroup, &http.Client{Transport: transport}}.detect(flag)
}

func (p probes) detect(flag string) (Limit, error) {
	group := int64(0)
	if n, err := p.cgroup(); err == nil && n < math.MaxInt64 {
		group = int64(n)
	}
	if flag != "" {
		n, err := spec.ParseSize(flag)
		if err != nil {
			return Limit{}, fail.Newf(fail.Usage, "%s: %w", fromFlag, err)
		}
		return Limit{n, fromFlag, group}, nil
	}
	if v := p.getenv(fromEnv); v != "" && v != "off" {
		if n, err := spec.ParseSize(v); err == nil && n < math.MaxInt64 {
			return Limit{n, fromEnv, group}, nil
		}
	}
	best := Limit{0, "none", group}
	take := func(n int64, source string) {
		if n > 0 && (best.Bytes == 0 || n < best.Bytes) {
			best = Limit{n, source, group}
		}
	}
	take(group, "cgroup")
	if uri := p.getenv("ECS_CONTAINER_METADATA_URI_V4"); strings.HasPrefix(uri, "http://") {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		for _, path := range []string{"", "/task"} {
			take(p.ecs(ctx, uri+path), "ECS task metadata")
		}
	}
	return best, nil
}

// ecs is Limits.Memory of a metadata answer in bytes, 0 if there is none. Fractional MiB do occur nowhere but are taken.
func (p probes) ecs(ctx context.Context, url string) int64 {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0
	}
	resp, err := p.client.Do(req)
	if err != nil {
		return 0
	}
	defer resp.Body.Close()
	var doc struct {
		Limits struct{ Memory float64 }
	}
	if resp.StatusCode != http.StatusOK || json.NewDecoder(io.LimitReader(resp.Body, 1<<20)).Decode(&doc) != nil {
		return 0
	}
	if m := doc.Limits.Memory; m > 0 && m < 1<<40 {
		return int64(m * (1 << 20))
	}
	return 0
}

// Apply makes the Go runtime collect garbage in time to stay under the limit, and returns the heap's share in bytes: the limit less headroom
// for the program's own pages, thread stacks and the kernel's buffers of its sockets. A GOMEMLIMIT and a GOGC stand as they are; the result is 0 without
// a limit. Without one, and from 256 MiB on, it has the heap in huge pages, and begins to collect later.
func Apply(l Limit) int64 {
	if os.Getenv("GOGC") == "" {
		// Large buffers are used again, so collections are seconds apart: twice as many cost nothing that can be measured, and a fifth less memory.
		debug.SetGCPercent(50)
	}
	given := l.Source == fromEnv
	held := int64(0) // what the runtime takes for memory and is none
	if l.Bytes <= 0 || l.Bytes >= plenty {
		if !given {
			ballast()
			held = ballastBytes
		}
		preferHugePages(hugeBytes)
	}
	switch {
	case l.Bytes <= 0:
		return 0
	case given:
		return l.Bytes
	}
	soft := Share(l.Bytes)
	debug.SetMemoryLimit(soft + held)
	return soft
}

// Of is the limit of which the Go heap may fill at least so much.
func Of(share int64) int64 {
	return min(max(share/17*20+20, share+(28<<20)), share+(1<<30))
}

// Share is the part of a limit that the Go heap may fill: all but 15 %, which is at least 28 MiB and at most 1 GiB, and never less than half.
func Share(limit int64) int64 {
	headroom := min(max(limit/20*3, 28<<20), 1<<30)
	return max(limit-headroom, limit/2)
}
