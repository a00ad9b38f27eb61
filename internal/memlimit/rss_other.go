//go:build !unix

package memlimit

func maxRSS() int64 { return 0 }
