/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * insns.c - the instructions of insns.h, each with what it needs before it and what must come of it.
 *
 * A guest is free of SSE2 and its kin, although every 64-bit CPU has them, until one of these switches them on.
 */
#include "insns.h"

#include "guest.h"

#define CR4_OSFXSR     (1u << 9)
#define CR4_OSXMMEXCPT (1u << 10)
#define CR4_UMIP       (1u << 11)
#define CR4_FSGSBASE   (1u << 16)
#define CR4_PCIDE      (1u << 17)
#define CR4_OSXSAVE    (1u << 18)
#define CR4_SMEP       (1u << 20)
#define CR4_SMAP       (1u << 21)
#define CR0_EM_TS      (1u << 2 | 1u << 3)

static uint8_t area[4096] __attribute__((aligned(64)));
static bool right;

static uint64_t read_cr4(void)
{
	uint64_t v;

	__asm__ volatile("mov %%cr4, %0" : "=r"(v));
	return v;
}

static void write_cr4(uint64_t v)
{
	__asm__ volatile("mov %0, %%cr4" ::"r"(v) : "memory");
}

/* What a kernel does before the first of these: SSE on, and XSAVE with all that this CPU's AVX needs. */
static void sse_on(void)
{
	uint64_t cr0;

	__asm__ volatile("mov %%cr0, %0" : "=r"(cr0));
	__asm__ volatile("mov %0, %%cr0" ::"r"((cr0 & ~(uint64_t)CR0_EM_TS) | 2));
	write_cr4(read_cr4() | CR4_OSFXSR | CR4_OSXMMEXCPT);
}

static void xsave_on(void)
{
	sse_on();
	write_cr4(read_cr4() | CR4_OSXSAVE);
	__asm__ volatile("xsetbv" ::"c"(0), "a"(3), "d"(0));
}

static void avx_on(void)
{
	xsave_on();
	__asm__ volatile("xsetbv" ::"c"(0), "a"(7), "d"(0));
}

#define INSN(name) static void name(void *arg)

INSN(i_cmpxchg16b)
{
	uint64_t *p = (uint64_t *)area, lo = 1, hi = 2;

	p[0] = 1;
	p[1] = 2;
	__asm__ volatile("lock cmpxchg16b %0" : "+m"(*(__int128 *)p), "+a"(lo), "+d"(hi) : "b"(3ull), "c"(4ull) : "cc");
	right = p[0] == 3 && p[1] == 4;
}

INSN(i_movbe)
{
	uint32_t v = 0;

	area[0] = 0x12, area[1] = 0x34, area[2] = 0x56, area[3] = 0x78;
	__asm__ volatile("movbe %1, %0" : "=r"(v) : "m"(*(uint32_t *)area));
	right = v == 0x12345678;
}

INSN(i_popcnt)
{
	uint64_t v = 0;

	__asm__ volatile("popcnt %1, %0" : "=r"(v) : "r"(0xf0f1ull) : "cc");
	right = v == 9;
}

INSN(i_crc32)
{
	uint32_t v = 0;

	__asm__ volatile("crc32l %1, %0" : "+r"(v) : "r"(1u));
	right = v == 0xdd45aab8;
}

INSN(i_pcid)
{
	uint64_t v = read_cr4();

	write_cr4(v | CR4_PCIDE);
	right = read_cr4() & CR4_PCIDE;
	write_cr4(v);
}

INSN(i_xsave)
{
	xsave_on();
	__asm__ volatile("xsave64 (%0)" ::"r"(area), "a"(3), "d"(0) : "memory");
	__asm__ volatile("xrstor64 (%0)" ::"r"(area), "a"(3), "d"(0) : "memory");
	right = true;
}

INSN(i_xgetbv)
{
	uint32_t a, d;

	xsave_on();
	__asm__ volatile("xgetbv" : "=a"(a), "=d"(d) : "c"(0));
	right = a == 3;
}

INSN(i_xgetbv1)
{
	uint32_t a, d;

	xsave_on();
	__asm__ volatile("xgetbv" : "=a"(a), "=d"(d) : "c"(1));
	right = true;
}

INSN(i_xsaveopt)
{
	xsave_on();
	__asm__ volatile("xsaveopt64 (%0)" ::"r"(area), "a"(3), "d"(0) : "memory");
	right = true;
}

INSN(i_xsavec)
{
	xsave_on();
	__asm__ volatile("xsavec64 (%0)" ::"r"(area), "a"(3), "d"(0) : "memory");
	right = true;
}

INSN(i_xsaves)
{
	xsave_on();
	__asm__ volatile("xsaves64 (%0)" ::"r"(area), "a"(3), "d"(0) : "memory");
	right = true;
}

INSN(i_sse3)
{
	sse_on();
	__asm__ volatile("lddqu (%0), %%xmm0" ::"r"(area));
	right = true;
}

INSN(i_pclmul)
{
	sse_on();
	__asm__ volatile("pclmulqdq $0, %xmm1, %xmm0");
	right = true;
}

INSN(i_ssse3)
{
	sse_on();
	__asm__ volatile("pshufb %xmm1, %xmm0");
	right = true;
}

INSN(i_sse41)
{
	uint64_t v = 0;

	sse_on();
	__asm__ volatile("pinsrq $0, %1, %%xmm0; pextrq $0, %%xmm0, %0" : "=r"(v) : "r"(77ull));
	right = v == 77;
}

INSN(i_aes)
{
	sse_on();
	__asm__ volatile("aesenc %xmm1, %xmm0");
	right = true;
}

INSN(i_sha)
{
	sse_on();
	__asm__ volatile("sha256msg1 %xmm1, %xmm0");
	right = true;
}

INSN(i_gfni)
{
	sse_on();
	__asm__ volatile("gf2p8mulb %xmm1, %xmm0");
	right = true;
}

INSN(i_sse4a)
{
	sse_on();
	__asm__ volatile("extrq $8, $8, %xmm0");
	right = true;
}

INSN(i_avx)
{
	avx_on();
	__asm__ volatile("vmovdqu (%0), %%ymm0" ::"r"(area));
	right = true;
}

INSN(i_avx2)
{
	avx_on();
	__asm__ volatile("vpaddd %ymm0, %ymm1, %ymm2");
	right = true;
}

INSN(i_fma)
{
	avx_on();
	__asm__ volatile("vfmadd132ps %ymm0, %ymm1, %ymm2");
	right = true;
}

INSN(i_f16c)
{
	avx_on();
	__asm__ volatile("vcvtph2ps %xmm0, %xmm1");
	right = true;
}

INSN(i_avx512)
{
	xsave_on();
	__asm__ volatile("xsetbv" ::"c"(0), "a"(0xe7), "d"(0));
	__asm__ volatile("vpxord %zmm0, %zmm0, %zmm0");
	right = true;
}

INSN(i_rdrand)
{
	uint64_t v = 0;
	uint8_t good = 0;

	__asm__ volatile("rdrand %0; setc %1" : "=r"(v), "=q"(good)::"cc");
	right = good;
}

INSN(i_rdseed)
{
	uint64_t v = 0;
	uint8_t good = 0;

	__asm__ volatile("rdseed %0; setc %1" : "=r"(v), "=q"(good)::"cc");
	right = true; /* none may be left */
}

INSN(i_fsgsbase)
{
	uint64_t v = 0;

	write_cr4(read_cr4() | CR4_FSGSBASE);
	__asm__ volatile("wrfsbase %0" ::"r"(0x123456789ull));
	__asm__ volatile("rdfsbase %0" : "=r"(v));
	right = v == 0x123456789;
}

INSN(i_bmi1_andn)
{
	uint64_t v = 0;

	__asm__ volatile("andn %2, %1, %0" : "=r"(v) : "r"(0xf0ull), "r"(0xffull) : "cc");
	right = v == 0x0f;
}

/* Where TZCNT is not known it runs as BSF, which is the same but for 0. */
INSN(i_tzcnt)
{
	uint64_t v = 5;

	__asm__ volatile("tzcnt %1, %0" : "+r"(v) : "r"(0ull) : "cc");
	right = v == 64;
}

/* And LZCNT as BSR, which is another number altogether. */
INSN(i_lzcnt)
{
	uint64_t v = 5;

	__asm__ volatile("lzcnt %1, %0" : "+r"(v) : "r"(1ull) : "cc");
	right = v == 63;
}

INSN(i_bmi2_shlx)
{
	uint64_t v = 0;

	__asm__ volatile("shlx %2, %1, %0" : "=r"(v) : "r"(3ull), "r"(4ull));
	right = v == 48;
}

INSN(i_adx)
{
	uint64_t v = 1;

	__asm__ volatile("adcx %1, %0" : "+r"(v) : "r"(2ull) : "cc");
	right = v == 3 || v == 4;
}

INSN(i_erms)
{
	uint8_t *d = area + 64, *s = area;
	uint64_t n = 40;

	area[39] = 0x5a;
	__asm__ volatile("rep movsb" : "+D"(d), "+S"(s), "+c"(n)::"memory");
	right = area[64 + 39] == 0x5a && !n;
}

INSN(i_invpcid)
{
	uint64_t d[2] = { 0, 0 };

	__asm__ volatile("invpcid %0, %1" ::"m"(d), "r"(2ull) : "memory");
	right = true;
}

INSN(i_smap)
{
	__asm__ volatile("stac; clac" ::: "cc");
	write_cr4(read_cr4() & ~(uint64_t)CR4_SMAP);
	right = true;
}

INSN(i_smep)
{
	/* Not switched on: this guest's pages are open to ring 3. */
	write_cr4(read_cr4() & ~(uint64_t)CR4_SMEP);
	right = true;
}

INSN(i_umip)
{
	uint64_t v = read_cr4();

	write_cr4(v | CR4_UMIP);
	right = read_cr4() & CR4_UMIP;
	write_cr4(v);
}

INSN(i_clflush)
{
	__asm__ volatile("clflush (%0)" ::"r"(area) : "memory");
	right = true;
}

INSN(i_clflushopt)
{
	__asm__ volatile("clflushopt (%0)" ::"r"(area) : "memory");
	right = true;
}

INSN(i_clwb)
{
	__asm__ volatile("clwb (%0)" ::"r"(area) : "memory");
	right = true;
}

INSN(i_clzero)
{
	area[3] = 1;
	__asm__ volatile(".byte 0x0f, 0x01, 0xfc" ::"a"(area) : "memory");
	right = !area[3];
}

INSN(i_wbnoinvd)
{
	__asm__ volatile(".byte 0xf3, 0x0f, 0x09" ::: "memory");
	right = true;
}

INSN(i_rdpid)
{
	uint64_t v = ~0ull;

	wrmsr(0xc0000103, 7);
	__asm__ volatile("rdpid %0" : "=r"(v));
	right = v == 7;
}

INSN(i_rdtscp)
{
	uint32_t a, d, c = 0;

	wrmsr(0xc0000103, 9);
	__asm__ volatile("rdtscp" : "=a"(a), "=d"(d), "=c"(c));
	right = c == 9;
}

INSN(i_prefetchw)
{
	__asm__ volatile("prefetchw (%0)" ::"r"(area));
	right = true;
}

INSN(i_mfence)
{
	__asm__ volatile("mfence; lfence; sfence" ::: "memory");
	right = true;
}

INSN(i_sse2)
{
	sse_on();
	__asm__ volatile("movdqa (%0), %%xmm0; pxor %%xmm0, %%xmm0; movdqa %%xmm0, (%0)" ::"r"(area) : "memory");
	right = true;
}

INSN(i_fxsave)
{
	sse_on();
	__asm__ volatile("fxsave64 (%0)" ::"r"(area) : "memory");
	__asm__ volatile("fxrstor64 (%0)" ::"r"(area) : "memory");
	right = true;
}

INSN(i_fninit)
{
	uint16_t w = 0;

	sse_on();
	__asm__ volatile("fninit; fnstcw %0" : "=m"(w));
	right = w == 0x37f;
}

INSN(i_mxcsr)
{
	uint32_t v = 0x1f80, w = 0;

	sse_on();
	__asm__ volatile("ldmxcsr %1; stmxcsr %0" : "=m"(w) : "m"(v));
	right = w == v;
}

INSN(i_movdiri)
{
	__asm__ volatile("movdiri %0, %1" ::"r"(5u), "m"(*(uint32_t *)area) : "memory");
	right = *(uint32_t *)area == 5;
}

INSN(i_pku)
{
	write_cr4(read_cr4() | 1u << 22);
	__asm__ volatile("rdpkru" ::"c"(0) : "eax", "edx");
	right = true;
}

INSN(i_monitor)
{
	__asm__ volatile("monitor" ::"a"(area), "c"(0), "d"(0));
	right = true;
}

INSN(i_syscall)
{
	wrmsr(0xc0000081, 0x0023001000000000); /* STAR */
	wrmsr(0xc0000082, 0x1000);             /* LSTAR */
	right = rdmsr(0xc0000082) == 0x1000;
}

enum { A = INSN_EAX, B = INSN_EBX, C = INSN_ECX, D = INSN_EDX };

const struct insn insns[] = {
	{ "FNINIT", i_fninit, 1, 0, D, 0 },
	{ "CLFLUSH", i_clflush, 1, 0, D, 19 },
	{ "FXSAVE64", i_fxsave, 1, 0, D, 24 },
	{ "LDMXCSR", i_mxcsr, 0, 0, 0, 0 },
	{ "MOVDQA", i_sse2, 0, 0, 0, 0 },
	{ "MFENCE", i_mfence, 1, 0, D, 26 },
	{ "SYSCALL", i_syscall, 0x80000001, 0, D, 11 },
	{ "RDTSCP", i_rdtscp, 0x80000001, 0, D, 27 },
	{ "LDDQU", i_sse3, 1, 0, C, 0 },
	{ "PCLMULQDQ", i_pclmul, 1, 0, C, 1 },
	{ "MONITOR", i_monitor, 1, 0, C, 3 },
	{ "PSHUFB", i_ssse3, 1, 0, C, 9 },
	{ "VFMADD132PS", i_fma, 1, 0, C, 12 },
	{ "CMPXCHG16B", i_cmpxchg16b, 1, 0, C, 13 },
	{ "CR4.PCIDE", i_pcid, 1, 0, C, 17 },
	{ "PINSRQ", i_sse41, 1, 0, C, 19 },
	{ "CRC32", i_crc32, 1, 0, C, 20 },
	{ "MOVBE", i_movbe, 1, 0, C, 22 },
	{ "POPCNT", i_popcnt, 1, 0, C, 23 },
	{ "AESENC", i_aes, 1, 0, C, 25 },
	{ "XSAVE64", i_xsave, 1, 0, C, 26 },
	{ "XGETBV", i_xgetbv, 1, 0, C, 26 },
	{ "VMOVDQU", i_avx, 1, 0, C, 28 },
	{ "VCVTPH2PS", i_f16c, 1, 0, C, 29 },
	{ "RDRAND", i_rdrand, 1, 0, C, 30 },
	{ "WRFSBASE", i_fsgsbase, 7, 0, B, 0 },
	{ "ANDN", i_bmi1_andn, 7, 0, B, 3 },
	{ "TZCNT", i_tzcnt, 7, 0, B, 3 },
	{ "VPADDD", i_avx2, 7, 0, B, 5 },
	{ "SMEP", i_smep, 7, 0, B, 7 },
	{ "SHLX", i_bmi2_shlx, 7, 0, B, 8 },
	{ "REP MOVSB", i_erms, 7, 0, B, 9 },
	{ "INVPCID", i_invpcid, 7, 0, B, 10 },
	{ "VPXORD", i_avx512, 7, 0, B, 16 },
	{ "RDSEED", i_rdseed, 7, 0, B, 18 },
	{ "ADCX", i_adx, 7, 0, B, 19 },
	{ "STAC", i_smap, 7, 0, B, 20 },
	{ "CLFLUSHOPT", i_clflushopt, 7, 0, B, 23 },
	{ "CLWB", i_clwb, 7, 0, B, 24 },
	{ "SHA256MSG1", i_sha, 7, 0, B, 29 },
	{ "CR4.UMIP", i_umip, 7, 0, C, 2 },
	{ "RDPKRU", i_pku, 7, 0, C, 3 },
	{ "GF2P8MULB", i_gfni, 7, 0, C, 8 },
	{ "RDPID", i_rdpid, 7, 0, C, 22 },
	{ "MOVDIRI", i_movdiri, 7, 0, C, 27 },
	{ "XSAVEOPT64", i_xsaveopt, 0xd, 1, A, 0 },
	{ "XSAVEC64", i_xsavec, 0xd, 1, A, 1 },
	{ "XGETBV 1", i_xgetbv1, 0xd, 1, A, 2 },
	{ "XSAVES64", i_xsaves, 0xd, 1, A, 3 },
	{ "LZCNT", i_lzcnt, 0x80000001, 0, C, 5 },
	{ "EXTRQ", i_sse4a, 0x80000001, 0, C, 6 },
	{ "PREFETCHW", i_prefetchw, 0x80000001, 0, C, 8 },
	{ "CLZERO", i_clzero, 0x80000008, 0, B, 0 },
	{ "WBNOINVD", i_wbnoinvd, 0x80000008, 0, B, 9 },
};

const unsigned n_insns = ARRAY_SIZE(insns);

bool insn_run(unsigned i, bool *was_right, unsigned *vec)
{
	bool ran;

	right = false;
	ran = try_call(insns[i].run, NULL, vec);
	*was_right = right;
	return ran;
}
