package bench

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
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

// Usage is what a process took. Peak is its greatest resident memory in bytes, 0 where it cannot be had.
type Usage struct {
	Wall, CPU time.Duration
	Peak      int64
}

// Measure runs a command to its end. Its peak memory is read from /proc while it runs: what wait4 gives afterwards counts the
// parent's memory too, which the child shares until it has become its own program.
func Measure(ctx context.Context, command []string) (Usage, error) {
	var said bytes.Buffer
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Stdout, cmd.Stderr = &said, &said
	begin := time.Now()
	if err := cmd.Start(); err != nil {
		return Usage{}, err
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
	u := Usage{Wall: wall, CPU: cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime(), Peak: <-peak}
	if err != nil {
		return u, fmt.Errorf("%s: %w\n%s", strings.Join(command, " "), err, said.String())
	}
	return u, nil
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

// Median is the run of median wall time, with the median of each of the others.
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
		CPU:  time.Duration(pick(func(u Usage) int64 { return int64(u.CPU) })),
		Peak: pick(func(u Usage) int64 { return u.Peak }),
	}
}

// Input is a generated CSV.gz.
type Input struct {
	Path                    string
	Rows, Bytes, Compressed int64 // Bytes are of the CSV before compression
}

// MakeInput writes the demo's rows again and again until there are at least size bytes of CSV, gzip level 6, into the folder cache; a file that is there
// already is taken as it is. root is the checkout. The same size gives the same file.
func MakeInput(root, cache string, size int64) (Input, error) {
	f, err := os.Open(filepath.Join(root, "testdata", "demo", "birdstrikes.csv.gz"))
	if err != nil {
		return Input{}, err
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		return Input{}, err
	}
	text, err := io.ReadAll(z)
	if err != nil {
		return Input{}, err
	}
	head := bytes.IndexByte(text, '\n') + 1
	end := []byte("\n")
	if bytes.HasSuffix(text[:head], []byte("\r\n")) {
		end = []byte("\r\n")
	}
	if !bytes.HasSuffix(text, end) { // DuckDB wants all lines to end alike
		text = append(text, end...)
	}
	header, rows := text[:head], text[head:]
	times := (size - int64(head) + int64(len(rows)) - 1) / int64(len(rows))
	in := Input{
		Path:  filepath.Join(cache, fmt.Sprintf("strikes-%dx.csv.gz", times)),
		Rows:  times * int64(bytes.Count(rows, []byte("\n"))),
		Bytes: int64(head) + times*int64(len(rows)),
	}
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return Input{}, err
	}
	if _, err := os.Stat(in.Path); err != nil {
		if err := writeInput(in.Path, header, rows, times); err != nil {
			return Input{}, err
		}
	}
	st, err := os.Stat(in.Path)
	if err != nil {
		return Input{}, err
	}
	in.Compressed = st.Size()
	return in, nil
}

func writeInput(path string, header, rows []byte, times int64) (err error) {
	tmp, err := os.CreateTemp(filepath.Dir(path), "making-*")
	if err != nil {
		return err
	}
	defer func() {
		tmp.Close()
		if err != nil {
			os.Remove(tmp.Name())
		}
	}()
	z := gzip.NewWriter(tmp)
	if _, err = z.Write(header); err != nil {
		return err
	}
	for range times {
		if _, err = z.Write(rows); err != nil {
			return err
		}
	}
	if err = z.Close(); err != nil {
		return err
	}
	if err = tmp.Close(); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), path)
}

// Machine says in a line what a measurement was made on.
func Machine() string {
	cpu, memory := "", ""
	if text, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		_, rest, _ := strings.Cut(string(text), "model name")
		rest, _, _ = strings.Cut(rest, "\n")
		cpu = strings.Trim(rest, "\t :")
	}
	if text, err := os.ReadFile("/proc/meminfo"); err == nil {
		if fields := strings.Fields(string(text)); len(fields) > 1 {
			if kb, err := strconv.ParseInt(fields[1], 10, 64); err == nil {
				memory = fmt.Sprintf(", %.1f GiB", float64(kb)/(1<<20))
			}
		}
	}
	return fmt.Sprintf("%s %s, %d CPUs%s, %s, DuckDB %s", runtime.GOARCH, cpu, runtime.NumCPU(), memory, runtime.Version(), duckDBVersion())
}

func duckDBVersion() string {
	db, err := OpenDuckDB(1)
	if err != nil {
		return "?"
	}
	defer db.Close()
	t, err := Query(context.Background(), db, "SELECT version()")
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
