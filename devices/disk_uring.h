/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * disk_uring.h - an io_uring for disk_engine.c, by raw system calls: reads, writes and flushes of disk->fd.
 *
 * One thread uses it.  It knows no retry and no fallback: what the ring does not take is given back.
 */
#ifndef TVMM_DEVICES_DISK_URING_H
#define TVMM_DEVICES_DISK_URING_H

#include "disk.h"

#define DISK_URING_ENTRIES 256
#define DISK_URING_WORKERS 4

struct disk_uring {
	const struct host *host;
	int fd;
	unsigned in_flight;    /* submitted, and not taken back yet; at most what the completion queue holds */
	unsigned cq_entries;
	/* The shared rings. */
	void *ring, *sqe_map;
	size_t ring_len, sqe_len;
	unsigned *sq_head, *sq_tail, sq_mask;
	unsigned *cq_head, *cq_tail, cq_mask;
	struct io_uring_sqe *sqes;
	struct io_uring_cqe *cqes;
	unsigned tail;         /* ours, ahead of *sq_tail while a batch is made */
};

/* 0, or -errno where the host has no io_uring that will do, or refuses it. */
int disk_uring_init(struct disk_uring *u, const struct host *host);
void disk_uring_fini(struct disk_uring *u);

/* Puts IO into the batch.  False: the ring is full, or cannot do this operation. */
bool disk_uring_add(struct disk_uring *u, struct disk_io *io);
/* Submits the batch.  Returns what the ring did not take, as a list; NULL: it took all. */
struct disk_io *disk_uring_submit(struct disk_uring *u);
/* Takes one completion: *RES is the kernel's result.  NULL: there is none. */
struct disk_io *disk_uring_take(struct disk_uring *u, int *res);

#endif
