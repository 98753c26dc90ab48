/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * test_pace.c - a simulated driver with a fixed number of requests in flight: deep ones come to batches and pay few
 * notifications, shallow ones are answered at once but for a few, and pauses change nothing.
 */
#include "pace.h"
#include "test.h"

#define US 1000ull

struct outcome {
	unsigned requests, notified, delayed, looks;
	uint64_t ns;
};

/*
 * A driver that keeps DEPTH requests in flight, each taking it COST_NS, for REQUESTS of them; served in no time, but a
 * notification takes EXIT_NS more.  While they are off it offers what it can and then waits for the look.
 */
static struct outcome drive(struct pace *p, unsigned depth, uint64_t cost_ns, uint64_t exit_ns, unsigned requests, uint64_t now)
{
	struct outcome o = { .ns = now };

	while (o.requests < requests) {
		uint64_t wait;
		unsigned n = 0;

		now += cost_ns + exit_ns;
		o.notified++;
		o.requests++;
		wait = pace_notified(p, now);
		o.delayed += wait != 0;
		for (n = 1; wait && o.requests < requests; n = 0) {
			uint64_t could = wait / cost_ns;

			n += (unsigned)(could < depth - n ? could : depth - n);
			now += wait;
			o.requests += n;
			o.looks++;
			wait = pace_looked(p, n);
		}
	}
	o.ns = now - o.ns;
	return o;
}

START_TEST(deep)
{
	struct pace p = { 0 };
	struct outcome o = drive(&p, 32, 10 * US, 0, 100000, 1000000 * US);

	ck_assert_uint_lt(o.notified * 50, o.requests);
	ck_assert_uint_gt(o.requests, 6 * o.looks); /* batches */
	/* The driver is hardly held up. */
	ck_assert_uint_lt(o.ns, 100000 * 10 * US * 5 / 4);
}
END_TEST

START_TEST(shallow)
{
	for (unsigned depth = 1; depth <= 4; depth++) {
		struct pace p = { 0 };
		struct outcome o = drive(&p, depth, 10 * US, 0, 100000, 1000000 * US);

		ck_assert_uint_gt(o.delayed, 0); /* it does look from time to time */
		ck_assert_uint_lt(o.delayed * 500, o.requests);
		ck_assert_uint_lt(o.ns, 100000 * 10 * US * 103 / 100);
	}
}
END_TEST

/* The distance of notifications that are dear says nothing about how long a driver takes without them. */
START_TEST(dear_exits)
{
	for (unsigned depth = 8; depth <= 32; depth += 4) {
		struct pace p = { 0 };
		struct outcome o = drive(&p, depth, 10 * US, 30 * US, 100000, 1000000 * US);

		ck_assert_uint_lt(o.notified * 20, o.requests);
		ck_assert_uint_gt(o.requests, 5 * o.looks);
		ck_assert_uint_lt(o.ns, 100000 * 10 * US * 3 / 2);
	}
}
END_TEST

/* From one to the other and back. */
START_TEST(changes)
{
	struct pace p = { 0 };
	struct outcome o;
	uint64_t now = 1000000 * US;

	drive(&p, 1, 10 * US, 0, 100000, now);
	now += 100000000 * US;
	o = drive(&p, 32, 10 * US, 0, 100000, now);
	ck_assert_uint_lt(o.notified * 40, o.requests);
	now += 100000000 * US;
	o = drive(&p, 1, 10 * US, 0, 100000, now);
	ck_assert_uint_lt(o.delayed * 500, o.requests);
}
END_TEST

/* Requests that come with pauses are never held up, and nobody waits long. */
START_TEST(pauses)
{
	struct pace p = { 0 };
	uint64_t now = 5000 * US, wait;

	for (unsigned i = 0; i < 100000; i++, now += 3000 * US)
		ck_assert_uint_eq(pace_notified(&p, now), 0);
	for (unsigned i = 0; i < 100000; i++, now += 1900 * US) {
		wait = pace_notified(&p, now);
		ck_assert_uint_le(wait, 8000 * US);
		if (wait && pace_looked(&p, 1))
			ck_assert_uint_eq(pace_looked(&p, 1), 0);
	}
}
END_TEST

/* A notification that was under way when they went off asks for nothing new; and nobody who has much to do waits longer. */
START_TEST(while_off)
{
	struct pace p = { 0 };
	uint64_t now = 1000000 * US, wait = 0, last;

	while (!wait)
		wait = pace_notified(&p, now += 10 * US);
	ck_assert_uint_eq(pace_notified(&p, now + 1), wait);
	ck_assert_uint_eq(pace_notified(&p, now + 100000 * US), wait);
	for (unsigned i = 0; i < 100; i++) {
		last = wait;
		wait = pace_looked(&p, 32);
		ck_assert(wait <= last && wait >= 1 * US);
	}
	ck_assert_uint_eq(pace_looked(&p, 0), 0);
	ck_assert_uint_eq(pace_notified(&p, now + 200000 * US), 0);
}
END_TEST

int main(void)
{
	return test_main("pace", (const TTest *const[]){ deep, shallow, dear_exits, changes, pauses, while_off, NULL });
}
