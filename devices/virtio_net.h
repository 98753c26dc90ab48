/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * virtio_net.h - the network device (virtio 1.2, 5.1) on an interface of the host's (netif.h).
 *
 * Queues 2i receive, 2i + 1 transmit; behind them, with more than one pair, the control queue.  Packets go between the
 * guest's buffers and the interface without a copy.  Where one side has no room the packet stays with the other: in the
 * interface's own queue, or in the driver's ring.
 */
#ifndef TVMM_DEVICES_VIRTIO_NET_H
#define TVMM_DEVICES_VIRTIO_NET_H

#include "vigil.h"
#include "netif.h"
#include "ratelimit.h"
#include "vhost_net.h"
#include "virtio.h"

/* Room for a chain of any length behind what 64 KiB of a driver's usual buffers need; the kernel takes 1024. */
#define NET_RX_IOV 1024

struct net_rx_buf {
	uint16_t head, n; /* N elements of iov[] */
	uint32_t len;
};

/* Buffers that are off the ring and wait for packets, and a packet that waits for more of them. */
struct net_rx {
	struct net_rx_buf buf[VIRTQ_MAX_SIZE];
	unsigned first, count;           /* of buf[], a ring */
	struct iovec iov[NET_RX_IOV];
	unsigned at, n;                  /* their elements: iov[at .. at + n) */
	size_t room;                     /* and bytes */
	size_t got, tail;                /* GOT: the waiting packet's length, 0: none; TAIL bytes of it lie in spill */
	unsigned small;                  /* packets of late that a small part of that room would have held */
	uint8_t spill[NETIF_ROOM];
};

struct virtio_net {
	struct virtio_dev dev;
	struct netif *nif;               /* borrowed, and so is the next */
	struct vhost_net *vhost;         /* NULL: packets go through us */
	unsigned pairs, active;          /* queue pairs that exist, and that the driver uses; the loop's */
	uint8_t mac[6];
	uint16_t mtu;                    /* 0: not told */
	bool link_up;                    /* under dev.lock */
	bool tx_stuck[NETIF_PAIRS];      /* the interface took no more; the loop's, as what follows */
	struct ratelimit limit[2];       /* what the driver receives, what it sends: by the queue's number, odd or even */
	struct evsource timer;           /* for whoever waits for a limit; fd -1: there is none */
	bool lent[NETIF_PAIRS];          /* to vhost */
	uint64_t spin_ns;                /* how long to look for more before the thread sleeps; 0: not at all */
	struct vigil vigil[NETIF_PAIRS];
	struct net_rx *rx;               /* PAIRS of them */
	struct virtq_req req;
};

/* MTU 0: the driver is not told one.  VHOST may be NULL. */
int virtio_net_init(struct virtio_net *v, const char *name, struct netif *nif, struct vhost_net *vhost,
		    const uint8_t mac[6], uint16_t mtu, const struct gmem *mem, struct evloop *loop, struct log *log, struct tvmm_error *err);
void virtio_net_fini(struct virtio_net *v);

/* Before the guest runs: limits each direction (ratelimit.h).  VHOST was NULL. */
int virtio_net_limit(struct virtio_net *v, uint64_t bytes_per_s, uint64_t packets_per_s, uint64_t burst_ns, struct tvmm_error *err);

/*
 * Before the guest runs: on each pair whose packets come thick the loop's thread looks for more, for up to NS after the last,
 * before it sleeps, and meanwhile the guest pays no exit for what it sends.  For hosts with a CPU to spare.  Not with limits,
 * which are there to save the host's time; nor do a kernel's workers do it.
 */
void virtio_net_poll(struct virtio_net *v, uint64_t ns);

#endif
