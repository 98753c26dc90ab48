/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * virtio_blk.h - the block device (virtio 1.2, 5.2): read, write, flush, get-id, discard, write zeroes, on a disk (disk.h).
 */
#ifndef TVMM_DEVICES_VIRTIO_BLK_H
#define TVMM_DEVICES_VIRTIO_BLK_H

#include "disk.h"
#include "disk_engine.h"
#include "pace.h"
#include "ratelimit.h"
#include "virtio.h"

#define VIRTIO_BLK_ID_MAX 20
#define VIRTIO_BLK_SLOTS  256

struct blk_slot;

struct virtio_blk {
	struct virtio_dev dev;
	struct disk *disk;          /* borrowed */
	struct disk_engine *engine; /* borrowed; NULL: each request is done when the notification is */
	uint64_t capacity; /* in sectors, as the driver is told; under dev.lock */
	char serial[VIRTIO_BLK_ID_MAX]; /* padded with zeroes */

	/* Requests under way.  The loop's. */
	struct blk_slot *slots;
	uint16_t n_free, free[VIRTIO_BLK_SLOTS]; /* a stack, so that few slots stay warm */
	uint32_t to_signal; /* queues with answers that the driver was not told of; a bit for each */
	uint32_t starved;   /* queues that wait for a free slot */
	uint32_t limited;   /* queues that wait for their allowance */
	bool stopping;      /* being reset: what comes back is dropped */
	struct disk_after after;
	struct ratelimit limit;
	struct evsource timer; /* when the limit lets the next request through; fd -1: there is no limit */
	struct pace pace[VIRTIO_MAX_QUEUES];
	uint32_t quiet;        /* queues whose notifications are off: the next look is the timer's */
	uint32_t again;        /* queues that were left with more in them, and come again by their own bells */
	uint64_t look_ns;      /* when the timer comes next for them; 0: it does not */
	uint64_t spin_ns;      /* how long the loop's thread waits for more with open eyes; 0: it sleeps, somebody needs its CPU */
	struct evsource look;  /* fd -1: there is no engine, or a limit sets the pace */
};

struct virtio_blk_opts {
	const char *serial;         /* up to 20 bytes, may be empty */
	struct disk_engine *engine; /* may be NULL */
	unsigned queues;            /* 1 .. VIRTIO_MAX_QUEUES */
	bool no_batches;            /* every notification is answered at once (pace.h) */
	unsigned spin_us;           /* while requests come thick, how long the loop's thread looks for more before it sleeps */
	struct ratelimit limit;
};

/* Allocates, and makes a timer on the loop: the limit's, or else, with an engine, one for the pace. */
int virtio_blk_init(struct virtio_blk *b, const char *name, struct disk *disk, const struct virtio_blk_opts *o,
		    const struct gmem *mem, struct evloop *loop, struct log *log, struct tvmm_error *err);
/* The disk has another size, perhaps: the driver is told.  On the loop. */
void virtio_blk_resized(struct virtio_blk *b);
/* Waits for requests that the host still holds.  Harmless on a zeroed or finished structure. */
void virtio_blk_fini(struct virtio_blk *b);

#endif
