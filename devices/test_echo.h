/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * test_echo.h - for the tests of what all virtio devices share: a device with two queues that fills each request's writable
 * part from its readable one, breaks at a byte 0xff, and counts what it is told.
 */
#ifndef TVMM_DEVICES_TEST_ECHO_H
#define TVMM_DEVICES_TEST_ECHO_H

#include "segs.h"
#include "test_driver.h"
#include "virtio.h"

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

static inline struct echo *echo_of(struct virtio_dev *dev)
{
	return container_of(dev, struct echo, dev);
}

static inline void echo_activate(struct virtio_dev *dev)
{
	struct echo *e = echo_of(dev);

	TD_ASSERT(!e->running);
	e->running = true;
	e->activated++;
}

static inline void echo_reset(struct virtio_dev *dev)
{
	struct echo *e = echo_of(dev);

	TD_ASSERT(e->running);
	e->running = false;
	e->reset++;
}

static inline void echo_notify(struct virtio_dev *dev, unsigned q)
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

static inline void echo_config_read(struct virtio_dev *dev, unsigned off, void *buf, unsigned len)
{
	TD_ASSERT(off + len <= sizeof(echo_of(dev)->config));
	memcpy(buf, echo_of(dev)->config + off, len);
}

static inline void echo_config_write(struct virtio_dev *dev, unsigned off, const void *buf, unsigned len)
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

static inline void setup(struct td *t, struct echo *e, const struct virtio_class *cls)
{
	td_init(t);
	memset(e, 0, sizeof(*e));
	memcpy(e->config, "\1\2\3\4\5\6", 6);
	virtio_init(&e->dev, cls, "echo 0", 2, 8, sizeof(e->config), MY_FEATURE, &t->mem, &t->loop, &t->log);
	td_attach(t, &e->dev);
}

static inline void teardown(struct td *t, struct echo *e)
{
	evloop_stop(&t->loop);
	virtio_fini(&e->dev);
	ck_assert_uint_eq(e->activated, e->reset);
	td_fini(t);
}

/* Offers TEXT and as much room for its echo, which is at *ROOM if that is asked for.  Returns the request's head. */
static inline int echo_offer(struct td *t, unsigned q, const char *text, struct gpa *room)
{
	uint32_t len = (uint32_t)strlen(text);
	struct td_seg s[2] = { td_out(t, text, len), td_in(t, len) };
	int head = td_offer(t, &t->ring[q], s, 2);

	ck_assert_int_ge(head, 0);
	if (room)
		*room = s[1].addr;
	return head;
}

static inline void echo_once(struct td *t, unsigned q)
{
	struct gpa room;
	int head = echo_offer(t, q, "abc", &room);
	uint32_t len;

	td_kick(t, q);
	ck_assert_int_eq(td_take_used(t, &t->ring[q], &len), head);
	ck_assert_uint_eq(len, 3);
	ck_assert_mem_eq(td_ptr(t, room), "abc", 3);
}

#endif
