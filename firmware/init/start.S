/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* start.S - the kernel's first instruction in our init: argc, argv and envp lie on the stack (x86-64 psABI, 3.4.1). */
	.globl _start
_start:
	xor %ebp, %ebp
	mov %rsp, %rdi
	and $-16, %rsp
	call init_main
	ud2
	.section .note.GNU-stack, "", @progbits
