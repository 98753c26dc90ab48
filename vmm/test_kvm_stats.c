/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * test_kvm_stats.c - KVM's statistics from fabricated files: which counters are taken, what is added up, and every way in
 * which a file can be wrong.
 */
#include "kvm_stats.h"

#include <linux/kvm.h>
#include <stdio.h>
#include "bits.h"
#include "test.h"

enum { NAME_SIZE = 48, HEADER = sizeof(struct kvm_stats_header), DESC = sizeof(struct kvm_stats_desc) + NAME_SIZE };

/* What the file of each vCPU holds, by descriptor: 100 and on. */
static uint8_t file[4][4096];
static size_t file_size[4];
static int refuse; /* the ioctl's answer; 0: it is given */
static unsigned opened, closed;

static int fake_ioctl(const struct host *h, int fd, unsigned long req, uintptr_t arg)
{
	ck_assert_uint_eq(req, KVM_GET_STATS_FD);
	if (refuse)
		return refuse;
	opened++;
	return 100 + fd;
}

static int fake_close(const struct host *h, int fd)
{
	closed++;
	return 0;
}

static ssize_t fake_preadv(const struct host *h, int fd, const struct iovec *iov, int n, off_t off)
{
	size_t size = file_size[fd - 100], len = iov->iov_len;

	ck_assert_int_eq(n, 1);
	if (off < 0 || (size_t)off >= size)
		return 0;
	len = MIN(len, size - (size_t)off);
	memcpy(iov->iov_base, file[fd - 100] + off, len);
	return (ssize_t)len;
}

static const struct host host = { .ioctl = fake_ioctl, .close = fake_close, .preadv = fake_preadv };

struct made {
	const char *name;
	uint32_t flags;
	uint16_t size;
	uint32_t offset;
};

/* A file as KVM has it: header, id, descriptors, figures; figure i of vCPU v is 1000 * v + i + 1. */
static void make(unsigned v, const struct made *d, unsigned n)
{
	struct kvm_stats_header hdr = { .name_size = NAME_SIZE, .num_desc = n, .id_offset = HEADER, .desc_offset = HEADER + NAME_SIZE,
					.data_offset = HEADER + NAME_SIZE + n * DESC };

	memset(file[v], 0, sizeof(file[v]));
	memcpy(file[v], &hdr, sizeof(hdr));
	for (unsigned i = 0; i < n; i++) {
		struct kvm_stats_desc desc = { .flags = d[i].flags, .size = d[i].size, .offset = d[i].offset };
		uint8_t *at = file[v] + hdr.desc_offset + i * DESC;

		memcpy(at, &desc, sizeof(desc));
		snprintf((char *)at + sizeof(desc), NAME_SIZE, "%s", d[i].name);
	}
	for (unsigned i = 0; i < 64; i++)
		memcpy(file[v] + hdr.data_offset + 8 * i, &(uint64_t){ 1000 * v + i + 1 }, 8);
	file_size[v] = hdr.data_offset + 64 * 8;
}

static const struct made usual[] = {
	{ "exits", 0, 1, 0 },
	{ "blocking", KVM_STATS_TYPE_INSTANT | KVM_STATS_UNIT_BOOLEAN, 1, 8 },
	{ "halt_wait_ns", KVM_STATS_UNIT_SECONDS, 1, 16 },
	{ "halt_wait_hist", KVM_STATS_TYPE_LOG_HIST, 32, 24 },
	{ "io_exits", 0, 1, 24 + 32 * 8 },
};

static struct kvm_stats s;
static struct tvmm_counters out;

static void start(unsigned vcpus)
{
	refuse = 0;
	opened = closed = 0;
	ck_assert_int_eq(kvm_stats_init(&s, &host, 4, NULL), 0);
	for (unsigned i = 0; i < vcpus; i++)
		kvm_stats_add(&s, (int)i);
	out.size = sizeof(out);
}

static void finish(void)
{
	kvm_stats_fini(&s);
	ck_assert_uint_eq(opened, closed);
}

static void absent(void)
{
	struct tvmm_error err;

	out.count = 7;
	ck_assert_int_eq(kvm_stats_read(&s, &out, &err), -EOPNOTSUPP);
	ck_assert_uint_eq(out.count, 0);
	ck_assert_int_eq(err.code, TVMM_E_UNSUPPORTED);
	ck_assert_str_eq(err.message, "this host's KVM gives no counters");
}

START_TEST(sums)
{
	make(0, usual, ARRAY_SIZE(usual));
	make(1, usual, ARRAY_SIZE(usual));
	start(2);
	for (unsigned again = 0; again < 2; again++) {
		ck_assert_int_eq(kvm_stats_read(&s, &out, NULL), 0);
		ck_assert_uint_eq(out.count, 2);
		ck_assert_str_eq(out.counter[0].name, "exits");
		ck_assert_uint_eq(out.counter[0].total, 1 + 1001);
		ck_assert_str_eq(out.counter[1].name, "io_exits");
		ck_assert_uint_eq(out.counter[1].total, 36 + 1036);
	}
	/* A restart: other descriptors, counting anew. */
	kvm_stats_close(&s);
	absent();
	kvm_stats_add(&s, 1);
	ck_assert_int_eq(kvm_stats_read(&s, &out, NULL), 0);
	ck_assert_uint_eq(out.counter[0].total, 1001);
	finish();
}
END_TEST

START_TEST(no_such_thing)
{
	start(0);
	absent();
	refuse = -ENOTTY;
	kvm_stats_add(&s, 0);
	absent();
	refuse = 0;
	finish();
	make(0, usual, ARRAY_SIZE(usual));
	start(1);
	refuse = -EMFILE; /* one of several: a sum without it would be wrong */
	kvm_stats_add(&s, 1);
	absent();
	finish();
}
END_TEST

/* Cut anywhere, it gives its figures whole or none. */
START_TEST(cut)
{
	make(0, usual, ARRAY_SIZE(usual));
	size_t whole = HEADER + NAME_SIZE + ARRAY_SIZE(usual) * DESC + 36 * 8;

	for (size_t size = 0; size < whole; size++) {
		start(1);
		file_size[0] = size;
		absent();
		finish();
	}
	start(1);
	file_size[0] = whole;
	ck_assert_int_eq(kvm_stats_read(&s, &out, NULL), 0);
	finish();
}
END_TEST

static void with_header(size_t at, uint32_t v)
{
	make(0, usual, ARRAY_SIZE(usual));
	memcpy(file[0] + at, &v, sizeof(v));
	start(1);
	absent();
	finish();
}

START_TEST(wrong_header)
{
	with_header(offsetof(struct kvm_stats_header, name_size), 0);
	with_header(offsetof(struct kvm_stats_header, name_size), KVM_STATS_NAME_MAX + 1);
	with_header(offsetof(struct kvm_stats_header, name_size), UINT32_MAX);
	with_header(offsetof(struct kvm_stats_header, num_desc), 0);
	with_header(offsetof(struct kvm_stats_header, num_desc), KVM_STATS_DESCRIPTORS + 1);
	with_header(offsetof(struct kvm_stats_header, desc_offset), UINT32_MAX);
	with_header(offsetof(struct kvm_stats_header, data_offset), UINT32_MAX);
}
END_TEST

START_TEST(wrong_descriptors)
{
	static const struct made wrong[] = {
		{ "far", 0, 1, UINT32_MAX }, { "far", 0, 1, KVM_STATS_BYTES_MAX }, { "odd", 0, 1, 4 }, { "", 0, 1, 0 },
		{ "Bad\"name", 0, 1, 0 }, { "a_name_that_is_longer_than_a_counter", 0, 1, 0 }, { "good", 0, 1, 8 },
	};
	struct made many[70];

	make(0, wrong, ARRAY_SIZE(wrong));
	start(1);
	ck_assert_int_eq(kvm_stats_read(&s, &out, NULL), 0);
	ck_assert_uint_eq(out.count, 1);
	ck_assert_str_eq(out.counter[0].name, "good");
	ck_assert_uint_eq(out.counter[0].total, 2);
	finish();
	/* A name without an end. */
	make(0, usual, ARRAY_SIZE(usual));
	memset(file[0] + HEADER + NAME_SIZE + sizeof(struct kvm_stats_desc), 'a', NAME_SIZE);
	start(1);
	ck_assert_int_eq(kvm_stats_read(&s, &out, NULL), 0);
	ck_assert_uint_eq(out.count, 1);
	finish();
	for (unsigned i = 0; i < 42; i++)
		many[i] = (struct made){ "same", 0, 1, 8 };
	make(0, many, 42);
	start(1);
	ck_assert_int_eq(kvm_stats_read(&s, &out, NULL), 0);
	ck_assert_uint_eq(out.count, 42);
	finish();
}
END_TEST

int main(void)
{
	return test_main("kvm_stats", (const TTest *const[]){ sums, no_such_thing, cut, wrong_header, wrong_descriptors, NULL });
}
