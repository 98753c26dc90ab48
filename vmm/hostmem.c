/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * hostmem.c - mapping, clearing and unmapping guest RAM.  Called by whoever builds or ends a machine, never by a guest.
 */
#include "hostmem.h"

#include <fcntl.h>
#include <linux/falloc.h>
#include <sys/mman.h>
#include "bits.h"

#define GUARD GIB(4)
#define HUGE  MIB(2)

static int make_memfd(const struct host *host, uint64_t size, struct tvmm_error *err)
{
	int fd = host->memfd(host, "guest memory", MFD_ALLOW_SEALING), ret;

	if (fd < 0)
		return err_set(err, TVMM_E_MEMORY, -fd, "guest memory", "cannot make a memfd, which is to be shared");
	ret = host->ftruncate(host, fd, (off_t)size);
	if (!ret)
		ret = host->fcntl(host, fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
	if (ret) {
		err_set(err, TVMM_E_MEMORY, -ret, "guest memory", "cannot make a memfd of %lu MiB", size >> 20);
		host->close(host, fd);
	}
	return ret ? ret : fd;
}

/* Over the reservation, whose place it takes.  M->fd is open then, if it is to be shared. */
static int map_ram(struct hostmem *m, const struct host *host, uint8_t *ram, uint64_t size, bool shared, struct tvmm_error *err)
{
	int kind = shared ? MAP_SHARED : MAP_PRIVATE | MAP_ANONYMOUS, ret = shared ? make_memfd(host, size, err) : -1;
	void *got;

	if (shared && ret < 0)
		return ret;
	m->fd = ret;
	ret = host->mmap(host, &got, ram, size, PROT_READ | PROT_WRITE, kind | MAP_NORESERVE | MAP_FIXED, m->fd, 0);
	if (ret) {
		err_set(err, TVMM_E_MEMORY, -ret, "guest memory", "cannot map %lu MiB", size >> 20);
		err_hint(err, "give the guest less memory, or allow more overcommit (vm.overcommit_memory)");
		if (shared)
			host->close(host, m->fd);
	}
	return ret;
}

int hostmem_map(struct hostmem *m, const struct host *host, uint64_t size, bool shared, struct tvmm_error *err)
{
	size_t total = size + 2 * GUARD + HUGE;
	uint8_t *ram;
	void *map;
	int ret;

	*m = (struct hostmem){ 0 };
	ret = host->mmap(host, &map, NULL, total, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (ret) {
		err_set(err, TVMM_E_MEMORY, -ret, "guest memory", "cannot reserve %lu MiB of address space", total >> 20);
		err_hint(err, "raise the limit on address space (ulimit -v), or give the guest less memory");
		return ret;
	}
	ram = (uint8_t *)align_up((uintptr_t)map + GUARD, HUGE);
	ret = map_ram(m, host, ram, size, shared, err);
	if (ret) {
		host->munmap(host, map, total);
		return ret;
	}
	/* Wishes: a host that refuses one runs the guest all the same. */
	host->madvise(host, ram, size, MADV_HUGEPAGE);
	host->madvise(host, ram, size, MADV_DONTDUMP);
	host->madvise(host, ram, size, MADV_DONTFORK);
	*m = (struct hostmem){ .map = map, .map_size = total, .ram = ram, .size = size, .fd = m->fd };
	return 0;
}

int hostmem_clear(struct hostmem *m, const struct host *host, struct tvmm_error *err)
{
	/* Of a shared mapping, MADV_DONTNEED frees nothing. */
	int ret = m->fd < 0 ? host->madvise(host, m->ram, m->size, MADV_DONTNEED) :
			      host->fallocate(host, m->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, (off_t)m->size);

	return ret ? err_set(err, TVMM_E_MEMORY, -ret, "guest memory", "cannot clear it for the restart") : 0;
}

void hostmem_unmap(struct hostmem *m, const struct host *host)
{
	if (m->map)
		host->munmap(host, m->map, m->map_size);
	if (m->map && m->fd >= 0)
		host->close(host, m->fd);
	*m = (struct hostmem){ 0 };
}
