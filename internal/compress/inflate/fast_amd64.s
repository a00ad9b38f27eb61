#include "go_asm.h"
#include "textflag.h"

// AX bits, CX n, SI where the next input is, DI where the next output goes, R8 and R9 the ends of both for a turn's beginning, R15, R10 and R11
// the tables first, lit and dist, R12 the window. BX is the entry. DX, R13, BP, X0 and X1 are scratch; the assembler saves BP.

// n, of which bits 0 to 5 count, becomes 56 to 63.
#define REFILL \
	MOVQ  (SI), R13     \
	SHLXQ CX, R13, R13  \
	ORQ   R13, AX       \
	MOVL  CX, R13       \
	SHRL  $3, R13       \
	ANDL  $7, R13       \
	SUBQ  R13, SI       \
	ADDQ  $7, SI        \
	ORQ   $56, CX

#define LOOKUP(table, size) \
	MOVL AX, R13            \
	ANDL $(size - 1), R13   \
	MOVL (table)(R13*4), BX

#define CONSUME \
	SHRXQ BX, AX, AX \
	SUBQ  BX, CX

#define LITERALS \
	CONSUME         \
	MOVL BX, R13    \
	SHRL $8, R13    \
	MOVL R13, (DI)  \
	SHRL $6, BX     \
	ANDL $3, BX     \
	ADDQ BX, DI

// func decodeBMI2(l *loop)
TEXT ·decodeBMI2(SB), NOSPLIT, $8-8
	MOVQ l+0(FP), BX
	MOVQ loop_src(BX), SI
	MOVQ loop_win(BX), R12
	MOVQ loop_first(BX), R15
	MOVQ loop_lit(BX), R10
	MOVQ loop_dist(BX), R11
	MOVQ loop_last(BX), R8
	ADDQ SI, R8
	ADDQ loop_at(BX), SI
	MOVQ loop_full(BX), R9
	ADDQ R12, R9
	MOVQ loop_w(BX), DI
	ADDQ R12, DI
	MOVQ loop_bits(BX), AX
	MOVQ loop_n(BX), CX

turn:
	CMPQ SI, R8
	JHI  more
	CMPQ DI, R9
	JHS  more
	REFILL
	LOOKUP(R15, const_litFirst)
	LITERALS                    // of a length, none and no bits
	LOOKUP(R10, const_litFirst)
	TESTB $const_literalBits, BX
	JNZ  literals

length: // at least 46 bits are there, of which a length takes at most 15+5, and a distance that needs no second table 10+13
	TESTL $const_special, BX
	JNZ  specialLength

gotLength:
	BZHIQ BX, AX, DX
	CONSUME
	MOVL BX, R13
	SHRL $8, R13
	SHRXQ R13, DX, DX
	SHRL $16, BX
	ADDL BX, DX // length

	LOOKUP(R11, const_distFirst)
	TESTL $const_special, BX
	JNZ  specialDistance

gotDistance:
	BZHIQ BX, AX, R13
	CONSUME
	MOVL BX, BP
	SHRL $8, BP
	SHRXQ BP, R13, R13
	SHRL $17, BX
	ADDL R13, BX // distance
	MOVQ DI, R13
	SUBQ BX, R13 // from
	CMPQ R13, R12
	JLO  badDistance
	CMPQ BX, $32
	JLO  near

	MOVOU (R13), X0
	MOVOU 16(R13), X1
	MOVOU X0, (DI)
	MOVOU X1, 16(DI)
	CMPQ DX, $32
	JHI  long
	ADDQ DX, DI
	JMP  turn

long:
	ADDQ DI, DX // end

longMore:
	ADDQ $32, DI
	ADDQ $32, R13
	MOVOU (R13), X0
	MOVOU 16(R13), X1
	MOVOU X0, (DI)
	MOVOU X1, 16(DI)
	LEAQ 32(DI), BX
	CMPQ DX, BX
	JHI  longMore
	MOVQ DX, DI
	JMP  turn

near: // Bytes that repeat after fewer than 32. What was written is a longer repetition: DI stays BX behind R13.
	ADDQ DI, DX // end

nearDouble:
	CMPQ BX, $16
	JHS  nearMore
	MOVOU (R13), X0
	MOVOU X0, (DI)
	ADDQ BX, DI
	SHLQ $1, BX
	CMPQ DI, DX
	JLO  nearDouble
	MOVQ DX, DI
	JMP  turn

nearMore:
	MOVOU (R13), X0
	MOVOU X0, (DI)
	ADDQ $16, R13
	ADDQ $16, DI
	CMPQ DI, DX
	JLO  nearMore
	MOVQ DX, DI
	JMP  turn

literals:
	LITERALS
	LOOKUP(R10, const_litFirst)
	TESTB $const_literalBits, BX
	JZ   refill
	LITERALS
	LOOKUP(R10, const_litFirst)
	TESTB $const_literalBits, BX
	JZ   refill
	LITERALS
	JMP  turn

refill:
	REFILL
	JMP  length

specialLength:
	MOVL BX, R13
	ANDL $const_whichBits, R13
	CMPL R13, $const_linkWhich
	JNE  symbol
	SHRQ $const_litRoot, AX
	SUBQ $const_litRoot, CX
	SHRL $16, BX
	MOVL AX, R13
	ANDL $(const_litSecond - 1), R13
	ADDL BX, R13
	MOVL (R10)(R13*4), BX
	TESTB $const_literalBits, BX
	JZ   longLength
	LITERALS
	JMP  turn

longLength:
	TESTL $const_special, BX
	JZ   gotLength

symbol:
	CONSUME
	ANDL $const_whichBits, BX
	CMPL BX, $const_endWhich
	JNE  badSymbol
	MOVB $const_blockEnd, R13
	JMP  done

specialDistance:
	MOVL BX, R13
	ANDL $const_whichBits, R13
	CMPL R13, $const_linkWhich
	JNE  badSymbol
	REFILL
	SHRQ $const_distRoot, AX
	SUBQ $const_distRoot, CX
	SHRL $16, BX
	MOVL AX, R13
	ANDL $(const_distSecond - 1), R13
	ADDL BX, R13
	MOVL (R11)(R13*4), BX
	TESTL $const_special, BX
	JZ   gotDistance

badSymbol:
	MOVB $const_badSymbol, R13
	JMP  done

badDistance:
	MOVB $const_badDistance, R13
	JMP  done

more:
	MOVB $const_goOn, R13

done:
	MOVQ l+0(FP), BX
	SUBQ loop_src(BX), SI
	SUBQ R12, DI
	MOVQ SI, loop_at(BX)
	MOVQ DI, loop_w(BX)
	MOVQ AX, loop_bits(BX)
	MOVQ CX, loop_n(BX)
	MOVB R13, loop_verdict(BX)
	RET
