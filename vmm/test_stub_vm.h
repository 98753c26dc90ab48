/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * test_stub_vm.h - the calls of tinyvmm.h on a machine that is none: what the control socket is tried on.  Included by one
 * file of a program, which then uses nothing of vm.c.  Each call leaves its mark in struct tvmm_vm, which is the test's.
 */
#ifndef TVMM_TEST_STUB_VM_H
#define TVMM_TEST_STUB_VM_H

#include <stdio.h>
#include <string.h>
#include "error.h"
#include "tinyvmm.h"

struct tvmm_vm {
	int end_fd;
	_Atomic bool ended;
	_Atomic uint64_t bytes;
	_Atomic int request;
	_Atomic unsigned trims, refreshed, calls;
	struct tvmm_memory memory;
	struct tvmm_stats stats;
	struct tvmm_counters counters;
	const char *description;
};

const char *tvmm_version(void)
{
	return "1.2.3";
}

int tvmm_vm_fd(const struct tvmm_vm *vm)
{
	return vm->end_fd;
}

int tvmm_vm_stats(struct tvmm_vm *vm, struct tvmm_stats *stats)
{
	*stats = vm->stats;
	return 0;
}

int tvmm_vm_memory(struct tvmm_vm *vm, struct tvmm_memory *m)
{
	vm->calls++;
	*m = vm->memory;
	return 0;
}

int tvmm_vm_kvm_counters(struct tvmm_vm *vm, struct tvmm_counters *counters, struct tvmm_error *err)
{
	if (!vm->counters.count)
		return err_set(err, TVMM_E_UNSUPPORTED, EOPNOTSUPP, NULL, "none");
	*counters = vm->counters;
	return 0;
}

int tvmm_vm_set_memory(struct tvmm_vm *vm, uint64_t bytes, struct tvmm_error *err)
{
	if (bytes == 1)
		return err_set(err, TVMM_E_CONFIG, EINVAL, "memory", "too small");
	if (bytes == 2)
		return err_set(err, TVMM_E_UNSUPPORTED, EOPNOTSUPP, "memory", "reclaim is off");
	if (bytes == 3)
		return err_set(err, TVMM_E_HOST, EIO, NULL, "the host failed");
	vm->bytes = bytes;
	return 0;
}

int tvmm_vm_trim_memory(struct tvmm_vm *vm, struct tvmm_error *err)
{
	vm->trims++;
	return 0;
}

int tvmm_vm_disk_refresh(struct tvmm_vm *vm, unsigned index, struct tvmm_error *err)
{
	if (index)
		return err_set(err, TVMM_E_BUSY, 0, NULL, "there is no disk %u", index);
	vm->refreshed++;
	return 0;
}

int tvmm_vm_request(struct tvmm_vm *vm, int request, struct tvmm_error *err)
{
	vm->request = request;
	return 0;
}

int tvmm_vm_describe(struct tvmm_vm *vm, char *buf, size_t len)
{
	snprintf(buf, len, "%s", vm->description ? vm->description : "");
	return 0;
}

int tvmm_vm_wait(struct tvmm_vm *vm, int timeout_ms, struct tvmm_result *r)
{
	*r = (struct tvmm_result){ .size = r->size };
	if (!vm->ended)
		return -ETIMEDOUT;
	r->reason = TVMM_POWEROFF;
	snprintf(r->detail, sizeof(r->detail), "the guest powered off");
	return 0;
}

#endif
