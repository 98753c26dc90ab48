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
#define MANY      16u           /* of so many, some waited for us */
#define TRIES     8             /* looks that one wait is judged by */
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

/* The next wait to be tried, a third longer or a quarter shorter. */
static uint32_t step(const struct pace *p)
{
	return p->longer ? MIN(p->usual_ns + p->usual_ns / 3, MAX_NS) : MAX(p->usual_ns - p->usual_ns / 4, MIN_NS);
}

/*
 * The distance of notifications, each of which had its exit, says little about how long a driver takes without them.  So
 * TRIES looks with the usual wait are compared with as many after a shorter one, which stays if they find no less, then
 * after a longer one, which stays if they find clearly more.  A driver that soon has nothing left to give is not kept
 * waiting, and one that always has is given time.
 */
static void adapt(struct pace *p, unsigned n)
{
	if (n > MANY) {
		p->longer = false;
		p->usual_ns = p->wait_ns = MAX(p->wait_ns - p->wait_ns / 4, MIN_NS);
		p->usual_sum = p->sum = p->looks = 0;
		return;
	}
	p->sum += n;
	if (++p->looks < TRIES)
		return;
	if (!p->usual_sum || (p->longer ? 20 * p->sum > 23 * p->usual_sum : 16 * p->sum >= 15 * p->usual_sum)) {
		p->usual_ns = p->wait_ns;
		p->usual_sum = p->sum;
		p->wait_ns = step(p);
	} else {
		p->wait_ns = p->usual_ns;
		p->usual_sum = 0;
		p->longer = !p->longer;
	}
	p->sum = p->looks = 0;
}

uint64_t pace_looked(struct pace *p, unsigned n)
{
	/* One that finds few may have come at a bad moment, or too soon. */
	p->poor = n < FULL ? p->poor + 1 : 0;
	if (n && p->poor > 1 && p->wait_ns < p->usual_ns) { /* is judged at once */
		p->sum = p->poor = 0;
		p->looks = TRIES;
	}
	if (!n || p->poor > 1) {
		p->patience = MIN(p->patience ? 2 * p->patience : TRY_FIRST, (uint32_t)TRY_LAST);
		p->since_try = p->poor = 0;
		p->usual_sum = p->sum = p->looks = 0;
		p->wait_ns = 0;
		p->last_ns = 0;
		return 0;
	}
	if (!p->poor)
		p->patience = TRY_AGAIN;
	adapt(p, n);
	return p->wait_ns;
}
