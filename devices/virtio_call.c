/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * virtio_call.c - a worker's eventfd as a queue's interrupt (virtio_call.h).  On the I/O loop.
 *
 * The loop watches the descriptor at all times.  While the host delivers, it empties the eventfd before a reader is woken,
 * so the loop hears nothing; what it does hear was not delivered, or not yet, and is signalled by us whatever the state is
 * by then: once too often is harmless, once too rarely is a driver that waits for ever.
 */
#include "virtio_call.h"

#include <sys/epoll.h>
#include "bits.h"

static void call_rung(struct evbell *b)
{
	struct virtio_call *c = container_of(b, struct virtio_call, bell);

	if (c->dev)
		c->dev->transport->queue_irq(c->dev, c->queue);
}

int virtio_call_init(struct virtio_call *c, struct evloop *loop, struct tvmm_error *err)
{
	*c = (struct virtio_call){ .loop = loop };
	return evbell_init(&c->bell, loop, call_rung, err);
}

void virtio_call_fini(struct virtio_call *c)
{
	evbell_fini(&c->bell, c->loop);
}

void virtio_call_attach(struct virtio_call *c, struct virtio_dev *dev, unsigned q)
{
	const struct virtio_transport *t = dev->transport;

	c->dev = dev;
	c->queue = q;
	/* Not emptied, it would look to the host as a signal that nobody has served, at each change back to it. */
	if (t->queue_call && !t->queue_call(dev, q, virtio_call_fd(c)))
		evloop_mod(c->loop, &c->bell.src, EPOLLIN);
	else
		evbell_watch(&c->bell, c->loop, true);
}

void virtio_call_detach(struct virtio_call *c)
{
	if (!c->dev)
		return;
	if (c->dev->transport->queue_call)
		c->dev->transport->queue_call(c->dev, c->queue, -1);
	c->dev = NULL;
}
