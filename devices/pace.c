/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * pace.c - notifications or batches (pace.h).  Called by a queue's owner; pure.
 */
#include "pace.h"
#include "bits.h"

#define TRY_FIRST 64            /* notifications before the first try */
#define TRY_AGAIN 8             /* after a time of batches */
#define TRY_LAST  1024
#define GAPS      8             /* a try waits for so many usual distances ... */
#define FULL      6             /* ... and a queue that took so many requests meanwhile is worth it */
#define MANY      16            /* of so many, some waited for us */
#define MIN_NS    16000u        /* below that, sleeping costs more than it saves */
#define PAUSE_NS  2000000u      /* what is farther apart does not come thick */
#define MAX_NS    8000000u      /* nobody waits longer for a look */

uint64_t pace_notified(struct pace *p, uint64_t now_ns)
{
	uint64_t gap = now_ns - p->last_ns;

	if (p->wait_ns) /* one that was on its way when they went off: the look will come */
		return p->wait_ns;
	p->last_ns = now_ns;
	if (gap > PAUSE_NS) /* a pause: no measure of anything */
		return 0;
	p->gap_ns = (uint32_t)(p->gap_ns - p->gap_ns / 8 + gap / 8);
	if (++p->since_try <= (p->patience ? p->patience : TRY_FIRST))
		return 0;
	p->since_try = 0;
	p->wait_ns = MIN(MAX(GAPS * p->gap_ns, MIN_NS), MAX_NS);
	return p->wait_ns;
}

uint64_t pace_looked(struct pace *p, unsigned n)
{
	/* One that finds few may have come at a bad moment. */
	p->poor = n < FULL ? p->poor + 1 : 0;
	if (!n || p->poor > 1) {
		p->patience = MIN(p->patience ? 2 * p->patience : TRY_FIRST, (uint32_t)TRY_LAST);
		p->since_try = p->poor = 0;
		p->wait_ns = 0;
		p->last_ns = 0;
		return 0;
	}
	if (!p->poor)
		p->patience = TRY_AGAIN;
	if (n > MANY)
		p->wait_ns = MAX(p->wait_ns - p->wait_ns / 4, MIN_NS);
	return p->wait_ns;
}
