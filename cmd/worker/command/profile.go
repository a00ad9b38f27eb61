package command

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"runtime/trace"

	"github.com/sluice-data/sluice/internal/fail"
)

// profiles are the files that --profile writes, each begun before the run and finished after it.
//
//	cpu.pprof    where the processor's time went: go tool pprof -top cpu.pprof
//	heap.pprof   what was allocated, and what was still held at the end
//	trace.out    what every goroutine did and waited for: go tool trace trace.out
type profiles struct {
	dir        string
	cpu, trace *os.File
}

// startProfiles begins to write profiles into dir, which it makes where it is not there. dir "" is no profile at all.
func startProfiles(dir string) (p *profiles, err error) {
	p = &profiles{dir: dir}
	if dir == "" {
		return p, nil
	}
	defer func() {
		if err != nil {
			trace.Stop()
			pprof.StopCPUProfile()
			err = fail.Newf(fail.Usage, "--profile %s: %w", dir, errors.Join(err, p.close()))
			p.trace = nil
		}
	}()
	if err = os.MkdirAll(dir, 0o755); err != nil {
		return p, err
	}
	if p.cpu, err = os.Create(filepath.Join(dir, "cpu.pprof")); err != nil {
		return p, err
	}
	if p.trace, err = os.Create(filepath.Join(dir, "trace.out")); err != nil {
		return p, err
	}
	return p, errors.Join(pprof.StartCPUProfile(p.cpu), trace.Start(p.trace))
}

// finish completes the files.
func (p *profiles) finish() error {
	if p.trace == nil {
		return nil
	}
	trace.Stop()
	pprof.StopCPUProfile()
	err := p.heap()
	if err = errors.Join(err, p.close()); err != nil {
		return fail.Newf(fail.Usage, "--profile %s: %w", p.dir, err)
	}
	return nil
}

func (p *profiles) heap() error {
	f, err := os.Create(filepath.Join(p.dir, "heap.pprof"))
	if err != nil {
		return err
	}
	runtime.GC() // what is held is as of the last collection
	return errors.Join(pprof.WriteHeapProfile(f), f.Close())
}

func (p *profiles) close() error {
	var err error
	for _, f := range []*os.File{p.cpu, p.trace} {
		if f != nil {
			err = errors.Join(err, f.Close())
		}
	}
	return err
}
