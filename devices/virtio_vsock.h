/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * virtio_vsock.h - the socket device (virtio 1.2, 5.10): streams between programs in the guest and on the host.
 *
 * This is the guest's end, three queues; the connections and the host's sockets are the hub's (vsock_hub.h), which
 * outlives the guest.
 */
#ifndef TVMM_DEVICES_VIRTIO_VSOCK_H
#define TVMM_DEVICES_VIRTIO_VSOCK_H

#include "virtio.h"
#include "vsock_hub.h"

struct virtio_vsock {
	struct virtio_dev dev;
	struct vsock_hub *hub;
	struct virtq_req req; /* the loop's */
};

/* HUB stays the caller's, and must live until virtio_vsock_fini(). */
void virtio_vsock_init(struct virtio_vsock *v, const char *name, struct vsock_hub *hub, const struct gmem *mem,
		       struct evloop *loop, struct log *log);
void virtio_vsock_fini(struct virtio_vsock *v);

#endif
