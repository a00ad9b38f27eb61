//go:build !amd64

package csv

// masks fills out, which has a place for each 64 bytes of p, and reports whether p has a NUL, and a line end that is not d's.
func masks(p []byte, d *dialect, out []mask) (nul, other bool) { return masksGo(p, d, out) }
