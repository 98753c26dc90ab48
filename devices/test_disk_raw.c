/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * test_disk_raw.c - images that are refused, and with which words; transfers that come in pieces; a host whose disk
 * fails, is full, shrinks, or loses what it was to flush.
 */
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>
#include "bits.h"
#include "disk.h"
#include "test.h"
#include "test_host.h"

#define SIZE 65536u

static char path[] = "/tmp/tvmm-disk-XXXXXX";

static void image_new(void)
{
	strcpy(path + sizeof(path) - 7, "XXXXXX");
	int fd = mkstemp(path);

	for (unsigned i = 0; i < SIZE / 4; i++)
		ck_assert_int_eq(write(fd, &i, 4), 4);
	close(fd);
}

static void image_free(void)
{
	unlink(path);
}

static void overwrite(unsigned off, const void *buf, size_t len)
{
	int fd = open(path, O_WRONLY);

	ck_assert_int_eq(pwrite(fd, buf, len, off), (ssize_t)len);
	close(fd);
}

static struct disk *open_ok(struct test_host *th, bool ro)
{
	struct disk *d = NULL;

	test_host_init(th);
	ck_assert_int_eq(disk_raw_open(&d, &th->h, path, ro ? DISK_RO : 0, NULL), 0);
	ck_assert_uint_eq(d->size, SIZE);
	ck_assert_uint_eq(d->block_size, 512);
	ck_assert(d->ro == ro);
	return d;
}

static void open_refused(int ret, bool ro, const char *message, const char *hint)
{
	struct disk *d = NULL;
	struct tvmm_error err = { 0 };
	unsigned fds = count_fds();

	ck_assert_int_eq(disk_raw_open(&d, host_linux(), path, ro ? DISK_RO : 0, &err), ret);
	ck_assert_ptr_null(d);
	ck_assert_str_eq(err.object, path);
	ck_assert_msg(strstr(err.message, message), "%s", err.message);
	ck_assert_msg(strstr(err.hint, hint), "%s", err.hint);
	ck_assert_uint_eq(count_fds(), fds);
}

START_TEST(sizes)
{
	image_new();
	ck_assert_int_eq(truncate(path, 1000), 0);
	open_refused(-EINVAL, false, "1000 bytes", "truncate -s %512 /tmp/tvmm-disk");
	ck_assert_int_eq(truncate(path, 0), 0);
	open_refused(-EINVAL, false, "empty", "");
	image_free();
	open_refused(-ENOENT, false, "cannot open", "");
	ck_assert_int_eq(mkfifo(path, 0600), 0);
	open_refused(-EINVAL, false, "neither a regular file nor a block device", "");
	unlink(path);
	ck_assert_int_eq(mkdir(path, 0700), 0);
	open_refused(-EINVAL, true, "neither a regular file nor a block device", "");
	rmdir(path);
}
END_TEST

START_TEST(formats)
{
	static const struct {
		unsigned off, len;
		const char *magic, *name, *hint;
	} f[] = {
		{ 0, 4, "QFI\xfb", "qcow2", "qemu-img convert -O raw" },
		{ 0, 4, "QED\0", "QED", "qemu-img convert -O raw" },
		{ 0, 4, "KDMV", "VMDK", "qemu-img convert -O raw" },
		{ 0, 8, "conectix", "VHD ", "qemu-img convert -O raw" },
		{ 0, 8, "vhdxfile", "VHDX", "qemu-img convert -O raw" },
		{ 64, 4, "\x7f\x10\xda\xbe", "VDI", "qemu-img convert -O raw" },
		{ 0, 6, "\xfd" "7zXZ\0", "xz", "unpack" },
		{ 0, 4, "\x28\xb5\x2f\xfd", "zstd", "unpack" },
		{ 0, 2, "\x1f\x8b", "gzip", "unpack" },
	};
	struct test_host th;

	image_new();
	overwrite(f[_i].off, f[_i].magic, f[_i].len);
	open_refused(-EINVAL, true, f[_i].name, f[_i].hint);
	open_refused(-EINVAL, false, f[_i].name, f[_i].hint);
	ck_assert_int_eq(truncate(path, 192 * 1024 + 8), 0); /* as qemu-img makes them: the size is not what is wrong */
	open_refused(-EINVAL, false, f[_i].name, f[_i].hint);
	ck_assert_int_eq(truncate(path, SIZE), 0);
	overwrite(f[_i].off, "\0", 1); /* almost is not enough */
	struct disk *d = open_ok(&th, false);

	d->ops->close(d);
	image_free();
}
END_TEST

START_TEST(locks)
{
	struct test_host th, th2;
	struct disk *a, *b;
	struct flock fl = { .l_type = F_WRLCK };
	char want[64];
	int p[2], fd;
	pid_t pid;

	image_new();
	a = open_ok(&th, false);
	open_refused(-EBUSY, false, "in use", "another disk of this machine");
	open_refused(-EBUSY, true, "in use", "another disk of this machine");
	a->ops->close(a);
	a = open_ok(&th, true);
	b = open_ok(&th2, true); /* readers share */
	open_refused(-EBUSY, false, "in use", "another disk of this machine");
	a->ops->close(a);
	b->ops->close(b);

	/* A process that holds it is named, whatever the kind of its lock. */
	for (unsigned ofd = 0; ofd < 2; ofd++) {
		ck_assert_int_eq(pipe(p), 0);
		pid = fork();
		if (!pid) {
			char c;

			fd = open(path, O_RDWR);
			if (fcntl(fd, ofd ? F_OFD_SETLK : F_SETLK, &fl))
				_exit(1);
			close(p[1]);
			kill(getpid(), SIGSTOP);
			_exit(read(p[0], &c, 1) == 0);
		}
		int status;

		ck_assert_int_eq(waitpid(pid, &status, WUNTRACED), pid);
		ck_assert(WIFSTOPPED(status));
		snprintf(want, sizeof(want), "process %d ", pid);
		open_refused(-EBUSY, false, "in use", want);
		kill(pid, SIGKILL);
		waitpid(pid, &status, 0);
		close(p[0]);
		close(p[1]);
	}
	a = open_ok(&th, false);
	a->ops->close(a);
	image_free();
}
END_TEST

static unsigned locked_for;

static int linux_fcntl_but(const struct host *h, int fd, int cmd, uintptr_t arg)
{
	return cmd == F_OFD_SETLK && locked_for && locked_for-- ? -EAGAIN : host_linux()->fcntl(h, fd, cmd, arg);
}

/* What nobody has open any more is free in a moment. */
START_TEST(lingers)
{
	struct test_host th;
	struct disk *d;

	image_new();
	test_host_init(&th);
	th.h.fcntl = linux_fcntl_but;
	locked_for = 3;
	ck_assert_int_eq(disk_raw_open(&d, &th.h, path, 0, NULL), 0);
	ck_assert_uint_eq(th.calls[OP_POLL], 3);
	d->ops->close(d);
	image_free();
}
END_TEST

static unsigned tried;

static ssize_t count_pwritev2(const struct host *h, int fd, const struct iovec *iov, int n, off_t off, int flags)
{
	tried++;
	return host_linux()->pwritev2(h, fd, iov, n, off, flags);
}

/* What cannot wait writes only where there is no file system that somebody could have frozen. */
START_TEST(tried_writes)
{
	struct test_host th;
	struct disk *d;
	uint8_t buf[512] = { 1 };

	image_new();
	d = open_ok(&th, false);
	th.h.pwritev2 = count_pwritev2;
	for (unsigned in_memory = 0; in_memory < 2; in_memory++) {
		struct iovec v = { buf, sizeof(buf) };
		struct disk_io io = { .op = DISK_WRITE, .iov = &v, .n = 1, .len = sizeof(buf) };

		d->in_memory = in_memory;
		ck_assert_int_eq(d->ops->try(d, &io), in_memory ? 0 : -EAGAIN);
		ck_assert_uint_eq(tried, in_memory);
	}
	d->ops->close(d);
	image_free();
}
END_TEST

/* Splits BUF into segments of 1, 2, 4 ... bytes and some empty ones. */
static unsigned split(uint8_t *buf, size_t len, struct iovec *iov)
{
	unsigned n = 0;

	for (size_t part = 1; len; part *= 2) {
		part = MIN(part, len);
		iov[n++] = (struct iovec){ buf, part };
		iov[n++] = (struct iovec){ buf, 0 };
		buf += part;
		len -= part;
	}
	return n;
}

START_TEST(pieces)
{
	struct test_host th;
	struct disk *d;
	static uint8_t buf[8192], back[8192];
	struct iovec iov[64];

	image_new();
	d = open_ok(&th, false);
	th.max_io = 1000;
	test_host_fail(&th, OP_PREADV, 3, EINTR);
	ck_assert_int_eq(d->ops->readv(d, iov, split(buf, sizeof(buf), iov), 512), 0);
	for (unsigned i = 0; i < sizeof(buf) / 4; i++)
		if (load_le32(buf + 4 * i) != 128 + i)
			ck_abort_msg("word %u", i);
	for (unsigned i = 0; i < sizeof(buf); i++)
		buf[i] = (uint8_t)(i * 7);
	test_host_fail(&th, OP_PWRITEV, 2, EINTR);
	ck_assert_int_eq(d->ops->writev(d, iov, split(buf, sizeof(buf), iov), SIZE - sizeof(buf)), 0);
	ck_assert_uint_gt(th.calls[OP_PWRITEV], 8);
	th.max_io = 0;
	ck_assert_int_eq(d->ops->readv(d, iov, split(back, sizeof(back), iov), SIZE - sizeof(back)), 0);
	ck_assert_mem_eq(buf, back, sizeof(buf));
	test_host_fail(&th, OP_FDATASYNC, 1, EINTR);
	ck_assert_int_eq(d->ops->flush(d), 0);
	ck_assert_uint_eq(th.calls[OP_FDATASYNC], 2);
	ck_assert_int_eq(d->ops->readv(d, iov, 0, 0), 0);
	d->ops->close(d);
	image_free();
}
END_TEST

START_TEST(errors)
{
	struct test_host th;
	struct disk *d;
	uint8_t buf[1024] = { 0 };
	struct iovec iov[64];

	image_new();
	d = open_ok(&th, false);
	test_host_fail(&th, OP_PREADV, 1, EIO);
	ck_assert_int_eq(d->ops->readv(d, iov, split(buf, 1024, iov), 0), -EIO);
	ck_assert_int_eq(d->ops->readv(d, iov, split(buf, 1024, iov), 0), 0);
	/* No room, in the middle of a write: an error, and the next one may succeed. */
	th.max_io = 512;
	test_host_fail(&th, OP_PWRITEV, 2, ENOSPC);
	ck_assert_int_eq(d->ops->writev(d, iov, split(buf, 1024, iov), 0), -ENOSPC);
	ck_assert_int_eq(d->ops->writev(d, iov, split(buf, 1024, iov), 0), 0);
	th.max_io = 0;
	/* The image shrinks under us. */
	ck_assert_int_eq(truncate(path, 4096 + 512), 0);
	ck_assert_int_eq(d->ops->readv(d, iov, split(buf, 1024, iov), 4096), -EIO);
	ck_assert_int_eq(d->ops->readv(d, iov, split(buf, 512, iov), 4096), 0);
	/* A flush that failed once makes liars of all that follow. */
	test_host_fail(&th, OP_FDATASYNC, 1, ENOSPC);
	ck_assert_int_eq(d->ops->flush(d), -EIO);
	ck_assert_int_eq(d->ops->flush(d), -EIO);
	ck_assert_uint_eq(th.calls[OP_FDATASYNC], 1);
	ck_assert_int_eq(d->ops->writev(d, iov, split(buf, 512, iov), 0), -EIO);
	ck_assert_int_eq(d->ops->readv(d, iov, split(buf, 512, iov), 0), 0);
	d->ops->close(d);
	image_free();
}
END_TEST

START_TEST(refresh)
{
	struct test_host th;
	struct tvmm_error err = { 0 };
	struct disk *d;
	uint8_t buf[512] = { 0 };
	struct iovec iov[64];

	image_new();
	d = open_ok(&th, false);
	ck_assert_int_eq(d->ops->refresh(d, "disk 7", &err), 0);
	ck_assert_uint_eq(d->size, SIZE);
	ck_assert_int_eq(truncate(path, 2 * SIZE), 0);
	ck_assert_int_eq(d->ops->refresh(d, "disk 7", &err), 0);
	ck_assert_uint_eq(d->size, 2 * SIZE);
	ck_assert_int_eq(d->ops->readv(d, iov, split(buf, 512, iov), 2 * SIZE - 512), 0);
	ck_assert_int_eq(truncate(path, 512), 0);
	ck_assert_int_eq(d->ops->refresh(d, "disk 7", &err), 0);
	ck_assert_uint_eq(d->size, 512);
	ck_assert_uint_eq(d->block_size, 512);
	/* Sizes that no disk has, and a host that does not tell: the old one stays. */
	ck_assert_int_eq(truncate(path, 1025), 0);
	ck_assert_int_lt(d->ops->refresh(d, "disk 7", &err), 0);
	ck_assert_str_eq(err.object, "disk 7");
	ck_assert_msg(strstr(err.message, "1025 bytes"), "%s", err.message);
	ck_assert_int_eq(truncate(path, 0), 0);
	ck_assert_int_lt(d->ops->refresh(d, "disk 7", &err), 0);
	ck_assert_msg(strstr(err.message, "empty"), "%s", err.message);
	ck_assert_int_eq(truncate(path, SIZE), 0);
	test_host_fail(&th, OP_FSTAT, 1, EIO);
	ck_assert_int_eq(d->ops->refresh(d, "disk 7", &err), -EIO);
	ck_assert_int_eq(err.sys_errno, EIO);
	ck_assert_uint_eq(d->size, 512);
	ck_assert_int_eq(d->ops->refresh(d, "disk 7", &err), 0);
	ck_assert_uint_eq(d->size, SIZE);
	d->ops->close(d);
	image_free();
}
END_TEST

START_TEST(read_only)
{
	struct test_host th;
	struct disk *d;
	uint8_t buf[512];
	struct iovec iov[32];

	image_new();
	chmod(path, 0400);
	d = open_ok(&th, true);
	ck_assert_int_eq(d->ops->readv(d, iov, split(buf, 512, iov), 0), 0);
	ck_assert_int_lt(d->ops->writev(d, iov, split(buf, 512, iov), 0), 0); /* the descriptor itself says no */
	ck_assert_int_eq(d->ops->flush(d), 0);
	d->ops->close(d);
	image_free();
}
END_TEST

static int fake_fstat(const struct host *h, int fd, struct stat *st)
{
	*st = (struct stat){ .st_mode = S_IFBLK | 0600 };
	return 0;
}

static int fake_ioctl(const struct host *h, int fd, unsigned long req, uintptr_t arg)
{
	if (req == BLKGETSIZE64)
		*(uint64_t *)arg = SIZE;
	else if (req == BLKSSZGET)
		*(int *)arg = 4096;
	else
		return -ENOTTY;
	return 0;
}

static int busy_open(const struct host *h, const char *name, int flags, mode_t mode)
{
	return flags & O_EXCL ? -EBUSY : host_linux()->open(h, name, flags, mode);
}

static uint64_t allocated(void)
{
	struct stat st;

	ck_assert_int_eq(stat(path, &st), 0);
	return (uint64_t)st.st_blocks * 512;
}

static int no_fallocate(const struct host *h, int fd, int mode, off_t off, off_t len)
{
	return -EOPNOTSUPP;
}

/* Holes are holes, zeroes are zeroes, also where the file system knows neither. */
START_TEST(zero_and_discard)
{
	struct test_host th;
	struct disk *d;
	uint8_t buf[4096], zero[4096] = { 0 };
	struct iovec iov[64];

	for (unsigned fallback = 0; fallback < 2; fallback++) {
		uint64_t full;

		image_new();
		d = open_ok(&th, false);
		if (fallback)
			th.h.fallocate = no_fallocate;
		memset(buf, 0x77, sizeof(buf));
		for (uint64_t off = 0; off + 4096 <= d->size; off += 4096)
			ck_assert_int_eq(d->ops->writev(d, iov, split(buf, 4096, iov), off), 0);
		full = allocated();
		ck_assert_int_eq(d->ops->zero(d, 512, 1024, false), 0);
		ck_assert_int_eq(d->ops->readv(d, iov, split(buf, 4096, iov), 0), 0);
		ck_assert_uint_eq(buf[511], 0x77);
		ck_assert_mem_eq(buf + 512, zero, 1024);
		ck_assert_uint_eq(buf[1536], 0x77);
		ck_assert_int_eq(d->ops->zero(d, 0, 4096, true), 0);
		ck_assert_int_eq(d->ops->readv(d, iov, split(buf, 4096, iov), 0), 0);
		ck_assert_mem_eq(buf, zero, 4096);
		ck_assert_int_eq(d->ops->discard(d, 0, 4096), fallback ? -EOPNOTSUPP : 0);
		if (!fallback)
			ck_assert_uint_lt(allocated(), full);
		test_host_fail(&th, OP_FDATASYNC, 1, EIO); /* and nothing is taken after a failed flush */
		ck_assert_int_eq(d->ops->flush(d), -EIO);
		ck_assert_int_eq(d->ops->zero(d, 0, 512, true), -EIO);
		ck_assert_int_eq(d->ops->discard(d, 0, 512), -EIO);
		d->ops->close(d);
		image_free();
	}
}
END_TEST

START_TEST(block_device)
{
	struct test_host th;
	struct tvmm_error err;
	struct disk *d;
	int fds;

	image_new();
	fds = count_fds();
	test_host_init(&th);
	th.h.fstat = fake_fstat;
	th.h.ioctl = fake_ioctl;
	ck_assert_int_eq(disk_raw_open(&d, &th.h, path, 0, NULL), 0);
	ck_assert_uint_eq(d->size, SIZE);
	ck_assert_uint_eq(d->block_size, 4096);
	ck_assert_uint_eq(th.calls[OP_OPEN], 2);
	d->ops->close(d);
	/* The host has it mounted: reading is allowed, writing is not. */
	th.h.open = busy_open;
	ck_assert_int_eq(disk_raw_open(&d, &th.h, path, DISK_RO, NULL), 0);
	d->ops->close(d);
	ck_assert_int_eq(disk_raw_open(&d, &th.h, path, 0, &err), -EBUSY);
	ck_assert_int_eq(err.code, TVMM_E_BUSY);
	ck_assert(strstr(err.hint, "mounted"));
	ck_assert_uint_eq(count_fds(), fds);
	image_free();
}
END_TEST

START_TEST(every_failure_of_open)
{
	bool done = false;
	int fds;

	image_new();
	fds = count_fds();
	for (unsigned at = 1; !done; at++) {
		struct test_host th;
		struct disk *d = NULL;
		struct tvmm_error err = { 0 };
		int ret;

		test_host_init(&th);
		test_host_fail(&th, OP_ANY, at, EIO);
		ret = disk_raw_open(&d, &th.h, path, 0, &err);
		done = th.calls[OP_ANY] < at;
		ck_assert(!ret == !!d);
		if (d)
			d->ops->close(d);
		else
			ck_assert_str_ne(err.message, "");
		ck_assert_uint_eq(count_fds(), fds);
		ck_assert_uint_lt(at, 100);
	}
	image_free();
}
END_TEST

/* Past the page cache, where the file system can; segments of any alignment; and a size that does not fit is refused. */
START_TEST(direct)
{
	static uint8_t buf[SIZE];
	struct iovec iov[40];
	struct test_host th;
	struct tvmm_error err = { 0 };
	struct disk *d = NULL;
	unsigned n;

	image_new();
	test_host_init(&th);
	if (disk_raw_open(&d, &th.h, path, DISK_DIRECT, &err)) { /* tmpfs, of old */
		ck_assert(strstr(err.message, "direct"));
		image_free();
		return;
	}
	ck_assert(d->align && d->block_size == d->align && !d->in_memory);
	for (unsigned i = 0; i < SIZE; i++)
		buf[i] = (uint8_t)(i * 3);
	n = split(buf, SIZE, iov);
	ck_assert_int_eq(d->ops->writev(d, iov, n, 0), 0);
	memset(buf, 0, SIZE);
	n = split(buf, SIZE, iov);
	ck_assert_int_eq(d->ops->readv(d, iov, n, 0), 0);
	for (unsigned i = 0; i < SIZE; i++)
		ck_assert_uint_eq(buf[i], (uint8_t)(i * 3));
	ck_assert_int_eq(d->ops->zero(d, 0, 4096, true), 0);
	n = split(buf, 4096, iov);
	ck_assert_int_eq(d->ops->readv(d, iov, n, 0), 0);
	ck_assert_uint_eq(buf[77], 0);
	test_host_fail(&th, OP_PREADV, 1, EIO);
	n = split(buf, 4096, iov);
	ck_assert_int_eq(d->ops->readv(d, iov, n, 0), -EIO);
	d->ops->close(d);
	image_free();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("disk_raw");
	TCase *tc = tcase_create("disk_raw");

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, sizes);
	tcase_add_loop_test(tc, formats, 0, 9);
	tcase_add_test(tc, locks);
	tcase_add_test(tc, lingers);
	tcase_add_test(tc, tried_writes);
	tcase_add_test(tc, pieces);
	tcase_add_test(tc, direct);
	tcase_add_test(tc, errors);
	tcase_add_test(tc, refresh);
	tcase_add_test(tc, read_only);
	tcase_add_test(tc, zero_and_discard);
	tcase_add_test(tc, block_device);
	tcase_add_test(tc, every_failure_of_open);
	suite_add_tcase(s, tc);
	return test_run(s);
}
