/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * net_tap.c - packets of a tap interface, by one readv or writev each, straight from and to the guest's buffers.
 *
 * The kernel keeps the vnet header in front of each packet, so checksums and segments that one side left open are done by
 * the other side's hardware, or never.  Descriptors are watched edge-triggered: an interface that nobody reads costs no
 * system call, and its kernel queue, once full, no wake-up either; and for room only when there was none, or a packet that
 * was read in time would still wake us.  All on the I/O loop.
 *
 * An interface that is deleted answers EBADFD: the link is down then, for good.  One that is down loses packets (EIO).
 */
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include "bits.h"
#include "netif.h"

/* Linux 6.2; not in older headers. */
#ifndef TUN_F_USO4
#define TUN_F_USO4 0x20
#define TUN_F_USO6 0x40
#endif

#define F_GUEST_TSO (NET_F_GUEST_TSO4 | NET_F_GUEST_TSO6 | NET_F_GUEST_ECN)
#define F_GUEST_USO (NET_F_GUEST_USO4 | NET_F_GUEST_USO6)
#define F_BASIC     (NET_F_CSUM | NET_F_GUEST_CSUM | F_GUEST_TSO | NET_F_HOST_TSO4 | NET_F_HOST_TSO6 | NET_F_HOST_ECN)

#define WATCH      (EPOLLIN | (uint32_t)EPOLLET)
#define WATCH_BOTH (WATCH | EPOLLOUT) /* after a packet was refused, until there is room */

struct tap_queue {
	struct evsource src;
	struct net_tap *tap;
};

struct net_tap {
	struct netif nif;
	const struct host *host;
	struct evloop *loop;
	struct log *log;
	char kind[8 + IFNAMSIZ];
	unsigned attached; /* of the queues, how many the kernel spreads packets over */
	struct evsource links; /* with lent queues: news of the host's interfaces; fd -1 else */
	struct tap_queue q[NETIF_PAIRS];
};

static struct net_tap *to_tap(struct netif *n)
{
	return container_of(n, struct net_tap, nif);
}

static int tap_ioctl(struct net_tap *t, unsigned pair, unsigned long req, void *arg)
{
	return t->host->ioctl(t->host, t->q[pair].src.fd, req, (uintptr_t)arg);
}

static void tap_gone(struct net_tap *t, int ret)
{
	if (!t->nif.up)
		return;
	t->nif.up = false;
	for (unsigned i = 0; i < t->nif.pairs; i++)
		evloop_del(t->loop, &t->q[i].src);
	log_line(t->log, TVMM_LOG_WARN, "%s: the interface is gone (errno %d); the link is down", t->kind, -ret);
	if (t->nif.link)
		t->nif.link(&t->nif);
}

static void tap_ready(struct evsource *src, uint32_t events)
{
	struct tap_queue *q = container_of(src, struct tap_queue, src);
	struct netif *n = &q->tap->nif;

	if (events & EPOLLOUT && n->up)
		evloop_mod(q->tap->loop, src, WATCH);
	if (n->ready && n->up)
		n->ready(n, (unsigned)(q - q->tap->q));
}

/* Queues that are detached answer as a deleted interface does; nobody calls for those. */
static ssize_t tap_recv(struct netif *n, unsigned pair, const struct iovec *iov, unsigned cnt)
{
	struct net_tap *t = to_tap(n);
	ssize_t ret;

	if (!n->up || pair >= t->attached)
		return -EAGAIN;
	do
		ret = t->host->readv(t->host, t->q[pair].src.fd, iov, (int)cnt);
	while (ret == -EINTR);
	if (ret >= NETIF_HDR)
		return ret;
	if (ret == -EBADFD || ret == -EBADF || ret == -ENODEV)
		tap_gone(t, (int)ret);
	else if (ret == -ENOMEM || ret == -ENOBUFS) /* no edge would come for what is there already */
		evloop_again(t->loop, &t->q[pair].src);
	return -EAGAIN; /* whatever else it was, the next edge tries again */
}

static int tap_send(struct netif *n, unsigned pair, struct iovec *iov, unsigned cnt, size_t len)
{
	struct net_tap *t = to_tap(n);
	ssize_t ret;

	if (!n->up) {
		n->dropped++;
		return 0;
	}
	if (pair >= t->attached)
		pair = 0; /* a guest may send where it does not receive */
	do
		ret = t->host->writev(t->host, t->q[pair].src.fd, iov, (int)cnt);
	while (ret == -EINTR);
	if (ret >= 0)
		return 0;
	if (ret == -EAGAIN) {
		evloop_mod(t->loop, &t->q[pair].src, WATCH_BOTH); /* tells at once if there is room by now */
		return -EAGAIN;
	}
	n->dropped++; /* interface down, no memory, a header that the kernel refuses */
	if (ret == -EBADFD || ret == -EBADF || ret == -ENODEV)
		tap_gone(t, (int)ret);
	return 0;
}

static unsigned long tun_offload(uint64_t f)
{
	unsigned long bits = 0;

	if (!(f & NET_F_GUEST_CSUM))
		return 0; /* segments without open checksums do not exist */
	bits |= TUN_F_CSUM;
	bits |= f & NET_F_GUEST_TSO4 ? TUN_F_TSO4 : 0;
	bits |= f & NET_F_GUEST_TSO6 ? TUN_F_TSO6 : 0;
	if (bits & (TUN_F_TSO4 | TUN_F_TSO6) && f & NET_F_GUEST_ECN)
		bits |= TUN_F_TSO_ECN;
	if ((f & F_GUEST_USO) == F_GUEST_USO) /* the kernel has both or none */
		bits |= TUN_F_USO4 | TUN_F_USO6;
	return bits;
}

static void tap_set_features(struct netif *n, uint64_t features)
{
	if (n->up)
		tap_ioctl(to_tap(n), 0, TUNSETOFFLOAD, (void *)tun_offload(features));
}

static int set_attached(struct net_tap *t, unsigned pair, bool on)
{
	struct ifreq ifr = { .ifr_flags = on ? IFF_ATTACH_QUEUE : IFF_DETACH_QUEUE };

	return tap_ioctl(t, pair, TUNSETQUEUE, &ifr);
}

static int tap_set_pairs(struct netif *n, unsigned pairs)
{
	struct net_tap *t = to_tap(n);

	while (t->attached < pairs) {
		int ret = set_attached(t, t->attached, true);

		if (ret < 0)
			return ret;
		t->attached++;
	}
	while (t->attached > pairs && set_attached(t, t->attached - 1, false) >= 0)
		t->attached--;
	return 0;
}

/* Some interface of the host's has changed.  What it was is not read: is ours still there? */
static void links_changed(struct evsource *src, uint32_t events)
{
	struct net_tap *t = container_of(src, struct net_tap, links);
	struct ifreq ifr = { .ifr_flags = 0 };
	char news[4096];
	int ret;

	for (unsigned i = 0; i < 64 && t->host->recv(t->host, src->fd, news, sizeof(news), MSG_DONTWAIT) != -EAGAIN; i++)
		;
	ret = tap_ioctl(t, 0, TUNGETIFF, &ifr);
	if (ret == -EBADFD || ret == -EBADF || ret == -ENODEV)
		tap_gone(t, ret);
}

static int tap_prepare_lending(struct netif *n, struct tvmm_error *err)
{
	struct sockaddr_nl addr = { .nl_family = AF_NETLINK, .nl_groups = RTMGRP_LINK };
	struct net_tap *t = to_tap(n);
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE), ret;

	if (fd < 0 || bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0) {
		ret = err_set(err, TVMM_E_HOST, errno, t->kind, "cannot hear of the host's interfaces");
	} else {
		t->links = (struct evsource){ .fd = fd, .events = EPOLLIN, .ready = links_changed };
		ret = evloop_add(t->loop, &t->links, err);
	}
	if (ret) {
		if (fd >= 0)
			t->host->close(t->host, fd);
		t->links.fd = -1;
	}
	return ret;
}

static int tap_lend(struct netif *n, unsigned pair, bool lent)
{
	struct net_tap *t = to_tap(n);

	if (n->up)
		evloop_mod(t->loop, &t->q[pair].src, lent ? (uint32_t)EPOLLET : WATCH);
	return t->q[pair].src.fd;
}

static void tap_close(struct netif *n)
{
	struct net_tap *t = to_tap(n);

	if (t->links.fd >= 0) {
		evloop_del(t->loop, &t->links);
		t->host->close(t->host, t->links.fd);
	}
	for (unsigned i = 0; i < n->pairs; i++) {
		if (n->up)
			evloop_del(t->loop, &t->q[i].src);
		t->host->close(t->host, t->q[i].src.fd);
	}
	free(t);
}

static const struct netif_ops tap_ops = {
	.recv = tap_recv,
	.send = tap_send,
	.set_features = tap_set_features,
	.set_pairs = tap_set_pairs,
	.prepare_lending = tap_prepare_lending,
	.lend = tap_lend,
	.close = tap_close,
};

/* ---- opening ------------------------------------------------------------------------------------------------------ */

static struct net_tap *tap_new(const struct host *h, struct evloop *loop, struct log *log, struct tvmm_error *err)
{
	struct net_tap *t = calloc(1, sizeof(*t));

	if (!t) {
		err_set(err, TVMM_E_MEMORY, ENOMEM, "net", "out of memory");
		return NULL;
	}
	t->nif.ops = &tap_ops;
	t->nif.kind = t->kind;
	t->nif.up = true;
	t->links.fd = -1;
	t->host = h;
	t->loop = loop;
	t->log = log;
	return t;
}

/* Takes FD over, also on failure: its vnet header, what it can offload, its place in the loop. */
static int add_queue(struct net_tap *t, int fd, struct tvmm_error *err)
{
	struct tap_queue *q = &t->q[t->nif.pairs];
	int hdr = NETIF_HDR, ret;

	*q = (struct tap_queue){ .src = { .fd = fd, .events = WATCH, .ready = tap_ready }, .tap = t };
	ret = t->host->ioctl(t->host, fd, TUNSETVNETHDRSZ, (uintptr_t)&hdr);
	if (ret < 0)
		ret = err_set(err, TVMM_E_IO, -ret, t->kind, "it takes no header of %d bytes", hdr);
	else
		ret = evloop_add(t->loop, &q->src, err);
	if (ret) {
		t->host->close(t->host, fd);
		return ret;
	}
	t->nif.pairs++;
	t->attached++;
	return 0;
}

static void probe_offloads(struct net_tap *t)
{
	uint64_t all = F_BASIC | F_GUEST_USO | NET_F_HOST_USO;

	if (tap_ioctl(t, 0, TUNSETOFFLOAD, (void *)tun_offload(all)) >= 0)
		t->nif.features = all;
	else if (tap_ioctl(t, 0, TUNSETOFFLOAD, (void *)tun_offload(F_BASIC)) >= 0)
		t->nif.features = F_BASIC;
	tap_ioctl(t, 0, TUNSETOFFLOAD, NULL);
}

static int no_such_tap(const char *kind, const char *name, int sys_errno, struct tvmm_error *err)
{
	int ret = err_set(err, TVMM_E_IO, sys_errno, kind, "there is no such tap interface");

	err_hint(err, "as root: ip tuntap add dev %s mode tap user $USER, then ip link set %s up", name, name);
	return ret;
}

static int explain(const struct host *h, int ret, const char *kind, const char *name, unsigned pairs, struct tvmm_error *err)
{
	char what[IFNAMSIZ + 32];
	int fd;

	snprintf(what, sizeof(what), "/sys/class/net/%s/tun_flags", name);
	fd = h->open(h, what, O_PATH, 0);
	if (fd >= 0)
		h->close(h, fd);
	if (ret == -EPERM && fd < 0)
		return no_such_tap(kind, name, ENODEV, err);
	err_set(err, TVMM_E_IO, -ret, kind, "cannot attach to it");
	if (ret == -EPERM)
		err_hint(err, "it belongs to another user: ip tuntap add dev %s mode tap user $USER makes one of yours", name);
	else if (ret == -EBUSY)
		err_hint(err, "another program is attached to it");
	else if (ret == -EINVAL)
		err_hint(err, pairs > 1 ? "is it a tap, made with multi_queue? ip tuntap add dev %s mode tap multi_queue user $USER" :
					  "is it a tap, made without multi_queue? ip tuntap add dev %s mode tap user $USER", name);
	return ret;
}

static int attach(struct net_tap *t, const char *name, unsigned pairs, struct tvmm_error *err)
{
	struct ifreq ifr = { .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR };
	const struct host *h = t->host;
	int fd, ret;

	if (pairs > 1)
		ifr.ifr_flags |= IFF_MULTI_QUEUE;
	memcpy(ifr.ifr_name, name, strnlen(name, IFNAMSIZ - 1));
	fd = h->open(h, "/dev/net/tun", O_RDWR | O_NONBLOCK, 0);
	if (fd < 0) {
		ret = err_set(err, TVMM_E_IO, -fd, "/dev/net/tun", "cannot open it");
		err_hint(err, fd == -ENOENT ? "load the module: modprobe tun; in a container, pass the device" :
					      "its mode should be 0666: chmod 0666 /dev/net/tun");
		return ret;
	}
	ret = h->ioctl(h, fd, TUNSETIFF, (uintptr_t)&ifr);
	if (ret < 0) {
		explain(h, ret, t->kind, name, pairs, err);
	} else {
		ret = h->ioctl(h, fd, TUNGETIFF, (uintptr_t)&ifr);
		if (ret >= 0 && !(ifr.ifr_flags & IFF_PERSIST)) /* it was not there: it is ours, and ends with us */
			ret = no_such_tap(t->kind, name, ENODEV, err);
		else if (ret < 0)
			err_set(err, TVMM_E_IO, -ret, t->kind, "cannot ask what it is");
	}
	if (ret < 0) {
		h->close(h, fd);
		return ret;
	}
	return add_queue(t, fd, err);
}

int net_tap_open(struct netif **out, const struct host *h, struct evloop *loop, struct log *log, const char *name,
		 unsigned pairs, struct tvmm_error *err)
{
	struct net_tap *t = tap_new(h, loop, log, err);
	int ret = t ? 0 : -ENOMEM;

	if (!t)
		return ret;
	snprintf(t->kind, sizeof(t->kind), "tap %s", name);
	while (!ret && t->nif.pairs < pairs)
		ret = attach(t, name, pairs, err);
	if (!ret) {
		probe_offloads(t);
		ret = tap_set_pairs(&t->nif, 1);
		if (ret)
			err_set(err, TVMM_E_IO, -ret, t->kind, "cannot put its queues to rest");
	}
	if (ret)
		tap_close(&t->nif);
	else
		*out = &t->nif;
	return ret;
}

static int open_tap_fd(struct netif **out, const struct host *h, struct evloop *loop, struct log *log, int fd, short flags,
		       struct tvmm_error *err)
{
	struct net_tap *t;
	int ret;

	if (!(flags & IFF_TAP) || !(flags & IFF_VNET_HDR)) {
		h->close(h, fd);
		ret = err_set(err, TVMM_E_CONFIG, 0, "net", "the descriptor's interface is no tap with a vnet header");
		err_hint(err, "open it with IFF_TAP | IFF_NO_PI | IFF_VNET_HDR");
		return ret;
	}
	t = tap_new(h, loop, log, err);
	if (!t) {
		h->close(h, fd);
		return -ENOMEM;
	}
	snprintf(t->kind, sizeof(t->kind), "tap");
	ret = add_queue(t, fd, err);
	if (ret) {
		tap_close(&t->nif);
		return ret;
	}
	probe_offloads(t);
	*out = &t->nif;
	return 0;
}

int net_fd_open(struct netif **out, const struct host *h, struct evloop *loop, struct log *log, int fd, struct tvmm_error *err)
{
	struct ifreq ifr = { .ifr_flags = 0 };
	struct stat st;
	int flags, own;

	own = h->fcntl(h, fd, F_DUPFD_CLOEXEC, 3);
	if (own < 0)
		return err_set(err, TVMM_E_IO, -own, "net", "cannot use descriptor %d", fd);
	flags = h->fcntl(h, own, F_GETFL, 0);
	if (flags >= 0)
		flags = h->fcntl(h, own, F_SETFL, (uintptr_t)(flags | O_NONBLOCK));
	if (flags >= 0)
		flags = h->fstat(h, own, &st);
	if (flags < 0) {
		h->close(h, own);
		return err_set(err, TVMM_E_IO, -flags, "net", "cannot use descriptor %d", fd);
	}
	if (S_ISSOCK(st.st_mode))
		return net_stream_open(out, h, loop, log, own, "socket", NULL, NULL, err);
	if (S_ISCHR(st.st_mode) && h->ioctl(h, own, TUNGETIFF, (uintptr_t)&ifr) >= 0)
		return open_tap_fd(out, h, loop, log, own, ifr.ifr_flags, err);
	h->close(h, own);
	flags = err_set(err, TVMM_E_CONFIG, 0, "net", "descriptor %d is neither a tap's nor a socket", fd);
	err_hint(err, "give a tap with IFF_VNET_HDR, or a stream socket that carries frames behind their 4-byte lengths");
	return flags;
}
