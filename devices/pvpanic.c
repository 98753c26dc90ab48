/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * pvpanic.c - reading tells which events are understood, writing reports them.  Stateless; any vCPU thread.
 */
#include "pvpanic.h"

#define KNOWN (PVPANIC_PANICKED | PVPANIC_CRASH_LOADED)

void pvpanic_init(struct pvpanic *p, void (*event)(void *arg, uint8_t events), void *arg)
{
	p->event = event;
	p->arg = arg;
}

static uint64_t pvpanic_read(void *dev, uint64_t off, unsigned size)
{
	return KNOWN;
}

static void pvpanic_write(void *dev, uint64_t off, unsigned size, uint64_t val)
{
	struct pvpanic *p = dev;

	if (val & KNOWN)
		p->event(p->arg, val & KNOWN);
}

const struct bus_ops pvpanic_ops = { pvpanic_read, pvpanic_write };
