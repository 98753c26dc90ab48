/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * vm.h - what tests need of vm.c beside the public header: a machine on a host of their own.
 */
#ifndef TVMM_VM_H
#define TVMM_VM_H

#include "host.h"
#include "tinyvmm.h"

/* tvmm_vm_create() on HOST, which outlives the machine. */
int vm_create_on(struct tvmm_vm **out, const struct tvmm_config *cfg, const struct host *host, struct tvmm_error *err);

#endif
