/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * x86_cpu.h - what a vCPU is before its first instruction: CPUID, model-specific registers, entry state.
 *
 * Called by the thread that builds the machine, once per vCPU.
 */
#ifndef TVMM_X86_CPU_H
#define TVMM_X86_CPU_H

#include <stdint.h>
#include "error.h"
#include "gmem.h"
#include "host.h"
#include "kvm.h"

struct kvm_cpuid2;

#define X86_CPUID_MAX 256

/*
 * A leaf of ours, past those in which Linux looks for hypervisors: EAX how many hypervisors are below the guest (at
 * least), EBX and ECX the signature "tinyvmm".  So a tinyvmm in a tinyvmm knows.
 */
#define X86_TINYVMM_LEAF 0x40010000u
#define X86_TINYVMM_EBX  0x796e6974u /* "tiny" */
#define X86_TINYVMM_ECX  0x006d6d76u /* "vmm" */

/* Entry state of the boot processor.  The others wait for INIT and SIPI. */
struct x86_entry {
	bool long_mode;      /* Linux's 64-bit entry, else the 32-bit one of PVH */
	struct gpa ip, info; /* RIP; RSI or EBX */
};

/* What a guest is to see of what KVM can offer. */
struct x86_view {
	bool nested;    /* VMX or SVM */
	uint32_t less_pv; /* of KVM's own features (leaf 0x40000001, EAX) those to hide; its clocks stay in any case */
	bool plain;     /* only what a KVM that interprets ring 0 can run */
	bool plain_strings; /* not that string instructions were fast */
	unsigned depth; /* hypervisors below the guest, itself told by X86_TINYVMM_LEAF; 0: not told */
};

/*
 * To Linux a KVM that ignores what is hidden from it is no obstacle: these bits of leaf 1 it hides from itself.  A parameter
 * of its command line.
 */
#define X86_PLAIN_LINUX "clearcpuid=128,129,137,140,141,147,148,150,151,153,154,156,157"

/* The host's CPUID as KVM can offer it, less what VIEW leaves out; freed with free(). */
int x86_cpuid_template(struct kvm *kvm, const struct x86_view *view, struct kvm_cpuid2 **out, struct tvmm_error *err);

/* KVM on some hosts lists leaf 0xb with one subleaf or none: adds what is missing.  Of x86_cpuid_template(); pure. */
void x86_cpuid_add_topology(struct kvm_cpuid2 *t);

/* Makes T the view of vCPU INDEX of N: APIC ids, topology, cache sharing.  APIC ids are 0 .. N - 1.  Pure. */
void x86_cpuid_for(struct kvm_cpuid2 *t, unsigned index, unsigned n);

/* Gives vCPU FD its CPUID and MSRs. */
int x86_cpu_init(const struct host *host, int fd, const struct kvm_cpuid2 *cpuid, struct tvmm_error *err);

/* Writes the GDT and the identity page tables into guest RAM and sets the boot processor's registers. */
int x86_cpu_set_entry(const struct host *host, int fd, const struct gmem *mem, const struct x86_entry *e,
		      struct tvmm_error *err);

#endif
