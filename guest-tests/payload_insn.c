/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * payload_insn.c - instructions that CPUID may or may not tell of (insns.h), each run in ring 0, its result compared.
 *
 * Arguments: none: those that CPUID tells of and clearcpuid= does not rule out, as a kernel would.  only=N: the Nth alone,
 * whatever CPUID says; beyond the last nothing.  "# try NAME" is printed before each, for a KVM that interprets ring 0 may
 * end the guest there.
 */
#include "guest.h"
#include "insns.h"

/* Linux's parameter clearcpuid=N,..., of which leaf 1's ECX has the bits from 128 on. */
static bool is_cleared(unsigned bit)
{
	char list[128];
	unsigned n = 0;

	if (!boot_arg("clearcpuid", list, sizeof(list)))
		return false;
	for (const char *p = list;; p++) {
		if (*p >= '0' && *p <= '9') {
			n = n * 10 + (unsigned)(*p - '0');
			continue;
		}
		if (n == 128 + bit)
			return true;
		if (!*p)
			return false;
		n = 0;
	}
}

/* As Linux goes by it: a feature counts only if the leaf that describes it is there, and was not ruled out. */
static bool told(unsigned i)
{
	uint32_t r[4];

	if (!insns[i].leaf) /* of every 64-bit CPU, and of no kernel */
		return false;
	cpuid(insns[i].leaf & 0x80000000, 0, r);
	if (r[0] < insns[i].leaf)
		return false;
	if (insns[i].leaf == 1 && insns[i].reg == INSN_ECX && is_cleared(insns[i].bit))
		return false;
	cpuid(insns[i].leaf, insns[i].sub, r);
	return r[insns[i].reg] >> insns[i].bit & 1;
}

static void try(unsigned i)
{
	unsigned vec;
	bool right;

	diag("try %s", insns[i].name);
	if (insn_run(i, &right, &vec))
		report(right, "%s does what it should", insns[i].name);
	else
		report(false, "%s does what it should: exception %u", insns[i].name, vec);
}

static uint64_t features(void *arg)
{
	uint32_t r[4];

	cpuid(1, 0, r);
	return (uint64_t)r[2] << 32 | r[3];
}

void guest_main(void)
{
	unsigned long only = boot_arg_num("only", ~0ul);

	if (only != ~0ul) {
		if (only < n_insns)
			try((unsigned)only);
		return;
	}
	for (unsigned i = 0; i < n_insns; i++)
		if (told(i))
			try(i);
	/* Not all KVMs that interpret ring 0 see ring 3's CPUID. */
	diag("leaf 1, ECX and EDX: %lx, in ring 3 %lx", features(NULL), ring3(features, NULL));
}
