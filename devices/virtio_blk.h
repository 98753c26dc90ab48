/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * virtio_blk.h - the block device (virtio 1.2, 5.2): read, write, flush, get-id, discard, write zeroes, on a disk (disk.h).
 */
#ifndef TVMM_DEVICES_VIRTIO_BLK_H
#define TVMM_DEVICES_VIRTIO_BLK_H

#include "disk.h"
#include "virtio.h"

#define VIRTIO_BLK_ID_MAX 20

struct virtio_blk {
	struct virtio_dev dev;
	struct disk *disk; /* borrowed */
	uint64_t capacity; /* in sectors, as the driver is told; under dev.lock */
	char serial[VIRTIO_BLK_ID_MAX]; /* padded with zeroes */
	struct virtq_req req;
};

/* SERIAL: up to 20 bytes, may be empty. */
void virtio_blk_init(struct virtio_blk *b, const char *name, struct disk *disk, const char *serial,
		     const struct gmem *mem, struct evloop *loop, struct log *log);
/* The disk has another size, perhaps: the driver is told.  On the loop. */
void virtio_blk_resized(struct virtio_blk *b);
void virtio_blk_fini(struct virtio_blk *b);

#endif
