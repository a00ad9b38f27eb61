//go:build !amd64

package md5many

const hasLanes = false

// blocksOf is not called.
func blocksOf(*state, *[lanes]*byte, int) {}
