/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * test_virtq_signals.c - interrupts and notifications of a queue: every one that is wanted, and none that is not, by flag and
 * by event index, at the wrap of the index too.
 */
#include "test_virtq.h"

static void complete(struct fix *f, unsigned n)
{
	struct td_seg s = { .addr = GPA(BUF), .len = 1, .in = true };

	for (unsigned i = 0; i < n; i++) {
		TD_ASSERT(td_offer(&f->t, &f->r, &s, 1) >= 0);
		TD_ASSERT(vq_pop(&f->vq, &f->req) == 1);
		vq_push(&f->vq, f->req.head, 1);
	}
}

/* The driver takes everything, and then says where it wants the next interrupt. */
static void drain(struct fix *f, uint16_t event)
{
	while (td_take_used(&f->t, &f->r, NULL) >= 0)
		;
	*td_used_event(&f->t, &f->r) = event;
}

START_TEST(signal_by_flag)
{
	static struct fix f;

	setup(&f, 8, false, false);
	complete(&f, 1);
	ck_assert(vq_should_signal(&f.vq));
	td_avail(&f.t, &f.r)->flags = VRING_AVAIL_F_NO_INTERRUPT;
	complete(&f, 2);
	ck_assert(!vq_should_signal(&f.vq));
	td_avail(&f.t, &f.r)->flags = 0;
	ck_assert(!vq_should_signal(&f.vq)); /* they were looked at already */
	complete(&f, 1);
	ck_assert(vq_should_signal(&f.vq));
	teardown(&f);
}
END_TEST

START_TEST(signal_by_event)
{
	static struct fix f;
	uint16_t idx = 0;

	setup(&f, 8, true, false);
	td_avail(&f.t, &f.r)->flags = VRING_AVAIL_F_NO_INTERRUPT; /* means nothing now */
	for (unsigned round = 0; round < 20000; round++) { /* the index wraps twice */
		unsigned n = 1 + round % 8, at = round % 11; /* event: within, or beyond, what is pushed */

		drain(&f, (uint16_t)(idx + at));
		complete(&f, n);
		idx = (uint16_t)(idx + n);
		TD_ASSERT(td_used(&f.t, &f.r)->idx == idx);
		TD_ASSERT(vq_should_signal(&f.vq) == (at < n));
		TD_ASSERT(!vq_should_signal(&f.vq));
	}
	teardown(&f);
}
END_TEST

/* A device that pushes a whole turn of the index without a look must not conclude that nothing happened. */
START_TEST(signal_after_a_turn)
{
	static struct fix f;

	setup(&f, 8, true, false);
	for (unsigned i = 0; i < 65536 / 8; i++) {
		complete(&f, 8);
		drain(&f, 3);
	}
	ck_assert_uint_eq(td_used(&f.t, &f.r)->idx, 0);
	ck_assert(vq_should_signal(&f.vq));
	ck_assert(!vq_should_signal(&f.vq));
	teardown(&f);
}
END_TEST

START_TEST(notify_by_flag)
{
	static struct fix f;
	struct td_seg s = { .addr = GPA(BUF), .len = 1 };

	setup(&f, 8, false, false);
	vq_notify_off(&f.vq);
	ck_assert_uint_eq(td_used(&f.t, &f.r)->flags, VRING_USED_F_NO_NOTIFY);
	ck_assert(!vq_notify_on(&f.vq));
	ck_assert_uint_eq(td_used(&f.t, &f.r)->flags, 0);
	td_offer(&f.t, &f.r, &s, 1);
	ck_assert(vq_notify_on(&f.vq)); /* came meanwhile */
	ck_assert_int_eq(vq_pop(&f.vq, &f.req), 1);
	ck_assert(!vq_notify_on(&f.vq));
	teardown(&f);
}
END_TEST

START_TEST(notify_by_event)
{
	static struct fix f;
	struct td_seg s = { .addr = GPA(BUF), .len = 1 };

	setup(&f, 8, true, false);
	for (unsigned i = 0; i < 70000; i++) {
		vq_notify_off(&f.vq);
		TD_ASSERT(td_used(&f.t, &f.r)->flags == 0);
		TD_ASSERT(!vq_notify_on(&f.vq));
		TD_ASSERT(*td_avail_event(&f.t, &f.r) == ((uint16_t)i));
		td_offer(&f.t, &f.r, &s, 1);
		TD_ASSERT(vq_notify_on(&f.vq));
		TD_ASSERT(vq_pop(&f.vq, &f.req) == 1);
		vq_push(&f.vq, f.req.head, 0);
		TD_ASSERT(td_take_used(&f.t, &f.r, NULL) >= 0);
	}
	TD_ASSERT(f.vq.popped == 70000);
	teardown(&f);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = { signal_by_flag, signal_by_event, signal_after_a_turn, notify_by_flag,
				       notify_by_event, NULL };

	return test_main("virtq-signals", tests);
}
