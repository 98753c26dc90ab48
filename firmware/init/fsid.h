/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * fsid.h - which file system is this, and what are its label and UUID: read from its first bytes.
 *
 * Pure, and compiled twice: into our init, which looks at the guest's disks, and into the library, which looks at a
 * disk's image to see which modules init will need.  The bytes are not trusted.  Needs memcmp() and memcpy() alone.
 */
#ifndef TVMM_FIRMWARE_INIT_FSID_H
#define TVMM_FIRMWARE_INIT_FSID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FSID_BYTES (68 * 1024) /* btrfs has its superblock at 64 KiB */
#define FSID_LABEL 64

struct fsid {
	const char *name; /* "ext4"; what a module and mount call it too.  Valid for ever */
	bool mountable;   /* else: swap, an encrypted volume and such, which we can only name */
	char label[FSID_LABEL];
	char uuid[37]; /* "" if there is none that we read */
};

/* Looks at the first LEN bytes (FSID_BYTES, less on a smaller disk).  False: nothing known. */
bool fsid_read(struct fsid *id, const uint8_t *buf, size_t len);

/*
 * A partition table's entries, of the kinds Linux reads by default: GPT, and the four of an MBR.  PART gets byte
 * offsets in the order of the table; empty entries are left out.  BUF holds the first LEN bytes of a disk with 512-byte
 * sectors.  Returns how many, at most MAX.
 */
unsigned fsid_partitions(uint64_t *part, unsigned max, const uint8_t *buf, size_t len);

#endif
