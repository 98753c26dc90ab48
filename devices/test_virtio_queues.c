/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * test_virtio_queues.c - queues as all virtio devices have them: their registers, when the driver may change them, and what
 * becomes of a device whose ring is broken, once.
 */
#include "test_echo.h"

START_TEST(queue_registers)
{
	static struct td t;
	static struct echo e;
	struct virtio_queue *q;

	setup(&t, &e, &echo_class);
	ck_assert_ptr_null(virtio_queue(&e.dev, 2));
	ck_assert_ptr_null(virtio_queue(&e.dev, 0xffff));
	q = virtio_queue(&e.dev, 1);
	ck_assert_uint_eq(q->layout.size, 8);
	for (unsigned n = 0; n < 0x10000; n++) {
		uint16_t was = q->layout.size;

		virtio_queue_set_size(q, (uint16_t)n);
		TD_ASSERT(q->layout.size == (n == 1 || n == 2 || n == 4 || n == 8 ? n : was));
	}
	virtio_queue_set_size(q, 2);
	virtio_queue_enable(q);
	virtio_queue_set_size(q, 4); /* enabled: too late */
	ck_assert_uint_eq(q->layout.size, 2);
	virtio_set_status(&e.dev, 0);
	ck_assert_uint_eq(q->layout.size, 8);
	ck_assert(!q->enabled);

	td_start(&t, &e.dev, 0);
	virtio_set_status(&e.dev, 0);
	virtio_set_driver_features(&e.dev, 1, 1);
	virtio_set_status(&e.dev, ACK | DRV | FOK | DOK); /* without any queue */
	virtio_queue_set_size(q, 4);
	virtio_queue_enable(q); /* the device runs: too late */
	ck_assert(!q->enabled);
	ck_assert_uint_eq(q->layout.size, 8);
	td_kick(&t, 0);
	td_kick(&t, 1);
	ck_assert_uint_eq(e.notified[0], 1); /* from td_start() */
	teardown(&t, &e);
}
END_TEST

START_TEST(bad_queue)
{
	static struct td t;
	static struct echo e;

	setup(&t, &e, _i ? &sync_class : &echo_class);
	td_setup(&t, &e.dev, 0);
	e.dev.queue[1].layout.used.addr = TD_BASE + TD_RAM;
	virtio_set_status(&e.dev, ACK | DRV | FOK | DOK);
	ck_assert_uint_eq(virtio_status(&e.dev), BAD | ACK | DRV | FOK | DOK);
	ck_assert_uint_eq(t.config_irqs, 1);
	ck_assert_uint_eq(t.log.guest_faults, 1);
	ck_assert_ptr_nonnull(strstr(t.last_log, "echo 0: queue 1: "));
	ck_assert_uint_eq(e.activated, 0);
	td_kick(&t, 0);
	td_kick(&t, 1);
	ck_assert_uint_eq(e.notified[0], 0);
	/* Nothing but a reset takes it away. */
	virtio_set_status(&e.dev, ACK | DRV | FOK | DOK);
	virtio_set_status(&e.dev, ACK);
	ck_assert(virtio_status(&e.dev) & BAD);
	td_start(&t, &e.dev, 0);
	echo_once(&t, 1);
	teardown(&t, &e);
}
END_TEST

START_TEST(broken_ring)
{
	static struct td t;
	static struct echo e;

	setup(&t, &e, _i ? &sync_class : &echo_class);
	td_start(&t, &e.dev, 0);
	td_publish(&t, &t.ring[0], 99);
	for (unsigned i = 0; i < 1000; i++)
		td_kick(&t, 0);
	ck_assert_uint_eq(t.log.guest_faults, 1);
	ck_assert_uint_eq(t.config_irqs, 1);
	ck_assert_uint_eq(virtio_status(&e.dev), BAD | ACK | DRV | FOK | DOK);
	ck_assert_uint_eq(e.notified[0], 2); /* at activation, and the one that found out */
	ck_assert_ptr_nonnull(strstr(t.last_log, "echo 0: queue 0: "));
	echo_once(&t, 1); /* the other queue did nothing wrong */
	td_start(&t, &e.dev, 0);
	echo_once(&t, 0);
	teardown(&t, &e);
}
END_TEST

START_TEST(broken_device)
{
	static struct td t;
	static struct echo e;

	setup(&t, &e, _i ? &sync_class : &echo_class);
	td_start(&t, &e.dev, 0);
	echo_offer(&t, 0, "ab\xff", NULL);
	td_kick(&t, 0);
	ck_assert_ptr_nonnull(strstr(t.last_log, "echo 0: byte 2 is not to be echoed"));
	echo_offer(&t, 1, "abc", NULL);
	td_kick(&t, 0);
	td_kick(&t, 1); /* all of it stands still */
	ck_assert_uint_eq(t.log.guest_faults, 1);
	ck_assert_int_eq(td_take_used(&t, &t.ring[1], NULL), -1);
	ck_assert_uint_eq(virtio_status(&e.dev), BAD | ACK | DRV | FOK | DOK);
	td_start(&t, &e.dev, 0);
	echo_once(&t, 0);
	teardown(&t, &e);
}
END_TEST

/* A device that breaks while it is set going is not gone on with; one that broke in part breaks whole; both tell once. */
START_TEST(broken_again)
{
	static struct td t;
	static struct echo e;

	setup(&t, &e, _i ? &sync_class : &echo_class);
	td_setup(&t, &e.dev, 0);
	echo_offer(&t, 0, "\xff", NULL);
	virtio_set_status(&e.dev, ACK | DRV | FOK | DOK);
	ck_assert_uint_eq(e.notified[0], 1);
	ck_assert_uint_eq(e.notified[1], 0);
	ck_assert_uint_eq(t.log.guest_faults, 1);

	td_start(&t, &e.dev, 0);
	td_publish(&t, &t.ring[0], 99);
	td_kick(&t, 0);
	ck_assert_uint_eq(t.log.guest_faults, 2);
	echo_offer(&t, 1, "\xff", NULL);
	td_kick(&t, 1);
	ck_assert_uint_eq(t.log.guest_faults, 3);
	ck_assert(e.dev.queue[0].vq.broken && e.dev.queue[1].vq.broken);
	virtio_break(&e.dev, "what is broken already");
	ck_assert_uint_eq(t.log.guest_faults, 3);
	td_start(&t, &e.dev, 0);
	echo_once(&t, 0);
	echo_once(&t, 1);
	teardown(&t, &e);
}
END_TEST

static unsigned settled;

static bool count_settling(struct virtio_dev *dev, unsigned limit_ms)
{
	settled++;
	return true;
}

static void ring_back(struct virtio_dev *dev, unsigned q)
{
	echo_of(dev)->notified[q]++;
}

/* A class needs no more than a notify; each queue is looked at when the device is set going, without a notification. */
START_TEST(least_class)
{
	static const struct virtio_class least = { .name = "virtio-least", .device_id = 63, .notify = ring_back };
	static const struct virtio_class settling = { .name = "virtio-settling", .device_id = 63, .notify = ring_back,
						      .settle = count_settling };
	static struct td t;
	static struct echo e;

	setup(&t, &e, _i ? &settling : &least);
	settled = 0;
	for (unsigned round = 1; round <= 3; round++) {
		td_start(&t, &e.dev, 0);
		ck_assert_uint_eq(e.notified[0], round);
		ck_assert_uint_eq(e.notified[1], round);
		virtio_set_status(&e.dev, 0);
		virtio_set_status(&e.dev, 0); /* nothing to wait for any more */
		ck_assert_uint_eq(settled, _i ? round : 0);
	}
	teardown(&t, &e);
}
END_TEST

/* What lies behind the device's queues is none of them, whatever it looks like. */
START_TEST(queues_end)
{
	static struct td t;
	static struct echo e;
	struct virtio_queue behind;

	setup(&t, &e, _i ? &sync_class : &echo_class);
	ck_assert_ptr_null(e.dev.queue[2].dev);
	memset(&e.dev.queue[2], 0, sizeof(behind));
	e.dev.queue[2].enabled = true;
	e.dev.queue[2].layout.size = 3;
	e.dev.queue[2].vq.live = true;
	memcpy(&behind, &e.dev.queue[2], sizeof(behind));
	td_start(&t, &e.dev, 0);
	echo_once(&t, 1);
	virtio_notify(&e.dev, 2);
	virtio_break(&e.dev, "all of them");
	virtio_set_status(&e.dev, 0);
	ck_assert_mem_eq(&behind, &e.dev.queue[2], sizeof(behind));
	ck_assert_uint_eq(t.log.guest_faults, 1);
	teardown(&t, &e);
}
END_TEST

/* A queue that the driver did not set up is neither worked on nor broken, and does not count. */
START_TEST(broken_with_one_queue)
{
	static struct td t;
	static struct echo e;

	setup(&t, &e, _i ? &sync_class : &echo_class);
	td_setup(&t, &e.dev, 0);
	e.dev.queue[1].enabled = false;
	virtio_set_status(&e.dev, ACK | DRV | FOK | DOK);
	echo_offer(&t, 0, "\xff", NULL);
	td_kick(&t, 0);
	td_kick(&t, 1);
	ck_assert_uint_eq(e.notified[1], 0);
	ck_assert(e.dev.queue[0].vq.broken && !e.dev.queue[1].vq.broken);
	ck_assert_uint_eq(t.log.guest_faults, 1);
	virtio_break(&e.dev, "again");
	ck_assert_uint_eq(t.log.guest_faults, 1);
	td_start(&t, &e.dev, 0);
	echo_once(&t, 1);
	teardown(&t, &e);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("virtio-queues");
	TCase *tc = tcase_create("virtio-queues");

	tcase_add_test(tc, queue_registers);
	tcase_add_loop_test(tc, bad_queue, 0, 2);
	tcase_add_loop_test(tc, broken_ring, 0, 2);
	tcase_add_loop_test(tc, broken_device, 0, 2);
	tcase_add_loop_test(tc, broken_again, 0, 2);
	tcase_add_loop_test(tc, broken_with_one_queue, 0, 2);
	tcase_add_loop_test(tc, least_class, 0, 2);
	tcase_add_loop_test(tc, queues_end, 0, 2);
	tcase_set_timeout(tc, 60);
	suite_add_tcase(s, tc);
	return test_run(s);
}
