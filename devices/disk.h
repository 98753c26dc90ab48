/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * disk.h - what virtio-blk needs of a disk image; disk_raw.c is the one for raw files and block devices.
 *
 * The caller has checked every offset and length against disk->size.  All calls come from the I/O loop.  A transfer is
 * all or nothing: 0, or -errno.  After a flush fails, the disk refuses writes and flushes for good (-EIO): what the
 * kernel dropped then cannot be had back by trying again.
 */
#ifndef TVMM_DEVICES_DISK_H
#define TVMM_DEVICES_DISK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>
#include "error.h"
#include "host.h"

struct disk;

struct disk_ops {
	int (*readv)(struct disk *d, struct iovec *iov, unsigned n, uint64_t off); /* may modify iov[] */
	int (*writev)(struct disk *d, struct iovec *iov, unsigned n, uint64_t off);
	/*
	 * Makes [off, off + len) read as zeroes; UNMAP: and give its storage back, if that can be had.  -EOPNOTSUPP is never
	 * returned: where the host has no better way, zeroes are written.
	 */
	int (*zero)(struct disk *d, uint64_t off, uint64_t len, bool unmap);
	/* Lets go of what is stored there; it may read as anything.  -EOPNOTSUPP: this disk cannot. */
	int (*discard)(struct disk *d, uint64_t off, uint64_t len);
	int (*flush)(struct disk *d); /* what was written before is on stable storage when it returns 0 */
	/*
	 * Looks whether the image has another size by now, and makes it d->size; NAME is for *ERR.  A size that no disk could
	 * have been opened with is refused, and the old one stays.
	 */
	int (*refresh)(struct disk *d, const char *name, struct tvmm_error *err);
	void (*close)(struct disk *d); /* frees it */
};

struct disk {
	const struct disk_ops *ops;
	uint64_t size;       /* bytes, a multiple of 512; once open, the I/O loop's to read and, by refresh, to change */
	uint32_t block_size; /* logical block size the guest sees: 512, or the device's */
	bool ro;
};

/* Opens a raw image file or block device.  A size that is no multiple of 512 is refused. */
int disk_raw_open(struct disk **out, const struct host *h, const char *path, bool ro, struct tvmm_error *err);

#endif
