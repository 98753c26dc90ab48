/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * test_virtq_take_over.c - a queue taken back from a worker outside this process: what it did not hand back comes again, where
 * the rings can tell what that is, and never a request twice.
 */
#include "test_virtq.h"

/* One byte for the device to write; which descriptor a request gets is the same in each round. */
static uint16_t offer(struct fix *f)
{
	struct td_seg s = { .addr = GPA(BUF), .len = 1, .in = true };
	int head = td_offer(&f->t, &f->r, &s, 1);

	TD_ASSERT(head >= 0);
	return (uint16_t)head;
}

/* As the worker does it, behind our queue's back. */
static void hand_back(struct fix *f, uint16_t head)
{
	struct vring_used *u = td_used(&f->t, &f->r);

	u->ring[u->idx % f->r.size] = (struct vring_used_elem){ .id = head, .len = 1 };
	u->idx++;
}

/* Whatever the rings have behind them, and however many requests are open: these come again, as they were offered. */
START_TEST(in_order)
{
	static struct fix f;
	uint16_t head[4];
	unsigned open = (unsigned)_i % 5, before = (unsigned)_i / 5;

	setup(&f, 4, true, false);
	for (unsigned i = 0; i < before; i++) {
		hand_back(&f, offer(&f));
		TD_ASSERT(td_take_used(&f.t, &f.r, NULL) >= 0);
	}
	for (unsigned i = 0; i < open; i++)
		head[i] = offer(&f);
	ck_assert(vq_take_over(&f.vq));
	for (unsigned i = 0; i < open; i++) {
		ck_assert_int_eq(vq_pop(&f.vq, &f.req), 1);
		ck_assert_uint_eq(f.req.head, head[i]);
	}
	ck_assert_int_eq(vq_pop(&f.vq, &f.req), 0);
	*td_used_event(&f.t, &f.r) = 0x8000; /* far away, but what the worker told the driver is not known */
	for (unsigned i = 0; i < open; i++) {
		vq_push(&f.vq, head[i], 1);
		ck_assert_int_eq(vq_should_signal(&f.vq), i == 0);
		ck_assert_int_eq(td_take_used(&f.t, &f.r, NULL), head[i]);
		*td_used_event(&f.t, &f.r) = 0x8000;
	}
	ck_assert_uint_eq(td_used(&f.t, &f.r)->idx, before + open);
	ck_assert_uint_eq(faults, 0);
	teardown(&f);
}
END_TEST

/* The second or third of those that were handed back was not the next that was offered. */
START_TEST(out_of_order)
{
	static struct fix f;
	uint16_t head[4], next;
	unsigned late = (unsigned)_i; /* this one was overtaken, and is open */

	setup(&f, 4, false, false);
	for (unsigned i = 0; i < 4; i++)
		head[i] = offer(&f);
	for (unsigned i = 0; i < 3; i++)
		hand_back(&f, head[i + (i >= late)]);
	ck_assert(!vq_take_over(&f.vq));
	ck_assert_int_eq(vq_pop(&f.vq, &f.req), 0);
	vq_push(&f.vq, head[late], 1); /* nor is it in flight */
	ck_assert_uint_eq(td_used(&f.t, &f.r)->idx, 3);
	ck_assert_int_ge(td_take_used(&f.t, &f.r, NULL), 0);
	next = offer(&f);
	ck_assert_int_eq(vq_pop(&f.vq, &f.req), 1);
	ck_assert_uint_eq(f.req.head, next);
	teardown(&f);
}
END_TEST

/* Nothing is open: the order does not matter. */
START_TEST(nothing_open)
{
	static struct fix f;
	uint16_t a, b;

	setup(&f, 4, false, false);
	a = offer(&f);
	b = offer(&f);
	hand_back(&f, b);
	hand_back(&f, a);
	ck_assert(vq_take_over(&f.vq));
	ck_assert_int_eq(vq_pop(&f.vq, &f.req), 0);
	teardown(&f);
}
END_TEST

/* The driver's index says more than a ring can hold: a mistake, which vq_pop() would tell of. */
START_TEST(too_many_open)
{
	static struct fix f;

	setup(&f, 4, false, false);
	td_avail(&f.t, &f.r)->idx = 5;
	ck_assert(!vq_take_over(&f.vq));
	ck_assert_int_eq(vq_pop(&f.vq, &f.req), 0);
	teardown(&f);
}
END_TEST

/* There is nothing to take over, and nothing is lost by it. */
START_TEST(not_at_work)
{
	static struct fix f;
	uint16_t a;

	setup(&f, 4, false, false);
	a = offer(&f);
	offer(&f);
	hand_back(&f, (uint16_t)(a + 1));
	vq_break(&f.vq, "broken");
	ck_assert(vq_take_over(&f.vq));
	ck_assert_uint_eq(f.vq.next_avail, 0);
	vq_reset(&f.vq);
	ck_assert(vq_take_over(&f.vq));
	teardown(&f);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("virtq_take_over");
	TCase *tc = tcase_create("virtq_take_over");

	tcase_add_loop_test(tc, in_order, 0, 5 * 10);
	tcase_add_loop_test(tc, out_of_order, 0, 3);
	tcase_add_test(tc, nothing_open);
	tcase_add_test(tc, too_many_open);
	tcase_add_test(tc, not_at_work);
	suite_add_tcase(s, tc);
	return test_run(s);
}
