/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * virtio_net_rx.h - the receive side of virtio_net.c, which alone calls it, on the I/O loop.
 */
#ifndef TVMM_DEVICES_VIRTIO_NET_RX_H
#define TVMM_DEVICES_VIRTIO_NET_RX_H

#include "virtio_net.h"

#define NET_F_MRG_RXBUF (UINT64_C(1) << 15)

/* Forgets buffers and packets, before the driver's first or after its last. */
void net_rx_start(struct virtio_net *v);

/* Must queue Q wait for its limit?  Then the timer runs, and the queue is looked at again.  *NOW is what the take needs. */
bool net_limited(struct virtio_net *v, unsigned q, uint64_t *now);

/*
 * Receives on a queue pair, whose receive queue is live, until packets or buffers run out, or others have their turn: how
 * many packets came.
 */
unsigned net_rx_work(struct virtio_net *v, unsigned pair);

#endif
