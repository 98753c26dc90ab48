/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * pvpanic.h - one port through which a guest kernel says that it panicked (QEMU docs/specs/pvpanic; ACPI QEMU0001).
 */
#ifndef TVMM_DEVICES_PVPANIC_H
#define TVMM_DEVICES_PVPANIC_H

#include "bus.h"

#define PVPANIC_PANICKED     0x01
#define PVPANIC_CRASH_LOADED 0x02 /* it panicked, and its crash kernel takes over */

struct pvpanic {
	void (*event)(void *arg, uint8_t events); /* a set of the above, not empty; on the vCPU's thread */
	void *arg;
};

void pvpanic_init(struct pvpanic *p, void (*event)(void *arg, uint8_t events), void *arg);
extern const struct bus_ops pvpanic_ops; /* DEV is the struct pvpanic; one port */

#endif
