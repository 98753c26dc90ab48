/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * vhost_user_blk.c - the driver's side of a disk that a server outside this process has: features, configuration, resets.
 *
 * On the I/O loop but for the configuration, which vCPUs read under the device's lock.  No request passes through us while
 * the server is there.  A reset is over when the server has given back every queue, which may take as long as its storage
 * does: the loop does not wait for that, nor does whoever ends the machine.
 */
#include "vhost_user_blk.h"

#include <poll.h>
#include "bits.h"
#include "segs.h"

#define QUEUE_SIZE 256
#define BATCH      32 /* requests a turn */
#define S_IOERR    1

#define F_MQ BIT_ULL(12)
/* Size and number of segments, geometry, read-only, block size, flush, topology, queues, discard, write zeroes. */
#define FEATURES (BIT_ULL(1) | BIT_ULL(2) | BIT_ULL(4) | BIT_ULL(5) | BIT_ULL(6) | BIT_ULL(9) | BIT_ULL(10) | F_MQ | \
		  BIT_ULL(13) | BIT_ULL(14))

#define CONFIG_NUM_QUEUES 34 /* virtio 1.2, 5.2.4 */

static struct vhost_user_blk *to_blk(struct virtio_dev *dev)
{
	return container_of(dev, struct vhost_user_blk, dev);
}

/* ---- when the server is gone -------------------------------------------------------------------------------------- */

static void fail_requests(struct vhost_user_blk *b, unsigned q)
{
	struct virtq *vq = &b->dev.queue[q].vq;
	unsigned n = 0;

	do {
		vq_notify_off(vq);
		while (n < BATCH && vq_pop(vq, &b->req) == 1) {
			struct segs in = segs_in(&b->req);
			uint8_t *status = segs_last_byte(&in);

			if (!status) {
				virtio_break(&b->dev, "request %u has no room for a status", b->req.head);
				return;
			}
			*status = S_IOERR;
			vq_push(vq, b->req.head, in.left ? 0 : 1);
			n++;
		}
	} while (n < BATCH && vq_notify_on(vq));
	virtio_signal(&b->dev, q);
	if (n == BATCH)
		virtio_again(&b->dev, q);
}

static void server_gone(void *arg)
{
	struct vhost_user_blk *b = arg;
	bool lost = false;

	if (!b->active)
		return;
	for (unsigned q = 0; q < b->dev.n_queues; q++)
		if (b->dev.queue[q].vq.live)
			lost |= !vq_take_over(&b->dev.queue[q].vq);
	if (lost) {
		log_line(b->dev.log, TVMM_LOG_WARN, "%s: which requests the server had taken cannot be told; they stay unanswered",
			 b->dev.name);
		virtio_want_reset(&b->dev);
	}
	for (unsigned q = 0; q < b->dev.n_queues; q++)
		if (b->dev.queue[q].vq.live && !b->dev.queue[q].vq.broken)
			fail_requests(b, q);
}

/* ---- the class ---------------------------------------------------------------------------------------------------- */

static void vub_activate(struct virtio_dev *dev)
{
	struct vhost_user_blk *b = to_blk(dev);

	b->active = true;
	if (!b->server->gone)
		vhost_user_start(b->server, dev);
}

static void vub_reset(struct virtio_dev *dev)
{
	struct vhost_user_blk *b = to_blk(dev);

	b->active = false;
	vhost_user_stop(b->server);
}

/* Of a bell that the server answers, we hear nothing: this is the core's own call, for what was offered before the start. */
static void vub_notify(struct virtio_dev *dev, unsigned q)
{
	struct vhost_user_blk *b = to_blk(dev);

	if (b->server->gone)
		fail_requests(b, q);
	else
		virtio_again(dev, q); /* rings it */
}

struct settling {
	struct vhost_user *server;
	bool idle;
};

static void look(void *arg)
{
	struct settling *s = arg;

	s->idle = vhost_user_is_idle(s->server);
}

static bool vub_settle(struct virtio_dev *dev, unsigned limit_ms)
{
	const struct host *h = dev->loop->host;
	struct settling s = { .server = to_blk(dev)->server };
	uint64_t end = h->now_ns(h) + limit_ms * 1000000ull, now;

	for (;;) {
		struct pollfd p = { .fd = s.server->sock.fd, .events = POLLIN };

		evloop_call(dev->loop, look, &s);
		now = h->now_ns(h);
		if (s.idle || now >= end)
			return s.idle;
		h->poll(h, &p, 1, (int)((end - now) / 1000000) + 1);
	}
}

static void vub_config_read(struct virtio_dev *dev, unsigned off, void *buf, unsigned len)
{
	memcpy(buf, to_blk(dev)->config + off, len);
}

static const struct virtio_class vub_class = {
	.name = "virtio-blk",
	.device_id = 2,
	.pci_class = 0x010000, /* SCSI storage, as other machines have it */
	.activate = vub_activate,
	.reset = vub_reset,
	.settle = vub_settle,
	.notify = vub_notify,
	.config_read = vub_config_read,
};

/* ---- configuration ------------------------------------------------------------------------------------------------ */

/* The server's, but for the number of queues, which is ours.  Under dev->lock, or before the guest runs. */
static bool copy_config(struct vhost_user_blk *b)
{
	uint8_t new[VHOST_USER_BLK_CONFIG] = { 0 };
	bool differs;

	memcpy(new, b->server->config, sizeof(b->server->config));
	store_le16(new + CONFIG_NUM_QUEUES, b->dev.n_queues > 1 ? (uint16_t)b->dev.n_queues : 0);
	differs = memcmp(b->config, new, sizeof(new)) != 0;
	memcpy(b->config, new, sizeof(new));
	return differs;
}

static void config_changed(void *arg)
{
	struct vhost_user_blk *b = arg;

	pthread_mutex_lock(&b->dev.lock);
	if (copy_config(b))
		virtio_config_changed_locked(&b->dev);
	pthread_mutex_unlock(&b->dev.lock);
}

void vhost_user_blk_init(struct vhost_user_blk *b, const char *name, struct vhost_user *server, unsigned queues,
			 const struct gmem *mem, struct evloop *loop, struct log *log)
{
	uint64_t rings = VIRTIO_F_EVENT_IDX | VIRTIO_F_INDIRECT_DESC, features = server->features & FEATURES;
	unsigned theirs = features & F_MQ ? load_le16(server->config + CONFIG_NUM_QUEUES) : 1;

	*b = (struct vhost_user_blk){ .server = server };
	queues = MAX(1, MIN(MIN(queues, server->queues), theirs));
	virtio_init(&b->dev, &vub_class, name, queues, QUEUE_SIZE, VHOST_USER_BLK_CONFIG, features & ~(queues > 1 ? 0 : F_MQ), mem,
		    loop, log);
	b->dev.features &= ~(rings & ~server->features); /* what the core knows, the server may not */
	copy_config(b);
	server->user = (struct vhost_user_user){ .changed = config_changed, .gone = server_gone, .arg = b };
}

void vhost_user_blk_fini(struct vhost_user_blk *b)
{
	if (!b->server)
		return;
	virtio_fini(&b->dev);
	b->server->user = (struct vhost_user_user){ .arg = NULL };
	b->server = NULL;
}
