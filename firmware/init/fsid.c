/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * fsid.c - file systems by their magic numbers, from one table.  Each look is checked against the bytes there are.
 * No threads, no state, no libc beyond mem*(): see fsid.h.
 */
#include "fsid.h"

#include <string.h>

enum uuid_kind { NO_UUID, UUID_16, UUID_FAT };

static const struct fs {
	const char *name;
	bool mountable;
	uint32_t magic_at;
	const char *magic;
	uint32_t magic_len;
	enum uuid_kind uuid;
	uint32_t uuid_at;
	uint32_t label_at, label_len; /* length 0: no label, or not in ASCII */
} table[] = {
	{ "ext4", true, 1024 + 56, "\x53\xef", 2, UUID_16, 1024 + 104, 1024 + 120, 16 },
	{ "xfs", true, 0, "XFSB", 4, UUID_16, 32, 108, 12 },
	{ "btrfs", true, 65536 + 64, "_BHRfS_M", 8, UUID_16, 65536 + 32, 65536 + 299, FSID_LABEL - 1 },
	{ "squashfs", true, 0, "hsqs", 4, NO_UUID, 0, 0, 0 },
	{ "erofs", true, 1024, "\xe2\xe1\xf5\xe0", 4, UUID_16, 1024 + 48, 1024 + 64, 16 },
	{ "f2fs", true, 1024, "\x10\x20\xf5\xf2", 4, UUID_16, 1024 + 108, 0, 0 },
	{ "iso9660", true, 32769, "CD001", 5, NO_UUID, 0, 32808, 32 },
	{ "vfat", true, 82, "FAT32   ", 8, UUID_FAT, 67, 71, 11 },
	{ "vfat", true, 54, "FAT16   ", 8, UUID_FAT, 39, 43, 11 },
	{ "vfat", true, 54, "FAT12   ", 8, UUID_FAT, 39, 43, 11 },
	{ "swap", false, 4086, "SWAPSPACE2", 10, UUID_16, 1036, 1052, 16 },
	{ "crypto_LUKS", false, 0, "LUKS\xba\xbe", 6, NO_UUID, 0, 0, 0 },
	{ "LVM2_member", false, 536, "LVM2 001", 8, NO_UUID, 0, 0, 0 },
	{ "qcow2", false, 0, "QFI\xfb", 4, NO_UUID, 0, 0, 0 },
};

static const uint8_t *at(const uint8_t *buf, size_t len, uint64_t off, size_t n)
{
	return off <= len && n <= len - off ? buf + off : NULL;
}

static uint64_t le(const uint8_t *p, unsigned bytes)
{
	uint64_t v = 0;

	while (bytes--)
		v = v << 8 | p[bytes];
	return v;
}

static void put_uuid(char *out, const uint8_t *u, enum uuid_kind kind)
{
	static const char hex[] = "0123456789abcdef";
	static const char upper[] = "0123456789ABCDEF";
	unsigned n = kind == UUID_FAT ? 4 : 16;

	for (unsigned i = 0; i < n; i++) {
		/* FAT: a number, written as XXXX-XXXX with its high byte first. */
		uint8_t b = kind == UUID_FAT ? u[3 - i] : u[i];
		const char *digits = kind == UUID_FAT ? upper : hex;

		if (kind == UUID_FAT ? i == 2 : i == 4 || i == 6 || i == 8 || i == 10)
			*out++ = '-';
		*out++ = digits[b >> 4];
		*out++ = digits[b & 15];
	}
	*out = 0;
}

/* A label ends at a NUL or at padding blanks.  Control characters would reach a console: they become '?'. */
static void put_label(char *out, const uint8_t *label, size_t n)
{
	size_t len = 0;

	if (n > FSID_LABEL - 1)
		n = FSID_LABEL - 1;
	for (size_t i = 0; i < n && label[i]; i++) {
		out[i] = (char)(label[i] < ' ' || label[i] == 0x7f ? '?' : label[i]);
		if (label[i] != ' ')
			len = i + 1;
	}
	out[len] = 0;
}

bool fsid_read(struct fsid *id, const uint8_t *buf, size_t len)
{
	const uint8_t *p;

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		const struct fs *fs = &table[i];

		p = at(buf, len, fs->magic_at, fs->magic_len);
		if (!p || memcmp(p, fs->magic, fs->magic_len))
			continue;
		id->name = fs->name;
		id->mountable = fs->mountable;
		id->uuid[0] = id->label[0] = 0;
		p = at(buf, len, fs->uuid_at, 16);
		if (p && fs->uuid != NO_UUID)
			put_uuid(id->uuid, p, fs->uuid);
		p = at(buf, len, fs->label_at, fs->label_len);
		if (p && fs->label_len)
			put_label(id->label, p, fs->label_len);
		return true;
	}
	return false;
}

static unsigned gpt(uint64_t *part, unsigned max, const uint8_t *buf, size_t len)
{
	const uint8_t *head = at(buf, len, 512, 92);
	unsigned n = 0;
	uint64_t first, count, size;

	if (!head || memcmp(head, "EFI PART", 8))
		return 0;
	first = le(head + 72, 8);
	count = le(head + 80, 4);
	size = le(head + 84, 4);
	if (first < 2 || first > len / 512 || size < 128 || size > 4096)
		return 0;
	for (uint64_t i = 0; i < count && n < max; i++) {
		const uint8_t *e = at(buf, len, first * 512 + i * size, 128);
		static const uint8_t unused[16];
		uint64_t lba;

		if (!e)
			break; /* a table longer than we look: as far as it goes */
		lba = le(e + 32, 8);
		if (memcmp(e, unused, 16) && lba < UINT64_MAX / 512)
			part[n++] = lba * 512;
	}
	return n;
}

unsigned fsid_partitions(uint64_t *part, unsigned max, const uint8_t *buf, size_t len)
{
	const uint8_t *mbr = at(buf, len, 0, 512);
	unsigned n = 0;

	if (!mbr || mbr[510] != 0x55 || mbr[511] != 0xaa)
		return 0;
	for (unsigned i = 0; i < 4; i++) {
		const uint8_t *e = mbr + 446 + 16 * i;

		if (e[4] == 0xee)
			return gpt(part, max, buf, len);
		if (e[4] && le(e + 12, 4) && n < max)
			part[n++] = le(e + 8, 4) * 512;
	}
	return n;
}
