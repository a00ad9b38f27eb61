//go:build unix

package usage

import (
	"runtime"
	"syscall"
	"time"
)

// CPUSeconds is the processor time of the process, in user and kernel mode, over all its threads; 0 where the system does not tell.
func CPUSeconds() float64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()).Seconds()
}

// maxRSS is getrusage's ru_maxrss: KiB, but bytes on Apple's systems.
func maxRSS() int64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	if runtime.GOOS == "darwin" || runtime.GOOS == "ios" {
		return int64(u.Maxrss) //nolint:unconvert // 32 bits wide on 32-bit machines
	}
	return int64(u.Maxrss) << 10 //nolint:unconvert // as above
}
