/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* test_initrd.c - order, padding and place of the pieces; what does not fit or cannot be read. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "bits.h"
#include "initrd.h"
#include "test.h"

#define RAM MIB(1)

static uint8_t ram[RAM];
static struct gmem mem;

static void setup_ram(void)
{
	memset(ram, 0xee, sizeof(ram));
	memset(&mem, 0, sizeof(mem));
	ck_assert_int_eq(gmem_add(&mem, GPA(0), RAM, ram, NULL), 0);
}

static int file_of(const void *data, size_t len)
{
	int fd = memfd_create("initrd", MFD_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, data, len), (ssize_t)len);
	return fd;
}

START_TEST(pieces)
{
	int a = file_of("abcde", 5), b = file_of("wxyz", 4);
	struct initrd_piece p[] = { { .name = "a", .fd = a }, { .name = "mem", .data = "1", .len = 1 },
				    { .name = "b", .fd = b }, { .name = "mem", .data = "23", .len = 2 } };
	struct initrd_room room = { .floor = 0x1000, .limit = RAM };
	struct initrd r;

	setup_ram();
	ck_assert_int_eq(initrd_load(&r, &mem, &room, host_linux(), p, ARRAY_SIZE(p), NULL), 0);
	ck_assert_uint_eq(r.size, 20);
	ck_assert_uint_eq(r.addr.addr, RAM - 4096);
	ck_assert_mem_eq(ram + r.addr.addr, "abcde\0\0\0" "1\0\0\0" "wxyz" "23\0\0" "\xee", 21);
	ck_assert_uint_eq(ram[r.addr.addr - 1], 0xee);
	close(a);
	close(b);
}
END_TEST

START_TEST(places)
{
	static uint8_t data[0x3000];
	static const struct {
		uint64_t floor, limit, len, addr; /* addr 0: refused */
	} t[] = {
		{ 0x1000, RAM, 0x1000, RAM - 0x1000 },
		{ 0x1000, RAM, 0x1001, RAM - 0x2000 },
		{ 0x1000, 0x80000, 0x1000, 0x7f000 },
		{ 0x1000, 0x80123, 0x1000, 0x7f000 },
		{ 0x1000, 0x3fff, 0x2000, 0x1000 },
		{ 0x1001, 0x3000, 0x2000, 0 },
		{ 0x1000, 0x2fff, 0x2000, 0 },
		{ 0x1000, 0x1000, 1, 0 },
		{ 0x2000, 0x1000, 1, 0 },
		{ 0x1000, 0, 1, 0 },
		{ 0x1000, RAM + 0x1000, 0x1000, 0 }, /* the caller's limit is beyond RAM: found out, not overrun */
		{ 0x1000, RAM + 0xfff, 0x1000, RAM - 0x1000 },
		{ 0x1000, UINT64_MAX, 0x1000, 0 },
	};

	for (unsigned i = 0; i < ARRAY_SIZE(t); i++) {
		struct initrd_piece p = { .name = "x", .data = data, .len = t[i].len };
		struct initrd_room room = { .floor = t[i].floor, .limit = t[i].limit };
		struct initrd r = { .size = 77 };
		struct tvmm_error e;
		int ret;

		setup_ram();
		ret = initrd_load(&r, &mem, &room, host_linux(), &p, 1, &e);
		ck_assert_msg((ret == 0) == (t[i].addr != 0), "row %u: %d", i, ret);
		if (ret == 0) {
			ck_assert_uint_eq(r.addr.addr, t[i].addr);
			continue;
		}
		ck_assert_int_eq(ret, -EINVAL);
		ck_assert_int_eq(e.code, TVMM_E_KERNEL);
		ck_assert_uint_eq(r.size, 77);
	}
}
END_TEST

START_TEST(none)
{
	struct initrd_room room = { .floor = 0x1000, .limit = 0 };
	struct initrd r = { .size = 77 };

	setup_ram();
	ck_assert_int_eq(initrd_load(&r, &mem, &room, host_linux(), NULL, 0, NULL), 0);
	ck_assert_uint_eq(r.size, 0);
}
END_TEST

static void refused(const struct initrd_piece *p, unsigned n, int want, const char *message)
{
	struct initrd_room room = { .floor = 0x1000, .limit = RAM };
	struct tvmm_error e;
	struct initrd r;

	setup_ram();
	ck_assert_int_eq(initrd_load(&r, &mem, &room, host_linux(), p, n, &e), want);
	ck_assert_msg(strstr(e.message, message) != NULL, "%s", e.message);
}

START_TEST(refusals)
{
	int empty = file_of("", 0), dir = open("/", O_RDONLY | O_DIRECTORY), big = file_of("", 0), out[2];
	struct initrd_piece p = { .name = "x", .fd = empty };
	struct initrd_piece two[] = { { .name = "m", .data = "1", .len = UINT64_MAX },
				      { .name = "m", .data = "1", .len = 4 } };

	ck_assert_int_eq(pipe(out), 0);
	refused(&p, 1, -EINVAL, "the initrd is empty");
	p.fd = dir;
	refused(&p, 1, -EINVAL, "not a regular file");
	p.fd = out[0];
	refused(&p, 1, -EINVAL, "not a regular file");
	p.fd = -1;
	refused(&p, 1, -EBADF, "cannot look at the initrd");
	ck_assert_int_eq(ftruncate(big, 3 << 20), 0);
	p.fd = big;
	refused(&p, 1, -EINVAL, "needs 3.0 MiB of guest memory, 1.0 MiB are left");
	ck_assert_int_eq(ftruncate(big, INT64_MAX), 0);
	refused(&p, 1, -EINVAL, "of guest memory");
	refused(two, 2, -EINVAL, "of guest memory");
	two[0].len = 0;
	refused(two, 2, -EINVAL, "the initrd is empty");
	close(empty);
	close(dir);
	close(big);
	close(out[0]);
	close(out[1]);
}
END_TEST

/* A file whose size is another one when it is asked again, and one that cannot be read. */
static int fstats;
static off_t second_size;
static ssize_t read_result;

static int changing_fstat(const struct host *h, int fd, struct stat *st)
{
	int ret = host_linux()->fstat(h, fd, st);

	if (fstats++)
		st->st_size = second_size;
	return ret;
}

static ssize_t failing_preadv(const struct host *h, int fd, const struct iovec *iov, int n, off_t off)
{
	return read_result;
}

START_TEST(changing)
{
	static const struct {
		off_t second;
		int ret;
		uint8_t first, last;
	} t[] = { { 1000, 0, 'a', 'h' }, { 3, 0, 'a', 'c' }, { 8, 0, 'a', 'h' } };
	struct initrd_room room = { .floor = 0x1000, .limit = RAM };
	struct host host = *host_linux();
	int fd = file_of("abcdefgh", 8);
	struct initrd_piece p = { .name = "x", .fd = fd };
	struct tvmm_error e;
	struct initrd r;

	host.fstat = changing_fstat;
	for (unsigned i = 0; i < ARRAY_SIZE(t); i++) {
		setup_ram();
		fstats = 0;
		second_size = t[i].second;
		ck_assert_int_eq(initrd_load(&r, &mem, &room, &host, &p, 1, &e), t[i].ret);
		ck_assert_uint_eq(r.size, 8);
		ck_assert_uint_eq(ram[r.addr.addr], t[i].first);
		ck_assert_uint_eq(ram[r.addr.addr + MIN(8, t[i].second) - 1], t[i].last);
		ck_assert_uint_eq(ram[r.addr.addr + 8], 0xee);
	}
	fstats = 0;
	second_size = 0;
	ck_assert_int_eq(initrd_load(&r, &mem, &room, &host, &p, 1, &e), -EINVAL);
	host = *host_linux();
	host.preadv = failing_preadv;
	read_result = -EIO;
	ck_assert_int_eq(initrd_load(&r, &mem, &room, &host, &p, 1, &e), -EIO);
	ck_assert_int_eq(e.code, TVMM_E_IO);
	ck_assert_str_eq(e.object, "x");
	read_result = 0;
	ck_assert_int_lt(initrd_load(&r, &mem, &room, &host, &p, 1, &e), 0);
	ck_assert_ptr_nonnull(strstr(e.message, "became shorter"));
	close(fd);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = { pieces, places, none, refusals, changing, NULL };

	return test_main("initrd", tests);
}
