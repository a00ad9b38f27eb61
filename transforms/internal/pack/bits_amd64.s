#include "textflag.h"

// func pextWords(dst *byte, src *uint64, n, step, width int, base, mask uint64)
TEXT ·pextWords(SB), NOSPLIT, $0-56
	MOVQ dst+0(FP), DI
	MOVQ src+8(FP), SI
	MOVQ n+16(FP), CX
	MOVQ step+24(FP), BX
	MOVQ width+32(FP), DX
	MOVQ base+40(FP), R8
	MOVQ mask+48(FP), R9
	SHLQ $3, BX

put:
	MOVQ  (SI), AX
	XORQ  R8, AX
	PEXTQ R9, AX, AX
	MOVQ  AX, (DI)
	ADDQ  BX, SI
	ADDQ  DX, DI
	DECQ  CX
	JNZ   put
	RET

// func pdepWords(dst *uint64, src *byte, n, width int, base, mask uint64)
TEXT ·pdepWords(SB), NOSPLIT, $0-48
	MOVQ dst+0(FP), DI
	MOVQ src+8(FP), SI
	MOVQ n+16(FP), CX
	MOVQ width+24(FP), DX
	MOVQ base+32(FP), R8
	MOVQ mask+40(FP), R9

get:
	MOVQ  (SI), AX
	PDEPQ R9, AX, AX
	XORQ  R8, AX
	MOVQ  AX, (DI)
	ADDQ  DX, SI
	ADDQ  $8, DI
	DECQ  CX
	JNZ   get
	RET

// func cpuid(leaf uint32) (a, b, c, d uint32)
TEXT ·cpuid(SB), NOSPLIT, $0-24
	MOVL leaf+0(FP), AX
	XORL CX, CX
	CPUID
	MOVL AX, a+8(FP)
	MOVL BX, b+12(FP)
	MOVL CX, c+16(FP)
	MOVL DX, d+20(FP)
	RET
