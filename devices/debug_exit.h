/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * debug_exit.h - four ports by which a guest ends its machine with an exit code, as QEMU's isa-debug-exit has them.
 *
 * For tests that run as guests: they need no power management to report.  What the code means is the machine's business.
 */
#ifndef TVMM_DEVICES_DEBUG_EXIT_H
#define TVMM_DEVICES_DEBUG_EXIT_H

#include "bus.h"

#define DEBUG_EXIT_PORTS 4 /* one access of 1, 2 or 4 bytes, at any of them */

struct debug_exit {
	void (*event)(void *arg, uint32_t value); /* what was written; on the vCPU's thread, and perhaps more than once */
	void *arg;
};

void debug_exit_init(struct debug_exit *d, void (*event)(void *arg, uint32_t value), void *arg);
extern const struct bus_ops debug_exit_ops; /* DEV is the struct debug_exit; DEBUG_EXIT_PORTS ports */

#endif
