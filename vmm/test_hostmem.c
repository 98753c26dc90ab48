/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * test_hostmem.c - guest RAM that is private, and RAM that is a memfd: what clearing gives back, what another holder of the
 * memfd cannot do, and what is left when a call fails.
 */
#include "hostmem.h"
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "bits.h"
#include "test.h"

#define SIZE MIB(4)

static unsigned calls, fail_at;
static long mapped;

static bool fails(void)
{
	return ++calls == fail_at;
}

static int f_memfd(const struct host *h, const char *name, unsigned flags)
{
	return fails() ? -EMFILE : host_linux()->memfd(h, name, flags);
}

static int f_ftruncate(const struct host *h, int fd, off_t len)
{
	return fails() ? -ENOSPC : host_linux()->ftruncate(h, fd, len);
}

static int f_fcntl(const struct host *h, int fd, int cmd, uintptr_t arg)
{
	return fails() ? -EPERM : host_linux()->fcntl(h, fd, cmd, arg);
}

static int f_mmap(const struct host *h, void **out, void *addr, size_t len, int prot, int flags, int fd, off_t off)
{
	int ret = fails() ? -ENOMEM : host_linux()->mmap(h, out, addr, len, prot, flags, fd, off);

	if (!ret && !(flags & MAP_FIXED))
		mapped += (long)len;
	return ret;
}

static int f_munmap(const struct host *h, void *addr, size_t len)
{
	mapped -= (long)len;
	return host_linux()->munmap(h, addr, len);
}

static int f_madvise(const struct host *h, void *addr, size_t len, int advice)
{
	return fails() ? -EINVAL : host_linux()->madvise(h, addr, len, advice);
}

static struct host failing(unsigned at)
{
	struct host h = *host_linux();

	h.memfd = f_memfd;
	h.ftruncate = f_ftruncate;
	h.fcntl = f_fcntl;
	h.mmap = f_mmap;
	h.munmap = f_munmap;
	h.madvise = f_madvise;
	calls = 0;
	fail_at = at;
	mapped = 0;
	return h;
}

START_TEST(private)
{
	struct hostmem m;

	ck_assert_int_eq(hostmem_map(&m, host_linux(), SIZE, false, NULL), 0);
	ck_assert_int_lt(m.fd, 0);
	memset(m.ram, 0x5a, SIZE);
	ck_assert_int_eq(hostmem_clear(&m, host_linux(), NULL), 0);
	ck_assert(!m.ram[0] && !m.ram[SIZE - 1]);
	hostmem_unmap(&m, host_linux());
	hostmem_unmap(&m, host_linux());
}
END_TEST

START_TEST(shared)
{
	unsigned fds = count_fds();
	struct hostmem m;
	struct stat st;
	uint8_t *other;

	ck_assert_int_eq(hostmem_map(&m, host_linux(), SIZE, true, NULL), 0);
	ck_assert_uint_eq((uintptr_t)m.ram % MIB(2), 0);
	other = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, m.fd, 0);
	ck_assert_ptr_ne(other, MAP_FAILED);
	memset(m.ram, 0x5a, SIZE);
	ck_assert(other[0] == 0x5a && other[SIZE - 1] == 0x5a);
	ck_assert(!fstat(m.fd, &st) && st.st_blocks * 512 == (blkcnt_t)SIZE);
	/* Whoever has it cannot take it from under us. */
	ck_assert_int_lt(ftruncate(m.fd, 4096), 0);
	ck_assert_int_lt(fcntl(m.fd, F_ADD_SEALS, F_SEAL_WRITE), 0);
	ck_assert_int_eq(hostmem_clear(&m, host_linux(), NULL), 0);
	ck_assert(!m.ram[0] && !other[SIZE - 1]);
	ck_assert_int_eq(hostmem_clear(&m, host_linux(), NULL), 0);
	ck_assert(!fstat(m.fd, &st) && st.st_blocks == 0);
	munmap(other, SIZE);
	hostmem_unmap(&m, host_linux());
	ck_assert_uint_eq(count_fds(), fds);
}
END_TEST

START_TEST(every_call_fails)
{
	unsigned fds = count_fds(), refused = 0;

	for (unsigned at = 1;; at++) {
		struct host h = failing(at);
		struct tvmm_error err = { 0 };
		struct hostmem m;
		int ret = hostmem_map(&m, &h, SIZE, true, &err);

		refused += ret != 0;
		if (ret)
			ck_assert(err.code == TVMM_E_MEMORY && err.message[0]);
		else
			hostmem_unmap(&m, &h);
		ck_assert_int_eq(mapped, 0);
		ck_assert_uint_eq(count_fds(), fds);
		if (calls < at)
			break;
	}
	ck_assert_uint_eq(refused, 5); /* advice is but a wish */
}
END_TEST

int main(void)
{
	const TTest *const tests[] = { private, shared, every_call_fails, NULL };

	return test_main("hostmem", tests);
}
