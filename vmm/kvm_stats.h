/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * kvm_stats.h - what KVM itself counts of a machine's vCPUs: exits by their reasons, injections, emulated instructions.
 *
 * KVM hands out a descriptor per vCPU that describes its own contents (Linux, Documentation/virt/kvm/api.rst, 4.133).
 * The descriptors are had when the guest is built; reading them later opens nothing and allocates nothing.  A KVM without
 * them, or a read that fails, is no fault of the machine's: then there are no counters.  Only sums over all vCPUs are
 * kept, of counters that only grow.  Called by whoever builds and destroys the guest, and read on the same thread: the loop.
 */
#ifndef TVMM_KVM_STATS_H
#define TVMM_KVM_STATS_H

#include "error.h"
#include "host.h"

enum {
	KVM_STATS_NAME_MAX = 256,      /* of a name that KVM gives, with its NUL */
	KVM_STATS_DESCRIPTORS = 1024,  /* more than this is not believed */
	KVM_STATS_BYTES_MAX = 16384,   /* of one vCPU's figures */
};

struct kvm_stats {
	const struct host *host;
	int *fd; /* one per vCPU */
	unsigned n_fds;
	bool known; /* what follows was read */
	uint64_t data; /* where the figures begin */
	uint32_t bytes; /* how far they are of interest */
	unsigned n;
	struct {
		char name[sizeof(((struct tvmm_counter *)0)->name)];
		uint32_t at;
	} counter[TVMM_COUNTERS_MAX];
};

/* For up to N vCPUs.  -ENOMEM alone fails; S is all zeroes otherwise. */
int kvm_stats_init(struct kvm_stats *s, const struct host *host, unsigned n, struct tvmm_error *err);
void kvm_stats_fini(struct kvm_stats *s);

/* The next vCPU.  Where it has no figures, there are none of any. */
void kvm_stats_add(struct kvm_stats *s, int vcpu_fd);
/* The vCPUs go. */
void kvm_stats_close(struct kvm_stats *s);

/* 0, or -EOPNOTSUPP where KVM counts nothing for us. */
int kvm_stats_read(struct kvm_stats *s, struct tvmm_counters *out, struct tvmm_error *err);

#endif
