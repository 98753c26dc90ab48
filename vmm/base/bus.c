/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * bus.c - address to device dispatch.  Built once, frozen, then searched without a lock by every vCPU thread.
 */
#include "bus.h"

#include <stdio.h>
#include <string.h>
#include "bits.h"

int bus_add(struct bus *b, uint64_t base, uint64_t size, const struct bus_ops *ops, void *dev, const char *name,
	    struct tvmm_error *err)
{
	const struct bus_window *clash = NULL;
	uint64_t last;
	unsigned i;

	/* Compared by last byte: a window may end at the top of the address space. */
	if (b->frozen || !size || __builtin_add_overflow(base, size - 1, &last))
		return err_set(err, TVMM_E_CONFIG, 0, name, "cannot claim %#lx bytes at %#lx", size, base);
	if (b->n == BUS_MAX)
		return err_set(err, TVMM_E_CONFIG, ENOSPC, name, "more than %d device windows", BUS_MAX);

	for (i = 0; i < b->n && b->w[i].base < base; i++)
		;
	if (i && b->w[i - 1].base + (b->w[i - 1].size - 1) >= base)
		clash = &b->w[i - 1];
	else if (i < b->n && last >= b->w[i].base)
		clash = &b->w[i];
	if (clash)
		return err_set(err, TVMM_E_CONFIG, EBUSY, name, "window at %#lx overlaps that of %s at %#lx", base,
			       clash->name, clash->base);

	memmove(&b->w[i + 1], &b->w[i], (b->n - i) * sizeof(b->w[0]));
	b->w[i] = (struct bus_window){ base, size, ops, dev, name };
	b->n++;
	return 0;
}

void bus_freeze(struct bus *b)
{
	b->frozen = true;
}

/* The window that holds all of the access, or NULL.  Binary search for the last window at or below ADDR. */
static const struct bus_window *bus_find(const struct bus *b, uint64_t addr, unsigned size)
{
	unsigned lo = 0, hi = b->n;
	const struct bus_window *w;

	if (!is_power_of_2(size) || size > 8)
		return NULL;
	while (lo < hi) {
		unsigned mid = (lo + hi) / 2;

		if (b->w[mid].base <= addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (!lo)
		return NULL;
	w = &b->w[lo - 1];
	return addr - w->base < w->size && size <= w->size - (addr - w->base) ? w : NULL;
}

static uint64_t cut(uint64_t val, unsigned size)
{
	return size >= 8 ? val : val & (BIT_ULL(8 * size) - 1);
}

uint64_t bus_read(const struct bus *b, uint64_t addr, unsigned size)
{
	const struct bus_window *w = bus_find(b, addr, size);

	return cut(w && w->ops->read ? w->ops->read(w->dev, addr - w->base, size) : ~0ull, size);
}

void bus_write(const struct bus *b, uint64_t addr, unsigned size, uint64_t val)
{
	const struct bus_window *w = bus_find(b, addr, size);

	if (w && w->ops->write)
		w->ops->write(w->dev, addr - w->base, size, cut(val, size));
}
