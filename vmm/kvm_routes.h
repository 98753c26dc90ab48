/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * kvm_routes.h - eventfds that KVM answers with a message-signalled interrupt by itself: irqfds and the routing table.
 *
 * For workers outside this process (virtio_call.h).  The guest chooses what messages say and when they change, so the table
 * is of fixed size, what KVM refuses leaves no trace in it, and a message that stays the same costs no change of it: each
 * change waits for a grace period.  Called by any thread, usually a vCPU whose driver programs a vector.
 */
#ifndef TVMM_KVM_ROUTES_H
#define TVMM_KVM_ROUTES_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include "host.h"

#define KVM_ROUTES_MAX 128

struct kvm_routes {
	const struct host *host;
	int vm_fd; /* -1: no VM, nothing can be set */
	pthread_mutex_t lock; /* guards what follows; leaf */
	struct kvm_route {
		int fd;    /* -1: free; what it says may serve again */
		bool said; /* KVM's table has it, under its index */
		uint64_t addr;
		uint32_t data;
	} slot[KVM_ROUTES_MAX];
};

/* A new VM, which has no routes yet, or VM_FD -1: the end of one.  No other thread uses it. */
void kvm_routes_init(struct kvm_routes *r, const struct host *host, int vm_fd);

/* What struct msi_sink says of route() and unroute() (irq.h).  -ENOSPC: that are too many. */
int kvm_routes_set(struct kvm_routes *r, int fd, uint64_t addr, uint32_t data);
void kvm_routes_drop(struct kvm_routes *r, int fd);

#endif
