/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * test_virtio.c - the status machine in every order, what a driver may not change when, faults, and resets from several
 * threads while the loop works.  The device is an echo: it fills each request's writable part from its readable one.
 */
#include "virtio.h"
#include "segs.h"
#include "test_driver.h"

#define ACK  VIRTIO_S_ACKNOWLEDGE
#define DRV  VIRTIO_S_DRIVER
#define FOK  VIRTIO_S_FEATURES_OK
#define DOK  VIRTIO_S_DRIVER_OK
#define BAD  VIRTIO_S_NEEDS_RESET
#define FAIL VIRTIO_S_FAILED
#define MY_FEATURE BIT_ULL(5)

struct echo {
	struct virtio_dev dev;
	struct virtq_req req;
	unsigned activated, reset, notified[2], served;
	bool running; /* between activate and reset */
	uint8_t config[6];
};

static struct echo *echo_of(struct virtio_dev *dev)
{
	return container_of(dev, struct echo, dev);
}

static void echo_activate(struct virtio_dev *dev)
{
	struct echo *e = echo_of(dev);

	TD_ASSERT(!e->running);
	e->running = true;
	e->activated++;
}

static void echo_reset(struct virtio_dev *dev)
{
	struct echo *e = echo_of(dev);

	TD_ASSERT(e->running);
	e->running = false;
	e->reset++;
}

static void echo_notify(struct virtio_dev *dev, unsigned q)
{
	struct echo *e = echo_of(dev);
	struct virtq *vq = &dev->queue[q].vq;

	TD_ASSERT(e->running);
	e->notified[q]++;
	do {
		while (vq_pop(vq, &e->req) == 1) {
			struct segs out = segs_out(&e->req), in = segs_in(&e->req);
			uint32_t n = 0;
			uint8_t b;

			for (; segs_take(&out, &b, 1) && segs_put(&in, &b, 1); n++)
				if (b == 0xff) {
					virtio_break(dev, "byte %u is not to be echoed", n);
					return;
				}
			vq_push(vq, e->req.head, n);
			e->served++;
		}
	} while (vq_notify_on(vq));
	virtio_signal(dev, q);
}

static void echo_config_read(struct virtio_dev *dev, unsigned off, void *buf, unsigned len)
{
	TD_ASSERT(off + len <= sizeof(echo_of(dev)->config));
	memcpy(buf, echo_of(dev)->config + off, len);
}

static void echo_config_write(struct virtio_dev *dev, unsigned off, const void *buf, unsigned len)
{
	TD_ASSERT(off + len <= sizeof(echo_of(dev)->config));
	memcpy(echo_of(dev)->config + off, buf, len);
}

static const struct virtio_class echo_class = {
	.name = "virtio-echo",
	.device_id = 63,
	.activate = echo_activate,
	.reset = echo_reset,
	.notify = echo_notify,
	.config_read = echo_config_read,
	.config_write = echo_config_write,
};

static const struct virtio_class sync_class = {
	.name = "virtio-echo",
	.device_id = 63,
	.sync_notify = true,
	.activate = echo_activate,
	.reset = echo_reset,
	.notify = echo_notify,
	.config_read = echo_config_read,
};

static void setup(struct td *t, struct echo *e, const struct virtio_class *cls)
{
	td_init(t);
	memset(e, 0, sizeof(*e));
	memcpy(e->config, "\1\2\3\4\5\6", 6);
	virtio_init(&e->dev, cls, "echo 0", 2, 8, sizeof(e->config), MY_FEATURE, &t->mem, &t->loop, &t->log);
	td_attach(t, &e->dev);
}

static void teardown(struct td *t, struct echo *e)
{
	evloop_stop(&t->loop);
	virtio_fini(&e->dev);
	ck_assert_uint_eq(e->activated, e->reset);
	td_fini(t);
}

static void echo_once(struct td *t, unsigned q)
{
	struct td_seg s[2] = { td_out(t, "abc", 3), td_in(t, 3) };
	uint32_t len;
	int head = td_offer(t, &t->ring[q], s, 2);

	ck_assert_int_ge(head, 0);
	td_kick(t, q);
	ck_assert_int_eq(td_take_used(t, &t->ring[q], &len), head);
	ck_assert_uint_eq(len, 3);
	ck_assert_mem_eq(td_ptr(t, s[1].addr), "abc", 3);
}

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

/* ---- queues ------------------------------------------------------------------------------------------------------- */

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
	struct td_seg s[2];

	setup(&t, &e, _i ? &sync_class : &echo_class);
	td_start(&t, &e.dev, 0);
	s[0] = td_out(&t, "ab\xff", 3);
	s[1] = td_in(&t, 3);
	td_offer(&t, &t.ring[0], s, 2);
	td_kick(&t, 0);
	ck_assert_ptr_nonnull(strstr(t.last_log, "echo 0: byte 2 is not to be echoed"));
	td_offer(&t, &t.ring[1], s, 2);
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
	struct td_seg s[2];

	setup(&t, &e, _i ? &sync_class : &echo_class);
	td_setup(&t, &e.dev, 0);
	s[0] = td_out(&t, "\xff", 1);
	s[1] = td_in(&t, 1);
	td_offer(&t, &t.ring[0], s, 2);
	virtio_set_status(&e.dev, ACK | DRV | FOK | DOK);
	ck_assert_uint_eq(e.notified[0], 1);
	ck_assert_uint_eq(e.notified[1], 0);
	ck_assert_uint_eq(t.log.guest_faults, 1);

	td_start(&t, &e.dev, 0);
	td_publish(&t, &t.ring[0], 99);
	td_kick(&t, 0);
	ck_assert_uint_eq(t.log.guest_faults, 2);
	td_offer(&t, &t.ring[1], s, 2);
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
	struct td_seg s[2];

	setup(&t, &e, _i ? &sync_class : &echo_class);
	td_setup(&t, &e.dev, 0);
	e.dev.queue[1].enabled = false;
	virtio_set_status(&e.dev, ACK | DRV | FOK | DOK);
	s[0] = td_out(&t, "\xff", 1);
	s[1] = td_in(&t, 1);
	td_offer(&t, &t.ring[0], s, 2);
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
	for (unsigned q = 0; q < 2; q++) { /* chains that are there after each reset, to work on */
		struct td_seg seg[2] = { td_out(&t, "abcd", 4), td_in(&t, 4) };

		for (unsigned i = 0; i < 4; i++)
			td_offer(&t, &t.ring[q], seg, 2);
	}
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
	tcase_add_test(tc, queue_registers);
	tcase_add_loop_test(tc, bad_queue, 0, 2);
	tcase_add_loop_test(tc, broken_ring, 0, 2);
	tcase_add_loop_test(tc, broken_device, 0, 2);
	tcase_add_loop_test(tc, broken_again, 0, 2);
	tcase_add_loop_test(tc, broken_with_one_queue, 0, 2);
	tcase_add_loop_test(tc, least_class, 0, 2);
	tcase_add_loop_test(tc, queues_end, 0, 2);
	tcase_add_test(tc, config);
	tcase_add_test(tc, config_write_of_a_class_without);
	tcase_add_loop_test(tc, reset_storm, 0, 2);
	tcase_set_timeout(tc, 60);
	suite_add_tcase(s, tc);
	return test_run(s);
}
