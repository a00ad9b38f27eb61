package pack

import "golang.org/x/sys/cpu"

// gathers says that the processor collects and deals the bits of a mask in a cycle or two.
var gathers = cpu.X86.HasBMI2 && !slowBMI2()

// slowBMI2 reports an AMD processor before Zen 3 (family 19h), where PEXT and PDEP take up to hundreds of cycles (AMD, Software
// Optimization Guide for Family 19h, 2.10.2).
func slowBMI2() bool {
	_, b, c, d := cpuid(0)
	if b != 0x68747541 || d != 0x69746e65 || c != 0x444d4163 { // AuthenticAMD
		return false
	}
	a, _, _, _ := cpuid(1)
	family := a >> 8 & 15
	if family == 15 {
		family += a >> 20 & 255
	}
	return family < 0x19
}

// pextWords writes the bits under mask of every step-th word, n of them, less base by XOR, as 8 bytes at dst, dst+width, dst+2·width …;
// n is not 0.
//
//go:noescape
func pextWords(dst *byte, src *uint64, n, step, width int, base, mask uint64)

// pdepWords is the way back: it reads 8 bytes for each word.
//
//go:noescape
func pdepWords(dst *uint64, src *byte, n, width int, base, mask uint64)

//go:noescape
func cpuid(leaf uint32) (a, b, c, d uint32)
