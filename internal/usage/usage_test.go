package usage

import (
	"strings"
	"testing"
	"time"
)

func TestPeakRSS(t *testing.T) {
	block := make([]byte, 64<<20)
	for i := 0; i < len(block); i += 4096 {
		block[i] = 1
	}
	if got := PeakRSS(); got < int64(len(block)) || got > 4<<30 {
		t.Errorf("PeakRSS is %d after touching %d bytes", got, len(block))
	}
	if got := maxRSS(); got < int64(len(block)) || got > 4<<30 {
		t.Errorf("getrusage says %d after touching %d bytes", got, len(block))
	}
	for text, want := range map[string]int64{"Name:\tx\nVmPeak:\t  9 kB\nVmHWM:\t  2048 kB\nVmRSS:\t 1 kB\n": 2 << 20, "VmHWM: x kB\n": 0, "": 0, strings.Repeat("x", 100_000): 0} {
		if got := highWater(strings.NewReader(text)); got != want {
			t.Errorf("VmHWM of %.30q is %d, want %d", text, got, want)
		}
	}
	if block[4096] != 1 {
		t.Error("the block is gone")
	}
}

func TestCPUSeconds(t *testing.T) {
	before := CPUSeconds()
	for end := time.Now().Add(50 * time.Millisecond); time.Now().Before(end); {
		continue
	}
	if got := CPUSeconds() - before; got <= 0 || got > 60 {
		t.Errorf("50 ms at work took %v s of processor time", got)
	}
}
