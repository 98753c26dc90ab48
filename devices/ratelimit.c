/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * ratelimit.c - token buckets, kept as moments in time (ratelimit.h).  Called by a queue's owner; pure.
 */
#include "ratelimit.h"

#include <stdio.h>

#include "bits.h"

#define NS 1000000000ull

static struct ratelimit_bucket bucket(uint64_t rate, uint64_t burst_ns)
{
	return (struct ratelimit_bucket){ .rate = MIN(rate, RATELIMIT_MAX), .burst_ns = MIN(burst_ns, RATELIMIT_BURST_MAX) };
}

void ratelimit_init(struct ratelimit *rl, uint64_t bytes_per_s, uint64_t ops_per_s, uint64_t burst_ns)
{
	*rl = (struct ratelimit){ bucket(bytes_per_s, burst_ns), bucket(ops_per_s, burst_ns) };
}

void ratelimit_describe(const struct ratelimit *rl, const char *ops, char *buf, size_t len)
{
	uint64_t bytes = rl->bytes.rate, n = rl->ops.rate, burst = rl->ops.burst_ns / 1000000;

	if (bytes && n)
		snprintf(buf, len, ", at most %lu bytes/s and %lu %s/s (burst %lu ms)", bytes, n, ops, burst);
	else if (bytes)
		snprintf(buf, len, ", at most %lu bytes/s (burst %lu ms)", bytes, burst);
	else if (n)
		snprintf(buf, len, ", at most %lu %s/s (burst %lu ms)", n, ops, burst);
	else
		snprintf(buf, len, "%s", "");
}

bool ratelimit_is_set(const struct ratelimit *rl)
{
	return rl->bytes.rate || rl->ops.rate;
}

static uint64_t bucket_wait(const struct ratelimit_bucket *b, uint64_t now_ns)
{
	return b->rate && b->open_ns > now_ns ? b->open_ns - now_ns : 0;
}

uint64_t ratelimit_wait(const struct ratelimit *rl, uint64_t now_ns)
{
	return MAX(bucket_wait(&rl->bytes, now_ns), bucket_wait(&rl->ops, now_ns));
}

static void bucket_take(struct ratelimit_bucket *b, uint64_t now_ns, uint64_t cost)
{
	uint64_t lag = MIN(b->burst_ns, now_ns), scaled;

	if (!b->rate)
		return;
	if (b->open_ns < now_ns - lag) {
		b->open_ns = now_ns - lag;
		b->rest = 0;
	}
	scaled = cost * NS + b->rest; /* below 2^64: cost is below 2^34 */
	b->open_ns += scaled / b->rate;
	b->rest = scaled % b->rate;
}

void ratelimit_take(struct ratelimit *rl, uint64_t now_ns, uint64_t bytes, uint64_t ops)
{
	bucket_take(&rl->bytes, now_ns, bytes);
	bucket_take(&rl->ops, now_ns, ops);
}
