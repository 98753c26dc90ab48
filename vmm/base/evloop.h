/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * evloop.h - the I/O thread's loop: descriptors, timers, and calls from other threads.
 *
 * One thread runs the loop; it is the owner of every queue and backend registered here, which is why their code
 * takes no lock.  Other threads reach it with evloop_call(), which waits, with evbell_ring(), which does not, or do a
 * little of its work in its place while it sleeps, with evloop_visit().  Sources are embedded in their users and added
 * before the loop runs or from within it; no allocation after evloop_init().
 */
#ifndef TVMM_BASE_EVLOOP_H
#define TVMM_BASE_EVLOOP_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include "error.h"
#include "host.h"

struct evloop;

/* A descriptor that the loop watches.  Embedded by its user, who keeps it alive until evloop_del(). */
struct evsource {
	int fd;
	uint32_t events; /* EPOLLIN, EPOLLOUT or both; 0 watches nothing */
	void (*ready)(struct evsource *src, uint32_t events); /* on the loop's thread */
};

/* A level-less doorbell: any thread rings, the loop calls once for any number of rings.  Backed by an eventfd. */
struct evbell {
	struct evsource src;
	void (*rung)(struct evbell *bell); /* on the loop's thread */
	void *arg; /* the user's own; evbell_init() clears it */
	const struct host *host;
};

struct evloop_msg {
	struct evloop_msg *next;
	void (*fn)(void *arg);
	void *arg;
	bool done;
};

struct evloop {
	const struct host *host;
	int epfd;
	struct evbell calls;
	pthread_mutex_t lock; /* guards msgs, running and gone; leaf */
	pthread_cond_t done;
	struct evloop_msg *msgs, **msgs_tail;
	bool running; /* the thread takes calls */
	bool started; /* the thread is to be stopped */
	bool gone;    /* the thread touches nothing of ours any more */
	bool joinable;
	bool stop;    /* loop thread only */
	pthread_mutex_t turn; /* held by whoever does the loop's work; outermost, and of visitors only ever tried */
	atomic_bool wanted;   /* the loop's thread waits for its turn: visitors stay away */
	bool visited;         /* under turn: it is a visitor who is at work */
	bool over;            /* under turn: the thread is gone, or going */
	pthread_t thread;
	/* Waiting failed, with this negative errno: the loop is over.  On its thread; may be NULL. */
	void (*failed)(void *arg, int err);
	void *failed_arg;
	_Atomic uint64_t wakeups; /* returns of epoll_wait */
};

int evloop_init(struct evloop *l, const struct host *host, struct tvmm_error *err);
/* The loop has ended; sources are deleted or never used again.  Waits until the host has let the thread go. */
void evloop_fini(struct evloop *l);

/* Loop thread, or before it runs. */
int evloop_add(struct evloop *l, struct evsource *src, struct tvmm_error *err);
int evloop_mod(struct evloop *l, struct evsource *src, uint32_t events); /* cheap when nothing changes */
void evloop_again(struct evloop *l, struct evsource *src); /* with EPOLLET: calls once more for what is ready already */
void evloop_del(struct evloop *l, struct evsource *src);

/* Is anybody waiting for the loop?  For who works on it for long; loop thread. */
bool evloop_is_wanted(struct evloop *l);

/* Makes a bell (creates its eventfd) and adds it.  evbell_fini() deletes and closes. */
int evbell_init(struct evbell *b, struct evloop *l, void (*rung)(struct evbell *), struct tvmm_error *err);
/*
 * For bells that are rung often, and whose descriptor only the loop looks at: from now on none is emptied, which saves a
 * system call a ring (2^64 of them would be too many).  Or not WATCH: rings go unheard, until one is watched again, and then
 * it calls at once if any came.  0 or -errno.
 */
int evbell_watch(struct evbell *b, struct evloop *l, bool watch);
void evbell_fini(struct evbell *b, struct evloop *l);
void evbell_ring(struct evbell *b); /* any thread, never blocks */

/*
 * Runs FN(ARG) on the loop's thread and returns when it has returned.  Call it holding no lock that FN, or anything
 * else on the loop, could want.  From the loop itself, or when the loop is not running, FN runs at once, here.
 */
void evloop_call(struct evloop *l, void (*fn)(void *arg), void *arg);

/*
 * Runs FN(ARG) here in place of the loop's thread, if that sleeps, and spares it the waking.  False: it is at work, and
 * nothing was done.  FN owns what the loop owns, must not wait for anything, nor use evloop_call(); by l->visited it can
 * tell that it is a guest here.  Call it holding nothing.
 */
bool evloop_visit(struct evloop *l, void (*fn)(void *arg), void *arg);

/* Starts the loop's thread, with every signal blocked; from here on evloop_call() runs there. */
int evloop_start(struct evloop *l, const char *thread_name, struct tvmm_error *err);

/*
 * Ends the loop: nothing runs on its thread any more.  The thread itself may exist for longer, for the host keeps one that
 * has used io_uring until its requests are done.  Harmless when it does not run.  Not from the loop's own thread.
 */
void evloop_stop(struct evloop *l);

#endif
