/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * chardev.h - the console's byte stream between the guest's consoles and host descriptors, with back-pressure.
 *
 * Output: any thread puts bytes into a fixed ring; the I/O loop writes them out, without ever blocking and without
 * setting O_NONBLOCK on a description it shares with others.  When the ring is full chardev_put() takes fewer bytes, and
 * chardev_room() tells when there is space again.  A copy goes to the log file, if there is one.  A peer that is gone
 * (EPIPE, EIO) costs nothing more: output is dropped and counted.
 * Input: the loop reads when the one receiver says it has room, so nothing is buffered without bound.
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

/* Who gets the input: one receiver, chosen by the machine.  Called on the loop's thread. */
struct chardev_rx {
	size_t (*room)(struct chardev_rx *rx); /* bytes it can take now */
	void (*input)(struct chardev_rx *rx, const uint8_t *buf, size_t len); /* len <= the room it just told */
};

struct chardev {
	struct evloop *loop;
	const struct host *host;
	struct log *log;
	struct evsource in, out;   /* fd -1: none */
	struct evbell kick;        /* bytes were put while the ring was empty, or the receiver has room again */
	int log_fd;                /* -1: none */
	bool own_in, own_out;      /* descriptors re-opened by us, to close */
	bool out_is_socket, out_gone;
	struct chardev_rx *rx;     /* NULL: input is not read */
	/* Every put, and every line of it, passes here before it is queued: the machine's console watcher.  May be NULL. */
	void (*watch)(void *arg, const uint8_t *buf, size_t len);
	void *watch_arg;

	pthread_mutex_t lock;      /* guards the ring; leaf */
	size_t head, used;         /* ring[head ..] holds USED bytes */
	uint64_t dropped;
	void (*drained[2])(void *arg); /* told on the loop when a full ring has room again; one per guest console */
	void *drained_arg[2];
	uint8_t ring[CHARDEV_RING];
};

/* FDs are borrowed: re-opened or used with care for their other holders.  -1: no input, or output is dropped. */
int chardev_init(struct chardev *c, struct evloop *loop, struct log *log, int in_fd, int out_fd, int log_fd,
		 struct tvmm_error *err);
void chardev_fini(struct chardev *c);

/* Queues up to LEN bytes; returns how many it took.  Any thread. */
size_t chardev_put(struct chardev *c, const uint8_t *buf, size_t len);
size_t chardev_room(struct chardev *c);

/* The receiver has room again: read on.  Any thread. */
void chardev_rx_ready(struct chardev *c);

/* Loop thread, at the end: writes out what is queued, waiting at most TIMEOUT_MS for a slow peer. */
void chardev_drain(struct chardev *c, int timeout_ms);

#endif
