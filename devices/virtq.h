/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * virtq.h - the split virtqueue (virtio 1.2, 2.7): the only reader and writer of ring memory.
 *
 * A queue has two lives.  While the driver sets it up, its registers are a shadow in virtio.h's struct virtio_queue;
 * vq_activate() checks them and makes the live copy below, which nothing changes until vq_reset().  All of these
 * functions are called by the queue's one owner thread (the I/O loop, or the vCPU for a class with sync_notify, which
 * then holds the device's lock).
 *
 * The guest can change ring memory at any moment.  Each field is loaded once, and only that copy is checked and used.
 * A driver that breaks a rule breaks its queue: vq_pop() says -EPROTO from then on, until reset.
 */
#ifndef TVMM_DEVICES_VIRTQ_H
#define TVMM_DEVICES_VIRTQ_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>
#include "gmem.h"

#define VIRTQ_MAX_SIZE 256 /* entries; the most that a driver may choose */
#define VIRTQ_MAX_SEGS 256 /* segments of one request, direct and indirect together */

/* A request taken off the ring.  The caller's storage; the segments live as long as guest RAM. */
struct virtq_req {
	uint16_t head;
	uint16_t n_out;    /* iov[0 .. n_out) is for the device to read */
	uint16_t n_in;     /* iov[n_out .. n_out + n_in) is for the device to write */
	uint32_t out_len;  /* bytes in the readable part; at most 2^32 - 1, a longer chain breaks the queue */
	uint32_t in_len;   /* likewise, writable */
	struct iovec iov[VIRTQ_MAX_SEGS];
};

/* What the driver wrote to the queue's registers (virtio 1.2, 4.1.4.3). */
struct virtq_layout {
	uint16_t size;
	struct gpa desc, avail, used;
};

struct virtq {
	const struct gmem *mem;
	void (*fault)(struct virtq *q, const char *why); /* the queue broke: told once, by vq_break() */
	bool live;
	bool broken;
	bool event_idx; /* VIRTIO_F_EVENT_IDX negotiated */
	bool indirect;  /* VIRTIO_F_INDIRECT_DESC negotiated */
	uint16_t size;
	uint16_t next_avail;    /* next avail entry to look at */
	uint16_t next_used;     /* next used entry to write */
	uint16_t signalled;     /* next_used at the last vq_should_signal() that looked */
	bool signalled_valid;
	uint8_t *desc, *avail, *used; /* host addresses of the three areas */
	uint64_t inflight[VIRTQ_MAX_SIZE / 64];
	uint64_t popped, pushed; /* totals since activation */
};

/*
 * Checks the layout against virtio 1.2, 2.7: power-of-two size in 1..VIRTQ_MAX_SIZE, aligned areas, all of each inside
 * RAM, none over another.  Returns 0, or -EINVAL with *WHY a constant sentence, and the queue then is not live.
 */
int vq_activate(struct virtq *q, const struct gmem *mem, const struct virtq_layout *l, bool event_idx, bool indirect,
		const char **why);

/* Back to the state before vq_activate().  Heads in flight are forgotten: their owners must not push them. */
void vq_reset(struct virtq *q);

/* Takes the next request: 1 with *REQ filled, 0 if there is none, -EPROTO if the queue is broken (or not live). */
int vq_pop(struct virtq *q, struct virtq_req *req);

/* Puts back the request that vq_pop() just gave, as if it had not been taken.  Only the latest, and only once. */
void vq_unpop(struct virtq *q, struct virtq_req *req);

/* Hands a request back: WRITTEN bytes of its writable part are filled, from the start.  Publishes at once. */
void vq_push(struct virtq *q, uint16_t head, uint32_t written);

/*
 * The same in two steps, for requests that the driver must see together: each is filled in, then all are published at
 * once.  Before the owner does anything else with the queue.
 */
void vq_fill(struct virtq *q, uint16_t head, uint32_t written);
void vq_publish(struct virtq *q);

/* After pushing: does the driver want an interrupt (2.7.7, 2.7.10)?  Resets what it counts from. */
bool vq_should_signal(struct virtq *q);

/* Asks the driver not to notify while the queue is being worked on; a hint. */
void vq_notify_off(struct virtq *q);

/* Asks for notifications again.  True if requests arrived meanwhile: the caller must look again. */
bool vq_notify_on(struct virtq *q);

/*
 * A worker outside this process had the queue since it was activated, and is gone: it is ours from here on.  What the worker
 * took and did not hand back is offered to us again, if the rings can tell which requests these are: they can if it handed
 * back all of late in the order in which they were offered.  (It looks the same when a request is long overdue, among others
 * that all had the same heads; then one of these comes twice.)  False: they cannot; those are lost, and what comes now is first.
 */
bool vq_take_over(struct virtq *q);

/* The driver broke a rule: latches, tells q->fault once.  Returns -EPROTO. */
int vq_break(struct virtq *q, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
