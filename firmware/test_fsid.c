/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* test_fsid.c - file systems and partitions by their first bytes, with every cut and with lies in the tables. */
#include "fsid.h"

#include "bits.h"
#include "test.h"

/* A block of exactly LEN bytes, so that the sanitizer sees a look behind it. */
static uint8_t *copy(const uint8_t *from, size_t len)
{
	uint8_t *p = malloc(len ? len : 1);

	memcpy(p, from, len);
	return p;
}

static uint8_t *disk(void)
{
	return calloc(1, FSID_BYTES);
}

static void make_ext4(uint8_t *d)
{
	store_le16(d + 1024 + 56, 0xef53);
	memcpy(d + 1024 + 104, "\x12\x34\x56\x78\x12\x34\x4a\xbc\x8d\xef\x01\x23\x45\x67\x89\xab", 16);
	memcpy(d + 1024 + 120, "root label 16 by", 16);
}

START_TEST(ext4)
{
	uint8_t *d = disk();
	struct fsid id;

	ck_assert(!fsid_read(&id, d, FSID_BYTES));
	make_ext4(d);
	ck_assert(fsid_read(&id, d, FSID_BYTES));
	ck_assert_str_eq(id.name, "ext4");
	ck_assert(id.mountable);
	ck_assert_str_eq(id.uuid, "12345678-1234-4abc-8def-0123456789ab");
	ck_assert_str_eq(id.label, "root label 16 by");
	free(d);
}
END_TEST

START_TEST(others)
{
	static const struct {
		size_t at;
		const char *magic, *name;
		bool mountable;
	} t[] = {
		{ 0, "XFSB", "xfs", true },
		{ 65600, "_BHRfS_M", "btrfs", true },
		{ 0, "hsqs", "squashfs", true },
		{ 1024, "\xe2\xe1\xf5\xe0", "erofs", true },
		{ 1024, "\x10\x20\xf5\xf2", "f2fs", true },
		{ 32769, "CD001", "iso9660", true },
		{ 4086, "SWAPSPACE2", "swap", false },
		{ 0, "LUKS\xba\xbe", "crypto_LUKS", false },
		{ 536, "LVM2 001", "LVM2_member", false },
		{ 0, "QFI\xfb", "qcow2", false },
	};

	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		uint8_t *d = disk();
		struct fsid id;

		memcpy(d + t[i].at, t[i].magic, strlen(t[i].magic));
		ck_assert(fsid_read(&id, d, FSID_BYTES));
		ck_assert_str_eq(id.name, t[i].name);
		ck_assert(id.mountable == t[i].mountable);
		free(d);
	}
}
END_TEST

START_TEST(fat_and_odd_labels)
{
	uint8_t *d = disk();
	struct fsid id;

	memcpy(d + 82, "FAT32   ", 8);
	memcpy(d + 67, "\xef\xbe\xad\xde", 4);
	memcpy(d + 71, "EFI\x1b[2J    ", 11);
	ck_assert(fsid_read(&id, d, FSID_BYTES));
	ck_assert_str_eq(id.name, "vfat");
	ck_assert_str_eq(id.uuid, "DEAD-BEEF");
	ck_assert_str_eq(id.label, "EFI?[2J"); /* no escape sequence reaches a console, no blanks at the end */
	free(d);

	d = disk();
	memcpy(d + 65600, "_BHRfS_M", 8);
	memset(d + 65536 + 299, 'x', 256);
	ck_assert(fsid_read(&id, d, FSID_BYTES));
	ck_assert_uint_eq(strlen(id.label), FSID_LABEL - 1);
	free(d);
}
END_TEST

/* Cut anywhere: never a look behind the end, and what is found is the same or nothing. */
START_TEST(cut)
{
	uint8_t *d = disk();
	struct fsid id;

	make_ext4(d);
	for (size_t len = 0; len <= 1300; len++) {
		uint8_t *p = copy(d, len);

		ck_assert(fsid_read(&id, p, len) == (len >= 1024 + 58));
		if (len >= 1024 + 58)
			ck_assert_str_eq(id.uuid, len >= 1024 + 120 ? "12345678-1234-4abc-8def-0123456789ab" : "");
		free(p);
	}
	free(d);
}
END_TEST

static void make_gpt(uint8_t *d, uint64_t first, uint32_t count, uint32_t size)
{
	d[510] = 0x55;
	d[511] = 0xaa;
	d[446 + 4] = 0xee;
	memcpy(d + 512, "EFI PART", 8);
	store_le64(d + 512 + 72, first);
	store_le32(d + 512 + 80, count);
	store_le32(d + 512 + 84, size);
}

static void gpt_entry(uint8_t *d, size_t at, uint64_t lba)
{
	memset(d + at, 0x5a, 16);
	store_le64(d + at + 32, lba);
}

START_TEST(gpt)
{
	uint8_t *d = disk();
	uint64_t part[4];

	make_gpt(d, 2, 128, 128);
	gpt_entry(d, 1024, 2048);
	gpt_entry(d, 1024 + 2 * 128, 10240); /* the second is unused */
	gpt_entry(d, 1024 + 127 * 128, 4096);
	ck_assert_uint_eq(fsid_partitions(part, 4, d, FSID_BYTES), 3);
	ck_assert_uint_eq(part[0], 2048 * 512);
	ck_assert_uint_eq(part[1], 10240 * 512);
	ck_assert_uint_eq(part[2], 4096 * 512);
	ck_assert_uint_eq(fsid_partitions(part, 2, d, FSID_BYTES), 2);
	for (size_t len = 0; len < 4096; len++) {
		uint8_t *p = copy(d, len);

		ck_assert_uint_le(fsid_partitions(part, 4, p, len), 2);
		free(p);
	}
	free(d);
}
END_TEST

START_TEST(gpt_lies)
{
	static const struct {
		uint64_t first;
		uint32_t count, size;
		unsigned found;
	} t[] = {
		{ 2, UINT32_MAX, 128, 4 },	{ 2, UINT32_MAX, UINT32_MAX, 0 }, { 2, 128, 0, 0 },
		{ 2, 128, 127, 0 },		{ 0, 128, 128, 0 },		  { 1, 128, 128, 0 },
		{ UINT64_MAX, 128, 128, 0 },	{ UINT64_MAX / 512, 1, 128, 0 },  { 136, 128, 128, 0 },
		{ 135, UINT32_MAX, 128, 4 },	{ 2, 0, 128, 0 },		  { 2, UINT32_MAX, 4096, 4 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		uint8_t *d = disk();
		uint64_t part[4];

		for (size_t at = 1024; at < FSID_BYTES; at += 128)
			d[at] = 1; /* a type: the entry is in use */
		make_gpt(d, t[i].first, t[i].count, t[i].size);
		ck_assert_uint_eq(fsid_partitions(part, 4, d, FSID_BYTES), t[i].found);
		free(d);
	}

	/* An address whose bytes do not fit 64 bits is no partition. */
	uint8_t *d = disk();
	uint64_t part[4];

	make_gpt(d, 2, 128, 128);
	gpt_entry(d, 1024, UINT64_MAX / 512);
	gpt_entry(d, 1024 + 128, UINT64_MAX);
	ck_assert_uint_eq(fsid_partitions(part, 4, d, FSID_BYTES), 0);
	free(d);
}
END_TEST

START_TEST(mbr)
{
	uint8_t *d = disk();
	uint64_t part[4];

	d[446 + 4] = 0x83;
	store_le32(d + 446 + 8, 2048);
	store_le32(d + 446 + 12, 1000);
	d[446 + 48 + 4] = 0x83;
	store_le32(d + 446 + 48 + 8, UINT32_MAX);
	store_le32(d + 446 + 48 + 12, UINT32_MAX);
	ck_assert_uint_eq(fsid_partitions(part, 4, d, FSID_BYTES), 0); /* no signature */
	d[510] = 0x55;
	d[511] = 0xaa;
	ck_assert_uint_eq(fsid_partitions(part, 4, d, FSID_BYTES), 2);
	ck_assert_uint_eq(part[0], 2048 * 512);
	ck_assert_uint_eq(part[1], (uint64_t)UINT32_MAX * 512);
	ck_assert_uint_eq(fsid_partitions(part, 1, d, FSID_BYTES), 1);
	ck_assert_uint_eq(fsid_partitions(part, 4, d, 511), 0);
	free(d);
}
END_TEST

int main(void)
{
	return test_main("fsid", (const TTest *const[]){ ext4, others, fat_and_odd_labels, cut, gpt, gpt_lies, mbr, NULL });
}
