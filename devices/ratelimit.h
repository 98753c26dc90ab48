/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * ratelimit.h - token buckets: how much a device may move in a second, in bytes and in operations.
 *
 * Pure: the time is passed in, nothing is allocated, no clock is read.  A bucket is two numbers: the moment from which
 * the next operation may go, and how far that moment may lag behind the present (the burst: what was not used a while
 * ago may be used now).  An operation is let through whole once that moment has come, however big it is, and then moves
 * the moment on by what it costs; so the rate holds exactly over time, and a request bigger than the burst is no special
 * case.  One owner at a time, as the queue that it limits.
 *
 *	wait = ratelimit_wait(&rl, now);        0: go
 *	if (wait) { arm a timer for now + wait; stop taking requests; }
 *	else { take one; ratelimit_take(&rl, now, bytes, 1); }
 */
#ifndef TVMM_DEVICES_RATELIMIT_H
#define TVMM_DEVICES_RATELIMIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RATELIMIT_BURST_NS   100000000ull    /* unless said otherwise */
#define RATELIMIT_MAX        (1ull << 40)    /* the highest rate, a second */
#define RATELIMIT_BURST_MAX  10000000000ull  /* ten seconds */

struct ratelimit_bucket {
	uint64_t rate;     /* a second; 0: no limit */
	uint64_t burst_ns;
	uint64_t open_ns;  /* an operation may go from here on */
	uint64_t rest;     /* what division left of the cost: less than RATE */
};

struct ratelimit {
	struct ratelimit_bucket bytes, ops;
};

/* Starts with a full burst.  A rate of 0 limits nothing; rates up to RATELIMIT_MAX, BURST_NS up to RATELIMIT_BURST_MAX. */
void ratelimit_init(struct ratelimit *rl, uint64_t bytes_per_s, uint64_t ops_per_s, uint64_t burst_ns);

/* ", at most 100 bytes/s ..." in BUF, OPS being what operations are called; nothing where there is no limit. */
void ratelimit_describe(const struct ratelimit *rl, const char *ops, char *buf, size_t len);

/* Does this limit anything at all? */
bool ratelimit_is_set(const struct ratelimit *rl);

/* Nanoseconds until the next operation may go; 0: now. */
uint64_t ratelimit_wait(const struct ratelimit *rl, uint64_t now_ns);

/* What went costs this much.  BYTES and OPS below 2^34.  It may be called without a ratelimit_wait() before it. */
void ratelimit_take(struct ratelimit *rl, uint64_t now_ns, uint64_t bytes, uint64_t ops);

#endif
