/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * classify.h - from what was read and measured of a host to the verdict on it.  Pure: no file, no clock, no KVM.
 *
 * classify_*.c know the platforms and the sentences; the same sentences go into "tinyvmm check" and into the error of a
 * machine that cannot be made.
 */
#ifndef TVMM_CLASSIFY_H
#define TVMM_CLASSIFY_H

#include "error.h"
#include "probe_snapshot.h"
#include "tinyvmm.h"

/* What the probe guest did.  Times are 0 where they were not measured. */
struct measurement {
	bool ran;                 /* it ran at all: KVM makes VMs */
	bool late;                /* it was still running when its time was over: slow, or hung */
	bool stock;               /* it got through what a stock kernel executes in ring 0 */
	uint32_t exit_ns, exit_user_ns, fault_ns;
	char why[160];            /* where it did not get through: what stopped it */
};

/* The whole verdict.  KVM_ERR: why no VM could be had, code TVMM_E_NONE if one could. */
void classify(struct tvmm_probe *out, const struct snapshot *s, const struct measurement *m, const struct tvmm_error *kvm_err);

/* Parts of it. */
enum tvmm_backend classify_backend(const struct snapshot *s, const char **module);
enum tvmm_platform classify_platform(const struct snapshot *s, char *name, size_t len, char *evidence, size_t evidence_len);
int classify_depth(const struct snapshot *s);
bool classify_emulated(const struct snapshot *s); /* the CPU itself is software; needs CPUID alone */
enum tvmm_cost classify_cost(const struct measurement *m);

/* /dev/kvm did not open (s->open_errno): fills *ERR with cause and remedy, and returns the negative errno. */
int classify_no_kvm(const struct snapshot *s, struct tvmm_error *err);

/* Can guests have VMX or SVM?  0, or -ENOTSUP with *ERR telling what stands in the way. */
int classify_nested(const struct snapshot *s, struct tvmm_error *err);

/* Has the host's kernel the fix of CVE-2026-53359?  1 yes, 0 no, -1 its version does not tell; the version in NAME. */
int classify_nested_fix(const struct snapshot *s, char *name, size_t len);

#endif
