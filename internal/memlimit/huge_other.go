//go:build !linux

package memlimit

func preferHugePages(int) {}

func advise([]byte) {}
