//go:build unix

package memlimit

import (
	"runtime"
	"syscall"
)

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
