/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * disk_engine.h - runs the operations of all disks of one I/O loop without holding the loop up.
 *
 * An operation that needs no waiting is done at once.  The others go, in one batch for each disk_kick(), to one io_uring, or,
 * where the host refuses that and for what it does not do, to a few threads.  They complete in any order, on the loop.
 * Flushes of one disk are gathered: one fdatasync at a time, so that its error reaches everyone who waits for it, and each
 * covers all that was done before it started.
 *
 * All functions are called on the loop (or when it does not run), but for disk_engine_wait().  With no engine (NULL)
 * disk_submit() does the operation before it returns.
 */
#ifndef TVMM_DEVICES_DISK_ENGINE_H
#define TVMM_DEVICES_DISK_ENGINE_H

#include <pthread.h>
#include "disk.h"
#include "disk_uring.h"
#include "evloop.h"
#include "log.h"

#define DISK_THREADS 4

struct disk_list {
	struct disk_io *head, **tail;
};

/* Something to do once the completions of this turn have all been told: an interrupt for many requests. */
struct disk_after {
	void (*fn)(struct disk_after *a);
	struct disk_after *next;
	bool queued;
};

struct disk_engine {
	const struct host *host;
	struct evloop *loop;
	struct log *log;
	struct disk_list batch;     /* submitted since the last kick */
	struct disk_after *after;
	bool at_work;               /* inside disk_kick() or disk_reap() */

	bool has_uring;             /* else threads do its work */
	int no_uring;               /* else, why: a negative errno */
	struct disk_uring uring;
	struct evsource uring_src;

	/* The threads. */
	struct evbell bell;         /* rung by a thread when DONE was empty */
	pthread_t thread[DISK_THREADS];
	unsigned n_threads;
	pthread_mutex_t lock;       /* guards what follows; leaf */
	pthread_cond_t work;
	struct disk_list todo, done;
	bool stop;
};

/* Starts the threads and makes the ring.  LOG is told if there is none. */
int disk_engine_init(struct disk_engine *e, const struct host *host, struct evloop *loop, struct log *log,
		     struct tvmm_error *err);
/* Nothing is under way any more.  Harmless on a zeroed or finished structure. */
void disk_engine_fini(struct disk_engine *e);

/* Adds IO to the batch.  IO is the engine's until its done(). */
void disk_submit(struct disk_engine *e, struct disk *d, struct disk_io *io);
/*
 * Sends the batch on its way.  Some of it may be done when this returns.  A visitor of the loop (evloop_visit) does what
 * needs no waiting, and leaves the rest to the loop's thread: an io_uring belongs to one, and may be slow to submit to.
 */
void disk_kick(struct disk_engine *e);
/* Tells whoever waits what is done by now; does not wait. */
void disk_reap(struct disk_engine *e);
/* Waits a moment for something to reap, on any thread. */
void disk_engine_wait(struct disk_engine *e);
/* A->fn is called once, at the end of this turn of disk_kick() or disk_reap(); from elsewhere: at once. */
void disk_call_after(struct disk_engine *e, struct disk_after *a);

#endif
