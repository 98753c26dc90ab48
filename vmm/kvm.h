/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * kvm.h - /dev/kvm and one virtual machine's descriptor: capabilities, memory slots, interrupts, ioeventfds.
 *
 * With kvm_routes.c, vcpu.c and x86_cpu.c, this is where KVM's ioctls are spoken.  Everything here is called by the thread that
 * builds the machine, except the interrupt functions, which any thread may call.
 */
#ifndef TVMM_KVM_H
#define TVMM_KVM_H

#include <stdbool.h>
#include <stdint.h>
#include "error.h"
#include "gmem.h"
#include "host.h"
#include "irq.h"
#include "kvm_routes.h"

struct kvm {
	const struct host *host;
	int dev_fd; /* /dev/kvm; -1: not open */
	int vm_fd;  /* -1: no VM */
	int run_size; /* bytes to map of a vCPU's descriptor */
	unsigned slots;
	bool has_readonly_mem, has_any_length, has_emulation_exit;
	struct msi_sink msi;
	struct kvm_routes routes; /* of eventfds that KVM answers with messages by itself */
};

/* Opens /dev/kvm and checks the API version and every capability that a machine needs; the error names cause and fix. */
int kvm_open(struct kvm *kvm, const struct host *host, struct tvmm_error *err);
void kvm_close(struct kvm *kvm);

/* Makes the VM with local APICs in the kernel; kvm_destroy_vm() undoes it. */
int kvm_create_vm(struct kvm *kvm, struct tvmm_error *err);
void kvm_destroy_vm(struct kvm *kvm);

/* KVM_CHECK_EXTENSION on the VM, or on /dev/kvm while there is none. */
int kvm_cap(const struct kvm *kvm, int cap);

/* Lets the guest see SIZE bytes of HOST memory at A; READONLY: its writes become MMIO exits. */
int kvm_map(struct kvm *kvm, struct gpa a, uint64_t size, void *host_mem, bool readonly, struct tvmm_error *err);

/* A guest write at A, of any width, makes FD readable instead of leaving the kernel. */
int kvm_ioeventfd(struct kvm *kvm, struct gpa a, int fd, struct tvmm_error *err);

#endif
