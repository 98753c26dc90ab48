/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * x86_insn.h - the name of an instruction that KVM could not emulate, from its bytes.  Pure.
 *
 * Not a disassembler: it knows the families that stop stock kernels on a KVM that interprets ring 0.
 */
#ifndef TVMM_X86_INSN_H
#define TVMM_X86_INSN_H

#include <stddef.h>
#include <stdint.h>

/* The mnemonic, or a family ("an SSE instruction"), or NULL when it knows none.  64-bit mode. */
const char *x86_insn_name(const uint8_t *insn, size_t len);

#endif
