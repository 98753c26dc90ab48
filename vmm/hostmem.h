/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * hostmem.h - the host memory behind guest RAM.
 *
 * Private and anonymous, aligned to 2 MiB and marked for huge pages, so that one fault brings a whole huge page and
 * giving memory back frees one whole.  4 GiB of inaccessible address space stands on either side: a missed check
 * faults, it does not corrupt.  Not dumped in a core file, not inherited by a fork.
 *
 * Or a memfd, where another process is to share it: what is given back is punched out of that then, and nobody who has it can
 * make it smaller, which would be a fault (SIGBUS) in us.
 */
#ifndef TVMM_HOSTMEM_H
#define TVMM_HOSTMEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "error.h"
#include "host.h"

struct hostmem {
	void *map;       /* the whole reservation, guards included */
	size_t map_size;
	uint8_t *ram;
	uint64_t size;
	int fd; /* the memfd, or -1 */
};

/* SIZE bytes of zeroed memory, a multiple of the page size. */
int hostmem_map(struct hostmem *m, const struct host *host, uint64_t size, bool shared, struct tvmm_error *err);

/* Gives every page back to the host: the memory reads as zeroes again. */
int hostmem_clear(struct hostmem *m, const struct host *host, struct tvmm_error *err);

void hostmem_unmap(struct hostmem *m, const struct host *host); /* harmless on a zeroed one */

#endif
