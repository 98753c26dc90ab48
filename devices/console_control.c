/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * console_control.c - the control queues of a console device with several ports (virtio 1.2, 5.3.6.2).  On the I/O loop.
 *
 * What the driver is to be told is kept as bits of each port, not as a queue of messages: however often a peer comes and
 * goes, or a driver asks, while no control buffer is offered, nothing grows, and it is told of an end and the last state.
 *
 * Messages that make no sense (another port's number, an unknown event, half a message) are ignored and counted.  A
 * control buffer too small for its message breaks the device: the driver could not learn of its ports.
 */
#include <string.h>

#include "bits.h"
#include "segs.h"
#include "virtio_console.h"

enum { DEVICE_READY, PORT_ADD, PORT_REMOVE, PORT_READY, CONSOLE_PORT, RESIZE, PORT_OPEN, PORT_NAME };

/* In the order in which they are sent. */
#define OWE_ADD  BIT(0)
#define OWE_NAME BIT(1)
#define OWE_SHUT BIT(2) /* so that a guest sees an end between two peers, however late it is told */
#define OWE_OPEN BIT(3)

struct control {
	uint32_t id;
	uint16_t event, value;
};

/* Sends the first message that is due.  False if the driver's buffer does not hold it. */
static bool put_message(struct virtio_console *c, struct console_port *p)
{
	struct segs in = segs_in(&c->req);
	unsigned bit = p->owed & -p->owed;
	struct control m = { .id = htole32(p->index), .event = htole16(PORT_ADD), .value = htole16(1) };
	size_t name_len = 0;

	if (bit == OWE_NAME) {
		m.event = htole16(PORT_NAME);
		name_len = strlen(p->name);
	} else if (bit == OWE_SHUT || bit == OWE_OPEN) {
		m.event = htole16(PORT_OPEN);
		m.value = htole16(bit == OWE_OPEN);
	}
	if (in.left < sizeof(m) + name_len) {
		virtio_break(&c->dev, "a control buffer of %zu bytes is too small for a message of %zu", in.left, sizeof(m) + name_len);
		return false;
	}
	segs_put(&in, &m, sizeof(m));
	segs_put(&in, p->name, name_len);
	vq_push(&c->dev.queue[CONSOLE_Q_CONTROL_RX].vq, c->req.head, (uint32_t)(sizeof(m) + name_len));
	p->owed &= ~bit;
	return true;
}

static struct console_port *owing(struct virtio_console *c)
{
	for (unsigned i = 0; i < c->n_ports; i++)
		if (c->port[i].owed)
			return &c->port[i];
	return NULL;
}

/* Tells what there are buffers for; the driver's next buffer goes on. */
static void send_owed(struct virtio_console *c)
{
	struct virtq *vq = &c->dev.queue[CONSOLE_Q_CONTROL_RX].vq;
	struct console_port *p;
	bool sent = false;

	while ((p = owing(c))) {
		int ret = vq_pop(vq, &c->req);

		if (ret == 0 && vq_notify_on(vq))
			continue;
		if (ret != 1 || !put_message(c, p))
			break;
		sent = true;
	}
	if (sent)
		virtio_signal(&c->dev, CONSOLE_Q_CONTROL_RX);
}

static void device_ready(struct virtio_console *c, bool ready)
{
	for (unsigned i = 0; i < c->n_ports; i++) {
		c->port[i].ready = false;
		c->port[i].owed = ready ? OWE_ADD : 0;
	}
}

static bool take_message(struct virtio_console *c)
{
	struct segs out = segs_out(&c->req);
	struct console_port *p;
	struct control m;
	bool on;

	if (!segs_take(&out, &m, sizeof(m)))
		return false;
	on = le16toh(m.value);
	if (le16toh(m.event) == DEVICE_READY) {
		device_ready(c, on);
		return true;
	}
	if (le32toh(m.id) >= c->n_ports)
		return false;
	p = &c->port[le32toh(m.id)];
	switch (le16toh(m.event)) {
	case PORT_READY:
		p->ready = on;
		p->owed = on ? OWE_NAME | (chardev_has_peer(p->chr) ? OWE_OPEN : 0) : 0;
		return true;
	case PORT_OPEN:
		p->guest_open = on;
		if (on)
			console_port_opened(p);
		return true;
	default:
		return false;
	}
}

static void receive(struct virtio_console *c)
{
	struct virtq *vq = &c->dev.queue[CONSOLE_Q_CONTROL_TX].vq;
	unsigned n = 0;

	do {
		vq_notify_off(vq);
		while (vq_pop(vq, &c->req) == 1) {
			if (!take_message(c))
				log_guest(c->dev.log, c->dev.name, "a control message that makes no sense");
			vq_push(vq, c->req.head, 0);
			virtio_signal(&c->dev, CONSOLE_Q_CONTROL_TX);
			if (++n == CONSOLE_BATCH) {
				virtio_again(&c->dev, CONSOLE_Q_CONTROL_TX);
				return;
			}
		}
	} while (vq_notify_on(vq));
}

void console_control_notify(struct virtio_console *c, unsigned q)
{
	if (!virtio_has(&c->dev, CONSOLE_F_MULTIPORT))
		return;
	if (q == CONSOLE_Q_CONTROL_TX)
		receive(c);
	send_owed(c);
}

void console_control_peer(struct console_port *p)
{
	if (!p->ready)
		return;
	if (chardev_has_peer(p->chr))
		p->owed |= OWE_OPEN;
	else
		p->owed = (p->owed & ~OWE_OPEN) | OWE_SHUT;
	send_owed(p->con);
}
