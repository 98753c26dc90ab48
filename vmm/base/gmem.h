/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * gmem.h - guest memory as the host sees it.
 *
 * A guest address is a struct gpa: it cannot be dereferenced or mistaken for a length.  gmem_range() is the only
 * function that compares one with a bound; everybody else calls it.  Regions are added while the machine is built and
 * frozen before the first vCPU runs, so lookups take no lock and pointers stay valid until the machine is freed.
 *
 * Guest memory changes while we look at it: load each field once, check the copy, use the copy.
 */
#ifndef TVMM_BASE_GMEM_H
#define TVMM_BASE_GMEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "error.h"

struct gpa {
	uint64_t addr;
};
#define GPA(a) ((struct gpa){ .addr = (a) })

#define GMEM_MAX_REGIONS 4

struct gmem_region {
	uint64_t base; /* guest address of the first byte */
	uint64_t size; /* bytes; base + size does not wrap */
	uint8_t *host;
};

struct gmem {
	unsigned n;
	bool frozen;
	struct gmem_region region[GMEM_MAX_REGIONS]; /* sorted by base */
};

/* Adds RAM.  The mapping stays the caller's.  -EINVAL: frozen, wraps, overlaps, empty; -ENOSPC: too many. */
int gmem_add(struct gmem *mem, struct gpa base, uint64_t size, void *host, struct tvmm_error *err);
void gmem_freeze(struct gmem *mem);

/* The host address of LEN bytes at A when all of them lie in one region, else NULL.  LEN 0 asks for a place inside. */
void *gmem_range(const struct gmem *mem, struct gpa a, uint64_t len);

/* Like gmem_range() for as many bytes as A's region holds from there on, at most *LEN; *LEN is what it got. */
void *gmem_range_some(const struct gmem *mem, struct gpa a, uint64_t *len);

/* Copies; false if any byte lies outside RAM, and then nothing was copied. */
bool gmem_read(const struct gmem *mem, struct gpa a, void *dst, size_t len);
bool gmem_write(const struct gmem *mem, struct gpa a, const void *src, size_t len);

/* Total bytes of RAM. */
uint64_t gmem_size(const struct gmem *mem);

#endif
