/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * virtio_net_rx.c - packets from the interface straight into the driver's buffers.
 *
 * How long a packet is, one knows when it is read.  So buffers are taken off the ring ahead, enough for the longest packet
 * if the driver offers that much, and kept for the next packet if this one is short.  Behind them, in the same readv, comes
 * a spill of our own, so that nothing is ever cut.  What lands there is copied on as soon as the driver offers more (with
 * MRG_RXBUF), or the packet is dropped (without: a packet and its one buffer do not fit).  Without any buffer nothing is
 * read: packets wait, or are lost, in the interface's queue, at no cost to us.
 */
#include "virtio_net_rx.h"

#include <string.h>
#include "bits.h"

#define BATCH       64 /* packets a turn */
#define SMALL       2048
#define SMALL_AFTER 16
#define NUM_BUFFERS 10 /* its place in the header (5.1.6) */

void net_rx_start(struct virtio_net *v)
{
	for (unsigned i = 0; i < v->pairs; i++) {
		struct net_rx *rx = &v->rx[i];

		rx->first = rx->count = rx->at = rx->n = 0;
		rx->room = rx->got = rx->tail = rx->small = 0;
	}
}

/* ---- buffers ------------------------------------------------------------------------------------------------------ */

/* Can a chain of any length be added, and the spill behind it?  Moves the elements to the front where that helps. */
static bool has_iov(struct net_rx *rx)
{
	const unsigned need = VIRTQ_MAX_SEGS + 1;

	if (rx->at + rx->n + need > NET_RX_IOV && rx->at) {
		memmove(rx->iov, rx->iov + rx->at, rx->n * sizeof(rx->iov[0]));
		rx->at = 0;
	}
	return rx->at + rx->n + need <= NET_RX_IOV;
}

static void add_buffer(struct net_rx *rx, const struct virtq_req *req)
{
	struct net_rx_buf *b = &rx->buf[(rx->first + rx->count++) % VIRTQ_MAX_SIZE];

	*b = (struct net_rx_buf){ .head = req->head, .n = req->n_in, .len = req->in_len };
	memcpy(rx->iov + rx->at + rx->n, req->iov + req->n_out, req->n_in * sizeof(req->iov[0]));
	rx->n += req->n_in;
	rx->room += req->in_len;
}

/* Has what there is room for, or the driver's last.  True: the driver has no more now, and will tell when it has. */
static bool take_buffers(struct virtio_net *v, unsigned pair, size_t want)
{
	struct virtq *vq = &v->dev.queue[2 * pair].vq;
	struct net_rx *rx = &v->rx[pair];
	unsigned useless = 0;

	do {
		while (rx->room < want && has_iov(rx)) {
			int ret = vq_pop(vq, &v->req);

			if (ret < 0)
				return false;
			if (!ret)
				break;
			if (v->req.in_len >= NETIF_HDR) {
				add_buffer(rx, &v->req);
				continue;
			}
			vq_push(vq, v->req.head, 0); /* no packet begins there */
			if (++useless == VIRTQ_MAX_SIZE)
				return false;
		}
		if (rx->room >= want || !has_iov(rx))
			return false;
	} while (vq_notify_on(vq));
	return true;
}

/* ---- packets ------------------------------------------------------------------------------------------------------ */

static void put_at(const struct iovec *iov, size_t off, const uint8_t *src, size_t n)
{
	while (n) {
		size_t part;

		if (off >= iov->iov_len) {
			off -= iov++->iov_len;
			continue;
		}
		part = MIN(n, iov->iov_len - off);
		memcpy((uint8_t *)iov->iov_base + off, src, part);
		src += part;
		n -= part;
		off += part;
	}
}

/* The packet of rx->got bytes lies in the buffers: hands those over that it needs, all at once. */
static void deliver(struct virtio_net *v, unsigned pair)
{
	struct virtq *vq = &v->dev.queue[2 * pair].vq;
	struct net_rx *rx = &v->rx[pair];
	const uint8_t no_flags = 0;
	uint8_t num_buffers[2];
	unsigned n = 0;
	size_t sum = 0;

	while (sum < rx->got)
		sum += rx->buf[(rx->first + n++) % VIRTQ_MAX_SIZE].len;
	if (!virtio_has(&v->dev, NET_F_GUEST_CSUM)) /* then no flag may be set (5.1.6.4.1), but the host's kernel knows not */
		put_at(rx->iov + rx->at, 0, &no_flags, 1);
	store_le16(num_buffers, (uint16_t)n);
	put_at(rx->iov + rx->at, NUM_BUFFERS, num_buffers, sizeof(num_buffers));
	for (; n; n--, rx->count--) {
		const struct net_rx_buf *b = &rx->buf[rx->first];
		uint32_t len = (uint32_t)MIN(rx->got, b->len);

		vq_fill(vq, b->head, len);
		rx->got -= len;
		rx->room -= b->len;
		rx->at += b->n;
		rx->n -= b->n;
		rx->first = (rx->first + 1) % VIRTQ_MAX_SIZE;
	}
	vq_publish(vq);
}

/*
 * How many elements the next packet gets.  The kernel looks at each that it is given, and most packets are small: after
 * some small ones the next is expected to be small too.  One that is not goes on into the spill, and is copied from there.
 */
static unsigned expect(const struct net_rx *rx, size_t *room)
{
	unsigned n = 0;

	*room = rx->room;
	if (rx->small < SMALL_AFTER)
		return rx->n;
	for (*room = 0; n < rx->n && *room < SMALL; n++)
		*room += rx->iov[rx->at + n].iov_len;
	return n;
}

/* Reads one packet into the buffers and the spill.  False: there is none. */
static bool receive(struct virtio_net *v, unsigned pair)
{
	struct net_rx *rx = &v->rx[pair];
	size_t room;
	unsigned n = expect(rx, &room);
	struct iovec *iov = rx->iov + rx->at, kept = iov[n];
	ssize_t got;

	iov[n] = (struct iovec){ rx->spill, sizeof(rx->spill) };
	got = v->nif->ops->recv(v->nif, pair, iov, n + 1);
	iov[n] = kept;
	if (got < NETIF_HDR)
		return false;
	rx->got = (size_t)got;
	rx->small = rx->got > SMALL || !virtio_has(&v->dev, NET_F_MRG_RXBUF) ? 0 : rx->small + (rx->small < SMALL_AFTER);
	rx->tail = rx->got > room ? rx->got - room : 0;
	return true;
}

/* Moves what spilled into buffers that came since.  False: it has to wait for more. */
static bool unspill(struct virtio_net *v, unsigned pair, bool *wait)
{
	struct net_rx *rx = &v->rx[pair];
	size_t head = rx->got - rx->tail; /* the room that it was given when it was read */

	if (rx->room < rx->got)
		*wait = take_buffers(v, pair, rx->got);
	if (rx->room < rx->got)
		return false;
	put_at(rx->iov + rx->at, head, rx->spill, rx->tail);
	rx->tail = 0;
	return true;
}

static void drop(struct virtio_net *v, struct net_rx *rx)
{
	rx->got = rx->tail = 0;
	v->nif->dropped++;
}

/* One packet, from the interface or from an earlier turn.  False: enough for now. */
static bool receive_one(struct virtio_net *v, unsigned pair)
{
	bool merge = virtio_has(&v->dev, NET_F_MRG_RXBUF), wait = false;
	struct net_rx *rx = &v->rx[pair];
	uint64_t now;

	if (!rx->got) {
		if (net_limited(v, 2 * pair, &now))
			return false;
		/* Without MRG_RXBUF the next buffer alone: one byte is more than none. */
		wait = take_buffers(v, pair, merge ? NETIF_ROOM : 1);
		if (!rx->room || !receive(v, pair))
			return false;
		if (v->timer.fd >= 0)
			ratelimit_take(&v->limit[0], now, rx->got, 1);
	}
	if (rx->tail && !merge) {
		drop(v, rx);
		return true;
	}
	if (rx->tail && !unspill(v, pair, &wait)) {
		if (!wait) /* buffers in pieces too small to hold it, or a broken queue */
			drop(v, rx);
		return !wait && !v->dev.queue[2 * pair].vq.broken;
	}
	deliver(v, pair);
	return true;
}

unsigned net_rx_work(struct virtio_net *v, unsigned pair)
{
	unsigned q = 2 * pair, n = 0;

	if (pair >= v->active)
		return 0;
	vq_notify_off(&v->dev.queue[q].vq);
	while (n < BATCH && receive_one(v, pair))
		n++;
	virtio_signal(&v->dev, q);
	if (n == BATCH)
		virtio_again(&v->dev, q);
	return n;
}
