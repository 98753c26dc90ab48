/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * test_tree.h - a temporary folder with files for a test, and a reader of cpio archives that trusts nothing.
 */
#ifndef TVMM_FIRMWARE_TEST_TREE_H
#define TVMM_FIRMWARE_TEST_TREE_H

#include <ftw.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "test.h"

static inline void tree_make(char dir[64])
{
	strcpy(dir, "/tmp/tinyvmm-test-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
}

static inline int tree_unlink(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	return remove(path);
}

static inline void tree_remove(const char *dir)
{
	ck_assert_int_eq(nftw(dir, tree_unlink, 8, FTW_DEPTH | FTW_PHYS), 0);
}

/* Writes DIR/NAME and the folders that it needs. */
static inline void tree_put(const char *dir, const char *name, const void *data, size_t len)
{
	char path[1024];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	for (char *s = path + 1; (s = strchr(s, '/')); s++) {
		*s = 0;
		mkdir(path, 0755);
		*s = '/';
	}
	f = fopen(path, "wb");
	ck_assert_ptr_nonnull(f);
	ck_assert_uint_eq(fwrite(data, 1, len, f), len);
	ck_assert_int_eq(fclose(f), 0);
}

static inline void tree_text(const char *dir, const char *name, const char *text)
{
	tree_put(dir, name, text, strlen(text));
}

struct cpio_entry {
	char name[600];
	unsigned mode, major, minor;
	const uint8_t *data;
	size_t len;
};

static inline unsigned cpio_hex(const uint8_t *p)
{
	unsigned v = 0;

	for (int i = 0; i < 8; i++) {
		ck_assert((p[i] >= '0' && p[i] <= '9') || (p[i] >= 'a' && p[i] <= 'f'));
		v = v << 4 | (unsigned)(p[i] <= '9' ? p[i] - '0' : p[i] - 'a' + 10);
	}
	return v;
}

/* The entry at *AT, which moves behind it; false at the trailer. */
static inline bool cpio_next(const uint8_t *buf, size_t len, size_t *at, struct cpio_entry *e)
{
	const uint8_t *p = buf + *at;
	size_t name_len;

	ck_assert_uint_eq(*at % 4, 0);
	ck_assert_uint_ge(len, 110);
	ck_assert_uint_le(*at, len - 110);
	ck_assert_mem_eq(p, "070701", 6);
	e->mode = cpio_hex(p + 14);
	ck_assert_uint_eq(cpio_hex(p + 22) | cpio_hex(p + 30) | cpio_hex(p + 46), 0); /* root, root, 1970 */
	e->len = cpio_hex(p + 54);
	e->major = cpio_hex(p + 78);
	e->minor = cpio_hex(p + 86);
	name_len = cpio_hex(p + 94);
	ck_assert(name_len > 0 && name_len <= sizeof(e->name) && name_len <= len - *at - 110);
	memcpy(e->name, p + 110, name_len);
	ck_assert_int_eq(e->name[name_len - 1], 0);
	*at += (110 + name_len + 3) & ~(size_t)3;
	ck_assert_uint_le(*at, len);
	ck_assert_uint_le(e->len, len - *at);
	e->data = buf + *at;
	*at += (e->len + 3) & ~(size_t)3;
	ck_assert_uint_le(*at, len);
	return strcmp(e->name, "TRAILER!!!") != 0;
}

/* Looks for NAME; false: it is not there. */
static inline bool cpio_find(const void *buf, size_t len, const char *name, struct cpio_entry *e)
{
	size_t at = 0;

	while (cpio_next(buf, len, &at, e)) {
		if (!strcmp(e->name, name))
			return true;
	}
	return false;
}

#endif
