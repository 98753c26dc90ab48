/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * test_virtio_balloon_rude.c - a driver that lies, does things in odd order, asks for too much at once or resets in the
 * middle: never more than it gave reaches the reclaimer, and never more work an exit than is allowed.
 */
#include "test_balloon.h"

/* Each lie breaks this device until its reset, is counted, and does nothing else. */
START_TEST(lies)
{
	static const uint32_t bad[] = { 0, PFN - 1, PFN + N_PAGES, 0xfee00, UINT32_MAX };
	struct fixture f;
	uint32_t list[4097] = { 0 };

	for (unsigned q = BALLOON_Q_INFLATE; q <= BALLOON_Q_DEFLATE; q++)
		for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
			start(&f, ALL);
			send(&f, q, &bad[i], 4);
			ck_assert(is_broken(&f));
			ck_assert_uint_eq(f.t.log.guest_faults, 1);
			ck_assert_uint_eq(f.k.pages, 0);
			/* Nothing is served any more, on any queue ... */
			send(&f, BALLOON_Q_INFLATE, (uint32_t[]){ PFN }, 4);
			ck_assert_uint_eq(f.k.pages, 0);
			ck_assert_int_eq(virtio_balloon_trim(&f.b), -ENODEV);
			ck_assert(!virtio_balloon_ask_stats(&f.b));
			/* ... until the reset. */
			f.t.brk = MIB(2);
			td_start(&f.t, &f.b.dev, ALL);
			send(&f, BALLOON_Q_INFLATE, (uint32_t[]){ PFN }, 4);
			ck_assert_uint_eq(f.k.pages, 1);
			stop(&f);
		}
	for (uint32_t len = 1; len < 4; len++) {
		start(&f, ALL);
		send(&f, BALLOON_Q_INFLATE, bad, len);
		ck_assert(is_broken(&f));
		stop(&f);
	}
	start(&f, ALL);
	for (unsigned i = 0; i < 4097; i++)
		list[i] = (uint32_t)PFN;
	send(&f, BALLOON_Q_INFLATE, list, 4096 * 4);
	ck_assert(!is_broken(&f));
	send(&f, BALLOON_Q_INFLATE, list, 4097 * 4);
	ck_assert(is_broken(&f));
	stop(&f);
	start(&f, ALL); /* a list that is to be written */
	send_block(&f, BALLOON_Q_INFLATE, 100, 4096);
	ck_assert(is_broken(&f));
	ck_assert_uint_eq(f.k.pages, 0);
	stop(&f);
}
END_TEST

/* An empty list, pages given twice, deflated unheld, an id in two bytes: odd, and harmless. */
START_TEST(oddities)
{
	struct fixture f;
	uint32_t pfn[2] = { PFN + 5, PFN + 5 };
	uint16_t half = 1;

	start(&f, ALL);
	send(&f, BALLOON_Q_INFLATE, pfn, 0);
	send(&f, BALLOON_Q_INFLATE, pfn, 8);
	send(&f, BALLOON_Q_DEFLATE, pfn, 8);
	send(&f, BALLOON_Q_HINT, &half, 2);
	send(&f, BALLOON_Q_REPORT, &half, 2);
	td_take_used(&f.t, &f.t.ring[BALLOON_Q_REPORT], NULL);
	ck_assert(send_block(&f, BALLOON_Q_REPORT, 0, TD_RAM)); /* all of RAM, rings and all: the guest's own loss */
	ck_assert(!is_broken(&f));
	ck_assert(!f.k.held[5]);
	virtio_notify(&f.b.dev, 7);
	virtio_notify(&f.b.dev, UINT32_MAX);
	stop(&f);
}
END_TEST


static void nothing(void *arg)
{
}

/* Runs the loop's thread until queue Q has no work left behind. */
static void drain(struct fixture *f)
{
	if (!f->t.loop.started)
		ck_assert_int_eq(evloop_start(&f->t.loop, "loop", NULL), 0);
	for (;;) {
		uint32_t pending;

		evloop_call(&f->t.loop, nothing, NULL);
		pthread_mutex_lock(&f->b.dev.lock);
		pending = f->b.pending;
		pthread_mutex_unlock(&f->b.dev.lock);
		if (!pending)
			break;
	}
}

/* The most a ring can hold at once: an exit does its share, the loop the rest, and all of it is served. */
START_TEST(bounded_exits)
{
	struct fixture f;
	struct td_seg list, block = { .addr = GPA(TD_BASE), .len = TD_RAM, .in = true };
	uint32_t pfn[1024];
	unsigned n = 0;

	start(&f, ALL);
	for (unsigned i = 0; i < 1024; i++)
		pfn[i] = (uint32_t)(PFN + i);
	list = td_out(&f.t, pfn, sizeof(pfn));
	for (unsigned i = 0; i < 128; i++)
		ck_assert_int_ge(td_offer(&f.t, &f.t.ring[BALLOON_Q_INFLATE], &list, 1), 0);
	td_kick(&f.t, BALLOON_Q_INFLATE);
	ck_assert_uint_le(f.k.pages, BALLOON_EXIT_PFNS + BALLOON_BUFFER_PFNS);
	ck_assert_uint_ge(f.k.pages, BALLOON_EXIT_PFNS);
	drain(&f);
	ck_assert_uint_eq(f.k.pages, 128 * 1024);
	while (td_take_used(&f.t, &f.t.ring[BALLOON_Q_INFLATE], NULL) >= 0)
		n++;
	ck_assert_uint_eq(n, 128);
	stop(&f);

	start(&f, ALL);
	for (unsigned i = 0; i < 128; i++)
		ck_assert_int_ge(td_offer(&f.t, &f.t.ring[BALLOON_Q_REPORT], &block, 1), 0);
	td_kick(&f.t, BALLOON_Q_REPORT);
	ck_assert_uint_eq(f.k.dropped, BALLOON_EXIT_BYTES);
	drain(&f);
	ck_assert_uint_eq(f.k.dropped, 128 * TD_RAM);

	/* Hints: those beyond the share come back at once, and are never discarded later. */
	stop(&f);
	start(&f, ALL);
	ck_assert_int_eq(virtio_balloon_trim(&f.b), 0);
	send_id(&f, config(&f, 8));
	for (unsigned i = 0; i < 128; i++)
		ck_assert_int_ge(td_offer(&f.t, &f.t.ring[BALLOON_Q_HINT], &block, 1), 0);
	td_kick(&f.t, BALLOON_Q_HINT);
	ck_assert_uint_eq(f.k.dropped, BALLOON_EXIT_BYTES);
	for (n = 0; td_take_used(&f.t, &f.t.ring[BALLOON_Q_HINT], NULL) >= 0; n++)
		;
	ck_assert_uint_eq(n, 128);
	drain(&f);
	ck_assert_uint_eq(f.k.dropped, BALLOON_EXIT_BYTES);
	stop(&f);
}
END_TEST

/* What the loop finds on the hint queue came with an exit that is over: back with it, undiscarded. */
START_TEST(late_hints)
{
	struct fixture f;
	struct td_seg block = { .addr = GPA(TD_BASE + MIB(1)), .len = 4096, .in = true };

	start(&f, ALL);
	ck_assert_int_eq(virtio_balloon_trim(&f.b), 0);
	send_id(&f, config(&f, 8));
	ck_assert_int_ge(td_offer(&f.t, &f.t.ring[BALLOON_Q_HINT], &block, 1), 0);
	f.b.pending |= BIT(BALLOON_Q_HINT);
	evbell_ring(&f.b.later);
	drain(&f);
	ck_assert_int_ge(td_take_used(&f.t, &f.t.ring[BALLOON_Q_HINT], NULL), 0);
	ck_assert_uint_eq(f.k.drops, 0);
	stop(&f);
}
END_TEST

/* A reset in the middle: of a trim, with a statistics buffer held, with work left to the loop. */
START_TEST(reset_in_the_middle)
{
	struct fixture f;
	struct balloon_state s;
	uint32_t pfn[1024];
	struct td_seg list;

	start(&f, ALL);
	send(&f, BALLOON_Q_STATS, pfn, 0);
	ck_assert_int_eq(virtio_balloon_trim(&f.b), 0);
	send_id(&f, config(&f, 8));
	for (unsigned i = 0; i < 1024; i++)
		pfn[i] = (uint32_t)(PFN + i);
	list = td_out(&f.t, pfn, sizeof(pfn));
	for (unsigned i = 0; i < 16; i++)
		td_offer(&f.t, &f.t.ring[BALLOON_Q_INFLATE], &list, 1);
	td_kick(&f.t, BALLOON_Q_INFLATE);
	ck_assert_uint_lt(f.k.pages, 16 * 1024);
	virtio_set_status(&f.b.dev, 0);
	f.k.pages = 0;
	drain(&f);
	ck_assert_uint_eq(f.k.pages, 0);
	ck_assert_uint_eq(f.k.forgets, 1);
	ck_assert(!virtio_balloon_ask_stats(&f.b));
	virtio_balloon_state(&f.b, &s);
	ck_assert(!s.driver && !s.trimming);
	ck_assert_uint_eq(s.stats.seq, 0);
	ck_assert_uint_eq(config(&f, 8), 0);
	stop(&f);
}
END_TEST

/* Everything at random, for the sanitizers and for the bound: an exit hands over no more than its share. */
START_TEST(random_driver)
{
	static const uint32_t ids[] = { 0, 1, 0x80000000, 0x80000001, 0x80000002 };
	struct fixture f;
	uint32_t seed = 99;

	start(&f, ALL);
	for (unsigned round = 0; round < 20000; round++) {
		struct td_seg s[4];
		unsigned q, n;
		uint64_t pages = f.k.pages, dropped = f.k.dropped;
		uint32_t words[64];

		seed = seed * 1664525 + 1013904223;
		q = seed >> 29;
		n = 1 + (seed >> 8) % 4;
		if (is_broken(&f) || f.t.brk > TD_RAM - MIB(1) || round % 1000 == 999) {
			virtio_set_status(&f.b.dev, 0);
			memset(f.t.ram, 0, TD_RAM);
			f.t.brk = 0;
			td_start(&f.t, &f.b.dev, ALL | (seed & VIRTIO_BALLOON_F_PAGE_POISON));
		}
		if (q >= BALLOON_QUEUES) {
			set_config(&f, seed >> 24 & 0x1c, seed);
			virtio_balloon_trim(&f.b);
			virtio_balloon_ask_stats(&f.b);
			continue;
		}
		for (unsigned i = 0; i < ARRAY_SIZE(words); i++)
			words[i] = i % 8 ? (uint32_t)(PFN + (seed >> (i % 16)) % (N_PAGES + (round % 50 == 0))) : ids[seed % 5];
		if (q < BALLOON_Q_STATS)
			words[0] = (uint32_t)PFN;
		for (unsigned i = 0; i < n; i++)
			s[i] = td_out(&f.t, words, (seed >> (3 * i)) % 64 * (round % 20 ? 4 : 1));
		for (unsigned i = q >= BALLOON_Q_HINT ? seed >> 20 & 1 : n; i < n; i++)
			s[i] = (struct td_seg){ GPA(TD_BASE + (seed >> i) % (TD_RAM / 2)), seed >> 12, true };
		if (td_offer(&f.t, &f.t.ring[q], s, n) < 0)
			continue;
		td_kick(&f.t, q);
		while (td_take_used(&f.t, &f.t.ring[q], NULL) >= 0)
			;
		ck_assert_uint_le(f.k.pages - pages, BALLOON_EXIT_PFNS + BALLOON_BUFFER_PFNS);
		ck_assert_uint_le(f.k.dropped - dropped, 2 * BALLOON_EXIT_BYTES);
	}
	stop(&f);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = { lies, oddities, bounded_exits, late_hints, reset_in_the_middle, random_driver, NULL };

	return test_main("virtio_balloon_rude", tests);
}
