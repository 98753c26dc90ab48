/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * virtio_console.c - ports of two queues each, one to receive and one to transmit (virtio 1.2, 5.3.2).  All on the I/O loop.
 *
 * Back-pressure without growth: what the chardev does not take stays in the driver's buffers, the request goes back to
 * the ring's front with the count of bytes that are out already; what the driver has no buffers for stays with the
 * host's descriptor.  Each port goes at its own pace.
 *
 * A driver that does not take MULTIPORT has the first port alone.  Which ports there are and whether they are open is told
 * on the control queues (console_control.c).
 */
#include "virtio_console.h"

#include "bits.h"
#include "segs.h"

#define QUEUE_SIZE 128

struct console_config {
	uint16_t cols, rows;
	uint32_t max_nr_ports, emerg_wr;
};

static struct virtio_console *to_console(struct virtio_dev *dev)
{
	return container_of(dev, struct virtio_console, dev);
}

static struct virtq *rx_queue(const struct console_port *p)
{
	return &p->con->dev.queue[p->rxq].vq;
}

/* Hands the request's bytes on, from the SENTth.  True when all are out. */
static bool transmit(struct console_port *p)
{
	struct segs out = segs_out(&p->con->req);

	segs_skip(&out, p->sent);
	for (unsigned i = 0; i < out.n && out.left; i++) {
		size_t took = chardev_put(p->chr, out.iov[i].iov_base, out.iov[i].iov_len);

		p->sent += took;
		if (took < out.iov[i].iov_len)
			return false;
	}
	p->sent = 0;
	return true;
}

static void work_tx(struct console_port *p)
{
	struct virtio_console *c = p->con;
	struct virtq *vq = &c->dev.queue[p->txq].vq;
	unsigned n = 0;

	do {
		vq_notify_off(vq);
		while (vq_pop(vq, &c->req) == 1) {
			if (!transmit(p)) {
				vq_unpop(vq, &c->req); /* port_drained() goes on */
				return;
			}
			vq_push(vq, c->req.head, 0);
			virtio_signal(&c->dev, p->txq);
			if (++n == CONSOLE_BATCH) {
				virtio_again(&c->dev, p->txq);
				return;
			}
		}
	} while (vq_notify_on(vq));
}

static void port_drained(void *arg)
{
	struct console_port *p = arg;

	if (p->con->dev.queue[p->txq].vq.live)
		work_tx(p);
}

static void port_peer(void *arg)
{
	console_control_peer(arg);
}

void console_port_opened(struct console_port *p)
{
	chardev_rx_ready(p->chr);
}

/* How much the next receive buffer holds.  It is looked at and put back: the ring is the only store. */
static size_t rx_room(struct chardev_rx *rx)
{
	struct console_port *p = container_of(rx, struct console_port, rx);
	struct virtio_console *c = p->con;
	struct virtq *vq = rx_queue(p);

	size_t room = 0;
	unsigned n = 0;
	int ret;

	if (!p->guest_open)
		return 0;
	do {
		while ((ret = vq_pop(vq, &c->req)) == 1 && !c->req.in_len && n++ < CONSOLE_BATCH)
			vq_push(vq, c->req.head, 0); /* a buffer that holds nothing */
		if (ret == 1) {
			room = c->req.in_len;
			vq_unpop(vq, &c->req);
			if (!room)
				virtio_again(&c->dev, p->rxq); /* its notify asks for input again */
		}
	} while (ret == 0 && vq_notify_on(vq));
	if (n)
		virtio_signal(&c->dev, p->rxq);
	return room;
}

static void rx_input(struct chardev_rx *rx, const uint8_t *buf, size_t len)
{
	struct console_port *p = container_of(rx, struct console_port, rx);
	struct virtio_console *c = p->con;
	struct virtq *vq = rx_queue(p);

	while (len && vq->live && vq_pop(vq, &c->req) == 1) {
		struct segs in = segs_in(&c->req);
		size_t n = MIN(len, in.left);

		segs_put(&in, buf, n);
		vq_push(vq, c->req.head, (uint32_t)n);
		buf += n;
		len -= n;
	}
	virtio_signal(&c->dev, p->rxq);
}

static void console_activate(struct virtio_dev *dev)
{
	struct virtio_console *c = to_console(dev);

	if (c->n_ports && !virtio_has(dev, CONSOLE_F_MULTIPORT)) {
		c->port[0].guest_open = true; /* it has no way to say so */
		console_port_opened(&c->port[0]);
	}
}

/* Queues 0 and 1 are the first port's, 2 and 3 the control queues, and two for each port after that (5.3.2). */
static void console_notify(struct virtio_dev *dev, unsigned q)
{
	struct virtio_console *c = to_console(dev);
	unsigned i = q < 2 ? 0 : q / 2 - 1;

	if (q == CONSOLE_Q_CONTROL_RX || q == CONSOLE_Q_CONTROL_TX) {
		console_control_notify(c, q);
		return;
	}
	if (i >= c->n_ports || (i && !virtio_has(dev, CONSOLE_F_MULTIPORT)))
		return;
	if (q % 2)
		work_tx(&c->port[i]);
	else
		chardev_rx_ready(c->port[i].chr);
}

static void console_reset(struct virtio_dev *dev)
{
	struct virtio_console *c = to_console(dev);

	for (unsigned i = 0; i < c->n_ports; i++) {
		struct console_port *p = &c->port[i];

		p->sent = 0;
		p->owed = 0;
		p->ready = p->guest_open = false;
	}
}

static void console_config_read(struct virtio_dev *dev, unsigned off, void *buf, unsigned len)
{
	const struct virtio_console *c = to_console(dev);
	const struct console_config config = { .cols = htole16(c->cols), .rows = htole16(c->rows),
					       .max_nr_ports = htole32(c->n_ports) };

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
	.activate = console_activate,
	.notify = console_notify,
	.reset = console_reset,
	.config_read = console_config_read,
};

static void init(struct virtio_console *c, const char *name, unsigned n_queues, uint64_t features, const struct gmem *mem,
		 struct evloop *loop, struct log *log)
{
	c->cols = c->rows = 0;
	c->n_ports = 0;
	virtio_init(&c->dev, &console_class, name, n_queues, QUEUE_SIZE, sizeof(struct console_config), features, mem, loop, log);
}

void virtio_ports_add(struct virtio_console *c, const char *name, struct chardev *chr)
{
	unsigned i = c->n_ports++;
	struct console_port *p = &c->port[i];

	*p = (struct console_port){ .con = c, .name = name, .chr = chr, .rx = { .room = rx_room, .input = rx_input }, .index = i };
	p->rxq = i ? 2 * i + 2 : 0;
	p->txq = p->rxq + 1;
	chr->drained_arg[1] = p;
	chr->drained[1] = port_drained;
	if (!name)
		return;
	chr->rx = &p->rx;
	chr->peer_arg = p;
	chr->peer = port_peer;
	c->dev.n_queues = p->txq + 1 > CONSOLE_Q_CONTROL_TX ? p->txq + 1 : CONSOLE_Q_CONTROL_TX + 1;
}

void virtio_console_init(struct virtio_console *c, const char *name, struct chardev *chr, const struct gmem *mem,
			 struct evloop *loop, struct log *log)
{
	init(c, name, 2, CONSOLE_F_SIZE, mem, loop, log);
	virtio_ports_add(c, NULL, chr);
}

void virtio_ports_init(struct virtio_console *c, const char *name, const struct gmem *mem, struct evloop *loop, struct log *log)
{
	init(c, name, VIRTIO_MAX_QUEUES, CONSOLE_F_MULTIPORT, mem, loop, log);
	c->dev.n_queues = CONSOLE_Q_CONTROL_TX + 1;
}

void virtio_console_fini(struct virtio_console *c)
{
	for (unsigned i = 0; i < c->n_ports; i++) {
		struct chardev *chr = c->port[i].chr;

		chr->drained[1] = NULL;
		if (c->port[i].name) {
			chr->rx = NULL;
			chr->peer = NULL;
		}
	}
	virtio_fini(&c->dev);
}
