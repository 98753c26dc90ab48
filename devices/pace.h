/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * pace.h - when to look into a queue: whenever the driver notifies, or, while requests come thick, at times of our own.
 *
 * A notification costs an exit and is the fastest way to a driver that waits for each answer.  Answered that fast, a
 * driver that has many requests to give never shows it: each finds the queue empty.  So now and then a notification is
 * not answered at once.  If by then, a few of the usual distances later, the queue has filled, requests are taken in
 * batches, notifications stay off, and an exit is paid by none and an interrupt by many; as soon as a look finds few, it
 * is as before.  The rarer that succeeds, the rarer it is tried.
 *
 * Pure: the time is passed in.  One owner at a time, the queue's.
 */
#ifndef TVMM_DEVICES_PACE_H
#define TVMM_DEVICES_PACE_H

#include <stdbool.h>
#include <stdint.h>

struct pace {
	uint64_t last_ns; /* of the last notification */
	uint32_t gap_ns;  /* smoothed distance of notifications */
	uint32_t wait_ns; /* not 0: notifications are off, the next look comes so long after the last */
	uint32_t poor;    /* looks in a row that found few */
	/* Of the wait: the one that has proven itself; what so many looks found with it; the same of the one in use. */
	uint32_t usual_ns, usual_sum, looks, sum;
	bool longer; /* the direction of the next try */
	uint32_t since_try, patience; /* notifications since the last try; how many before the next */
};

/* Do requests come thick? */
static inline bool pace_is_deep(const struct pace *p)
{
	return p->wait_ns;
}

/* The driver notified.  Nanoseconds until the queue is to be looked into, notifications being off; 0: at once. */
uint64_t pace_notified(struct pace *p, uint64_t now_ns);

/* That look found N requests.  Nanoseconds until the next; 0: notifications are to be on again. */
uint64_t pace_looked(struct pace *p, unsigned n);

#endif
