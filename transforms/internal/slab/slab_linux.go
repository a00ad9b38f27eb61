package slab

import (
	"fmt"
	"syscall"
)

func mapRegion(n int) ([]byte, error) {
	b, err := syscall.Mmap(-1, 0, n, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		return nil, fmt.Errorf("map %d bytes of memory: %w", n, err)
	}
	_ = syscall.Madvise(b, syscall.MADV_HUGEPAGE) // advice: without it pages are small
	return b, nil
}

func unmapRegion(b []byte) {
	if err := syscall.Munmap(b); err != nil {
		panic(fmt.Sprintf("slab: unmap what was mapped: %v", err))
	}
}

// forget gives the pages of b back; they read as zero then.
func forget(b []byte) { _ = syscall.Madvise(b, syscall.MADV_DONTNEED) }
