/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * insns.h - instructions, and registers' bits, that not every CPU has: where CPUID tells of each, and whether it works.
 */
#ifndef TVMM_GUEST_TESTS_INSNS_H
#define TVMM_GUEST_TESTS_INSNS_H

#include <stdbool.h>
#include <stdint.h>

enum { INSN_EAX, INSN_EBX, INSN_ECX, INSN_EDX };

struct insn {
	const char *name;
	void (*run)(void *arg);
	uint32_t leaf, sub; /* of CPUID; leaf 0: of every 64-bit CPU */
	uint8_t reg, bit;
};

extern const struct insn insns[];
extern const unsigned n_insns;

/* Runs the Ith.  False: it ended in exception *VEC.  *RIGHT: it did what it should. */
bool insn_run(unsigned i, bool *right, unsigned *vec);

#endif
