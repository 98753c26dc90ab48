/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * cpio.c - a newc archive (the kernel's Documentation/driver-api/early-userspace/buffer-format.rst): per entry a header
 * of 13 numbers in hexadecimal text, the name, the data, the last two padded to four bytes.  Builder's thread.
 */
#include "cpio.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "bits.h"

#define HEADER 110

/* Room for LEN more bytes, zeroed; NULL once there is none. */
static uint8_t *grow(struct cpio *c, size_t len)
{
	size_t cap = c->cap ? c->cap : KIB(64);
	uint8_t *p;

	if (c->failed || c->len > c->max || len > c->max - c->len) {
		c->failed = true;
		return NULL;
	}
	while (cap < c->len + len)
		cap *= 2;
	if (cap > c->cap) {
		p = realloc(c->buf, cap);
		if (!p) {
			c->failed = true;
			return NULL;
		}
		c->buf = p;
		c->cap = cap;
	}
	p = c->buf + c->len;
	memset(p, 0, len);
	c->len += len;
	return p;
}

static void *add(struct cpio *c, const char *name, unsigned mode, unsigned major, unsigned minor, size_t len)
{
	size_t name_len = strlen(name) + 1;
	size_t head = align_up(HEADER + name_len, 4);
	char text[HEADER + 1];
	uint8_t *p;

	if (len > UINT32_MAX || name_len > 4096) {
		c->failed = true;
		return NULL;
	}
	p = grow(c, head + align_up(len, 4));
	if (!p)
		return NULL;
	/* magic, inode, mode, uid, gid, links, time, size, device (2), its own device number (2), name, checksum */
	snprintf(text, sizeof(text), "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x", ++c->ino, mode, 0u, 0u,
		 S_ISDIR(mode) ? 2u : 1u, 0u, (unsigned)len, 0u, 0u, major, minor, (unsigned)name_len, 0u);
	memcpy(p, text, HEADER);
	memcpy(p + HEADER, name, name_len);
	return p + head;
}

void cpio_dir(struct cpio *c, const char *name, unsigned perm)
{
	add(c, name, S_IFDIR | perm, 0, 0, 0);
}

void cpio_chardev(struct cpio *c, const char *name, unsigned perm, unsigned major, unsigned minor)
{
	add(c, name, S_IFCHR | perm, major, minor, 0);
}

void *cpio_reserve(struct cpio *c, const char *name, unsigned perm, size_t len)
{
	return add(c, name, S_IFREG | perm, 0, 0, len);
}

void cpio_file(struct cpio *c, const char *name, unsigned perm, const void *data, size_t len)
{
	void *p = cpio_reserve(c, name, perm, len);

	if (p && len)
		memcpy(p, data, len);
}

void cpio_end(struct cpio *c)
{
	add(c, "TRAILER!!!", 0, 0, 0, 0);
}
