/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * virtio_call.h - the eventfd by which a worker outside this process (vhost, a vhost-user server) interrupts a driver.
 *
 * Attached to a queue, each of its signals is that queue's interrupt.  The host delivers it by itself where it can (KVM's
 * irqfd, through the transport); while the driver masks the vector, where it has none, and on hosts that cannot, the loop
 * hears the signal and raises the interrupt, or marks it pending.  So nothing is lost at the changes between the two; a
 * driver may get one interrupt twice then.
 *
 * Made before the guest runs; attached and detached on the I/O loop.  No allocation and no new descriptor after init.
 */
#ifndef TVMM_DEVICES_VIRTIO_CALL_H
#define TVMM_DEVICES_VIRTIO_CALL_H

#include "virtio.h"

struct virtio_call {
	struct evbell bell;     /* signalled by the worker */
	struct evloop *loop;
	struct virtio_dev *dev; /* NULL: attached to nothing; signals are lost */
	unsigned queue;
};

int virtio_call_init(struct virtio_call *c, struct evloop *loop, struct tvmm_error *err);
void virtio_call_fini(struct virtio_call *c); /* detached by then */

/* What the worker signals. */
static inline int virtio_call_fd(const struct virtio_call *c)
{
	return c->bell.src.fd;
}

/* From now on, for queue Q of DEV, which is live. */
void virtio_call_attach(struct virtio_call *c, struct virtio_dev *dev, unsigned q);

/* No interrupt comes of it any more when this returns.  Before DEV's transport goes; harmless when it is not attached. */
void virtio_call_detach(struct virtio_call *c);

#endif
