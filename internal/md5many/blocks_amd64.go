package md5many

import "golang.org/x/sys/cpu"

var hasLanes = cpu.X86.HasAVX2

// blocksAVX2 adds the next blocks of each text to its state; blocks is at least 1.
//
//go:noescape
func blocksAVX2(s *state, texts *[lanes]*byte, blocks int, k *[64]uint32)

func blocksOf(s *state, texts *[lanes]*byte, blocks int) { blocksAVX2(s, texts, blocks, &table) }
