/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * test_driver.h - a well-behaved virtio driver for the unit tests of devices, over malloc'ed guest memory.
 *
 *	struct td t;
 *	td_init(&t);
 *	virtio_blk_init(&blk, ..., &t.mem, &t.loop, &t.log);
 *	td_start(&t, &blk.dev, 0);                       features beyond VERSION_1; all queues set up, DRIVER_OK
 *	struct td_seg s[] = { td_out(&t, &hdr, 16), td_in(&t, 512), td_in(&t, 1) };
 *	head = td_offer(&t, &t.ring[0], s, 3);           publishes; td_offer_indirect() likewise
 *	td_kick(&t, 0);
 *	td_take_used(&t, &t.ring[0], &len) == head       td_ptr(&t, s[1].addr) has the data
 *	td_fini(&t);                                     after the device's own fini
 *
 * The test's thread is driver and vCPU; the loop runs within it, unless the test starts the loop's own thread.
 */
#ifndef TVMM_DEVICES_TEST_DRIVER_H
#define TVMM_DEVICES_TEST_DRIVER_H

#include <linux/virtio_ring.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "bits.h"
#include "evloop.h"
#include "gmem.h"
#include "log.h"
#include "test.h"
#include "virtio.h"

/* ck_assert() writes a file at each call that holds; this one is for what is asserted a million times. */
#define TD_ASSERT(x) \
	do { \
		if (!(x)) \
			ck_abort_msg("%s", #x); \
	} while (0)

#define TD_BASE 0x40000000ull /* so that a host offset never passes for a guest address */
#define TD_RAM  MIB(4)

struct td_seg {
	struct gpa addr;
	uint32_t len;
	bool in; /* the device writes it */
};

struct td_ring {
	uint16_t size;
	struct gpa desc, avail, used;
	uint16_t avail_idx, used_seen;
	uint16_t n_free, free[VIRTQ_MAX_SIZE];  /* a stack of free descriptors */
	uint16_t n_chain[VIRTQ_MAX_SIZE], next[VIRTQ_MAX_SIZE];
};

struct td {
	struct gmem mem;
	struct evloop loop;
	struct log log;
	uint8_t *ram;
	uint64_t brk; /* what td_alloc() gave out */
	char last_log[512];

	struct virtio_dev *dev;
	struct virtio_transport transport;
	_Atomic unsigned queue_irqs[VIRTIO_MAX_QUEUES], config_irqs, resets;
	unsigned agains[VIRTIO_MAX_QUEUES]; /* turns that the device still wants: td_run() */
	struct td_ring ring[VIRTIO_MAX_QUEUES];
};

/* ---- memory ------------------------------------------------------------------------------------------------------- */

static inline void td_log(void *arg, int level, const char *line)
{
	struct td *t = arg;

	snprintf(t->last_log, sizeof(t->last_log), "%s", line);
}

static inline void td_init(struct td *t)
{
	memset(t, 0, sizeof(*t));
	t->ram = aligned_alloc(4096, TD_RAM);
	memset(t->ram, 0, TD_RAM);
	ck_assert_int_eq(gmem_add(&t->mem, GPA(TD_BASE), TD_RAM, t->ram, NULL), 0);
	gmem_freeze(&t->mem);
	ck_assert_int_eq(evloop_init(&t->loop, host_linux(), NULL), 0);
	log_init(&t->log, host_linux(), td_log, t, TVMM_LOG_WARN);
}

static inline void td_fini(struct td *t)
{
	evloop_stop(&t->loop);
	evloop_fini(&t->loop);
	free(t->ram);
}

/* Zeroed guest memory, for the life of the test. */
static inline struct gpa td_alloc(struct td *t, uint64_t len, uint64_t align)
{
	uint64_t at = align_up(t->brk, align);

	TD_ASSERT(at + len <= TD_RAM);
	t->brk = at + len;
	return GPA(TD_BASE + at);
}

static inline void *td_ptr(struct td *t, struct gpa a)
{
	return t->ram + (a.addr - TD_BASE);
}

/* A segment with LEN bytes at SRC for the device to read; one of LEN bytes for it to write. */
static inline struct td_seg td_out(struct td *t, const void *src, uint32_t len)
{
	struct td_seg s = { .addr = td_alloc(t, len, 1), .len = len };

	memcpy(td_ptr(t, s.addr), src, len);
	return s;
}

static inline struct td_seg td_in(struct td *t, uint32_t len)
{
	return (struct td_seg){ .addr = td_alloc(t, len, 1), .len = len, .in = true };
}

/* ---- rings -------------------------------------------------------------------------------------------------------- */

static inline void td_ring_init(struct td *t, struct td_ring *r, uint16_t size)
{
	memset(r, 0, sizeof(*r));
	r->size = size;
	r->desc = td_alloc(t, 16u * size, 16);
	r->avail = td_alloc(t, 6 + 2u * size, 2);
	r->used = td_alloc(t, 6 + 8u * size, 4);
	for (uint16_t i = 0; i < size; i++)
		r->free[r->n_free++] = (uint16_t)(size - 1 - i);
}

static inline struct virtq_layout td_layout(const struct td_ring *r)
{
	return (struct virtq_layout){ .size = r->size, .desc = r->desc, .avail = r->avail, .used = r->used };
}

static inline struct vring_desc *td_desc(struct td *t, struct td_ring *r)
{
	return td_ptr(t, r->desc);
}

static inline struct vring_avail *td_avail(struct td *t, struct td_ring *r)
{
	return td_ptr(t, r->avail);
}

static inline struct vring_used *td_used(struct td *t, struct td_ring *r)
{
	return td_ptr(t, r->used);
}

/* The words behind the rings: where the driver wants its next interrupt, and the device its next notification. */
static inline uint16_t *td_used_event(struct td *t, struct td_ring *r)
{
	return &td_avail(t, r)->ring[r->size];
}

static inline uint16_t *td_avail_event(struct td *t, struct td_ring *r)
{
	return (uint16_t *)(void *)&td_used(t, r)->ring[r->size];
}

/* Offers the chain that starts at HEAD, whatever it is. */
static inline void td_publish(struct td *t, struct td_ring *r, uint16_t head)
{
	td_avail(t, r)->ring[r->avail_idx % r->size] = head;
	r->avail_idx++;
	__atomic_store_n(&td_avail(t, r)->idx, r->avail_idx, __ATOMIC_RELEASE);
}

static inline struct vring_desc td_make_desc(const struct td_seg *s, bool more, uint16_t next)
{
	return (struct vring_desc){ .addr = s->addr.addr, .len = s->len, .next = next,
				    .flags = (uint16_t)((s->in ? VRING_DESC_F_WRITE : 0) |
							(more ? VRING_DESC_F_NEXT : 0)) };
}

/* Offers N segments as one request; returns its head, or -1 when descriptors are short. */
static inline int td_offer(struct td *t, struct td_ring *r, const struct td_seg *s, unsigned n)
{
	uint16_t head;

	if (n > r->n_free)
		return -1;
	head = r->free[r->n_free - 1];
	for (unsigned i = 0; i < n; i++) {
		uint16_t d = r->free[--r->n_free], next = i + 1 < n ? r->free[r->n_free - 1] : 0;

		td_desc(t, r)[d] = td_make_desc(&s[i], i + 1 < n, next);
		r->next[d] = next;
	}
	r->n_chain[head] = (uint16_t)n;
	td_publish(t, r, head);
	return head;
}

/* The same through an indirect table. */
static inline int td_offer_indirect(struct td *t, struct td_ring *r, const struct td_seg *s, unsigned n)
{
	struct gpa table = td_alloc(t, 16 * n, 16);
	struct vring_desc *d = td_ptr(t, table);
	uint16_t head;

	if (!r->n_free)
		return -1;
	for (unsigned i = 0; i < n; i++)
		d[i] = td_make_desc(&s[i], i + 1 < n, (uint16_t)(i + 1));
	head = r->free[--r->n_free];
	td_desc(t, r)[head] =
		(struct vring_desc){ .addr = table.addr, .len = 16 * n, .flags = VRING_DESC_F_INDIRECT };
	r->n_chain[head] = 1;
	td_publish(t, r, head);
	return head;
}

/*
 * Takes the next used element: its head, with the bytes written in *LEN, or -1 if there is none.  The head is checked
 * to be one that was offered.  Asks for an interrupt at the next one.
 */
static inline int td_take_used(struct td *t, struct td_ring *r, uint32_t *len)
{
	struct vring_used *used = td_used(t, r);
	struct vring_used_elem e;

	if (__atomic_load_n(&used->idx, __ATOMIC_ACQUIRE) == r->used_seen)
		return -1;
	e = used->ring[r->used_seen % r->size];
	r->used_seen++;
	__atomic_store_n(td_used_event(t, r), r->used_seen, __ATOMIC_RELAXED);
	TD_ASSERT(e.id < r->size);
	TD_ASSERT(r->n_chain[e.id]);
	for (uint16_t d = (uint16_t)e.id, n = r->n_chain[e.id]; n; n--, d = r->next[d])
		r->free[r->n_free++] = d;
	r->n_chain[e.id] = 0;
	if (len)
		*len = e.len;
	return (int)e.id;
}

/* ---- devices ------------------------------------------------------------------------------------------------------ */

static inline struct td *td_of(struct virtio_dev *dev)
{
	return (struct td *)(void *)((char *)(uintptr_t)dev->transport - offsetof(struct td, transport));
}

static inline void td_queue_irq(struct virtio_dev *dev, unsigned q)
{
	td_of(dev)->queue_irqs[q]++;
}

static inline void td_config_irq(struct virtio_dev *dev)
{
	td_of(dev)->config_irqs++;
}

static inline void td_again(struct virtio_dev *dev, unsigned q)
{
	td_of(dev)->agains[q]++;
}

static inline void td_transport_reset(struct virtio_dev *dev)
{
	td_of(dev)->resets++;
}

/* Puts DEV behind the test's own transport, which counts what it is asked for. */
static inline void td_attach(struct td *t, struct virtio_dev *dev)
{
	t->dev = dev;
	t->transport = (struct virtio_transport){ .queue_irq = td_queue_irq, .config_irq = td_config_irq,
						  .again = td_again, .reset = td_transport_reset };
	dev->transport = &t->transport;
}

/* Everything before DRIVER_OK (virtio 1.2, 3.1.1), with rings for all queues. */
static inline void td_setup(struct td *t, struct virtio_dev *dev, uint64_t features)
{
	td_attach(t, dev);
	features |= VIRTIO_F_VERSION_1;
	virtio_set_status(dev, 0);
	ck_assert_uint_eq(virtio_status(dev), 0);
	virtio_set_status(dev, VIRTIO_S_ACKNOWLEDGE);
	virtio_set_status(dev, VIRTIO_S_ACKNOWLEDGE | VIRTIO_S_DRIVER);
	virtio_set_driver_features(dev, 0, (uint32_t)features);
	virtio_set_driver_features(dev, 1, (uint32_t)(features >> 32));
	virtio_set_status(dev, VIRTIO_S_ACKNOWLEDGE | VIRTIO_S_DRIVER | VIRTIO_S_FEATURES_OK);
	ck_assert(virtio_status(dev) & VIRTIO_S_FEATURES_OK);
	for (unsigned i = 0; i < dev->n_queues; i++) {
		struct virtio_queue *q = virtio_queue(dev, i);

		td_ring_init(t, &t->ring[i], q->max_size);
		pthread_mutex_lock(&dev->lock);
		q->layout = td_layout(&t->ring[i]);
		virtio_queue_enable(q);
		pthread_mutex_unlock(&dev->lock);
	}
}

static inline void td_start(struct td *t, struct virtio_dev *dev, uint64_t features)
{
	td_setup(t, dev, features);
	virtio_set_status(dev, VIRTIO_S_ACKNOWLEDGE | VIRTIO_S_DRIVER | VIRTIO_S_FEATURES_OK | VIRTIO_S_DRIVER_OK);
	ck_assert_uint_eq(virtio_status(dev), 0x0f);
}

struct td_kick {
	struct virtio_dev *dev;
	unsigned q;
};

static inline void td_kick_fn(void *arg)
{
	struct td_kick *k = arg;

	virtio_notify(k->dev, k->q);
}

/* Notifies queue Q, and returns when the device has looked at it. */
static inline void td_kick(struct td *t, unsigned q)
{
	struct td_kick k = { t->dev, q };

	if (t->dev->cls->sync_notify)
		virtio_notify(t->dev, q);
	else
		evloop_call(&t->loop, td_kick_fn, &k);
}

/* Gives queue Q the turns that it asked for with virtio_again(); how many. */
static inline unsigned td_run(struct td *t, unsigned q)
{
	unsigned n = 0;

	for (; t->agains[q]; n++) {
		t->agains[q]--;
		td_kick(t, q);
	}
	return n;
}

#endif
