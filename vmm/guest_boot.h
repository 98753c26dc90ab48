/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * guest_boot.h - guest.c's part for what is in memory before the guest runs.  Called by guest_build() alone.
 */
#ifndef TVMM_GUEST_BOOT_H
#define TVMM_GUEST_BOOT_H

#include "machine.h"

/* RAM is zero, devices and vCPUs are there: the tables tell of them, and the first vCPU gets its entry state. */
int guest_boot(struct machine *m, struct tvmm_error *err);

#endif
