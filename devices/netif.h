/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * netif.h - what virtio-net needs of the host's side of a network interface; net_tap.c and net_stream.c are the two.
 *
 * A packet is an Ethernet frame behind a header of NETIF_HDR bytes (struct virtio_net_hdr_v1), the same in both directions.
 * Opened before the loop runs; all calls come from the I/O loop, and so do the user's two functions.  No call blocks, none
 * allocates.  An interface that is gone stays gone: up is false then, what is sent is dropped, nothing is received.
 */
#ifndef TVMM_DEVICES_NETIF_H
#define TVMM_DEVICES_NETIF_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>
#include "error.h"
#include "evloop.h"
#include "host.h"
#include "log.h"

#define NETIF_HDR   12
#define NETIF_FRAME (14 + 4 + 65535) /* the longest: Ethernet, a VLAN tag, and what an IP packet's length can say */
#define NETIF_ROOM  (NETIF_HDR + NETIF_FRAME)
#define NETIF_PAIRS 7                /* the most queue pairs */

struct netif;

struct netif_ops {
	/*
	 * Takes the next packet into IOV: its length with the header, the header's num_buffers left open.  -EAGAIN: none now,
	 * ready() tells when.  IOV holds NETIF_ROOM bytes or more; nothing is cut.
	 */
	ssize_t (*recv)(struct netif *n, unsigned pair, const struct iovec *iov, unsigned cnt);
	/*
	 * Sends LEN bytes of IOV (which it may modify), NETIF_HDR at least.  0: it is out, or lost as packets may be; -EAGAIN:
	 * not now, ready() tells when.
	 */
	int (*send)(struct netif *n, unsigned pair, struct iovec *iov, unsigned cnt, size_t len);
	/* What of `features` the guest's driver takes in packets it receives; 0 when there is no driver. */
	void (*set_features)(struct netif *n, uint64_t features);
	/* Packets come on the first PAIRS queue pairs from now on.  0, or -errno and all is as it was.  May be NULL. */
	int (*set_pairs)(struct netif *n, unsigned pairs);
	/*
	 * For vhost_net.h: LENT, the queue pair's descriptor is returned, and until it is taken back we leave its packets alone;
	 * that the interface goes is noticed all the same.  prepare_lending() comes first, before the loop runs.  Both NULL
	 * where there is no such descriptor.
	 */
	int (*prepare_lending)(struct netif *n, struct tvmm_error *err);
	int (*lend)(struct netif *n, unsigned pair, bool lent);
	void (*close)(struct netif *n); /* frees it */
};

struct netif {
	const struct netif_ops *ops;
	const char *kind;    /* "tap tap0", for people */
	uint64_t features;   /* virtio-net's offload bits that this interface can serve */
	unsigned pairs;
	atomic_bool up;           /* read by any thread, as is what follows; written by the loop */
	_Atomic uint64_t dropped; /* packets that it lost */
	/* The user's; ready may be NULL while there is none. */
	void (*ready)(struct netif *n, unsigned pair); /* packets arrived, or there is room to send */
	void (*link)(struct netif *n);                 /* up has changed */
	void *user;
};

/*
 * An existing tap interface by name, with PAIRS queue pairs.  It is never made here: what has no owner but us is refused.
 * With the name of a new one, an administrator's rights would make it, without an address and down.
 */
int net_tap_open(struct netif **out, const struct host *h, struct evloop *loop, struct log *log, const char *name,
		 unsigned pairs, struct tvmm_error *err);

/*
 * A descriptor of the caller's, which stays the caller's but is made non-blocking: that of a tap with a vnet header, or a
 * stream socket on which each frame follows its length (4 bytes, big-endian), as QEMU's "socket" interfaces have it.
 */
int net_fd_open(struct netif **out, const struct host *h, struct evloop *loop, struct log *log, int fd,
		struct tvmm_error *err);

/* The stream of net_fd_open() on a descriptor that is given over, also on failure.  GONE (may be NULL): the peer ended. */
int net_stream_open(struct netif **out, const struct host *h, struct evloop *loop, struct log *log, int fd, const char *kind,
		    void (*gone)(void *arg), void *arg, struct tvmm_error *err);

/* virtio-net's feature bits (virtio 1.2, 5.1.3) of the offloads. */
#define NET_F_CSUM       (UINT64_C(1) << 0)
#define NET_F_GUEST_CSUM (UINT64_C(1) << 1)
#define NET_F_GUEST_TSO4 (UINT64_C(1) << 7)
#define NET_F_GUEST_TSO6 (UINT64_C(1) << 8)
#define NET_F_GUEST_ECN  (UINT64_C(1) << 9)
#define NET_F_HOST_TSO4  (UINT64_C(1) << 11)
#define NET_F_HOST_TSO6  (UINT64_C(1) << 12)
#define NET_F_HOST_ECN   (UINT64_C(1) << 13)
#define NET_F_GUEST_USO4 (UINT64_C(1) << 54)
#define NET_F_GUEST_USO6 (UINT64_C(1) << 55)
#define NET_F_HOST_USO   (UINT64_C(1) << 56)

#endif
