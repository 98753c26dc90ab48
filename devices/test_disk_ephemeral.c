/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * test_disk_ephemeral.c - a disk over an image, in memory and in a folder, against a plain array: after many operations of
 * all kinds both hold the same, the image is as it was, and nothing is left behind.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "bits.h"
#include "disk.h"
#include "test.h"
#include "test_host.h"

#define SIZE (100 * 4096u + 512) /* the last block is a part of one */

static char path[32];
static uint8_t model[SIZE], image[SIZE];

static void image_new(void)
{
	int fd;

	strcpy(path, "/tmp/tvmm-eph-XXXXXX");
	fd = mkstemp(path);
	for (unsigned i = 0; i < SIZE; i++)
		image[i] = (uint8_t)(i * 7 + (i >> 9));
	memcpy(model, image, SIZE);
	ck_assert_int_eq(write(fd, image, SIZE), SIZE);
	close(fd);
}

static void image_same(void)
{
	static uint8_t now[SIZE + 1];
	int fd = open(path, O_RDONLY);

	ck_assert_int_eq(read(fd, now, sizeof(now)), SIZE);
	ck_assert_mem_eq(now, image, SIZE);
	close(fd);
}

/* Cuts BUF into up to three segments, and some that are empty. */
static unsigned cut(struct iovec *iov, uint8_t *buf, size_t len)
{
	size_t a = (size_t)rand() % (len + 1), b = a + (size_t)rand() % (len - a + 1);

	iov[0] = (struct iovec){ buf, a };
	iov[1] = (struct iovec){ buf + a, b - a };
	iov[2] = (struct iovec){ buf + b, len - b };
	return 3;
}

static void read_back(struct disk *d, uint32_t off, uint32_t len)
{
	static uint8_t buf[SIZE];
	struct iovec iov[3];

	memset(buf, 0xee, len);
	ck_assert_int_eq(d->ops->readv(d, iov, cut(iov, buf, len), off), 0);
	ck_assert_msg(!memcmp(buf, model + off, len), "%u bytes at %u", len, off);
}

/* Whatever it does at once is right; what it will not do at once is left as it says. */
static void try_one(struct disk *d, enum disk_op op, uint8_t *buf, uint32_t off, uint32_t len)
{
	struct iovec v = { buf, len };
	struct disk_io io = { .op = op, .iov = &v, .n = 1, .off = off, .len = len };
	int ret = d->ops->try(d, &io);

	if (ret == -EAGAIN)
		ret = disk_run(d, &io);
	ck_assert_int_eq(ret, 0);
}

START_TEST(against_a_model)
{
	static uint8_t buf[SIZE];
	struct disk *d;
	struct iovec iov[3];

	image_new();
	srand(7);
	ck_assert_int_eq(disk_ephemeral_open(&d, host_linux(), path, 0, _i ? "/tmp" : NULL, NULL), 0);
	ck_assert_uint_eq(d->size, SIZE);
	ck_assert(!d->ro);
	for (unsigned i = 0; i < 3000; i++) {
		uint32_t off = (uint32_t)rand() % (SIZE / 512) * 512, len = (1 + (uint32_t)rand() % 24) * 512;

		len = MIN(len, SIZE - off);
		switch (rand() % 8) {
		case 0:
			ck_assert_int_eq(d->ops->zero(d, off, len, i & 1), 0);
			memset(model + off, 0, len);
			break;
		case 1:
			if (rand() % 16)
				break;
			len = MIN(SIZE / 3, SIZE - off);
			ck_assert_int_eq(d->ops->discard(d, off, len), 0);
			memset(model + off, 0, len);
			break;
		case 2:
		case 3:
			for (uint32_t k = 0; k < len; k++)
				model[off + k] = buf[k] = (uint8_t)rand();
			ck_assert_int_eq(d->ops->writev(d, iov, cut(iov, buf, len), off), 0);
			break;
		case 4:
			memset(buf, (int)i, len);
			memset(model + off, (int)i, len);
			try_one(d, DISK_WRITE, buf, off, len);
			break;
		case 5:
			try_one(d, DISK_READ, buf, off, len);
			ck_assert(!memcmp(buf, model + off, len));
			break;
		default:
			read_back(d, off, len);
			break;
		}
	}
	read_back(d, 0, SIZE);
	ck_assert_int_eq(d->ops->flush(d), 0);
	ck_assert_int_lt(d->ops->refresh(d, "disk", NULL), 0);
	d->ops->close(d);
	image_same();
	unlink(path);
}
END_TEST

/* Opening that fails, with what is said, and a backing that is full: the guest's error, and nothing is lost. */
START_TEST(failures)
{
	struct tvmm_error err = { 0 };
	uint8_t buf[4096] = { 1 };
	unsigned fds = count_fds();
	struct test_host th;
	struct disk *d = NULL;
	struct iovec v;

	image_new();
	ck_assert_int_lt(disk_ephemeral_open(&d, host_linux(), path, 0, "/nonexistent", &err), 0);
	ck_assert_str_eq(err.object, "/nonexistent");
	ck_assert_ptr_null(d);
	ck_assert_int_lt(disk_ephemeral_open(&d, host_linux(), "/nonexistent", 0, NULL, &err), 0);
	ck_assert_uint_eq(count_fds(), fds);

	test_host_init(&th);
	ck_assert_int_eq(disk_ephemeral_open(&d, &th.h, path, 0, NULL, NULL), 0);
	test_host_fail(&th, OP_PWRITEV, 1, ENOSPC);
	v = (struct iovec){ buf, 512 };
	ck_assert_int_eq(d->ops->writev(d, &v, 1, 1024), -ENOSPC);
	test_host_fail(&th, OP_PWRITEV, 2, ENOSPC); /* the block was copied; the data was not written */
	v = (struct iovec){ buf, 512 };
	ck_assert_int_eq(d->ops->writev(d, &v, 1, 1024), -ENOSPC);
	test_host_fail(&th, OP_PREADV, 1, EIO);
	v = (struct iovec){ buf, 512 };
	ck_assert_int_eq(d->ops->writev(d, &v, 1, 1024), -EIO);
	test_host_fail(&th, OP_PWRITEV, 1, EINTR);
	th.max_io = 100;
	read_back(d, 0, 8192); /* as it was */
	memset(buf, 0x77, sizeof(buf));
	memset(model + 1024, 0x77, 512);
	v = (struct iovec){ buf, 512 };
	ck_assert_int_eq(d->ops->writev(d, &v, 1, 1024), 0);
	read_back(d, 0, 8192);
	d->ops->close(d);
	ck_assert_uint_eq(count_fds(), fds);
	image_same();
	unlink(path);
}
END_TEST

/* The image is opened for reading alone, and shared. */
START_TEST(shared)
{
	struct disk *a, *b;

	image_new();
	ck_assert_int_eq(disk_ephemeral_open(&a, host_linux(), path, 0, NULL, NULL), 0);
	ck_assert_int_eq(disk_ephemeral_open(&b, host_linux(), path, 0, NULL, NULL), 0);
	ck_assert_int_eq(a->ops->zero(a, 0, 4096, true), 0);
	read_back(b, 0, 4096);
	a->ops->close(a);
	b->ops->close(b);
	unlink(path);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("disk_ephemeral");
	TCase *tc = tcase_create("disk_ephemeral");

	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, against_a_model, 0, 2);
	tcase_add_test(tc, failures);
	tcase_add_test(tc, shared);
	suite_add_tcase(s, tc);
	return test_run(s);
}
