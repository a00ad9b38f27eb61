package job

import "testing"

func TestWhatBoundsARun(t *testing.T) {
	busy := func(s float64) *StageTimes { return &StageTimes{Busy: s} }
	for _, c := range []struct {
		name      string
		stages    Stages
		wall, cpu float64
		cores     int
		want      string
	}{
		{"both cores at work", Stages{Read: busy(1), Encode: busy(15)}, 10, 18, 2, "cpu"},
		{"both cores at work, one of them cutting", Stages{Cut: busy(9)}, 10, 19, 2, "cpu"},
		{"bytes come slowly", Stages{Read: busy(9), Decompress: busy(1)}, 10, 3, 2, "read"},
		{"one core inflates, the other has little to do", Stages{Read: busy(1), Decompress: busy(9)}, 10, 13, 2, "decompress"},
		{"the same with four cores", Stages{Decompress: busy(9), Cut: busy(2)}, 10, 22, 4, "decompress"},
		{"the store takes bytes slowly", Stages{Read: busy(2), Upload: busy(8)}, 10, 5, 2, "upload"},
		{"of two the busier", Stages{Read: busy(8), Upload: busy(9)}, 10, 5, 2, "upload"},
		{"nothing stands out", Stages{Read: busy(5), Decompress: busy(5), Upload: busy(5)}, 10, 12, 2, ""},
		{"no time at all", Stages{}, 0, 0, 2, ""},
	} {
		if got := c.stages.bound(c.wall, c.cpu, c.cores); got != c.want {
			t.Errorf("%s: bound by %q, want %q", c.name, got, c.want)
		}
	}
}
