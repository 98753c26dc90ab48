/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * test_virtq_take_over.c - a queue taken back from a worker outside this process: what it did not hand back comes again, where
 * the rings can tell what that is, and never a request twice.
 */
#include "test_virtq.h"

#define SIZE 8u

/* The head of the Nth request: another one in each place of the ring each time round, and none twice in five. */
static uint16_t nth_head(unsigned n)
{
	return (uint16_t)((3 * n + n / SIZE + 1) % SIZE);
}

static void begin(struct fix *f)
{
	struct td_seg s = { .addr = GPA(BUF), .len = 1, .in = true };

	setup(f, SIZE, true, false);
	for (unsigned i = 0; i < SIZE; i++)
		td_desc(&f->t, &f->r)[i] = td_make_desc(&s, false, 0);
}

static uint16_t offer(struct fix *f)
{
	uint16_t head = nth_head(f->r.avail_idx);

	td_publish(&f->t, &f->r, head);
	return head;
}

/* As the worker does it, behind our queue's back. */
static void hand_back(struct fix *f, uint16_t head)
{
	struct vring_used *u = td_used(&f->t, &f->r);

	u->ring[u->idx % SIZE] = (struct vring_used_elem){ .id = head, .len = 0x01020304 };
	u->idx++;
}

/* Whatever the rings have behind them, and however many requests are open: these come again, as they were offered. */
START_TEST(in_order)
{
	static struct fix f;
	uint16_t head[SIZE];
	unsigned before = (unsigned)_i / 2, most = before % SIZE ? 5 : SIZE, open = _i & 1 ? most : before % 5;

	begin(&f);
	for (unsigned i = 0; i < before; i++)
		hand_back(&f, offer(&f));
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
		ck_assert_uint_eq(td_used(&f.t, &f.r)->ring[(before + i) % SIZE].id, head[i]);
	}
	ck_assert_uint_eq(td_used(&f.t, &f.r)->idx, before + open);
	ck_assert_uint_eq(faults, 0);
	teardown(&f);
}
END_TEST

/* One is open that was overtaken by all that were offered after it. */
START_TEST(overtaken)
{
	static struct fix f;
	uint16_t head[4], next;
	unsigned late = (unsigned)_i;

	begin(&f);
	for (unsigned i = 0; i < 4; i++)
		head[i] = offer(&f);
	for (unsigned i = 0; i < 3; i++)
		hand_back(&f, head[i + (i >= late)]);
	ck_assert(!vq_take_over(&f.vq));
	ck_assert_int_eq(vq_pop(&f.vq, &f.req), 0);
	vq_push(&f.vq, head[late], 1); /* nor is it in flight */
	ck_assert_uint_eq(td_used(&f.t, &f.r)->idx, 3);
	next = offer(&f);
	ck_assert_int_eq(vq_pop(&f.vq, &f.req), 1);
	ck_assert_uint_eq(f.req.head, next);
	teardown(&f);
}
END_TEST

/*
 * The first two changed places.  The driver's ring remembers as many as have not been written over: what it can still tell
 * of the two decides.
 */
START_TEST(remembered)
{
	static struct fix f;
	uint16_t head[SIZE];
	unsigned open = (unsigned)_i;

	begin(&f);
	for (unsigned i = 0; i < SIZE; i++)
		head[i] = offer(&f);
	hand_back(&f, head[1]);
	hand_back(&f, head[0]);
	for (unsigned i = 2; i < SIZE; i++)
		hand_back(&f, head[i]);
	for (unsigned i = 0; i < open; i++)
		head[i] = offer(&f);
	ck_assert_int_eq(vq_take_over(&f.vq), open != 1);
	for (unsigned i = 0; i < open && open != 1; i++) {
		ck_assert_int_eq(vq_pop(&f.vq, &f.req), 1);
		ck_assert_uint_eq(f.req.head, head[i]);
	}
	ck_assert_int_eq(vq_pop(&f.vq, &f.req), 0);
	teardown(&f);
}
END_TEST

/* Who has the queue next starts from nothing, also where it was we who had it last. */
START_TEST(nothing_in_flight)
{
	static struct fix f;
	uint16_t head;

	begin(&f);
	head = offer(&f);
	ck_assert_int_eq(vq_pop(&f.vq, &f.req), 1);
	ck_assert(vq_take_over(&f.vq));
	ck_assert_int_eq(vq_pop(&f.vq, &f.req), 1);
	ck_assert_uint_eq(f.req.head, head);
	teardown(&f);
}
END_TEST

/* The driver's index says more than a ring can hold: a mistake, which vq_pop() would tell of. */
START_TEST(too_many_open)
{
	static struct fix f;

	begin(&f);
	td_avail(&f.t, &f.r)->idx = SIZE + 1;
	ck_assert(!vq_take_over(&f.vq));
	ck_assert_int_eq(vq_pop(&f.vq, &f.req), 0);
	teardown(&f);
}
END_TEST

/* There is nothing to take over, and nothing is lost by it. */
START_TEST(not_at_work)
{
	static struct fix f;

	begin(&f);
	offer(&f);
	hand_back(&f, offer(&f));
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

	tcase_add_loop_test(tc, in_order, 0, 2 * 3 * SIZE);
	tcase_add_loop_test(tc, overtaken, 0, 3);
	tcase_add_loop_test(tc, remembered, 0, 5);
	tcase_add_test(tc, nothing_in_flight);
	tcase_add_test(tc, too_many_open);
	tcase_add_test(tc, not_at_work);
	suite_add_tcase(s, tc);
	return test_run(s);
}
