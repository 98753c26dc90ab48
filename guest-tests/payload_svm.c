/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * payload_svm.c - does this CPU have AMD's SVM, whatever CPUID says?  Decides nothing: prints what CPUID says, and for
 * VMRUN in ring 0 and for setting EFER.SVME the exception each brought, "none" without one.
 *
 * It needs a KVM that runs ring 0 natively: linux/nested.cases boots it.
 */
#include "guest.h"

#define MSR_EFER 0xc0000080
#define SVME     (1u << 12)

static void set_svme(void *arg)
{
	uint32_t lo, hi;

	(void)arg;
	__asm__ volatile("rdmsr" : "=a"(lo), "=d"(hi) : "c"(MSR_EFER));
	__asm__ volatile("wrmsr" : : "a"(lo | SVME), "d"(hi), "c"(MSR_EFER));
}

static void vmrun(void *arg)
{
	(void)arg;
	__asm__ volatile(".byte 0x0f, 0x01, 0xd8" : : "a"(0) : "memory");
}

static void tell(const char *key, void (*fn)(void *arg))
{
	unsigned vec = 0;

	if (try_call(fn, NULL, &vec))
		con_printf("%s=none\n", key);
	else
		con_printf("%s=%u\n", key, vec);
}

void guest_main(void)
{
	uint32_t a, b, c, d;

	__asm__ volatile("cpuid" : "=a"(a), "=b"(b), "=c"(c), "=d"(d) : "a"(0x80000001), "c"(0));
	con_printf("svm=%u\n", c >> 2 & 1);
	__asm__ volatile("cpuid" : "=a"(a), "=b"(b), "=c"(c), "=d"(d) : "a"(0x8000000a), "c"(0));
	con_printf("svm_leaf=%s\n", a | b | c | d ? "there" : "empty");
	tell("vmrun", vmrun);
	tell("svme", set_svme);
}
