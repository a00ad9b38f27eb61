#include "textflag.h"

// func masksAVX2(p *byte, blocks int, delim, term, quote, other byte, out *mask) (nuls, others uint64)
TEXT ·masksAVX2(SB), NOSPLIT, $0-48
	MOVQ         p+0(FP), SI
	MOVQ         blocks+8(FP), CX
	MOVQ         out+24(FP), DI
	VPBROADCASTB delim+16(FP), Y0
	VPBROADCASTB term+17(FP), Y1
	VPBROADCASTB quote+18(FP), Y2
	VPBROADCASTB other+19(FP), Y3
	VPXOR        Y4, Y4, Y4
	VPXOR        Y5, Y5, Y5       // 0xFF where other was seen
	VPCMPEQB     Y6, Y6, Y6       // the least bytes seen

loop:
	VMOVDQU   (SI), Y7
	VMOVDQU   32(SI), Y8
	VPMINUB   Y7, Y6, Y6
	VPMINUB   Y8, Y6, Y6
	VPCMPEQB  Y7, Y3, Y9
	VPCMPEQB  Y8, Y3, Y10
	VPOR      Y9, Y5, Y5
	VPOR      Y10, Y5, Y5
	VPCMPEQB  Y7, Y1, Y9
	VPCMPEQB  Y8, Y1, Y10
	VPMOVMSKB Y9, AX
	VPMOVMSKB Y10, BX
	SHLQ      $32, BX
	ORQ       BX, AX
	MOVQ      AX, 8(DI)
	VPCMPEQB  Y7, Y0, Y11
	VPCMPEQB  Y8, Y0, Y12
	VPOR      Y9, Y11, Y11
	VPOR      Y10, Y12, Y12
	VPMOVMSKB Y11, AX
	VPMOVMSKB Y12, BX
	SHLQ      $32, BX
	ORQ       BX, AX
	MOVQ      AX, 0(DI)
	VPCMPEQB  Y7, Y2, Y9
	VPCMPEQB  Y8, Y2, Y10
	VPMOVMSKB Y9, AX
	VPMOVMSKB Y10, BX
	SHLQ      $32, BX
	ORQ       BX, AX
	MOVQ      AX, 16(DI)
	ADDQ      $64, SI
	ADDQ      $24, DI
	DECQ      CX
	JNZ       loop

	VPCMPEQB  Y6, Y4, Y6
	VPMOVMSKB Y6, AX
	VPMOVMSKB Y5, BX
	VZEROUPPER
	MOVQ      AX, nuls+32(FP)
	MOVQ      BX, others+40(FP)
	RET
