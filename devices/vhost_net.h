/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * vhost_net.h - the kernel's own worker for virtio-net queues (/dev/vhost-net), in place of ours: it takes packets from
 * the tap to the guest's buffers and back, is rung by the guest through KVM, and interrupts it the same way (virtio_call.h).
 *
 * One per queue pair.  Opened before the loop runs; all else on the I/O loop, by virtio_net.c.  The worker reads guest
 * memory by itself, through the same checks as ours (its own), and only what is told to it is guest memory.
 */
#ifndef TVMM_DEVICES_VHOST_NET_H
#define TVMM_DEVICES_VHOST_NET_H

#include "netif.h"
#include "virtio.h"

struct vhost_net;

/* Opens one worker for each of PAIRS.  -ENOENT, -EACCES, ...: this host has none, *ERR says why. */
int vhost_net_open(struct vhost_net **out, const struct host *h, struct evloop *loop, unsigned pairs, struct tvmm_error *err);
void vhost_net_close(struct vhost_net *v); /* NULL is fine */

/*
 * Hands pair PAIR of DEV, whose queues are live, to its worker, which moves packets of tap descriptor TAP_FD.  The driver's
 * features are those of the queues.  0, or -errno, and nothing has changed.
 */
int vhost_net_start(struct vhost_net *v, struct virtio_dev *dev, unsigned pair, int tap_fd);

/* Takes it back; when this returns the worker touches neither guest memory nor tap.  Harmless when it was not started. */
void vhost_net_stop(struct vhost_net *v, unsigned pair);

#endif
