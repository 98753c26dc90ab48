/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * test_balloon_hints.c - hinted memory is discarded before the driver can use it again, and a device that were late with
 * it would be found out.
 *
 * The driver here does what Linux's does (virtio_balloon.c has the argument): it takes one free block after another, puts
 * it on the ring, notifies, and only then lets its shrinker have it.  From that moment on the guest uses blocks again, and
 * checks later that they hold what was written.  The same guest runs a second time over a reclaimer that discards each
 * block one notification late: there it must find blocks without their contents.  guest-tests/linux/late.c does that to a
 * stock kernel.
 */
#include "virtio_balloon.h"
#include "test_driver.h"

#define FIRST  MIB(1) /* below are the rings */
#define BLOCK  65536u
#define BLOCKS ((unsigned)((TD_RAM - FIRST) / BLOCK))
#define RUNS   200

/* Discards at once, or when it is asked the next time. */
struct eraser {
	struct gmem_reclaim r;
	bool late;
	struct iovec kept;
};

static uint64_t erase(struct gmem_reclaim *r, const struct iovec *iov, unsigned n)
{
	struct eraser *e = container_of(r, struct eraser, r);
	uint64_t sum = 0;

	for (unsigned i = 0; i < n; i++) {
		struct iovec now = e->late ? e->kept : iov[i];

		e->kept = iov[i];
		if (now.iov_len)
			memset(now.iov_base, 0, now.iov_len);
		sum += iov[i].iov_len;
	}
	return sum;
}

static bool keep_all(struct gmem_reclaim *r, const uint32_t *pfn, unsigned n, bool now)
{
	return true;
}

static bool give_back(struct gmem_reclaim *r, const uint32_t *pfn, unsigned n)
{
	return true;
}

static void forget(struct gmem_reclaim *r)
{
}

static bool never(struct gmem_reclaim *r, const struct iovec *piece)
{
	return false;
}

static const struct gmem_reclaim_ops eraser_ops = { keep_all, give_back, erase, forget, forget, never };

struct guest {
	struct td t;
	struct eraser e;
	struct virtio_balloon b;
	uint32_t seed, serial;
	uint32_t tag[BLOCKS];                      /* what a block in use holds; 0: not in use */
	unsigned n_free, free[BLOCKS];
	unsigned n_hinted, hinted[BLOCKS];         /* the shrinker may have these */
	unsigned checked, wrong, reused;
};

static unsigned draw(struct guest *g, unsigned below)
{
	g->seed = g->seed * 1664525 + 1013904223;
	return (g->seed >> 8) % below;
}

static uint32_t *words(struct guest *g, unsigned block)
{
	return (uint32_t *)(void *)(g->t.ram + FIRST + (size_t)block * BLOCK);
}

static void use(struct guest *g, unsigned block)
{
	uint32_t *w = words(g, block);

	g->tag[block] = ++g->serial;
	for (unsigned i = 0; i < BLOCK / 4; i += 64)
		w[i] = g->serial + i;
}

/* Checks a block in use, and frees it. */
static void done_with(struct guest *g, unsigned block)
{
	const uint32_t *w = words(g, block);
	bool right = true;

	for (unsigned i = 0; i < BLOCK / 4; i += 64)
		right &= w[i] == g->tag[block] + i;
	g->checked++;
	g->wrong += !right;
	g->tag[block] = 0;
	g->free[g->n_free++] = block;
}

/* Programs come and go: some want memory, of which none but the driver's may be left. */
static void others(struct guest *g)
{
	unsigned block = draw(g, BLOCKS);

	if (g->tag[block])
		done_with(g, block);
	if (draw(g, 2))
		return;
	if (g->n_hinted && draw(g, 4)) {
		use(g, g->hinted[--g->n_hinted]);
		g->reused++;
	} else if (g->n_free) {
		use(g, g->free[--g->n_free]);
	}
}

static void send(struct guest *g, const struct td_seg *s)
{
	int head = td_offer(&g->t, &g->t.ring[BALLOON_Q_HINT], s, 1);

	TD_ASSERT(head >= 0);
	td_kick(&g->t, BALLOON_Q_HINT);
	while (td_take_used(&g->t, &g->t.ring[BALLOON_Q_HINT], NULL) >= 0)
		;
}

static void send_word(struct guest *g, uint32_t value)
{
	struct td_seg s = { .addr = GPA(TD_BASE + FIRST - 4), .len = 4 };

	value = htole32(value);
	memcpy(td_ptr(&g->t, s.addr), &value, 4);
	send(g, &s);
}

static void trim(struct guest *g)
{
	uint8_t id[4];

	ck_assert_int_eq(virtio_balloon_trim(&g->b), 0);
	virtio_config_read(&g->b.dev, 8, id, 4);
	send_word(g, load_le32(id));
	while (g->n_free) {
		unsigned block = g->free[--g->n_free];
		struct td_seg s = { .addr = GPA(TD_BASE + FIRST + (uint64_t)block * BLOCK), .len = BLOCK, .in = true };

		send(g, &s);
		g->hinted[g->n_hinted++] = block;
		others(g);
	}
	send_word(g, 0);
	while (g->n_hinted)
		g->free[g->n_free++] = g->hinted[--g->n_hinted];
	for (unsigned i = 0; i < BLOCKS; i++)
		others(g);
}

static void torture(struct guest *g, bool late, bool reporting)
{
	memset(g, 0, sizeof(*g));
	g->seed = 1;
	td_init(&g->t);
	g->e = (struct eraser){ .r.ops = &eraser_ops, .late = late };
	ck_assert_int_eq(virtio_balloon_init(&g->b, "balloon", &g->t.mem, &g->t.loop, &g->t.log, &g->e.r, reporting, NULL), 0);
	td_start(&g->t, &g->b.dev, VIRTIO_BALLOON_F_FREE_PAGE_HINT | VIRTIO_F_EVENT_IDX);
	ck_assert_uint_lt(g->t.brk, FIRST - 4);
	for (unsigned i = 0; i < BLOCKS; i++)
		g->free[g->n_free++] = i;
	for (unsigned i = 0; i < RUNS; i++)
		trim(g);
	for (unsigned i = 0; i < BLOCKS; i++)
		if (g->tag[i])
			done_with(g, i);
	evloop_stop(&g->t.loop);
	virtio_balloon_fini(&g->b);
	td_fini(&g->t);
	/* There was something to find. */
	ck_assert_uint_ge(g->reused, RUNS);
	ck_assert_uint_ge(g->checked, RUNS);
}

START_TEST(in_time)
{
	struct guest g;

	torture(&g, false, true);
	ck_assert_uint_eq(g.wrong, 0);
	torture(&g, false, false);
	ck_assert_uint_eq(g.wrong, 0);
}
END_TEST

START_TEST(one_notification_late)
{
	struct guest g;

	torture(&g, true, true);
	ck_assert_uint_gt(g.wrong, 0);
}
END_TEST

int main(void)
{
	return test_main("balloon_hints", (const TTest *const[]){ in_time, one_notification_late, NULL });
}
