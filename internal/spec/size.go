package spec

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

var units = map[string]float64{
	"": 1, "b": 1,
	"kb": 1e3, "mb": 1e6, "gb": 1e9, "tb": 1e12,
	"kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30, "tib": 1 << 40,
	"k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40,
}

// ParseSize reads a number of bytes: plain ("1048576"), decimal units ("256MB" is 256,000,000), binary units ("2GiB"), or the single
// letters of docker and the JVM, which are binary ("512m"). Case does not matter. The result is above zero.
func ParseSize(s string) (int64, error) {
	t := strings.ToLower(strings.TrimSpace(s))
	i := 0
	for i < len(t) && (t[i] >= '0' && t[i] <= '9' || t[i] == '.') {
		i++
	}
	unit, ok := units[strings.TrimSpace(t[i:])]
	v, err := strconv.ParseFloat(t[:i], 64)
	if !ok || err != nil {
		return 0, fmt.Errorf("want a size such as 256MB, 2GiB or 512m, found %q", s)
	}
	if n, err := strconv.ParseInt(t[:i], 10, 64); err == nil && unit == 1 {
		v = float64(n)
		if n > 0 {
			return n, nil
		}
	}
	v *= unit
	if v < 1 || v >= math.MaxInt64 || v != math.Trunc(v) {
		return 0, fmt.Errorf("size %q is not a whole number of bytes above zero", s)
	}
	return int64(v), nil
}
