/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * hostmem.c - mapping, clearing and unmapping guest RAM.  Called by whoever builds or ends a machine, never by a guest.
 */
#include "hostmem.h"

#include <sys/mman.h>
#include "bits.h"

#define GUARD GIB(4)
#define HUGE  MIB(2)

int hostmem_map(struct hostmem *m, const struct host *host, uint64_t size, struct tvmm_error *err)
{
	size_t total = size + 2 * GUARD + HUGE;
	uint8_t *ram;
	void *map, *got;
	int ret;

	*m = (struct hostmem){ 0 };
	ret = host->mmap(host, &map, NULL, total, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (ret) {
		err_set(err, TVMM_E_MEMORY, -ret, "guest memory", "cannot reserve %lu MiB of address space", total >> 20);
		err_hint(err, "raise the limit on address space (ulimit -v), or give the guest less memory");
		return ret;
	}
	ram = (uint8_t *)align_up((uintptr_t)map + GUARD, HUGE);
	ret = host->mmap(host, &got, ram, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED,
			 -1, 0);
	if (ret) {
		err_set(err, TVMM_E_MEMORY, -ret, "guest memory", "cannot map %lu MiB", size >> 20);
		err_hint(err, "give the guest less memory, or allow more overcommit (vm.overcommit_memory)");
		host->munmap(host, map, total);
		return ret;
	}
	/* Wishes: a host that refuses one runs the guest all the same. */
	host->madvise(host, ram, size, MADV_HUGEPAGE);
	host->madvise(host, ram, size, MADV_DONTDUMP);
	host->madvise(host, ram, size, MADV_DONTFORK);
	*m = (struct hostmem){ .map = map, .map_size = total, .ram = ram, .size = size };
	return 0;
}

int hostmem_clear(struct hostmem *m, const struct host *host, struct tvmm_error *err)
{
	int ret = host->madvise(host, m->ram, m->size, MADV_DONTNEED);

	return ret ? err_set(err, TVMM_E_MEMORY, -ret, "guest memory", "cannot clear it for the restart") : 0;
}

void hostmem_unmap(struct hostmem *m, const struct host *host)
{
	if (m->map)
		host->munmap(host, m->map, m->map_size);
	*m = (struct hostmem){ 0 };
}
