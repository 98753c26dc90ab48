/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * test_virtio_rng.c - requests come back filled as far as they should be, and empty when the host has no entropy.
 */
#include "virtio_rng.h"
#include "test_driver.h"
#include "test_host.h"

struct rig {
	struct td t;
	struct test_host th;
	struct virtio_rng rng;
};

static struct rig *rig_new(void)
{
	struct rig *r = calloc(1, sizeof(*r));

	td_init(&r->t);
	test_host_init(&r->th);
	r->t.loop.host = &r->th.h;
	virtio_rng_init(&r->rng, "rng", &r->t.mem, &r->t.loop, &r->t.log);
	td_start(&r->t, &r->rng.dev, 0);
	return r;
}

static void rig_free(struct rig *r)
{
	ck_assert_uint_eq(r->rng.dev.queue[0].vq.popped, r->rng.dev.queue[0].vq.pushed);
	virtio_set_status(&r->rng.dev, 0);
	virtio_rng_fini(&r->rng);
	td_fini(&r->t);
	free(r);
}

static uint32_t request(struct rig *r, const struct td_seg *s, unsigned n)
{
	uint32_t len = ~0u;
	int head = td_offer(&r->t, &r->t.ring[0], s, n);

	td_kick(&r->t, 0);
	ck_assert_int_eq(td_take_used(&r->t, &r->t.ring[0], &len), head);
	return len;
}

static bool all_zero(struct rig *r, const struct td_seg *s)
{
	const uint8_t *p = td_ptr(&r->t, s->addr);

	for (uint32_t i = 0; i < s->len; i++)
		if (p[i])
			return false;
	return true;
}

START_TEST(fills)
{
	struct rig *r = rig_new();
	struct td_seg a = td_in(&r->t, 64), b[] = { td_out(&r->t, "?", 1), td_in(&r->t, 30), td_in(&r->t, 34) };

	ck_assert_uint_eq(request(r, &a, 1), 64);
	ck_assert(!all_zero(r, &a));
	ck_assert_uint_eq(request(r, b, 3), 64);
	ck_assert(!all_zero(r, &b[1]) && !all_zero(r, &b[2]));
	ck_assert_mem_ne(td_ptr(&r->t, a.addr), td_ptr(&r->t, b[1].addr), 30);
	ck_assert_uint_eq(request(r, b, 1), 0); /* nowhere to put any */
	rig_free(r);
}
END_TEST

/* No request holds the loop for long, and none takes less than it may. */
START_TEST(bounded)
{
	struct rig *r = rig_new();
	struct td_seg s[] = { td_in(&r->t, 40000), td_in(&r->t, 40000), td_in(&r->t, 1000000) };
	unsigned offered = 0, used = 0;

	ck_assert_uint_eq(request(r, s, 3), 65536);
	ck_assert(all_zero(r, &s[2]));
	while (td_offer(&r->t, &r->t.ring[0], s, 1) >= 0)
		offered++;
	td_kick(&r->t, 0);
	ck_assert_uint_gt(td_run(&r->t, 0), 0);
	while (td_take_used(&r->t, &r->t.ring[0], NULL) >= 0)
		used++;
	ck_assert_uint_eq(used, offered);
	rig_free(r);
}
END_TEST

START_TEST(host_gives_less)
{
	struct rig *r = rig_new();
	struct td_seg s[] = { td_in(&r->t, 100), td_in(&r->t, 100) };

	test_host_fail(&r->th, OP_GETRANDOM, 1, EAGAIN);
	ck_assert_uint_eq(request(r, s, 2), 0);
	test_host_fail(&r->th, OP_GETRANDOM, 2, EAGAIN);
	ck_assert_uint_eq(request(r, s, 2), 100);
	test_host_fail(&r->th, OP_NONE, 0, 0);
	r->th.max_io = 30; /* what is told is a prefix without a gap */
	ck_assert_uint_eq(request(r, s, 2), 30);
	ck_assert(all_zero(r, &s[1]));
	rig_free(r);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = { fills, bounded, host_gives_less, NULL };

	return test_main("virtio_rng", tests);
}
