/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * virtio_balloon.h - the memory balloon (virtio 1.2, 5.5), with everything the specification has for it.
 *
 * Queues are worked on inside the notifying vCPU's exit (sync_notify): a driver that looks at its ring after notifying
 * finds the buffer used, and never sleeps.  The device hands pages to a struct gmem_reclaim; it knows neither what lies
 * behind guest memory nor what a good size is.  That is decided above (vmm/overcommit.c), which calls the functions below
 * from any thread, not holding dev->lock.
 */
#ifndef TVMM_DEVICES_VIRTIO_BALLOON_H
#define TVMM_DEVICES_VIRTIO_BALLOON_H

#include "gmem_reclaim.h"
#include "host.h"
#include "virtio.h"

/* Feature bits (virtio 1.2, 5.5.3). */
#define VIRTIO_BALLOON_F_MUST_TELL_HOST BIT_ULL(0)
#define VIRTIO_BALLOON_F_STATS_VQ       BIT_ULL(1)
#define VIRTIO_BALLOON_F_DEFLATE_ON_OOM BIT_ULL(2)
#define VIRTIO_BALLOON_F_FREE_PAGE_HINT BIT_ULL(3)
#define VIRTIO_BALLOON_F_PAGE_POISON    BIT_ULL(4)
#define VIRTIO_BALLOON_F_REPORTING      BIT_ULL(5)

enum { BALLOON_Q_INFLATE, BALLOON_Q_DEFLATE, BALLOON_Q_STATS, BALLOON_Q_HINT, BALLOON_Q_REPORT, BALLOON_QUEUES };

/* Statistics tags (5.5.6.3, and those of Linux 6.12). */
enum {
	BALLOON_S_SWAP_IN, BALLOON_S_SWAP_OUT, BALLOON_S_MAJFLT, BALLOON_S_MINFLT, BALLOON_S_FREE, BALLOON_S_TOTAL,
	BALLOON_S_AVAIL, BALLOON_S_CACHES, BALLOON_S_HTLB_PGALLOC, BALLOON_S_HTLB_PGFAIL, BALLOON_S_OOM_KILL,
	BALLOON_S_ALLOC_STALL, BALLOON_S_ASYNC_SCAN, BALLOON_S_DIRECT_SCAN, BALLOON_S_ASYNC_RECLAIM,
	BALLOON_S_DIRECT_RECLAIM, BALLOON_S_NR
};

#define BALLOON_PAGE        4096u
#define BALLOON_BUFFER_PFNS 4096u      /* the longest list of pages in one buffer; Linux sends 256 */
#define BALLOON_EXIT_PFNS   4096u      /* after so many, the rest is left to the loop */
#define BALLOON_EXIT_BYTES  MIB(128)   /* the same for reported and hinted memory */
#define BALLOON_MAX_STATS   64u        /* entries of a statistics buffer that are looked at */

struct balloon_stats {
	uint64_t seq;     /* buffers received since the driver started; 0: none */
	uint64_t when_ns; /* of the latest */
	uint32_t has;     /* bit per tag that it had */
	uint64_t val[BALLOON_S_NR]; /* as the guest says: a hint, never a limit */
};

struct balloon_state {
	bool driver;       /* a driver runs the device, and has not broken it */
	uint64_t features; /* negotiated */
	uint64_t target;   /* bytes asked of the guest */
	uint64_t actual;   /* bytes it says it gave; its word */
	uint32_t poison;
	bool trimming;
	uint64_t trims, trim_bytes; /* runs finished; bytes discarded by all runs */
	uint64_t last_trim_bytes, last_trim_ns; /* the latest finished run: what it gave, when it ended */
	uint64_t reported; /* bytes discarded by reporting */
	struct balloon_stats stats;
};

struct virtio_balloon {
	struct virtio_dev dev;
	const struct host *host;
	struct gmem_reclaim *reclaim;
	struct evbell later; /* work that an exit left behind */
	bool later_ok;

	/* Under dev->lock. */
	uint32_t num_pages, actual, cmd_id, poison; /* the configuration space (5.5.4) */
	uint32_t next_cmd;
	enum { TRIM_NONE, TRIM_ASKED, TRIM_RUNS } trim;
	uint64_t asked_ns; /* when the trim was asked for */
	uint64_t set_ns;   /* when the target was set; 0: reached */
	uint32_t pending; /* bit per queue that the bell is to look at */
	int stats_head;   /* the statistics buffer that we hold, or -1 */
	struct balloon_state s; /* the counters and statistics of it */
	uint64_t run_bytes, run_filled; /* of a trim: what it gave; what it discarded in vain since it last gave something */
	uint64_t run_handed, handed;    /* what a trim was handed, given or in vain: this one, and the most that one was */
	struct virtq_req req;
	uint32_t pfn[256];
};

/* REPORTING: offer free page reporting.  RECLAIM outlives the device. */
int virtio_balloon_init(struct virtio_balloon *b, const char *name, const struct gmem *mem, struct evloop *loop,
			struct log *log, struct gmem_reclaim *reclaim, bool reporting, struct tvmm_error *err);
void virtio_balloon_fini(struct virtio_balloon *b); /* loop stopped, or on the loop */

/* Asks the guest to have BYTES of its memory in the balloon.  It may take its time, or not obey. */
void virtio_balloon_set(struct virtio_balloon *b, uint64_t bytes);

/*
 * Asks the guest to hand over all its free memory in one sweep, and to have it back at once, empty.  0: asked (or such a
 * run is under way); -ENODEV: no driver; -EOPNOTSUPP: it cannot, or its free pages must keep their contents.
 */
int virtio_balloon_trim(struct virtio_balloon *b);

/* Asks for fresh statistics, when the driver has left a buffer for them; the answer appears in the state, later. */
bool virtio_balloon_ask_stats(struct virtio_balloon *b);

void virtio_balloon_state(struct virtio_balloon *b, struct balloon_state *s);

#endif
