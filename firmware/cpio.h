/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * cpio.h - writes a cpio archive of the "newc" kind, the one the kernel unpacks, into memory that grows.
 *
 * Everything belongs to root, dates from 1970 and gets the next inode number, so the same calls make the same bytes.
 * Parents come before their children: the caller sees to it.
 */
#ifndef TVMM_FIRMWARE_CPIO_H
#define TVMM_FIRMWARE_CPIO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cpio {
	uint8_t *buf;
	size_t len, cap;
	size_t max;   /* set by the caller: LEN never passes it */
	uint32_t ino;
	bool failed;  /* no memory, or MAX reached: everything after that does nothing */
};

/* A folder, or a character device. */
void cpio_dir(struct cpio *c, const char *name, unsigned perm);
void cpio_chardev(struct cpio *c, const char *name, unsigned perm, unsigned major, unsigned minor);

/* A file of LEN bytes, to be filled by the caller before the next call; NULL once the archive has failed. */
void *cpio_reserve(struct cpio *c, const char *name, unsigned perm, size_t len);
void cpio_file(struct cpio *c, const char *name, unsigned perm, const void *data, size_t len);

/* The trailer. */
void cpio_end(struct cpio *c);

#endif
