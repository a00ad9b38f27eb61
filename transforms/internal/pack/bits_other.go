//go:build !amd64

package pack

var gathers = false

func pextWords(*byte, *uint64, int, int, int, uint64, uint64) {}
func pdepWords(*uint64, *byte, int, int, uint64, uint64)      {}
