/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * virtio_vsock.c - three queues: 0 receives, 1 transmits, 2 is for events (virtio 1.2, 5.10.2).  All on the I/O loop.
 *
 * A transmitted packet is always taken at once, for the hub has room for all that credit allows: no connection waits
 * behind another one.  A packet for the guest is made when the guest has a buffer for it, in that buffer.
 */
#include "virtio_vsock.h"

#include <endian.h>
#include <string.h>
#include "bits.h"

#define QUEUE_SIZE 128
#define BATCH      64 /* packets a turn */

enum { Q_RX, Q_TX, Q_EVENT, Q_COUNT };

static struct virtio_vsock *to_vsock(struct virtio_dev *dev)
{
	return container_of(dev, struct virtio_vsock, dev);
}

/*
 * The next packet into the request's buffer.  1: done; 0: there is none; -1: the driver's buffer is none.  The header is
 * written after what follows it, since how much that is is only known then.
 */
static int receive(struct virtio_vsock *v, uint32_t *len)
{
	struct iovec front[sizeof(struct vsock_hdr)];
	struct segs room = segs_in(&v->req), head = { .iov = front };
	struct vsock_hdr hdr;

	head.n = segs_split(&room, front, ARRAY_SIZE(front), sizeof(hdr));
	if (!head.n)
		return -1;
	head.left = sizeof(hdr);
	if (!vsock_hub_next(v->hub, &hdr, &room))
		return 0;
	segs_put(&head, &hdr, sizeof(hdr));
	*len = (uint32_t)sizeof(hdr) + le32toh(hdr.len);
	return 1;
}

static void work_rx(struct virtio_vsock *v)
{
	struct virtq *vq = &v->dev.queue[Q_RX].vq;
	unsigned n = 0;
	uint32_t len;

	do {
		vq_notify_off(vq);
		while (vq_pop(vq, &v->req) == 1) {
			int ret = receive(v, &len);

			if (ret < 0) {
				virtio_break(&v->dev, "a receive buffer has no room for a packet's header");
				return;
			}
			if (!ret) {
				vq_unpop(vq, &v->req); /* the hub wakes us; buffers that come meanwhile are of no interest */
				return;
			}
			vq_push(vq, v->req.head, len);
			virtio_signal(&v->dev, Q_RX);
			if (++n == BATCH) {
				virtio_again(&v->dev, Q_RX);
				return;
			}
		}
	} while (vq_notify_on(vq));
}

static void work_tx(struct virtio_vsock *v)
{
	struct virtq *vq = &v->dev.queue[Q_TX].vq;
	unsigned n = 0;

	do {
		vq_notify_off(vq);
		while (vq_pop(vq, &v->req) == 1) {
			struct segs data = segs_out(&v->req);
			uint16_t head = v->req.head;
			struct vsock_hdr hdr;

			if (!segs_take(&data, &hdr, sizeof(hdr))) {
				virtio_break(&v->dev, "a packet of %u bytes is shorter than its header", v->req.out_len);
				return;
			}
			vsock_hub_receive(v->hub, &hdr, &data); /* may use v->req for an answer */
			if (!vq->live || vq->broken)
				return;
			vq_push(vq, head, 0);
			virtio_signal(&v->dev, Q_TX);
			if (++n == BATCH) {
				virtio_again(&v->dev, Q_TX);
				return;
			}
		}
	} while (vq_notify_on(vq));
}

static void hub_has_more(void *arg)
{
	struct virtio_vsock *v = arg;

	if (v->dev.queue[Q_RX].vq.live)
		work_rx(v);
}

static void vsock_notify(struct virtio_dev *dev, unsigned q)
{
	struct virtio_vsock *v = to_vsock(dev);

	if (q == Q_RX)
		work_rx(v);
	else if (q == Q_TX)
		work_tx(v);
	/* Events are for guests that move between hosts; their buffers wait. */
}

static void vsock_activate(struct virtio_dev *dev)
{
	vsock_hub_attach(to_vsock(dev)->hub, hub_has_more, to_vsock(dev));
}

static void vsock_reset(struct virtio_dev *dev)
{
	vsock_hub_attach(to_vsock(dev)->hub, NULL, NULL);
}

static void vsock_config_read(struct virtio_dev *dev, unsigned off, void *buf, unsigned len)
{
	const uint64_t cid = htole64(to_vsock(dev)->hub->guest_cid);

	memcpy(buf, (const char *)&cid + off, len);
}

static const struct virtio_class vsock_class = {
	.name = "virtio-vsock",
	.device_id = 19,
	.pci_class = 0x078000, /* communication controller, other */
	.activate = vsock_activate,
	.reset = vsock_reset,
	.notify = vsock_notify,
	.config_read = vsock_config_read,
};

void virtio_vsock_init(struct virtio_vsock *v, const char *name, struct vsock_hub *hub, const struct gmem *mem,
		       struct evloop *loop, struct log *log)
{
	v->hub = hub;
	virtio_init(&v->dev, &vsock_class, name, Q_COUNT, QUEUE_SIZE, sizeof(uint64_t), 0, mem, loop, log);
}

void virtio_vsock_fini(struct virtio_vsock *v)
{
	virtio_fini(&v->dev);
}
