/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * debug_exit.c - every write is the end, whatever its value; reading gives 0, so that a guest can tell the ports from
 * ones that nobody has.  Stateless; any vCPU thread.
 */
#include "debug_exit.h"

void debug_exit_init(struct debug_exit *d, void (*event)(void *arg, uint32_t value), void *arg)
{
	d->event = event;
	d->arg = arg;
}

static uint64_t debug_exit_read(void *dev, uint64_t off, unsigned size)
{
	return 0;
}

static void debug_exit_write(void *dev, uint64_t off, unsigned size, uint64_t val)
{
	struct debug_exit *d = dev;

	d->event(d->arg, (uint32_t)val);
}

const struct bus_ops debug_exit_ops = { debug_exit_read, debug_exit_write };
