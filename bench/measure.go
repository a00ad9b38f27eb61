package bench

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Usage is what a process took. Peak is its greatest resident memory in bytes, 0 where it cannot be had (it is read on Linux alone).
type Usage struct {
	Wall, User, Sys time.Duration
	Peak            int64
}

// CPU is the time of all its threads together, in the kernel too.
func (u Usage) CPU() time.Duration { return u.User + u.Sys }

// Measure runs a command to its end and returns what it took and its standard output; env is added to the environment. The error of a failed one has
// what it said. Its peak memory is read from /proc while it runs: what wait4 gives afterwards counts the parent's memory too,
// which the child shares until it has become its own program.
func Measure(ctx context.Context, command []string, env ...string) (Usage, []byte, error) {
	var out, said bytes.Buffer
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Stdout, cmd.Stderr = &out, &said
	cmd.Env = append(os.Environ(), env...)
	begin := time.Now()
	if err := cmd.Start(); err != nil {
		return Usage{}, nil, err
	}
	done, peak := make(chan struct{}), make(chan int64)
	go func() {
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		var most int64
		for {
			select {
			case <-done:
				peak <- most
				return
			case <-tick.C:
				most = max(most, highWater(cmd.Process.Pid, command[0]))
			}
		}
	}()
	err := cmd.Wait()
	wall := time.Since(begin)
	close(done)
	u := Usage{Wall: wall, User: cmd.ProcessState.UserTime(), Sys: cmd.ProcessState.SystemTime(), Peak: <-peak}
	if err != nil {
		return u, out.Bytes(), fmt.Errorf("%s: %w\n%s%s", filepath.Base(command[0]), err, out.String(), said.String())
	}
	return u, out.Bytes(), nil
}

// highWater is the greatest resident memory so far of a process that runs the program, 0 if it does not.
func highWater(pid int, program string) int64 {
	proc := filepath.Join("/proc", strconv.Itoa(pid))
	if exe, err := os.Readlink(filepath.Join(proc, "exe")); err != nil || filepath.Base(exe) != filepath.Base(program) {
		return 0
	}
	text, err := os.ReadFile(filepath.Join(proc, "status"))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(text), "VmHWM:")
	fields := strings.Fields(rest)
	if len(fields) == 0 {
		return 0
	}
	kb, err := strconv.ParseInt(fields[0], 10, 64)
	if err != nil {
		return 0
	}
	return kb << 10
}

// Median is the median of each number over the runs; of an even number of runs the greater of the two in the middle.
func Median(runs []Usage) Usage {
	pick := func(of func(Usage) int64) int64 {
		v := make([]int64, len(runs))
		for i, r := range runs {
			v[i] = of(r)
		}
		slices.Sort(v)
		return v[len(v)/2]
	}
	return Usage{
		Wall: time.Duration(pick(func(u Usage) int64 { return int64(u.Wall) })),
		User: time.Duration(pick(func(u Usage) int64 { return int64(u.User) })),
		Sys:  time.Duration(pick(func(u Usage) int64 { return int64(u.Sys) })),
		Peak: pick(func(u Usage) int64 { return u.Peak }),
	}
}

// Machine is what a measurement was made on.
type Machine struct {
	CPU     string  `json:"cpu"`
	CPUs    int     `json:"cpus"`
	Memory  float64 `json:"memory_gib"`
	System  string  `json:"system"`
	Go      string  `json:"go"`
	DuckDB  string  `json:"duckdb"`
	Release string  `json:"release"` // of the checkout: the commit, and whether files differ from it
	Load    string  `json:"load"`    // load averages when it began
}

// ThisMachine looks at the machine and at the checkout at root. What it cannot find out is "?" or 0.
func ThisMachine(ctx context.Context, root string) Machine {
	m := Machine{CPU: "?", CPUs: runtime.NumCPU(), System: runtime.GOOS + "/" + runtime.GOARCH, Go: runtime.Version(), DuckDB: duckDBVersion(ctx), Release: "?", Load: "?"}
	if text, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		_, rest, _ := strings.Cut(string(text), "model name")
		rest, _, _ = strings.Cut(rest, "\n")
		m.CPU = strings.Trim(rest, "\t :")
	}
	if text, err := os.ReadFile("/proc/meminfo"); err == nil {
		if fields := strings.Fields(string(text)); len(fields) > 1 {
			if kb, err := strconv.ParseInt(fields[1], 10, 64); err == nil {
				m.Memory = float64(kb) / (1 << 20)
			}
		}
	}
	if text, err := os.ReadFile("/proc/loadavg"); err == nil {
		m.Load = strings.Join(strings.Fields(string(text))[:3], " ")
	}
	m.Release = release(ctx, root)
	return m
}

// release is the checkout's commit, with -dirty behind it if files differ from it, but for those that records go into.
func release(ctx context.Context, root string) string {
	git := func(args ...string) (string, error) {
		cmd := exec.CommandContext(ctx, "git", args...)
		cmd.Dir = root
		out, err := cmd.Output()
		return strings.TrimSpace(string(out)), err
	}
	name, err := git("describe", "--tags", "--always")
	if err != nil {
		return "?"
	}
	if changed, err := git("status", "--porcelain", "--untracked-files=no", "--", ".", ":!bench/record", ":!bench/RESULTS.md", ":!docs/performance.md"); err != nil || changed != "" {
		name += "-dirty"
	}
	return name
}

func (m Machine) String() string {
	return fmt.Sprintf("%s, %d CPUs, %.1f GiB, %s, %s, DuckDB %s, commit %s; load when it began %s", m.CPU, m.CPUs, m.Memory, m.System, m.Go, m.DuckDB, m.Release, m.Load)
}

func duckDBVersion(ctx context.Context) string {
	db, err := OpenDuckDB(1)
	if err != nil {
		return "?"
	}
	defer db.Close()
	t, err := Query(ctx, db, "SELECT version()")
	if err != nil {
		return "?"
	}
	v := fmt.Sprint(t.Rows[0][0])
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, d := range info.Deps {
			if d.Path == "github.com/duckdb/duckdb-go/v2" {
				v += " (duckdb-go " + d.Version + ")"
			}
		}
	}
	return v
}
