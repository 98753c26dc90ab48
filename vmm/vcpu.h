/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * vcpu.h - one virtual CPU and the thread that runs it.
 *
 * The thread does KVM_RUN, hands port and memory accesses to the buses, and ends when it is told to or when the guest
 * can go no further; then it says why, once, through env->ended.  It runs with every signal blocked; inside KVM_RUN
 * alone, KVM lets the kick signal through (KVM_SET_SIGNAL_MASK), so that a kick is never lost and no signal handler is
 * needed: nothing of the embedding process is touched.
 */
#ifndef TVMM_VCPU_H
#define TVMM_VCPU_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include "bus.h"
#include "error.h"
#include "kvm.h"
#include "tinyvmm.h"

struct vcpu;
struct kvm_run;

/* What all vCPUs of a machine share.  Outlives them. */
struct vcpu_env {
	struct kvm *kvm;
	const struct gmem *mem;
	const struct bus *pio, *mmio;
	/* The vCPU stopped by itself.  On its thread, which ends after that.  Any number of vCPUs may call. */
	void (*ended)(void *arg, const struct tvmm_result *why);
	void *arg;
	const char *name;             /* of the machine, for thread names */
	bool plain_cpu;               /* the guest is told of nothing that an interpreting KVM lacks, as far as CPUID goes */
	_Atomic uint64_t *first_run_ns; /* 0 until the first KVM_RUN: set to the time of it */
};

struct vcpu {
	const struct vcpu_env *env;
	unsigned index;
	int fd; /* -1: not created */
	struct kvm_run *run;
	pthread_t thread;
	bool started;
	_Atomic bool stop;
	_Atomic uint64_t exits, exits_pio, exits_mmio; /* written by the thread alone */
};

/* Creates it in KVM; its number is its APIC id.  vcpu_fini() undoes it, the thread being joined. */
int vcpu_init(struct vcpu *v, const struct vcpu_env *env, unsigned index, struct tvmm_error *err);
void vcpu_fini(struct vcpu *v);

int vcpu_start(struct vcpu *v, struct tvmm_error *err);
void vcpu_kick_stop(struct vcpu *v); /* tells it to end; any thread, any number of times */
int vcpu_kick_signal(void); /* blocked in a vCPU's thread but inside KVM_RUN, which it ends */
void vcpu_join(struct vcpu *v);      /* waits for its thread; harmless if it never started */

#endif
