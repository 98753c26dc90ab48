/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * bus.h - address to device dispatch, once for ports and once for memory-mapped I/O.
 *
 * Built by the machine, frozen before the first vCPU runs, then read without a lock by all vCPU threads.  A device
 * sees an offset into its own window, never an address; it is called with sizes 1, 2, 4 or 8 that lie wholly inside
 * the window, from any vCPU thread, several at once: it locks for itself.  What no device claims reads as all ones,
 * and writes to it vanish.
 */
#ifndef TVMM_BASE_BUS_H
#define TVMM_BASE_BUS_H

#include <stdbool.h>
#include <stdint.h>
#include "error.h"

#define BUS_MAX 128

struct bus_ops {
	uint64_t (*read)(void *dev, uint64_t off, unsigned size); /* NULL: reads as all ones */
	void (*write)(void *dev, uint64_t off, unsigned size, uint64_t val); /* NULL: ignored */
};

struct bus_window {
	uint64_t base, size;
	const struct bus_ops *ops;
	void *dev;
	const char *name; /* constant string, for messages */
};

struct bus {
	unsigned n;
	bool frozen;
	struct bus_window w[BUS_MAX]; /* sorted by base */
};

/* Claims [base, base + size).  -EINVAL: frozen, empty, wraps; -EBUSY: overlaps, the message names both; -ENOSPC. */
int bus_add(struct bus *b, uint64_t base, uint64_t size, const struct bus_ops *ops, void *dev, const char *name,
	    struct tvmm_error *err);
void bus_freeze(struct bus *b);

/* One access of SIZE bytes.  An access that crosses a window's edge belongs to nobody.  Values beyond SIZE are cut. */
uint64_t bus_read(const struct bus *b, uint64_t addr, unsigned size);
void bus_write(const struct bus *b, uint64_t addr, unsigned size, uint64_t val);

#endif
