// Package usage tells what the process has used of the machine so far.
package usage

import (
	"bufio"
	"io"
	"os"
	"strconv"
	"strings"
)

// PeakRSS is the most memory in bytes that was resident at once in the life of the process, 0 where the system does not tell.
func PeakRSS() int64 {
	if f, err := os.Open("/proc/self/status"); err == nil {
		defer f.Close()
		if n := highWater(f); n > 0 {
			return n
		}
	}
	return maxRSS()
}

// highWater reads VmHWM of /proc/<pid>/status (proc(5)), which is in KiB.
func highWater(r io.Reader) int64 {
	for sc := bufio.NewScanner(r); sc.Scan(); {
		if v, ok := strings.CutPrefix(sc.Text(), "VmHWM:"); ok {
			n, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(v), "kB")), 10, 64)
			if err != nil || n < 0 {
				return 0
			}
			return n << 10
		}
	}
	return 0
}
