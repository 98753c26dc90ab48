/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * test_virtio.c - the status machine in every order, configuration, and resets from several threads while the loop works.
 */
#include "test_echo.h"

START_TEST(works)
{
	static struct td t;
	static struct echo e;

	setup(&t, &e, _i & 1 ? &sync_class : &echo_class);
	for (unsigned round = 0; round < 3; round++) {
		td_start(&t, &e.dev, _i & 2 ? VIRTIO_F_EVENT_IDX | VIRTIO_F_INDIRECT_DESC : 0);
		ck_assert_uint_eq(e.activated, round + 1);
		ck_assert(virtio_has(&e.dev, VIRTIO_F_VERSION_1));
		ck_assert(!virtio_has(&e.dev, MY_FEATURE));
		ck_assert_int_eq(e.dev.queue[0].vq.event_idx, !!(_i & 2));
		ck_assert_int_eq(e.dev.queue[1].vq.indirect, !!(_i & 2));
		t.queue_irqs[0] = t.queue_irqs[1] = 0;
		for (unsigned i = 0; i < 20; i++)
			echo_once(&t, i & 1);
		ck_assert_uint_eq(t.queue_irqs[0], 10);
		ck_assert_uint_eq(t.queue_irqs[1], 10);
		virtio_notify(&e.dev, 2);
		virtio_notify(&e.dev, UINT32_MAX);
		virtio_set_status(&e.dev, 0);
		ck_assert_uint_eq(e.reset, round + 1);
		td_kick(&t, 0); /* to a device that is not there */
	}
	ck_assert_uint_eq(t.config_irqs, 0);
	ck_assert_uint_eq(t.log.guest_faults, 0);
	teardown(&t, &e);
}
END_TEST

/* ---- status ------------------------------------------------------------------------------------------------------- */

/* What virtio_set_status() must make of a write, told once more and independently. */
static uint8_t expected(uint8_t old, uint8_t set, bool features_good)
{
	uint8_t known = set & 0x8f, result;

	if (set == 0)
		return 0;
	if ((old & 0x8f & known) != (old & 0x8f))
		return old;
	result = old | known;
	if (!(old & FOK) && !features_good)
		result &= (uint8_t)~FOK;
	if (!(old & DOK) && !(result & FOK))
		result &= (uint8_t)~DOK;
	return result;
}

/* Every sequence of three writes out of sixteen values, with good and bad features. */
START_TEST(status_orders)
{
	static const uint8_t v[] = { 0, ACK, DRV, FOK, DOK, ACK | DRV, ACK | DRV | FOK, ACK | DRV | FOK | DOK, FOK | DOK,
				     ACK | DRV | DOK, FAIL, FAIL | ACK | DRV | FOK | DOK, BAD, BAD | ACK, 0x30, 0xff };
	static const uint64_t features[] = { VIRTIO_F_VERSION_1, VIRTIO_F_VERSION_1 | MY_FEATURE, 0,
					     VIRTIO_F_VERSION_1 | BIT_ULL(4), VIRTIO_F_VERSION_1 | VIRTIO_F_RING_PACKED };
	static struct td t;
	static struct echo e;

	setup(&t, &e, _i ? &sync_class : &echo_class);
	for (unsigned n = 0; n < ARRAY_SIZE(features) * 16 * 16 * 16; n++) {
		unsigned k = n / (16 * 16 * 16);
		uint8_t want = 0;

		virtio_set_status(&e.dev, 0);
		virtio_set_driver_features(&e.dev, 0, (uint32_t)features[k]);
		virtio_set_driver_features(&e.dev, 1, (uint32_t)(features[k] >> 32));
		for (unsigned i = 0, m = n; i < 3; i++, m /= 16) {
			want = expected(want, v[m % 16], k < 2);
			virtio_set_status(&e.dev, v[m % 16]);
			TD_ASSERT(virtio_status(&e.dev) == want);
			TD_ASSERT(e.running == !!(want & DOK));
			if (v[m % 16] == 0) /* a reset takes the features too */
				k = 2;
		}
	}
	ck_assert_uint_eq(t.log.guest_faults, 0);
	teardown(&t, &e);
}
END_TEST

START_TEST(driver_ok_twice)
{
	static struct td t;
	static struct echo e;

	setup(&t, &e, &echo_class);
	td_start(&t, &e.dev, 0);
	virtio_set_status(&e.dev, ACK | DRV | FOK | DOK);
	virtio_set_status(&e.dev, ACK | DRV | FOK | DOK);
	ck_assert_uint_eq(e.activated, 1);
	echo_once(&t, 0);
	teardown(&t, &e);
}
END_TEST

START_TEST(features)
{
	static struct td t;
	static struct echo e;

	setup(&t, &e, &echo_class);
	ck_assert_uint_eq(virtio_features(&e.dev, 0),
			  (uint32_t)(MY_FEATURE | VIRTIO_F_EVENT_IDX | VIRTIO_F_INDIRECT_DESC));
	ck_assert_uint_eq(virtio_features(&e.dev, 1), 1);
	ck_assert_uint_eq(virtio_features(&e.dev, 2), 0);
	ck_assert_uint_eq(virtio_features(&e.dev, UINT32_MAX), 0);
	virtio_set_driver_features(&e.dev, 2, 0xffffffff);
	virtio_set_driver_features(&e.dev, 0x80000000, 0xffffffff);
	ck_assert_uint_eq(e.dev.driver_features, 0);
	virtio_set_driver_features(&e.dev, 0, 0xffffffff);
	ck_assert_uint_eq(virtio_driver_features(&e.dev, 0), 0xffffffff);
	virtio_set_driver_features(&e.dev, 1, 0xffffffff);
	virtio_set_driver_features(&e.dev, 1, 2); /* each window by itself, and whole */
	ck_assert_uint_eq(e.dev.driver_features, 0x2ffffffff);
	virtio_set_driver_features(&e.dev, 0, MY_FEATURE);
	virtio_set_driver_features(&e.dev, 1, 1);
	ck_assert_uint_eq(e.dev.driver_features, VIRTIO_F_VERSION_1 | MY_FEATURE);
	ck_assert_uint_eq(virtio_driver_features(&e.dev, 2), 0);
	virtio_set_status(&e.dev, ACK | DRV | FOK);
	virtio_set_driver_features(&e.dev, 0, 0); /* too late */
	virtio_set_driver_features(&e.dev, 1, 0);
	ck_assert(virtio_has(&e.dev, MY_FEATURE));
	ck_assert(virtio_has(&e.dev, VIRTIO_F_VERSION_1));
	teardown(&t, &e);
}
END_TEST

/* ---- configuration ------------------------------------------------------------------------------------------------ */

START_TEST(config)
{
	static struct td t;
	static struct echo e;
	uint8_t b[8];

	setup(&t, &e, &echo_class);
	for (unsigned off = 0; off < 4096; off++)
		for (unsigned len = 1; len <= 8; len *= 2) {
			memset(b, 0xee, sizeof(b));
			virtio_config_read(&e.dev, off, b, len);
			for (unsigned i = 0; i < 8; i++)
				TD_ASSERT(b[i] == (i >= len ? 0xee : off + i < 6 ? off + i + 1 : 0));
			if (off >= 6)
				virtio_config_write(&e.dev, off, "\x99\x99\x99\x99\x99\x99\x99\x99", len);
		}
	virtio_config_read(&e.dev, UINT64_MAX, b, 8);
	ck_assert_mem_eq(b, "\0\0\0\0\0\0\0\0", 8);
	virtio_config_write(&e.dev, UINT64_MAX - 3, b, 8);
	ck_assert_mem_eq(e.config, "\1\2\3\4\5\6", 6);
	virtio_config_write(&e.dev, 4, "\x41\x42\x43\x44", 4); /* what is inside, and no more */
	ck_assert_mem_eq(e.config, "\1\2\3\4\x41\x42", 6);

	for (unsigned i = 0; i < 3; i++) {
		pthread_mutex_lock(&e.dev.lock);
		e.config[0]++;
		virtio_config_changed_locked(&e.dev);
		pthread_mutex_unlock(&e.dev.lock);
		ck_assert_uint_eq(virtio_generation(&e.dev), i + 1);
		ck_assert_uint_eq(t.config_irqs, i);
		if (!i)
			td_start(&t, &e.dev, 0);
	}
	teardown(&t, &e);
}
END_TEST

START_TEST(config_write_of_a_class_without)
{
	static struct td t;
	static struct echo e;

	setup(&t, &e, &sync_class);
	virtio_config_write(&e.dev, 0, "x", 1);
	ck_assert_uint_eq(e.config[0], 1);
	teardown(&t, &e);
}
END_TEST

/* ---- a reset that takes its time ---------------------------------------------------------------------------------- */

struct slow {
	struct echo e;
	bool done; /* nothing is in flight any more */
	unsigned asked, limit_ms;
};

static bool slow_settle(struct virtio_dev *dev, unsigned limit_ms)
{
	struct slow *s = container_of(echo_of(dev), struct slow, e);

	s->asked++;
	s->limit_ms = limit_ms;
	return s->done;
}

static const struct virtio_class slow_class = {
	.name = "virtio-slow",
	.device_id = 63,
	.activate = echo_activate,
	.reset = echo_reset,
	.settle = slow_settle,
	.notify = echo_notify,
};

/* Until nothing is in flight the driver sees its old status, and can do nothing but reset the device once more. */
START_TEST(slow_reset)
{
	static struct td t;
	static struct slow s;
	uint8_t running = ACK | DRV | FOK | DOK;

	memset(&s, 0, sizeof(s));
	setup(&t, &s.e, &slow_class);
	ck_assert(virtio_is_quiet(&s.e.dev));
	td_start(&t, &s.e.dev, 0);
	echo_once(&t, 0);
	ck_assert(!virtio_is_quiet(&s.e.dev));
	echo_once(&t, 1);
	ck_assert_uint_eq(s.asked, 0);

	t.resets = 0;
	virtio_set_status(&s.e.dev, 0);
	ck_assert_uint_eq(s.asked, 1);
	ck_assert_uint_gt(s.limit_ms, 0);
	ck_assert_uint_eq(virtio_status(&s.e.dev), running);
	ck_assert_uint_eq(s.asked, 2);
	ck_assert_uint_eq(s.limit_ms, 0); /* who reads does not wait */
	ck_assert(!virtio_is_quiet(&s.e.dev));
	ck_assert_uint_eq(s.limit_ms, 0);
	virtio_set_status(&s.e.dev, running);
	td_kick(&t, 0);
	virtio_set_status(&s.e.dev, 0);
	ck_assert_uint_gt(s.limit_ms, 0);
	ck_assert_uint_eq(s.asked, 4);
	ck_assert_uint_eq(s.e.activated, 1);
	ck_assert_uint_eq(s.e.reset, 1);
	ck_assert_uint_eq(s.e.served, 2);
	ck_assert_uint_eq(t.resets, 0);

	s.done = true;
	if (_i == 0)
		ck_assert(virtio_is_quiet(&s.e.dev));
	else if (_i == 1)
		virtio_set_status(&s.e.dev, 0);
	ck_assert_uint_eq(virtio_status(&s.e.dev), 0);
	ck_assert(virtio_is_quiet(&s.e.dev));
	ck_assert_uint_eq(s.asked, 5);
	ck_assert_uint_eq(t.resets, 1);
	td_start(&t, &s.e.dev, 0);
	echo_once(&t, 0);
	teardown(&t, &s.e);
}
END_TEST

static pthread_t activated_on;

static void note_thread(struct virtio_dev *dev)
{
	activated_on = pthread_self();
}

/* The owner of the queues sets them going: the loop, or who wrote the status. */
START_TEST(on_owners_thread)
{
	static const struct virtio_class on_loop = { .name = "virtio-loop", .device_id = 63, .activate = note_thread,
						     .notify = echo_notify };
	static const struct virtio_class on_vcpu = { .name = "virtio-vcpu", .device_id = 63, .activate = note_thread,
						     .notify = echo_notify, .sync_notify = true };
	static struct td t;
	static struct echo e;

	setup(&t, &e, _i ? &on_vcpu : &on_loop);
	e.running = true; /* nobody else says so */
	ck_assert_int_eq(evloop_start(&t.loop, "loop", NULL), 0);
	td_start(&t, &e.dev, 0);
	ck_assert_int_eq(!!pthread_equal(activated_on, pthread_self()), _i);
	teardown(&t, &e);
}
END_TEST

/* ---- a reset at any moment ---------------------------------------------------------------------------------------- */

struct storm {
	struct td *t;
	struct echo *e;
	_Atomic bool stop;
	uint32_t seed;
};

/* A vCPU that rings, reads and configures as if nothing were happening elsewhere. */
static void *storm_kick(void *arg)
{
	struct storm *s = arg;
	uint8_t b[8];

	while (!s->stop) {
		for (unsigned q = 0; q < 3; q++)
			td_kick(s->t, q);
		virtio_status(&s->e->dev);
		virtio_config_read(&s->e->dev, 2, b, 8);
		virtio_set_driver_features(&s->e->dev, 0, 0);
	}
	return NULL;
}

/* Two vCPUs that both write the status register, in an order of their own. */
static void *storm_status(void *arg)
{
	struct storm *s = arg;

	for (unsigned i = 0; i < 3000; i++) {
		static const uint8_t v[] = { ACK, ACK | DRV, ACK | DRV | FOK, ACK | DRV | FOK | DOK, 0,
					     ACK | DRV | FOK | DOK, 0 };
		struct virtio_dev *dev = &s->e->dev;

		virtio_set_driver_features(dev, 1, 1);
		for (unsigned q = 0; q < 2; q++) {
			pthread_mutex_lock(&dev->lock);
			if (virtio_queue_is_open(&dev->queue[q]))
				dev->queue[q].layout = td_layout(&s->t->ring[q]);
			virtio_queue_enable(&dev->queue[q]);
			pthread_mutex_unlock(&dev->lock);
		}
		virtio_set_status(dev, v[(s->seed + i) % ARRAY_SIZE(v)]);
	}
	return NULL;
}

START_TEST(reset_storm)
{
	static struct td t;
	static struct echo e;
	pthread_t th[4];
	struct storm s[2] = { { &t, &e, false, 0 }, { &t, &e, false, 3 } };

	setup(&t, &e, _i ? &sync_class : &echo_class);
	td_setup(&t, &e.dev, 0);
	for (unsigned i = 0; i < 8; i++) /* chains that are there after each reset, to work on */
		echo_offer(&t, i & 1, "abcd", NULL);
	ck_assert_int_eq(evloop_start(&t.loop, "loop", NULL), 0);
	for (unsigned i = 0; i < 2; i++) {
		pthread_create(&th[i], NULL, storm_kick, &s[0]);
		pthread_create(&th[2 + i], NULL, storm_status, &s[i]);
	}
	pthread_join(th[2], NULL);
	pthread_join(th[3], NULL);
	s[0].stop = true;
	pthread_join(th[0], NULL);
	pthread_join(th[1], NULL);
	ck_assert_uint_gt(e.activated, 100);
	ck_assert_uint_gt(e.served, 0);
	td_start(&t, &e.dev, 0);
	echo_once(&t, 0);
	teardown(&t, &e);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("virtio");
	TCase *tc = tcase_create("virtio");

	tcase_add_loop_test(tc, works, 0, 4);
	tcase_add_loop_test(tc, status_orders, 0, 2);
	tcase_add_test(tc, driver_ok_twice);
	tcase_add_test(tc, features);
	tcase_add_test(tc, config);
	tcase_add_test(tc, config_write_of_a_class_without);
	tcase_add_loop_test(tc, slow_reset, 0, 3);
	tcase_add_loop_test(tc, on_owners_thread, 0, 2);
	tcase_add_loop_test(tc, reset_storm, 0, 2);
	tcase_set_timeout(tc, 60);
	suite_add_tcase(s, tc);
	return test_run(s);
}
