#include "textflag.h"

// A step of RFC 1321 section 3.4 on eight texts: a = b + ((a + f(b,c,d) + word + constant) <<< s). F, G, H and I leave f in Y4.
#define F(b, c, d)         \
	VPXOR c, d, Y4  \
	VPAND b, Y4, Y4 \
	VPXOR d, Y4, Y4

#define G(b, c, d)         \
	VPXOR b, c, Y4  \
	VPAND d, Y4, Y4 \
	VPXOR c, Y4, Y4

#define H(b, c, d)         \
	VPXOR c, d, Y4  \
	VPXOR b, Y4, Y4

#define I(b, c, d)          \
	VPXOR Y7, d, Y4 \
	VPOR  b, Y4, Y4 \
	VPXOR c, Y4, Y4

#define STEP(f, a, b, c, d, word, k, s)      \
	VPBROADCASTD (4*k)(BX), Y6        \
	VPADDD       (32*word)(SP), a, a  \
	VPADDD       Y6, a, a             \
	f(b, c, d)                        \
	VPADDD       Y4, a, a             \
	VPSLLD       $s, a, Y5            \
	VPSRLD       $(32-s), a, a        \
	VPOR         Y5, a, a             \
	VPADDD       b, a, a

#define FOUR(f, k, w0, w1, w2, w3, s0, s1, s2, s3) \
	STEP(f, Y0, Y1, Y2, Y3, w0, (k+0), s0)  \
	STEP(f, Y3, Y0, Y1, Y2, w1, (k+1), s1)  \
	STEP(f, Y2, Y3, Y0, Y1, w2, (k+2), s2)  \
	STEP(f, Y1, Y2, Y3, Y0, w3, (k+3), s3)

// PAIR stores two words of all texts: those at i and i+4 of the half that begins at word h.
#define PAIR(unpack, w0, w1, v0, v1, at)        \
	unpack     w1, w0, Y5                \
	unpack     v1, v0, Y6                \
	VPERM2I128 $0x20, Y6, Y5, Y7         \
	VMOVDQU    Y7, (32*at)(SP)           \
	VPERM2I128 $0x31, Y6, Y5, Y7         \
	VMOVDQU    Y7, (32*(at+4))(SP)

// TRANSPOSE turns eight words of each text, from word h of the block on, into eight vectors of a word of each text.
#define TRANSPOSE(h)                            \
	VMOVDQU    (4*h)(R8)(DX*1), Y8       \
	VMOVDQU    (4*h)(R9)(DX*1), Y9       \
	VMOVDQU    (4*h)(R10)(DX*1), Y10     \
	VMOVDQU    (4*h)(R11)(DX*1), Y11     \
	VMOVDQU    (4*h)(R12)(DX*1), Y12     \
	VMOVDQU    (4*h)(R13)(DX*1), Y13     \
	VMOVDQU    (4*h)(AX)(DX*1), Y14      \
	VMOVDQU    (4*h)(R15)(DX*1), Y15     \
	VPUNPCKLDQ Y9, Y8, Y4                \
	VPUNPCKHDQ Y9, Y8, Y9                \
	VPUNPCKLDQ Y11, Y10, Y8              \
	VPUNPCKHDQ Y11, Y10, Y11             \
	VPUNPCKLDQ Y13, Y12, Y10             \
	VPUNPCKHDQ Y13, Y12, Y13             \
	VPUNPCKLDQ Y15, Y14, Y12             \
	VPUNPCKHDQ Y15, Y14, Y15             \
	PAIR(VPUNPCKLQDQ, Y4, Y8, Y10, Y12, (h+0))  \
	PAIR(VPUNPCKHQDQ, Y4, Y8, Y10, Y12, (h+1))  \
	PAIR(VPUNPCKLQDQ, Y9, Y11, Y13, Y15, (h+2)) \
	PAIR(VPUNPCKHQDQ, Y9, Y11, Y13, Y15, (h+3))

// func blocksAVX2(s *state, texts *[lanes]*byte, blocks int, k *[64]uint32)
TEXT ·blocksAVX2(SB), 0, $512-32
	MOVQ s+0(FP), DI
	MOVQ texts+8(FP), SI
	MOVQ blocks+16(FP), CX
	MOVQ k+24(FP), BX
	MOVQ 0(SI), R8
	MOVQ 8(SI), R9
	MOVQ 16(SI), R10
	MOVQ 24(SI), R11
	MOVQ 32(SI), R12
	MOVQ 40(SI), R13
	MOVQ 48(SI), AX
	MOVQ 56(SI), R15
	XORQ DX, DX

	VMOVDQU 0(DI), Y0
	VMOVDQU 32(DI), Y1
	VMOVDQU 64(DI), Y2
	VMOVDQU 96(DI), Y3

block:
	TRANSPOSE(0)
	TRANSPOSE(8)
	VPCMPEQD Y7, Y7, Y7

	FOUR(F, 0, 0, 1, 2, 3, 7, 12, 17, 22)
	FOUR(F, 4, 4, 5, 6, 7, 7, 12, 17, 22)
	FOUR(F, 8, 8, 9, 10, 11, 7, 12, 17, 22)
	FOUR(F, 12, 12, 13, 14, 15, 7, 12, 17, 22)
	FOUR(G, 16, 1, 6, 11, 0, 5, 9, 14, 20)
	FOUR(G, 20, 5, 10, 15, 4, 5, 9, 14, 20)
	FOUR(G, 24, 9, 14, 3, 8, 5, 9, 14, 20)
	FOUR(G, 28, 13, 2, 7, 12, 5, 9, 14, 20)
	FOUR(H, 32, 5, 8, 11, 14, 4, 11, 16, 23)
	FOUR(H, 36, 1, 4, 7, 10, 4, 11, 16, 23)
	FOUR(H, 40, 13, 0, 3, 6, 4, 11, 16, 23)
	FOUR(H, 44, 9, 12, 15, 2, 4, 11, 16, 23)
	FOUR(I, 48, 0, 7, 14, 5, 6, 10, 15, 21)
	FOUR(I, 52, 12, 3, 10, 1, 6, 10, 15, 21)
	FOUR(I, 56, 8, 15, 6, 13, 6, 10, 15, 21)
	FOUR(I, 60, 4, 11, 2, 9, 6, 10, 15, 21)

	VPADDD  0(DI), Y0, Y0
	VPADDD  32(DI), Y1, Y1
	VPADDD  64(DI), Y2, Y2
	VPADDD  96(DI), Y3, Y3
	VMOVDQU Y0, 0(DI)
	VMOVDQU Y1, 32(DI)
	VMOVDQU Y2, 64(DI)
	VMOVDQU Y3, 96(DI)
	ADDQ    $64, DX
	DECQ    CX
	JNZ     block
	VZEROUPPER
	RET
