/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * test_guest.S - a guest for test_run.py: says UP on COM1, then echoes what it reads there.  After echoing it, 'q' powers
 * off, 'r' resets, 'p' reports a panic, 't' is a triple fault, 'h' halts for ever, 'f' floods the console.
 */
#define COM1     0x3f8
#define COM1_MCR 0x3fc
#define COM1_LSR 0x3fd
#define POWER    0x600 /* sleep control register; reset register 2 above */
#define PVPANIC  0x505

	.globl _start
_start:
	mov $stack, %rsp
	mov $COM1_MCR, %dx
	mov $0x3, %al /* data terminal ready: input is held back from a guest that is not */
	out %al, %dx
	mov $greeting, %rsi
1:	lodsb
	test %al, %al
	jz next
	call put
	jmp 1b

/* Writes AL; changes AL, BL, DX. */
put:	mov %al, %bl
	mov $COM1_LSR, %dx
1:	in %dx, %al
	test $0x20, %al
	jz 1b
	mov $COM1, %dx
	mov %bl, %al
	out %al, %dx
	ret

next:	mov $COM1_LSR, %dx
1:	in %dx, %al
	test $1, %al
	jz 1b
	mov $COM1, %dx
	in %dx, %al
	mov %al, %cl
	call put
	cmp $'q', %cl
	je off
	cmp $'r', %cl
	je reset
	cmp $'p', %cl
	je panic
	cmp $'t', %cl
	je triple
	cmp $'h', %cl
	je halt
	cmp $'f', %cl
	je flood
	jmp next

off:	mov $POWER, %dx
	mov $(5 << 2 | 1 << 5), %al /* S5, SLP_EN */
	out %al, %dx
	jmp halt
reset:	mov $(POWER + 2), %dx
	mov $1, %al
	out %al, %dx
	jmp halt
panic:	mov $PVPANIC, %dx
	mov $1, %al
	out %al, %dx
halt:	hlt
	jmp halt
triple:	ud2 /* there is no IDT */
flood:	mov $'x', %al
	call put
	jmp flood

greeting:
	.asciz "UP\n"
	.balign 16
	.skip 256
stack:
	.section .note.GNU-stack, "", @progbits
