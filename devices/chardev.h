/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * chardev.h - a byte stream between the guest (its consoles, a named port) and host descriptors, with back-pressure.
 *
 * Output: any thread puts bytes into a fixed ring; the I/O loop writes them out, without ever blocking and without
 * setting O_NONBLOCK on a description it shares with others.  When the ring is full chardev_put() takes fewer bytes, and
 * chardev_room() tells when there is space again.  A copy goes to the log file, if there is one.  A peer that is gone
 * (EPIPE, EIO) costs nothing more: output is dropped and counted.
 * Input: the loop reads when the one receiver says it has room, so nothing is buffered without bound.
 *
 * A peer on one socket may stop sending and still listen; it is gone when it has closed both ways.  chardev_attach() then
 * gives the stream another one.
 */
#ifndef TVMM_DEVICES_CHARDEV_H
#define TVMM_DEVICES_CHARDEV_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "evloop.h"
#include "log.h"

#define CHARDEV_RING 65536
#define CHARDEV_LOW  1024 /* less room than this, once told by chardev_room(), is followed by a call of drained */

/* Who gets the input: one receiver, chosen by the machine.  Called on the loop's thread. */
struct chardev_rx {
	size_t (*room)(struct chardev_rx *rx); /* bytes it can take now */
	void (*input)(struct chardev_rx *rx, const uint8_t *buf, size_t len); /* len <= the room it just told */
};

/* One direction: a descriptor of our own, opened again or duplicated from the borrowed one. */
struct chardev_end {
	struct evsource src; /* fd -1: none, or gone; events 0: not in the epoll set at all */
	bool is_socket;      /* send() and recv(), which do not block for one call */
	bool direct;         /* epoll refuses it (a regular file, /dev/null): always ready */
	size_t chunk;        /* most bytes in one write after the descriptor polled writable */
};

struct chardev {
	const char *name; /* "console", for messages; the owner's storage */
	struct evloop *loop;
	const struct host *host;
	struct log *log;
	struct chardev_end in, out;
	bool one_socket;           /* both ends are the same one's: they go together */
	bool in_ended;             /* one_socket: the peer sends no more; in.src waits for its hang-up alone */
	struct evbell kick;        /* bytes were put while the ring was empty, or the receiver has room again */
	int log_fd;                /* -1: none; the caller's */
	/* NULL: input is not read.  Changed on the loop, or before it runs; a new one calls chardev_rx_ready(). */
	struct chardev_rx *rx;
	/*
	 * All that the ring takes passes here, in order: the machine's console watcher.  May be NULL.  Called under the
	 * lock, on the thread that puts: it must be quick and must not call back.
	 */
	void (*watch)(void *arg, const uint8_t *buf, size_t len);
	void *watch_arg;
	/* Told on the loop, under no lock, when a ring that was short of room is half empty again; one per console. */
	void (*drained[2])(void *arg);
	void *drained_arg[2];
	/*
	 * Told on the loop, under no lock: the peer came, or is gone (chardev_has_peer()).  The first is the guest's device;
	 * the second is told only of a loss, after it, and may attach another peer, but not at once.
	 */
	void (*peer)(void *arg);
	void *peer_arg;
	void (*lost)(void *arg);
	void *lost_arg;

	pthread_mutex_t lock;      /* guards what follows; leaf */
	size_t head, used;         /* ring[head ..] holds USED bytes; only the loop takes them out */
	bool starved;              /* somebody wants to hear of new room */
	bool in_paused;            /* the receiver had no room */
	uint64_t dropped;          /* bytes of output that no peer took */
	uint8_t ring[CHARDEV_RING];
};

/*
 * FDs are borrowed for the call: what is needed of IN_FD and OUT_FD is opened again or duplicated.  -1: no input, or
 * output is dropped.  LOG_FD stays the caller's, until chardev_fini().
 */
int chardev_init(struct chardev *c, const char *name, struct evloop *loop, struct log *log, int in_fd, int out_fd,
		 int log_fd, struct tvmm_error *err);
void chardev_fini(struct chardev *c);

/* Queues up to LEN bytes; returns how many it took.  Taking fewer is followed by a call of drained.  Any thread. */
size_t chardev_put(struct chardev *c, const uint8_t *buf, size_t len);
size_t chardev_room(struct chardev *c);

/* The receiver has room again: read on.  Any thread. */
void chardev_rx_ready(struct chardev *c);

/* Is there anybody at the other end, in either direction?  Loop thread. */
bool chardev_has_peer(const struct chardev *c);

/*
 * A connected stream socket becomes the peer of a stream that has none; what was still to be said to the last one is
 * dropped.  Takes FD, also when it fails.  Loop thread.
 */
int chardev_attach(struct chardev *c, int fd);

/* Loop thread, or when the loop has ended: writes out what is queued, waiting at most TIMEOUT_MS for a slow peer. */
void chardev_drain(struct chardev *c, int timeout_ms);

#endif
