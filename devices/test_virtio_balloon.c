/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * test_virtio_balloon.c - each queue as a driver uses it, the configuration space, and a driver that lies: what reaches
 * the reclaimer is exactly what the guest gave, when it may be discarded, and never more work an exit than is allowed.
 */
#include "virtio_balloon.h"
#include "test_driver.h"

#define ALL (VIRTIO_BALLOON_F_MUST_TELL_HOST | VIRTIO_BALLOON_F_STATS_VQ | VIRTIO_BALLOON_F_DEFLATE_ON_OOM | \
	     VIRTIO_BALLOON_F_FREE_PAGE_HINT | VIRTIO_BALLOON_F_REPORTING | VIRTIO_F_EVENT_IDX | VIRTIO_F_INDIRECT_DESC)
#define PFN (TD_BASE / 4096)
#define N_PAGES (TD_RAM / 4096)

/* A reclaimer that keeps books instead of discarding. */
struct books {
	struct gmem_reclaim r;
	struct td *t;
	bool held[N_PAGES];
	unsigned gives, takes, drops, forgets, given_now;
	uint64_t pages, dropped;
	struct iovec last_drop;
};

static bool books_pages(struct books *k, const uint32_t *pfn, unsigned n, bool held)
{
	for (unsigned i = 0; i < n; i++) {
		if (pfn[i] < PFN || pfn[i] >= PFN + N_PAGES)
			return false;
		k->held[pfn[i] - PFN] = held;
		k->pages++;
	}
	return true;
}

static bool books_give(struct gmem_reclaim *r, const uint32_t *pfn, unsigned n, bool now)
{
	struct books *k = container_of(r, struct books, r);

	k->gives++;
	k->given_now += now;
	return books_pages(k, pfn, n, true);
}

static bool books_take(struct gmem_reclaim *r, const uint32_t *pfn, unsigned n)
{
	struct books *k = container_of(r, struct books, r);

	k->takes++;
	return books_pages(k, pfn, n, false);
}

static uint64_t books_drop(struct gmem_reclaim *r, const struct iovec *iov, unsigned n)
{
	struct books *k = container_of(r, struct books, r);
	uint64_t sum = 0;

	k->drops++;
	for (unsigned i = 0; i < n; i++) {
		/* Nothing but guest RAM, ever. */
		TD_ASSERT((uint8_t *)iov[i].iov_base >= k->t->ram);
		TD_ASSERT((uint8_t *)iov[i].iov_base + iov[i].iov_len <= k->t->ram + TD_RAM);
		sum += iov[i].iov_len;
		k->last_drop = iov[i];
	}
	k->dropped += sum;
	return sum;
}

static void books_forget(struct gmem_reclaim *r)
{
	struct books *k = container_of(r, struct books, r);

	k->forgets++;
	memset(k->held, 0, sizeof(k->held));
}

static const struct gmem_reclaim_ops books_ops = { books_give, books_take, books_drop, books_forget };

struct fixture {
	struct td t;
	struct books k;
	struct virtio_balloon b;
};

static void prepare(struct fixture *f)
{
	memset(f, 0, sizeof(*f));
	td_init(&f->t);
	f->k = (struct books){ .r.ops = &books_ops, .t = &f->t };
	ck_assert_int_eq(virtio_balloon_init(&f->b, "balloon", &f->t.mem, &f->t.loop, &f->t.log, &f->k.r, true, NULL), 0);
}

static void start(struct fixture *f, uint64_t features)
{
	prepare(f);
	td_start(&f->t, &f->b.dev, features);
}

static void stop(struct fixture *f)
{
	evloop_stop(&f->t.loop);
	virtio_balloon_fini(&f->b);
	td_fini(&f->t);
}

static int send(struct fixture *f, unsigned q, const void *data, uint32_t len)
{
	struct td_seg s = td_out(&f->t, data, len);
	int head = td_offer(&f->t, &f->t.ring[q], &s, 1);

	td_kick(&f->t, q);
	return head;
}

static void send_id(struct fixture *f, uint32_t id)
{
	id = htole32(id);
	send(f, BALLOON_Q_HINT, &id, 4);
	td_take_used(&f->t, &f->t.ring[BALLOON_Q_HINT], NULL);
}

/* Offers LEN bytes at page PAGE of RAM; true if it was used when the exit ended. */
static bool send_block(struct fixture *f, unsigned q, unsigned page, uint32_t len)
{
	struct td_seg s = { .addr = GPA(TD_BASE + page * 4096ull), .len = len, .in = true };
	int head = td_offer(&f->t, &f->t.ring[q], &s, 1);

	td_kick(&f->t, q);
	return td_take_used(&f->t, &f->t.ring[q], NULL) == head;
}

static uint32_t config(struct fixture *f, unsigned off)
{
	uint8_t v[4];

	virtio_config_read(&f->b.dev, off, v, 4);
	return load_le32(v);
}

static void set_config(struct fixture *f, unsigned off, uint32_t v)
{
	v = htole32(v);
	virtio_config_write(&f->b.dev, off, &v, 4);
}

static bool is_broken(struct fixture *f)
{
	return virtio_status(&f->b.dev) & VIRTIO_S_NEEDS_RESET;
}

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
	const TTest *const tests[] = { inflate_deflate, without_must_tell, target_and_actual, statistics,
				       stats_are_bounded, reporting, trim, no_trim, poison, lies, oddities, bounded_exits,
				       late_hints, reset_in_the_middle, random_driver, NULL };

	return test_main("virtio_balloon", tests);
}
