/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * discard.h - giving guest RAM back to the host in pieces as large as can be had.
 *
 * The host keeps guest RAM in huge pages of 2 MiB; freeing one whole costs about as much as freeing 4 KiB of it, and
 * leaves no crumbs.  A balloon driver hands over 1 MiB at a time, in any order.  So given pages are only noted, two bits
 * each: *held* (the guest does not have it) and *pending* (held, and not yet discarded).  A chunk of 2 MiB is discarded
 * the moment it is held whole; what stays incomplete is discarded after one to two DISCARD_TICKs without news, as sorted
 * runs, in batches.  A page taken back in time costs two bits and no system call.
 *
 * Threads: gmem_reclaim.h's calls come from vCPUs; discard_tick() and discard_flush() from the I/O loop.  One leaf lock
 * guards the bits, and is held over the discarding of given pages, which is what makes "taken back" final; each hold is
 * bounded by DISCARD_BATCH ranges.  Dropping takes no lock: the memory is the caller's for the duration.
 */
#ifndef TVMM_DISCARD_H
#define TVMM_DISCARD_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include "error.h"
#include "gmem.h"
#include "gmem_reclaim.h"
#include "host.h"

#define DISCARD_CHUNK  (UINT64_C(2) << 20)
#define DISCARD_BATCH  256                  /* ranges of one system call, and of one hold of the lock */
#define DISCARD_TICK_NS UINT64_C(25000000)  /* how long an incomplete chunk waits for more, at least */

/* What lies behind a region of guest RAM. */
struct discard_backing {
	enum { BACKING_PRIVATE, BACKING_MEMFD } kind;
	int fd;        /* MEMFD: the shared mapping's file */
	uint64_t off;  /* and where in it the region starts */
};

struct discard_stats {
	uint64_t held;      /* bytes given and not taken back */
	uint64_t pending;   /* of these: not yet discarded */
	uint64_t given;     /* totals, bytes */
	uint64_t taken;
	uint64_t dropped;
	uint64_t discarded; /* by any of the ways; the host says it is done */
	uint64_t ranges;    /* pieces these were in */
	uint64_t calls;     /* system calls */
	uint64_t whole;     /* chunks of 2 MiB discarded whole */
	uint64_t failed;    /* bytes that the host refused to discard */
	uint64_t stayed;    /* samples of discarded pages that were still there */
	uint64_t sampled;
};

struct discard_region {
	struct gmem_region ram;
	struct discard_backing back;
	uint64_t first_chunk; /* index of its first chunk in the tables below */
};

struct discard {
	struct gmem_reclaim reclaim; /* what devices see */
	const struct host *host;
	int pidfd;                   /* -1: ranges go one by one */
	_Atomic bool batched;        /* process_madvise() works */
	unsigned batch_max;          /* ranges of one call of it, at most DISCARD_BATCH, which it is at first; set before any page is given */
	unsigned n;
	struct discard_region region[GMEM_MAX_REGIONS];
	void (*want_tick)(struct discard *d, void *arg); /* pages began to wait; any thread, lock held */
	void *want_arg;

	pthread_mutex_t lock; /* guards what follows; leaf */
	bool waiting;         /* want_tick() was called, and discard_tick() has not found all done since */
	bool unfinished;      /* the last discard_tick() filled its batch */
	uint8_t tick;
	uint64_t n_chunks;
	struct discard_chunk *chunk; /* one per 2 MiB of RAM */
	uint64_t *busy;              /* bit per chunk: pages of it are pending */
	uint64_t *absent;            /* bit per chunk: nothing was there at the last discard_look(); guarded by its caller */
	void *table;                 /* where the three lie */
	size_t table_size;
	uint64_t held_pages, pending_pages, given_pages, taken_pages;
	uint64_t pageout_at;         /* loop thread only */
	_Atomic uint64_t dropped, discarded, ranges, calls, whole, failed, stayed, sampled, batches;
};

/* The region that CHUNK is in. */
static inline const struct discard_region *discard_region_of(const struct discard *d, uint64_t chunk)
{
	unsigned i = 0;

	while (i + 1 < d->n && chunk >= d->region[i + 1].first_chunk)
		i++;
	return &d->region[i];
}

/* MEM is frozen or about to be; BACK[i] lies behind its region i.  No allocation after this. */
int discard_init(struct discard *d, const struct gmem *mem, const struct discard_backing *back, const struct host *host,
		 struct tvmm_error *err);
void discard_fini(struct discard *d);

/* Who is to call discard_tick() DISCARD_TICK_NS after pages began to wait.  Before the first guest runs. */
void discard_on_wait(struct discard *d, void (*want_tick)(struct discard *d, void *arg), void *arg);

/* Discards what has waited long enough, up to a batch.  Call it again as it says. */
enum discard_next { DISCARD_DONE, DISCARD_LATER, DISCARD_NOW }; /* not; after DISCARD_TICK_NS; at once */
enum discard_next discard_tick(struct discard *d);

/* Discards all that waits. */
void discard_flush(struct discard *d);

void discard_stats(struct discard *d, struct discard_stats *s);

/* Asks the host to swap out up to BYTES of guest RAM that is there, from a place that moves on; how much it was asked. */
uint64_t discard_pageout(struct discard *d, uint64_t bytes);

/* Bytes of guest RAM in the host's memory now. */
uint64_t discard_resident(struct discard *d);

/* For gmem_reclaim.h. */
void discard_look(struct gmem_reclaim *rec);
bool discard_filled(struct gmem_reclaim *rec, const struct iovec *piece);

#endif
