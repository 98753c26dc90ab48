/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * test_virtio_balloon.c - each queue as a driver uses it, and the configuration space: what reaches the reclaimer is
 * exactly what the guest gave, when it may be discarded.  Drivers that lie: test_virtio_balloon_rude.c.
 */
#include "test_balloon.h"

START_TEST(inflate_deflate)
{
	struct fixture f;
	uint32_t pfn[256], len;
	int head;

	start(&f, ALL);
	for (uint32_t i = 0; i < 256; i++)
		pfn[i] = PFN + 255 - i;
	head = send(&f, BALLOON_Q_INFLATE, pfn, sizeof(pfn));
	/* The buffer is back, and the next notification asked for, when the exit ends. */
	ck_assert_int_eq(td_take_used(&f.t, &f.t.ring[BALLOON_Q_INFLATE], &len), head);
	ck_assert_uint_eq(len, 0);
	ck_assert_uint_eq(*td_avail_event(&f.t, &f.t.ring[BALLOON_Q_INFLATE]), 1);
	ck_assert_uint_eq(f.t.queue_irqs[BALLOON_Q_INFLATE], 1);
	ck_assert_uint_eq(f.k.gives, 1);
	ck_assert_uint_eq(f.k.given_now, 0);
	for (unsigned i = 0; i < N_PAGES; i++)
		ck_assert(f.k.held[i] == (i < 256));
	send(&f, BALLOON_Q_DEFLATE, pfn, 4 * 100);
	for (unsigned i = 0; i < 256; i++)
		ck_assert(f.k.held[i] == (i < 156));
	/* A list in crumbs: 3 numbers over 4 segments, one of them empty. */
	pfn[0] = PFN + 700;
	pfn[1] = PFN + 900;
	pfn[2] = PFN + 1000;
	struct td_seg s[] = { td_out(&f.t, pfn, 5), td_out(&f.t, "", 0), td_out(&f.t, (char *)pfn + 5, 6),
			      td_out(&f.t, (char *)pfn + 11, 1) };
	ck_assert_int_ge(td_offer_indirect(&f.t, &f.t.ring[BALLOON_Q_INFLATE], s, 4), 0);
	td_kick(&f.t, BALLOON_Q_INFLATE);
	ck_assert(f.k.held[700] && f.k.held[900] && f.k.held[1000] && !f.k.held[901]);
	stop(&f);
}
END_TEST

/* A driver that may take pages back without a word: they must be gone before the buffer is returned. */
START_TEST(without_must_tell)
{
	struct fixture f;
	uint32_t pfn = PFN + 3;

	start(&f, ALL & ~VIRTIO_BALLOON_F_MUST_TELL_HOST);
	send(&f, BALLOON_Q_INFLATE, &pfn, 4);
	ck_assert_uint_eq(f.k.given_now, 1);
	stop(&f);
}
END_TEST

START_TEST(target_and_actual)
{
	struct fixture f;
	struct balloon_state s;

	prepare(&f);
	virtio_balloon_state(&f.b, &s);
	ck_assert(!s.driver);
	virtio_balloon_set(&f.b, 16 * 4096); /* before there is a driver: it finds it when it comes */
	td_start(&f.t, &f.b.dev, ALL);
	ck_assert_uint_eq(f.t.config_irqs, 0);
	ck_assert_uint_eq(config(&f, 0), 16);
	virtio_balloon_set(&f.b, 100 * 4096 + 5);
	ck_assert_uint_eq(config(&f, 0), 100);
	ck_assert_uint_eq(f.t.config_irqs, 1);
	virtio_balloon_set(&f.b, 100 * 4096); /* nothing new: no interrupt */
	ck_assert_uint_eq(f.t.config_irqs, 1);
	set_config(&f, 4, 77);
	set_config(&f, 0, 5);  /* not the driver's */
	set_config(&f, 8, 5);
	set_config(&f, 12, 5); /* PAGE_POISON was not accepted */
	ck_assert_uint_eq(config(&f, 0), 100);
	ck_assert_uint_eq(config(&f, 4), 77);
	ck_assert_uint_eq(config(&f, 8), 0);
	ck_assert_uint_eq(config(&f, 12), 0);
	virtio_balloon_state(&f.b, &s);
	ck_assert(s.driver);
	ck_assert_uint_eq(s.target, 100 * 4096);
	ck_assert_uint_eq(s.actual, 77 * 4096);
	virtio_set_status(&f.b.dev, 0);
	ck_assert_uint_eq(config(&f, 4), 0);
	ck_assert_uint_eq(config(&f, 0), 100);
	ck_assert_uint_eq(f.k.forgets, 1);
	stop(&f);
}
END_TEST

static void put_stat(uint8_t *p, uint16_t tag, uint64_t v)
{
	store_le16(p, tag);
	store_le64(p + 2, v);
}

START_TEST(statistics)
{
	struct fixture f;
	struct balloon_state s;
	uint8_t buf[10 * 80 + 9];
	int head, second;

	start(&f, ALL);
	ck_assert(!virtio_balloon_ask_stats(&f.b)); /* the driver left no buffer */
	put_stat(buf, BALLOON_S_AVAIL, 123456789);
	put_stat(buf + 10, BALLOON_S_ALLOC_STALL, 9);
	put_stat(buf + 20, 4711, 1); /* a tag of the future */
	put_stat(buf + 30, BALLOON_S_FREE, UINT64_MAX);
	head = send(&f, BALLOON_Q_STATS, buf, 45);
	virtio_balloon_state(&f.b, &s);
	ck_assert_uint_eq(s.stats.seq, 1);
	ck_assert_uint_eq(s.stats.has, BIT(BALLOON_S_AVAIL) | BIT(BALLOON_S_ALLOC_STALL) | BIT(BALLOON_S_FREE));
	ck_assert_uint_eq(s.stats.val[BALLOON_S_AVAIL], 123456789);
	ck_assert_uint_eq(s.stats.val[BALLOON_S_FREE], UINT64_MAX);
	ck_assert_int_eq(td_take_used(&f.t, &f.t.ring[BALLOON_Q_STATS], NULL), -1);
	ck_assert(virtio_balloon_ask_stats(&f.b));
	ck_assert_uint_eq(f.t.queue_irqs[BALLOON_Q_STATS], 1);
	ck_assert_int_eq(td_take_used(&f.t, &f.t.ring[BALLOON_Q_STATS], NULL), head);
	ck_assert(!virtio_balloon_ask_stats(&f.b));
	/* Longer than anybody looks, then a second buffer while we hold the first: the first goes back. */
	for (unsigned i = 0; i < 80; i++)
		put_stat(buf + 10 * i, i < 64 ? BALLOON_S_MAJFLT : BALLOON_S_MINFLT, i);
	head = send(&f, BALLOON_Q_STATS, buf, sizeof(buf));
	second = send(&f, BALLOON_Q_STATS, buf, 3);
	ck_assert_int_ne(head, second);
	ck_assert_int_eq(td_take_used(&f.t, &f.t.ring[BALLOON_Q_STATS], NULL), head);
	virtio_balloon_state(&f.b, &s);
	ck_assert_uint_eq(s.stats.seq, 3);
	ck_assert_uint_eq(s.stats.has, 0);
	ck_assert(!is_broken(&f));
	stop(&f);
}
END_TEST

START_TEST(stats_are_bounded)
{
	struct fixture f;
	struct balloon_state s;
	uint8_t buf[10 * 80];

	start(&f, ALL);
	for (unsigned i = 0; i < 80; i++)
		put_stat(buf + 10 * i, i < 64 ? BALLOON_S_MAJFLT : BALLOON_S_MINFLT, i);
	send(&f, BALLOON_Q_STATS, buf, sizeof(buf));
	virtio_balloon_state(&f.b, &s);
	ck_assert_uint_eq(s.stats.has, BIT(BALLOON_S_MAJFLT));
	stop(&f);
}
END_TEST

START_TEST(reporting)
{
	struct fixture f;
	struct td_seg s[3];
	int head;

	start(&f, ALL);
	for (unsigned i = 0; i < 3; i++)
		s[i] = (struct td_seg){ GPA(TD_BASE + MIB(1) * (i + 1)), 65536 * (i + 1), true };
	head = td_offer(&f.t, &f.t.ring[BALLOON_Q_REPORT], s, 3);
	td_kick(&f.t, BALLOON_Q_REPORT);
	ck_assert_int_eq(td_take_used(&f.t, &f.t.ring[BALLOON_Q_REPORT], NULL), head);
	ck_assert_uint_eq(f.k.drops, 1); /* all of it at once */
	ck_assert_uint_eq(f.k.dropped, 6 * 65536);
	stop(&f);
}
END_TEST

/* A trim, as Linux runs it; every block is discarded in its own exit, or not at all. */
START_TEST(trim)
{
	struct fixture f;
	struct balloon_state s;
	uint32_t id;

	start(&f, ALL);
	/* Nobody asked for hints. */
	ck_assert(send_block(&f, BALLOON_Q_HINT, 256, 65536));
	send_id(&f, 0x80000000);
	ck_assert(send_block(&f, BALLOON_Q_HINT, 256, 65536));
	ck_assert_uint_eq(f.k.drops, 0);
	ck_assert_int_eq(virtio_balloon_trim(&f.b), 0);
	ck_assert_uint_eq(f.t.config_irqs, 1);
	id = config(&f, 8);
	ck_assert_uint_ge(id, 0x80000000);
	ck_assert_int_eq(virtio_balloon_trim(&f.b), 0); /* one at a time */
	ck_assert_uint_eq(config(&f, 8), id);
	/* Hints before the id, and after an old one, are of another run. */
	ck_assert(send_block(&f, BALLOON_Q_HINT, 256, 65536));
	send_id(&f, id + 1);
	send_id(&f, 0);
	ck_assert(send_block(&f, BALLOON_Q_HINT, 256, 65536));
	ck_assert_uint_eq(f.k.drops, 0);
	send_id(&f, id);
	for (unsigned i = 0; i < 5; i++) {
		ck_assert(send_block(&f, BALLOON_Q_HINT, 300 + 16 * i, 65536));
		ck_assert_uint_eq(f.k.drops, i + 1);
		ck_assert_ptr_eq(f.k.last_drop.iov_base, f.t.ram + (300 + 16 * i) * 4096);
		/* Armed again: the next block will be an exit of its own. */
		ck_assert_uint_eq(*td_avail_event(&f.t, &f.t.ring[BALLOON_Q_HINT]),
				  f.t.ring[BALLOON_Q_HINT].avail_idx);
	}
	virtio_balloon_state(&f.b, &s);
	ck_assert(s.trimming);
	send_id(&f, 0);
	ck_assert_uint_eq(config(&f, 8), 1); /* done: the guest takes its blocks back */
	ck_assert_uint_eq(f.t.config_irqs, 2);
	ck_assert(send_block(&f, BALLOON_Q_HINT, 300, 65536));
	ck_assert_uint_eq(f.k.drops, 5);
	virtio_balloon_state(&f.b, &s);
	ck_assert(!s.trimming);
	ck_assert_uint_eq(s.trims, 1);
	ck_assert_uint_eq(s.last_trim_bytes, 5 * 65536);
	ck_assert_int_eq(virtio_balloon_trim(&f.b), 0);
	ck_assert_uint_ne(config(&f, 8), id);
	stop(&f);
}
END_TEST

/* A guest that only fills memory in order to hand it over is told to stop; what it still sends is left alone. */
START_TEST(trim_for_nothing)
{
	struct fixture f;
	struct balloon_state s;

	start(&f, ALL);
	ck_assert_int_eq(virtio_balloon_trim(&f.b), 0);
	ck_assert_uint_eq(f.k.looks, 1);
	ck_assert_int_eq(virtio_balloon_trim(&f.b), 0); /* one at a time */
	ck_assert_uint_eq(f.k.looks, 1);
	send_id(&f, config(&f, 8));
	for (unsigned i = 0; i < 96; i++) {
		f.k.filled = i != 31 && i != 63;
		ck_assert(send_block(&f, BALLOON_Q_HINT, 256, 1 << 20));
	}
	virtio_balloon_state(&f.b, &s);
	ck_assert(s.trimming);
	ck_assert_uint_eq(s.trim_bytes, 2 << 20);
	ck_assert_uint_eq(f.t.config_irqs, 1);
	ck_assert(send_block(&f, BALLOON_Q_HINT, 256, 1 << 20));
	virtio_balloon_state(&f.b, &s);
	ck_assert(!s.trimming);
	ck_assert_uint_eq(s.last_trim_bytes, 2 << 20);
	ck_assert_uint_eq(config(&f, 8), 1); /* done */
	ck_assert_uint_eq(f.t.config_irqs, 2);
	ck_assert(send_block(&f, BALLOON_Q_HINT, 256, 1 << 20));
	send_id(&f, 0);
	ck_assert_uint_eq(f.k.drops, 97);
	ck_assert_uint_eq(f.t.config_irqs, 2);
	/* The next begins with what that one was handed, which says nothing; what comes behind it does. */
	ck_assert_int_eq(virtio_balloon_trim(&f.b), 0);
	send_id(&f, config(&f, 8));
	f.k.filled = true;
	for (unsigned i = 0; i < 97 + 32; i++)
		ck_assert(send_block(&f, BALLOON_Q_HINT, 256, 1 << 20));
	f.k.filled = false;
	ck_assert(send_block(&f, BALLOON_Q_HINT, 256, 1 << 20));
	f.k.filled = true;
	for (unsigned i = 0; i < 32; i++)
		ck_assert(send_block(&f, BALLOON_Q_HINT, 256, 1 << 20));
	virtio_balloon_state(&f.b, &s);
	ck_assert(s.trimming);
	ck_assert(send_block(&f, BALLOON_Q_HINT, 256, 1 << 20));
	virtio_balloon_state(&f.b, &s);
	ck_assert(!s.trimming);
	ck_assert_uint_eq(s.last_trim_bytes, 1 << 20);
	stop(&f);
}
END_TEST

START_TEST(no_trim)
{
	struct fixture f;

	prepare(&f);
	ck_assert_int_eq(virtio_balloon_trim(&f.b), -ENODEV);
	td_start(&f.t, &f.b.dev, ALL & ~VIRTIO_BALLOON_F_FREE_PAGE_HINT);
	ck_assert_int_eq(virtio_balloon_trim(&f.b), -EOPNOTSUPP);
	stop(&f);
}
END_TEST

/* Free pages with a pattern in them keep it; pages in the balloon are not looked at by the guest. */
START_TEST(poison)
{
	struct fixture f;
	uint32_t pfn = PFN + 1;

	start(&f, ALL | VIRTIO_BALLOON_F_PAGE_POISON);
	ck_assert_int_eq(virtio_balloon_trim(&f.b), 0);
	send_id(&f, config(&f, 8));
	set_config(&f, 12, 0xaaaaaaaa);
	ck_assert_uint_eq(config(&f, 12), 0xaaaaaaaa);
	ck_assert(send_block(&f, BALLOON_Q_REPORT, 256, 65536));
	ck_assert(send_block(&f, BALLOON_Q_HINT, 256, 65536));
	ck_assert_uint_eq(f.k.drops, 0);
	ck_assert_int_eq(virtio_balloon_trim(&f.b), -EOPNOTSUPP);
	send(&f, BALLOON_Q_INFLATE, &pfn, 4);
	ck_assert(f.k.held[1]);
	set_config(&f, 12, 0); /* zeroes are what we give */
	ck_assert(send_block(&f, BALLOON_Q_REPORT, 256, 65536));
	ck_assert_uint_eq(f.k.drops, 1);
	stop(&f);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = { inflate_deflate, without_must_tell, target_and_actual, statistics, stats_are_bounded,
				       reporting, trim, trim_for_nothing, no_trim, poison, NULL };

	return test_main("virtio_balloon", tests);
}
