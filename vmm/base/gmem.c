/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * gmem.c - guest address to host address, the one place where a guest's address meets a bound.
 *
 * Called from every thread; lock-free, because regions are frozen before the guest runs.  It refuses any range that is
 * not wholly inside one region: there is no "first byte is fine".
 */
#include "gmem.h"

#include <string.h>
#include "bits.h"

int gmem_add(struct gmem *mem, struct gpa base, uint64_t size, void *host, struct tvmm_error *err)
{
	uint64_t end;
	unsigned i;

	if (mem->frozen || !size || __builtin_add_overflow(base.addr, size, &end))
		return err_set(err, TVMM_E_CONFIG, 0, "guest memory", "cannot add %#lx bytes at %#lx", size, base.addr);
	if (mem->n == GMEM_MAX_REGIONS)
		return err_set(err, TVMM_E_CONFIG, ENOSPC, "guest memory", "more than %d regions", GMEM_MAX_REGIONS);

	for (i = 0; i < mem->n && mem->region[i].base < base.addr; i++)
		;
	if (i && mem->region[i - 1].base + mem->region[i - 1].size > base.addr)
		return err_set(err, TVMM_E_CONFIG, 0, "guest memory", "regions overlap at %#lx", base.addr);
	if (i < mem->n && end > mem->region[i].base)
		return err_set(err, TVMM_E_CONFIG, 0, "guest memory", "regions overlap at %#lx", mem->region[i].base);

	memmove(&mem->region[i + 1], &mem->region[i], (mem->n - i) * sizeof(mem->region[0]));
	mem->region[i] = (struct gmem_region){ .base = base.addr, .size = size, .host = host };
	mem->n++;
	return 0;
}

void gmem_freeze(struct gmem *mem)
{
	mem->frozen = true;
}

/* The region that holds A, or NULL.  Unsigned subtraction wraps above size when A is below base. */
static const struct gmem_region *gmem_find(const struct gmem *mem, struct gpa a)
{
	for (unsigned i = 0; i < mem->n; i++)
		if (a.addr - mem->region[i].base < mem->region[i].size)
			return &mem->region[i];
	return NULL;
}

void *gmem_range(const struct gmem *mem, struct gpa a, uint64_t len)
{
	const struct gmem_region *r = gmem_find(mem, a);
	uint64_t off;

	if (!r)
		return NULL;
	off = a.addr - r->base;
	return len <= r->size - off ? r->host + off : NULL;
}

void *gmem_range_some(const struct gmem *mem, struct gpa a, uint64_t *len)
{
	const struct gmem_region *r = gmem_find(mem, a);
	uint64_t off;

	if (!r)
		return NULL;
	off = a.addr - r->base;
	*len = MIN(*len, r->size - off);
	return r->host + off;
}

bool gmem_read(const struct gmem *mem, struct gpa a, void *dst, size_t len)
{
	const void *p = gmem_range(mem, a, len);

	if (!p)
		return false;
	memcpy(dst, p, len);
	return true;
}

bool gmem_write(const struct gmem *mem, struct gpa a, const void *src, size_t len)
{
	void *p = gmem_range(mem, a, len);

	if (!p)
		return false;
	memcpy(p, src, len);
	return true;
}

uint64_t gmem_size(const struct gmem *mem)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < mem->n; i++)
		sum += mem->region[i].size;
	return sum;
}
