/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * virtio.c - the state machine that all virtio devices share (virtio 1.2, 2.1, 2.2 and 3.1).
 *
 * Transports call in from vCPU threads; classes from the thread that owns their queues (virtio.h).  A driver may write
 * anything at any moment from several vCPUs at once: what the specification does not allow it in the present state is
 * ignored, and status writes wait for one another.
 *
 * How a reset is safe: the writer holds status_lock alone while the owner stops the class and its queues.  The owner may
 * meanwhile take dev->lock, raise interrupts and break queues; it never wants status_lock, so nothing waits in a circle.
 * When the owner is done no queue is live, and notifications that were under way find nothing to do.  Where the host then
 * still holds requests, the reset stays unfinished: the status reads as before until they are gone, nothing else is
 * accepted, and neither the vCPU nor anybody who stops the machine waits for them.
 */
#include "virtio.h"

#include <stdarg.h>
#include <stdio.h>

/* How long a vCPU waits inside its reset for what is in flight.  Then it learns of the end by reading the status. */
#define SETTLE_MS 100

#define DRIVER_BITS \
	(VIRTIO_S_ACKNOWLEDGE | VIRTIO_S_DRIVER | VIRTIO_S_DRIVER_OK | VIRTIO_S_FEATURES_OK | VIRTIO_S_FAILED)

/* The owner of a sync_notify class' queues is whoever holds the lock, and it calls with the lock held. */
static void owner_lock(struct virtio_dev *dev)
{
	if (!dev->cls->sync_notify)
		pthread_mutex_lock(&dev->lock);
}

static void owner_unlock(struct virtio_dev *dev)
{
	if (!dev->cls->sync_notify)
		pthread_mutex_unlock(&dev->lock);
}

/* Runs FN(DEV) as the queues' owner, and returns when it is done.  The caller holds status_lock at most. */
static void on_owner(struct virtio_dev *dev, void (*fn)(void *dev))
{
	if (!dev->cls->sync_notify) {
		evloop_call(dev->loop, fn, dev);
		return;
	}
	pthread_mutex_lock(&dev->lock);
	fn(dev);
	pthread_mutex_unlock(&dev->lock);
}

/* ---- faults ------------------------------------------------------------------------------------------------------- */

/* A reset clears the bit again, even one that is waiting for the owner just now. */
void virtio_want_reset(struct virtio_dev *dev)
{
	owner_lock(dev);
	dev->status |= VIRTIO_S_NEEDS_RESET;
	owner_unlock(dev);
	dev->transport->config_irq(dev);
}

/* Owner thread. */
static void needs_reset(struct virtio_dev *dev, const char *why)
{
	log_guest(dev->log, dev->name, "%s; the device needs a reset", why);
	virtio_want_reset(dev);
}

static void queue_fault(struct virtq *vq, const char *why)
{
	struct virtio_queue *q = container_of(vq, struct virtio_queue, vq);
	char msg[192];

	snprintf(msg, sizeof(msg), "queue %u: %s", q->index, why);
	needs_reset(q->dev, msg);
}

void virtio_break(struct virtio_dev *dev, const char *fmt, ...)
{
	char msg[192];
	bool was_live = false;
	va_list ap;

	for (unsigned i = 0; i < dev->n_queues; i++) {
		struct virtq *vq = &dev->queue[i].vq;

		was_live |= vq->live && !vq->broken;
		vq->broken = vq->live;
	}
	if (!was_live) /* told already */
		return;
	va_start(ap, fmt);
	vsnprintf(msg, sizeof(msg), fmt, ap);
	va_end(ap);
	needs_reset(dev, msg);
}

/* ---- life --------------------------------------------------------------------------------------------------------- */

static void clear_registers(struct virtio_dev *dev)
{
	dev->status = 0;
	dev->driver_features = 0;
	for (unsigned i = 0; i < dev->n_queues; i++) {
		dev->queue[i].enabled = false;
		dev->queue[i].layout = (struct virtq_layout){ .size = dev->queue[i].max_size };
	}
}

void virtio_init(struct virtio_dev *dev, const struct virtio_class *cls, const char *name, unsigned n_queues,
		 uint16_t queue_size, unsigned config_len, uint64_t features, const struct gmem *mem,
		 struct evloop *loop, struct log *log)
{
	*dev = (struct virtio_dev){ .cls = cls, .name = name, .n_queues = n_queues, .config_len = config_len,
				    .mem = mem, .loop = loop, .log = log };
	dev->features = features | VIRTIO_F_VERSION_1 | VIRTIO_F_EVENT_IDX | VIRTIO_F_INDIRECT_DESC;
	pthread_mutex_init(&dev->status_lock, NULL);
	pthread_mutex_init(&dev->lock, NULL);
	for (unsigned i = 0; i < n_queues; i++)
		dev->queue[i] = (struct virtio_queue){ .dev = dev, .index = i, .max_size = queue_size,
						       .vq = { .fault = queue_fault } };
	clear_registers(dev);
}

static void reset_queues(struct virtio_dev *dev)
{
	for (unsigned i = 0; i < dev->n_queues; i++)
		vq_reset(&dev->queue[i].vq);
}

/* Owner thread.  The shadow registers hold still: DRIVER_OK is set and status_lock held. */
static void activate(void *arg)
{
	struct virtio_dev *dev = arg;

	for (unsigned i = 0; i < dev->n_queues; i++) {
		struct virtio_queue *q = &dev->queue[i];
		const char *why;
		char msg[128];

		if (!q->enabled || !vq_activate(&q->vq, dev->mem, &q->layout, virtio_has(dev, VIRTIO_F_EVENT_IDX),
						virtio_has(dev, VIRTIO_F_INDIRECT_DESC), &why))
			continue;
		reset_queues(dev);
		snprintf(msg, sizeof(msg), "queue %u: %s", i, why);
		needs_reset(dev, msg);
		return;
	}
	dev->active = true;
	if (dev->cls->activate)
		dev->cls->activate(dev);
	for (unsigned i = 0; i < dev->n_queues; i++)
		if (dev->queue[i].vq.live && !dev->queue[i].vq.broken)
			dev->cls->notify(dev, i);
}

/* Owner thread. */
static void deactivate(void *arg)
{
	struct virtio_dev *dev = arg;

	if (dev->cls->reset)
		dev->cls->reset(dev);
	reset_queues(dev);
	dev->active = false;
}

/* Under status_lock.  What the host keeps in flight may hold it up for long: it is over when settling is false. */
static void reset(struct virtio_dev *dev, unsigned limit_ms)
{
	if (dev->active) {
		on_owner(dev, deactivate);
		atomic_store(&dev->settling, dev->cls->settle != NULL);
	}
	if (atomic_load(&dev->settling) && !dev->cls->settle(dev, limit_ms))
		return;
	atomic_store(&dev->settling, false);
	pthread_mutex_lock(&dev->lock);
	clear_registers(dev);
	if (dev->transport)
		dev->transport->reset(dev);
	pthread_mutex_unlock(&dev->lock);
}

void virtio_fini(struct virtio_dev *dev)
{
	pthread_mutex_lock(&dev->status_lock);
	reset(dev, SETTLE_MS);
	pthread_mutex_unlock(&dev->status_lock);
	pthread_mutex_destroy(&dev->lock);
	pthread_mutex_destroy(&dev->status_lock);
}

/* ---- status and features ------------------------------------------------------------------------------------------ */

bool virtio_is_quiet(struct virtio_dev *dev)
{
	bool quiet;

	pthread_mutex_lock(&dev->status_lock);
	if (atomic_load(&dev->settling))
		reset(dev, 0);
	quiet = !dev->active && !atomic_load(&dev->settling);
	pthread_mutex_unlock(&dev->status_lock);
	return quiet;
}

uint8_t virtio_status(struct virtio_dev *dev)
{
	uint8_t status;

	if (atomic_load(&dev->settling))
		virtio_is_quiet(dev);
	pthread_mutex_lock(&dev->lock);
	status = dev->status;
	pthread_mutex_unlock(&dev->lock);
	return status;
}

/* Sets the bits that the driver may set now.  True if DRIVER_OK is among them. */
static bool advance(struct virtio_dev *dev, uint8_t set)
{
	uint8_t old, added;

	pthread_mutex_lock(&dev->lock);
	old = dev->status;
	added = set & DRIVER_BITS & ~old;
	if (old & DRIVER_BITS & ~set) /* bits are cleared by a reset only (2.1.1) */
		added = 0;
	if (added & VIRTIO_S_FEATURES_OK &&
	    (dev->driver_features & ~dev->features || !(dev->driver_features & VIRTIO_F_VERSION_1)))
		added &= (uint8_t)~VIRTIO_S_FEATURES_OK; /* the driver reads back and sees (3.1.1) */
	if (!((old | added) & VIRTIO_S_FEATURES_OK))
		added &= (uint8_t)~VIRTIO_S_DRIVER_OK;
	dev->status = old | added;
	pthread_mutex_unlock(&dev->lock);
	return added & VIRTIO_S_DRIVER_OK;
}

void virtio_set_status(struct virtio_dev *dev, uint8_t status)
{
	pthread_mutex_lock(&dev->status_lock);
	if (status == 0)
		reset(dev, SETTLE_MS);
	else if (!atomic_load(&dev->settling) && advance(dev, status)) /* the driver must wait for the reset's end */
		on_owner(dev, activate);
	pthread_mutex_unlock(&dev->status_lock);
}

uint32_t virtio_features(struct virtio_dev *dev, uint32_t select)
{
	return select < 2 ? (uint32_t)(dev->features >> (32 * select)) : 0;
}

uint32_t virtio_driver_features(struct virtio_dev *dev, uint32_t select)
{
	uint32_t bits = 0;

	pthread_mutex_lock(&dev->lock);
	if (select < 2)
		bits = (uint32_t)(dev->driver_features >> (32 * select));
	pthread_mutex_unlock(&dev->lock);
	return bits;
}

void virtio_set_driver_features(struct virtio_dev *dev, uint32_t select, uint32_t bits)
{
	pthread_mutex_lock(&dev->lock);
	if (select < 2 && !(dev->status & VIRTIO_S_FEATURES_OK)) {
		dev->driver_features &= ~(0xffffffffull << (32 * select));
		dev->driver_features |= (uint64_t)bits << (32 * select);
	}
	pthread_mutex_unlock(&dev->lock);
}

bool virtio_has(const struct virtio_dev *dev, uint64_t feature)
{
	return dev->driver_features & feature;
}

/* ---- queues ------------------------------------------------------------------------------------------------------- */

struct virtio_queue *virtio_queue(struct virtio_dev *dev, uint32_t index)
{
	return index < dev->n_queues ? &dev->queue[index] : NULL;
}

bool virtio_queue_is_open(const struct virtio_queue *q)
{
	return !q->enabled && !(q->dev->status & VIRTIO_S_DRIVER_OK);
}

void virtio_queue_set_size(struct virtio_queue *q, uint16_t size)
{
	if (virtio_queue_is_open(q) && is_power_of_2(size) && size <= q->max_size)
		q->layout.size = size;
}

void virtio_queue_enable(struct virtio_queue *q)
{
	if (virtio_queue_is_open(q))
		q->enabled = true;
}

void virtio_notify(struct virtio_dev *dev, uint32_t index)
{
	struct virtio_queue *q = virtio_queue(dev, index);
	bool sync = dev->cls->sync_notify;

	if (!q)
		return;
	if (sync)
		pthread_mutex_lock(&dev->lock);
	if (q->vq.live && !q->vq.broken)
		dev->cls->notify(dev, index);
	if (sync)
		pthread_mutex_unlock(&dev->lock);
}

void virtio_signal(struct virtio_dev *dev, unsigned q)
{
	if (vq_should_signal(&dev->queue[q].vq))
		dev->transport->queue_irq(dev, q);
}

void virtio_again(struct virtio_dev *dev, unsigned q)
{
	dev->transport->again(dev, q);
}

/* ---- device configuration ----------------------------------------------------------------------------------------- */

void virtio_config_changed_locked(struct virtio_dev *dev)
{
	dev->config_generation++;
	if (dev->status & VIRTIO_S_DRIVER_OK) /* no notification before that (3.1.2) */
		dev->transport->config_irq(dev);
}

uint32_t virtio_generation(struct virtio_dev *dev)
{
	uint32_t gen;

	pthread_mutex_lock(&dev->lock);
	gen = dev->config_generation;
	pthread_mutex_unlock(&dev->lock);
	return gen;
}

/* How many of LEN bytes at OFF are configuration. */
static unsigned config_part(const struct virtio_dev *dev, uint64_t off, unsigned len)
{
	return off < dev->config_len ? (unsigned)MIN(len, dev->config_len - off) : 0;
}

void virtio_config_read(struct virtio_dev *dev, uint64_t off, void *buf, unsigned len)
{
	unsigned part = config_part(dev, off, len);

	memset(buf, 0, len);
	if (!part)
		return;
	pthread_mutex_lock(&dev->lock);
	dev->cls->config_read(dev, (unsigned)off, buf, part);
	pthread_mutex_unlock(&dev->lock);
}

void virtio_config_write(struct virtio_dev *dev, uint64_t off, const void *buf, unsigned len)
{
	unsigned part = config_part(dev, off, len);

	if (!part || !dev->cls->config_write)
		return;
	pthread_mutex_lock(&dev->lock);
	dev->cls->config_write(dev, (unsigned)off, buf, part);
	pthread_mutex_unlock(&dev->lock);
}
