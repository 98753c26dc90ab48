/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * virtio_console.c - two queues: 0 receives, 1 transmits (virtio 1.2, 5.3.2).  All on the I/O loop.
 *
 * Back-pressure without growth: what the chardev does not take stays in the driver's buffers, the request goes back to
 * the ring's front with the count of bytes that are out already; what the driver has no buffers for stays with the
 * host's descriptor.
 */
#include "virtio_console.h"

#include "bits.h"
#include "segs.h"

#define QUEUE_SIZE 128
#define BATCH      64 /* requests a turn */

enum { Q_RX, Q_TX, Q_COUNT };

#define F_SIZE BIT_ULL(0)

struct console_config {
	uint16_t cols, rows;
	uint32_t max_nr_ports, emerg_wr;
};

static struct virtio_console *to_console(struct virtio_dev *dev)
{
	return container_of(dev, struct virtio_console, dev);
}

/* Hands the request's bytes on, from the SENTth.  True when all are out. */
static bool transmit(struct virtio_console *c)
{
	struct segs out = segs_out(&c->req);

	segs_skip(&out, c->sent);
	for (unsigned i = 0; i < out.n && out.left; i++) {
		size_t took = chardev_put(c->chr, out.iov[i].iov_base, out.iov[i].iov_len);

		c->sent += took;
		if (took < out.iov[i].iov_len)
			return false;
	}
	c->sent = 0;
	return true;
}

static void work_tx(struct virtio_console *c)
{
	struct virtq *vq = &c->dev.queue[Q_TX].vq;
	unsigned n = 0;

	do {
		vq_notify_off(vq);
		while (vq_pop(vq, &c->req) == 1) {
			if (!transmit(c)) {
				vq_unpop(vq, &c->req); /* console_drained() goes on */
				return;
			}
			vq_push(vq, c->req.head, 0);
			virtio_signal(&c->dev, Q_TX);
			if (++n == BATCH) {
				virtio_again(&c->dev, Q_TX);
				return;
			}
		}
	} while (vq_notify_on(vq));
}

static void console_drained(void *arg)
{
	struct virtio_console *c = arg;

	if (c->dev.queue[Q_TX].vq.live)
		work_tx(c);
}

/* How much the next receive buffer holds.  It is looked at and put back: the ring is the only store. */
static size_t rx_room(struct chardev_rx *rx)
{
	struct virtio_console *c = container_of(rx, struct virtio_console, rx);
	struct virtq *vq = &c->dev.queue[Q_RX].vq;

	size_t room = 0;
	unsigned n = 0;
	int ret;

	do {
		while ((ret = vq_pop(vq, &c->req)) == 1 && !c->req.in_len && n++ < BATCH)
			vq_push(vq, c->req.head, 0); /* a buffer that holds nothing */
		if (ret == 1) {
			room = c->req.in_len;
			vq_unpop(vq, &c->req);
			if (!room)
				virtio_again(&c->dev, Q_RX); /* its notify asks for input again */
		}
	} while (ret == 0 && vq_notify_on(vq));
	if (n)
		virtio_signal(&c->dev, Q_RX);
	return room;
}

static void rx_input(struct chardev_rx *rx, const uint8_t *buf, size_t len)
{
	struct virtio_console *c = container_of(rx, struct virtio_console, rx);
	struct virtq *vq = &c->dev.queue[Q_RX].vq;

	while (len && vq->live && vq_pop(vq, &c->req) == 1) {
		struct segs in = segs_in(&c->req);
		size_t n = MIN(len, in.left);

		segs_put(&in, buf, n);
		vq_push(vq, c->req.head, (uint32_t)n);
		buf += n;
		len -= n;
	}
	virtio_signal(&c->dev, Q_RX);
}

static void console_notify(struct virtio_dev *dev, unsigned q)
{
	struct virtio_console *c = to_console(dev);

	if (q == Q_TX)
		work_tx(c);
	else
		chardev_rx_ready(c->chr);
}

static void console_reset(struct virtio_dev *dev)
{
	to_console(dev)->sent = 0;
}

static void console_config_read(struct virtio_dev *dev, unsigned off, void *buf, unsigned len)
{
	const struct virtio_console *c = to_console(dev);
	const struct console_config config = { .cols = htole16(c->cols), .rows = htole16(c->rows), .max_nr_ports = htole32(1) };

	memcpy(buf, (const char *)&config + off, len);
}

void virtio_console_resize(struct virtio_console *c, uint16_t cols, uint16_t rows)
{
	pthread_mutex_lock(&c->dev.lock);
	if (c->cols != cols || c->rows != rows) {
		c->cols = cols;
		c->rows = rows;
		virtio_config_changed_locked(&c->dev);
	}
	pthread_mutex_unlock(&c->dev.lock);
}

static const struct virtio_class console_class = {
	.name = "virtio-console",
	.device_id = 3,
	.pci_class = 0x078000, /* communication controller, other */
	.notify = console_notify,
	.reset = console_reset,
	.config_read = console_config_read,
};

void virtio_console_init(struct virtio_console *c, const char *name, struct chardev *chr, const struct gmem *mem,
			 struct evloop *loop, struct log *log)
{
	c->rx = (struct chardev_rx){ .room = rx_room, .input = rx_input };
	c->chr = chr;
	c->cols = c->rows = 0;
	c->sent = 0;
	virtio_init(&c->dev, &console_class, name, Q_COUNT, QUEUE_SIZE, sizeof(struct console_config), F_SIZE, mem, loop, log);
	chr->drained_arg[1] = c;
	chr->drained[1] = console_drained;
}

void virtio_console_fini(struct virtio_console *c)
{
	c->chr->drained[1] = NULL;
	virtio_fini(&c->dev);
}
