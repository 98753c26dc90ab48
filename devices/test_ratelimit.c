/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * test_ratelimit.c - rates hold exactly over time, whatever the sizes; bursts are what they should be and no more;
 * nothing wraps at the ends of the clock.
 */
#include "ratelimit.h"
#include "test.h"

#define S 1000000000ull

/* Takes as fast as it may, requests of BYTES, until END; how many went. */
static uint64_t drain(struct ratelimit *rl, uint64_t *now, uint64_t end, uint64_t bytes)
{
	uint64_t n = 0;

	for (;;) {
		uint64_t wait = ratelimit_wait(rl, *now);

		if (*now + wait >= end) {
			*now = end;
			return n;
		}
		*now += wait;
		ratelimit_take(rl, *now, bytes, 1);
		n++;
	}
}

START_TEST(no_limit)
{
	struct ratelimit rl;

	ratelimit_init(&rl, 0, 0, RATELIMIT_BURST_NS);
	ck_assert(!ratelimit_is_set(&rl));
	for (unsigned i = 0; i < 1000; i++) {
		ck_assert_uint_eq(ratelimit_wait(&rl, 0), 0);
		ratelimit_take(&rl, 0, 1ull << 33, 1000);
	}
}
END_TEST

/* Ten seconds, rates and sizes that do not divide a second: what went is the rate, the burst and one request. */
START_TEST(rate_holds)
{
	static const struct { uint64_t rate, size; } c[] = {
		{ 1000000, 4096 }, { 999983, 512 }, { 7, 3 }, { 100 << 20, 65536 }, { 1ull << 36, 1 << 20 }, { 1000, 1 << 20 },
	};
	struct ratelimit rl;

	for (unsigned i = 0; i < sizeof(c) / sizeof(c[0]); i++) {
		uint64_t now = 5 * S, n, most = c[i].rate * 10 + c[i].rate / 10 + c[i].size;

		ratelimit_init(&rl, c[i].rate, 0, RATELIMIT_BURST_NS);
		ck_assert(ratelimit_is_set(&rl));
		n = drain(&rl, &now, 15 * S, c[i].size);
		ck_assert_msg(n * c[i].size <= most && (n + 1) * c[i].size >= c[i].rate * 10,
			      "rate %lu size %lu: %lu went", c[i].rate, c[i].size, n);
	}
}
END_TEST

START_TEST(both_limits)
{
	struct ratelimit rl;
	uint64_t now = S, n;

	/* Small requests meet the operations' limit, big ones the bytes'. */
	ratelimit_init(&rl, 1 << 20, 100, 0);
	n = drain(&rl, &now, 11 * S, 512);
	ck_assert(n >= 999 && n <= 1001);
	ratelimit_init(&rl, 1 << 20, 100, 0);
	n = drain(&rl, &now, 21 * S, 1 << 18);
	ck_assert(n >= 39 && n <= 41);
}
END_TEST

START_TEST(burst)
{
	struct ratelimit rl;
	uint64_t n = 0;

	/* At rest, the burst may go at once: as many as the rate gives in that time, and one. */
	ratelimit_init(&rl, 0, 1000, S / 2);
	for (; !ratelimit_wait(&rl, 100 * S); n++)
		ratelimit_take(&rl, 100 * S, 0, 1);
	ck_assert_uint_eq(n, 501);
	ck_assert_uint_eq(ratelimit_wait(&rl, 100 * S), S / 1000);
	/* A long rest saves up no more than that. */
	for (n = 0; !ratelimit_wait(&rl, 9000 * S); n++)
		ratelimit_take(&rl, 9000 * S, 0, 1);
	ck_assert_uint_eq(n, 501);
	/* Without a burst, one at a time. */
	ratelimit_init(&rl, 0, 1000, 0);
	ratelimit_take(&rl, S, 0, 1);
	ck_assert_uint_eq(ratelimit_wait(&rl, S), S / 1000);
}
END_TEST

START_TEST(described)
{
	struct ratelimit rl;
	char buf[96];

	ratelimit_init(&rl, 0, 0, 0);
	ratelimit_describe(&rl, "requests", buf, sizeof(buf));
	ck_assert_str_eq(buf, "");
	ratelimit_init(&rl, 1 << 20, 0, 100000000);
	ratelimit_describe(&rl, "requests", buf, sizeof(buf));
	ck_assert_str_eq(buf, ", at most 1048576 bytes/s (burst 100 ms)");
	ratelimit_init(&rl, 0, 7, 0);
	ratelimit_describe(&rl, "packets", buf, sizeof(buf));
	ck_assert_str_eq(buf, ", at most 7 packets/s (burst 0 ms)");
	ratelimit_init(&rl, 1, RATELIMIT_MAX, RATELIMIT_BURST_MAX);
	ratelimit_describe(&rl, "requests", buf, sizeof(buf));
	ck_assert_str_eq(buf, ", at most 1 bytes/s and 1099511627776 requests/s (burst 10000 ms)");
}
END_TEST

START_TEST(extremes)
{
	struct ratelimit rl;

	/* The clock's first moments: there is no time before them to have saved. */
	ratelimit_init(&rl, 1, 1, RATELIMIT_BURST_MAX);
	ratelimit_take(&rl, 0, 1, 1);
	ck_assert_uint_eq(ratelimit_wait(&rl, 0), S);
	/* The biggest request at the lowest rate: centuries, but no wrap. */
	ratelimit_init(&rl, 1, 0, 0);
	ratelimit_take(&rl, S, (1ull << 34) - 1, 1);
	ck_assert_uint_eq(ratelimit_wait(&rl, S), ((1ull << 34) - 1) * S);
	/* The highest rate, byte by byte: what division leaves is not lost. */
	ratelimit_init(&rl, RATELIMIT_MAX, 0, 0);
	for (unsigned i = 0; i < 1000000; i++)
		ratelimit_take(&rl, S, 1100, 1);
	ck_assert_uint_eq(ratelimit_wait(&rl, S), 1100ull * 1000000 * S / RATELIMIT_MAX);
	/* A clock that stands still, or goes back, gives nothing away. */
	ratelimit_init(&rl, 0, 10, 0);
	ratelimit_take(&rl, 10 * S, 0, 1);
	ck_assert_uint_eq(ratelimit_wait(&rl, 9 * S), S + S / 10);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = { no_limit, rate_holds, both_limits, burst, described, extremes, NULL };

	return test_main("ratelimit", tests);
}
