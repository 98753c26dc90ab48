/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* test_log.c - levels, and the bucket that keeps a guest from filling the log, on a clock of the test's own. */
#include "log.h"
#include <stdio.h>
#include <string.h>
#include "test.h"

struct lines {
	unsigned n;
	size_t bytes;
	char last[600];
};

static void keep(void *arg, int level, const char *line)
{
	struct lines *l = arg;

	l->n++;
	l->bytes += strlen(line);
	snprintf(l->last, sizeof(l->last), "%d %s", level, line);
}

static uint64_t fake_now(const struct host *h)
{
	return *(uint64_t *)h->ctx;
}

START_TEST(levels)
{
	struct lines l = { 0 };
	struct log log;

	log_init(&log, host_linux(), keep, &l, TVMM_LOG_WARN);
	log_line(&log, TVMM_LOG_INFO, "no");
	ck_assert_uint_eq(l.n, 0);
	log_line(&log, TVMM_LOG_ERROR, "yes %d", 1);
	ck_assert_str_eq(l.last, "0 yes 1");
	log_line(NULL, TVMM_LOG_ERROR, "nowhere");
	log_init(&log, host_linux(), NULL, NULL, TVMM_LOG_DEBUG);
	log_line(&log, TVMM_LOG_ERROR, "nowhere");
	log_guest(&log, "disk 0", "counted all the same");
	ck_assert_uint_eq(log.guest_faults, 1);
}
END_TEST

START_TEST(flood)
{
	uint64_t now = 5000000000ull;
	struct host h = { .now_ns = fake_now, .ctx = &now };
	struct lines l = { 0 };
	struct log log;

	log_init(&log, &h, keep, &l, TVMM_LOG_WARN);
	for (unsigned i = 0; i < 10000000; i++)
		log_guest(&log, "disk 0", "bad request");
	ck_assert_uint_ge(l.n, 5);
	ck_assert_uint_le(l.n, 10);
	ck_assert_uint_le(l.bytes, 65536);
	ck_assert_uint_eq(log.guest_faults, 10000000);
	l.n = 0;
	now += 1000000000;
	log_guest(&log, "disk 0", "bad request");
	log_guest(&log, "disk 0", "bad request");
	ck_assert_uint_eq(l.n, 1);
	ck_assert_ptr_nonnull(strstr(l.last, "like it not shown) disk 0: bad request"));
	now += 3600ull * 1000000000;
	l.n = 0;
	for (unsigned i = 0; i < 100; i++)
		log_guest(&log, "disk 0", "bad request");
	ck_assert_uint_eq(l.n, 10);
}
END_TEST

/* What a guest may do is not counted, but shares the limit with what it may not. */
START_TEST(events)
{
	uint64_t now = 5000000000000ull;
	struct host h = { .now_ns = fake_now, .ctx = &now };
	struct lines l = { 0 };
	struct log log;

	log_event(NULL, "pvpanic", "nowhere");
	log_init(&log, &h, keep, &l, TVMM_LOG_WARN);
	for (unsigned i = 0; i < 1000; i++)
		log_event(&log, "pvpanic", "panicked");
	ck_assert_uint_eq(l.n, 10);
	ck_assert_str_eq(l.last, "1 pvpanic: panicked");
	log_guest(&log, "disk 0", "bad request");
	ck_assert_uint_eq(l.n, 10);
	ck_assert_uint_eq(log.guest_faults, 1);
}
END_TEST

int main(void)
{
	return test_main("log", (const TTest *const[]){ levels, flood, events, NULL });
}
