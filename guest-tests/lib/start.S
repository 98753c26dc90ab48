/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * start.S - every way into and out of the guest's C code: the two boot entries, the entry of further CPUs, interrupts
 * and the switch to ring 3.
 *
 * Boot: the ELF entry is the Linux 64-bit one (long mode, low memory identity-mapped, RSI = boot_params); the PVH note
 * names a 32-bit one (EBX = hvm_start_info).  Both end in guest_boot() on this image's own page tables: the first
 * 4 GiB, identity-mapped with 2 MiB pages that ring 3 may use too, so that any function can run there.
 *
 * Nothing here uses SSE, XSAVE or CMPXCHG16B: some KVMs interpret ring 0 and lack them.
 */
#define CR0_PE   0x00000001
#define CR0_PG   0x80000000
#define CR0_INIT 0x80000011      /* PG, ET, PE: caches on, no write protection in ring 0 */
#define CR4_INIT 0x00000020      /* PAE */
#define EFER     0xc0000080
#define EFER_LME 0x100

#define SEL_CODE32 0x08
#define SEL_CODE64 0x10
#define SEL_DATA   0x18
#define SEL_UDATA  0x23
#define SEL_UCODE  0x2b

#ifndef NO_PVH_NOTE                     /* without it the loader has to take the ELF entry */
	.section .note.pvh, "a", @note
	.balign 4
	.long 4, 4, 18                  /* "Xen", XEN_ELFNOTE_PHYS32_ENTRY */
	.asciz "Xen"
	.long pvh_start
#endif

	.section .text.boot, "ax", @progbits
	.code64
	.globl start64
start64:
	cli
	cld
	movl $boot_tables, %eax
	movq %rax, %cr3
	lgdt boot_gdt_ptr
	movl $1, %edi                   /* how we came in: BOOT_LINUX */
	jmp enter_c

	.code32
pvh_start:
	cli
	cld
	movl $2, %edi                   /* BOOT_PVH */
	movl %ebx, %esi
	lgdt boot_gdt_ptr
	ljmp $SEL_CODE32, $to_long

/* 32-bit protected mode without paging -> long mode.  EDI and ESI survive. */
to_long:
	movl $SEL_DATA, %eax
	movl %eax, %ds
	movl %eax, %es
	movl %eax, %ss
	movl $CR4_INIT, %eax
	movl %eax, %cr4
	movl $boot_tables, %eax
	movl %eax, %cr3
	movl $EFER, %ecx
	rdmsr
	orl $EFER_LME, %eax
	wrmsr
	movl $CR0_INIT, %eax
	movl %eax, %cr0
	ljmp $SEL_CODE64, $enter_c

	.code64
enter_c:
	movl $SEL_DATA, %eax
	movl %eax, %ds
	movl %eax, %es
	movl %eax, %ss
	xorl %eax, %eax
	movl %eax, %fs
	movl %eax, %gs
	testl %edi, %edi
	jz enter_ap
	movl %edi, %ebx
	movq %rsi, %rbp
	movl $__bss_start, %edi         /* a restarted guest finds its old bytes here */
	movl $__bss_quads, %ecx
	xorl %eax, %eax
	rep stosq
	movl $boot_stack_top, %esp
	movl %ebx, %edi
	movq %rbp, %rsi
	xorl %ebp, %ebp
	call guest_boot
1:	hlt
	jmp 1b

/* A further CPU: takes the next stack of the list that cpu_start_all() made. */
enter_ap:
	movl $1, %eax
	lock xaddl %eax, ap_next
	movq ap_stacks(, %rax, 8), %rsp
	movl %eax, %edi
	call ap_main
1:	hlt
	jmp 1b

/* Copied to a page below 1 MiB; a start-up IPI enters it in real mode with CS:IP = page:0. */
	.code16
	.globl ap_trampoline, ap_trampoline_end
ap_trampoline:
	cli
	cld
	xorl %edi, %edi                 /* "no boot": a further CPU */
	movw %cs, %ax
	movw %ax, %ds
	lgdtl (ap_gdt_ptr - ap_trampoline)
	movl %cr0, %eax
	orb $CR0_PE, %al
	movl %eax, %cr0
	ljmpl $SEL_CODE32, $to_long
	.balign 4
ap_gdt_ptr:
	.word boot_gdt_end - boot_gdt - 1
	.long boot_gdt
ap_trampoline_end:

/* ---- interrupts ------------------------------------------------------------------------------------------------- */

	.code64
	.text
	.balign 16
	.globl isr_stubs
isr_stubs:
	.set vec, 0
	.rept 256
	.balign 16
	.if !(vec == 8 || (vec >= 10 && vec <= 14) || vec == 17 || vec == 21 || vec == 29 || vec == 30)
	pushq $0                        /* the CPU pushed no error code */
	.endif
	pushq $vec
	jmp isr_common
	.set vec, vec + 1
	.endr

isr_common:
	pushq %rax
	pushq %rbx
	pushq %rcx
	pushq %rdx
	pushq %rsi
	pushq %rdi
	pushq %rbp
	pushq %r8
	pushq %r9
	pushq %r10
	pushq %r11
	pushq %r12
	pushq %r13
	pushq %r14
	pushq %r15
	cld
	movq %rsp, %rdi
	call isr_dispatch
	popq %r15
	popq %r14
	popq %r13
	popq %r12
	popq %r11
	popq %r10
	popq %r9
	popq %r8
	popq %rbp
	popq %rdi
	popq %rsi
	popq %rdx
	popq %rcx
	popq %rbx
	popq %rax
	addq $16, %rsp
	iretq

/* ---- ring 3 ----------------------------------------------------------------------------------------------------- */

/*
 * uint64_t ring3_enter(fn = rdi, arg = rsi, user stack top = rdx, &saved rsp = rcx, rflags = r8)
 *
 * Runs fn(arg) in ring 3 and returns what it returned.  The way back is the exception that ring3_exit raises (a KVM
 * that interprets ring 0 may have no INT n, and no SYSCALL): isr_dispatch() sees where it happened and goes on at
 * ring3_back, in ring 0, on the saved stack.
 */
	.globl ring3_enter, ring3_exit, ring3_back
ring3_enter:
	pushq %rbx
	pushq %rbp
	pushq %r12
	pushq %r13
	pushq %r14
	pushq %r15
	pushfq
	movq %rsp, (%rcx)
	movq %rdi, %rax
	movq %rsi, %rdi
	pushq $SEL_UDATA
	pushq %rdx
	pushq %r8
	pushq $SEL_UCODE
	pushq $ring3_thunk
	iretq

ring3_thunk:
	call *%rax
ring3_exit:
	ud2

ring3_back:
	popfq
	popq %r15
	popq %r14
	popq %r13
	popq %r12
	popq %rbp
	popq %rbx
	ret

/* ---- tables ----------------------------------------------------------------------------------------------------- */

	.data
	.balign 16
	.globl boot_gdt, boot_gdt_end
boot_gdt:
	.quad 0
	.quad 0x00cf9b000000ffff        /* 0x08 code, 32-bit */
	.quad 0x00af9b000000ffff        /* 0x10 code, 64-bit */
	.quad 0x00cf93000000ffff        /* 0x18 data */
	.quad 0x00cff3000000ffff        /* 0x20 data, ring 3 */
	.quad 0x00affb000000ffff        /* 0x28 code, 64-bit, ring 3 */
boot_gdt_end:
	.balign 8
boot_gdt_ptr:
	.word boot_gdt_end - boot_gdt - 1
	.quad boot_gdt

#define PTE_TABLE 0x007          /* present, writable, user */
#define PTE_BIG   0x0e7          /* the same, accessed, dirty, 2 MiB */
	.balign 4096
	.globl boot_tables, boot_pdpt
boot_tables:
	.quad boot_pdpt + PTE_TABLE
	.fill 511, 8, 0
boot_pdpt:
	.quad boot_pd + PTE_TABLE
	.quad boot_pd + 0x1000 + PTE_TABLE
	.quad boot_pd + 0x2000 + PTE_TABLE
	.quad boot_pd + 0x3000 + PTE_TABLE
	.fill 508, 8, 0
boot_pd:
	.set n, 0
	.rept 2048
	.quad (n << 21) + PTE_BIG
	.set n, n + 1
	.endr

	.bss
	.balign 16
	.skip 16384
boot_stack_top:

	.section .note.GNU-stack, "", @progbits
