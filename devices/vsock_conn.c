/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * vsock_conn.c - the connections of a hub: their places, their turns, and the ring of each that holds what the guest sent
 * and the client does not take yet (vsock_conn.h).  On the I/O loop.
 *
 * The ring's size is the credit, and a guest that sends more than that loses the connection.
 */
#include "vsock_conn.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include "bits.h"

/* ---- the queue of those that may have something for the guest ----------------------------------------------------- */

void vsock_conn_enqueue(struct vsock_conn *c)
{
	struct vsock_hub *h = c->hub;

	if (c->queued)
		return;
	c->queued = true;
	h->queue[(h->queue_head + h->queue_n++) % VSOCK_CONNS] = (uint16_t)(c - h->conn);
}

struct vsock_conn *vsock_conn_dequeue(struct vsock_hub *h)
{
	struct vsock_conn *c = &h->conn[h->queue[h->queue_head]];

	h->queue_head = (h->queue_head + 1) % VSOCK_CONNS;
	h->queue_n--;
	c->queued = false;
	return c;
}

void vsock_conn_owe(struct vsock_conn *c, uint8_t what)
{
	c->owe |= what;
	vsock_conn_enqueue(c);
}

/* ---- their life ---------------------------------------------------------------------------------------------------- */

void vsock_conn_hang_up(struct vsock_conn *c)
{
	if (c->src.fd < 0)
		return;
	if (c->src.events)
		evloop_del(c->hub->loop, &c->src);
	c->hub->host->close(c->hub->host, c->src.fd);
	c->src.fd = -1;
}

/* Nothing more will come of it, in either direction: the guest is told, and then it is free. */
void vsock_conn_reset(struct vsock_conn *c)
{
	vsock_conn_hang_up(c);
	c->owe = 0;
	vsock_conn_owe(c, OWE_RST);
}

/* There is nothing more to be had of the client, or the guest wants no more. */
bool vsock_conn_is_over(const struct vsock_conn *c)
{
	return (c->owe & OWE_SHUTDOWN) || (c->told & VSOCK_SHUT_SEND) || (c->heard & VSOCK_SHUT_RECV);
}

/* Watches the client for what we could do something with, and for nothing else: the loop must not spin. */
void vsock_conn_watch(struct vsock_conn *c)
{
	uint32_t events = 0;

	if (c->src.fd < 0)
		return;
	if (c->state == VSOCK_HELLO || (c->state == VSOCK_OPEN && !c->readable && !vsock_conn_is_over(c)))
		events |= EPOLLIN;
	if (c->got != c->fwd)
		events |= EPOLLOUT;
	/* A hang-up is told of everything that is in the set, so what we want nothing of is not in it. */
	if (!events && c->src.events) {
		evloop_del(c->hub->loop, &c->src);
		c->src.events = 0;
	} else if (events && !c->src.events) {
		c->src.events = events;
		if (evloop_add(c->hub->loop, &c->src, NULL)) {
			c->src.events = 0;
			vsock_conn_reset(c);
		}
	} else {
		evloop_mod(c->hub->loop, &c->src, events);
	}
}

void vsock_conn_release(struct vsock_conn *c)
{
	struct vsock_hub *h = c->hub;

	vsock_conn_hang_up(c);
	if (c->got)
		h->host->madvise(h->host, c->buf, VSOCK_BUF, MADV_DONTNEED);
	c->state = VSOCK_FREE; /* it may still stand in the queue, where it has nothing to say */
	c->owe = 0;
	h->n_conns--;
	evloop_mod(h->loop, &h->listener, EPOLLIN);
}

/* A free connection for the client FD, or NULL. */
struct vsock_conn *vsock_conn_claim(struct vsock_hub *h, int fd, enum vsock_state state)
{
	for (unsigned i = 0; i < VSOCK_CONNS; i++) {
		struct vsock_conn *c = &h->conn[i];
		bool queued = c->queued;

		if (c->state != VSOCK_FREE)
			continue;
		*c = (struct vsock_conn){ .src = { .fd = fd, .events = EPOLLIN, .ready = vsock_conn_client_ready }, .hub = h,
					  .state = state, .queued = queued, .buf = h->bufs + (size_t)i * VSOCK_BUF };
		if (evloop_add(h->loop, &c->src, NULL)) {
			c->state = VSOCK_FREE;
			return NULL;
		}
		h->n_conns++;
		return c;
	}
	return NULL;
}

struct vsock_conn *vsock_conn_find(struct vsock_hub *h, uint32_t guest_port, uint32_t host_port)
{
	for (unsigned i = 0; i < VSOCK_CONNS; i++) {
		struct vsock_conn *c = &h->conn[i];

		if (c->state >= VSOCK_ASKED && c->guest_port == guest_port && c->host_port == host_port)
			return c;
	}
	return NULL;
}

/* ---- from the guest to the client --------------------------------------------------------------------------------- */

/* Sends up to LEN bytes at once; how many it took, or -1 if the client is gone. */
ssize_t vsock_conn_write(struct vsock_conn *c, const void *buf, size_t len)
{
	const struct host *host = c->hub->host;
	size_t done = 0;

	while (done < len) {
		ssize_t n = host->send(host, c->src.fd, (const char *)buf + done, len - done, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n == -EINTR)
			continue;
		if (n == -EAGAIN)
			break;
		if (n <= 0)
			return -1;
		done += (size_t)n;
	}
	return (ssize_t)done;
}

/* The guest closed its end, and the client has all that was sent before. */
void vsock_conn_finish(struct vsock_conn *c)
{
	if (c->state != VSOCK_OPEN || c->got != c->fwd || !(c->heard & VSOCK_SHUT_SEND))
		return;
	if (c->heard == VSOCK_SHUT_BOTH)
		vsock_conn_reset(c);
	else if (c->src.fd >= 0)
		c->hub->host->shutdown(c->hub->host, c->src.fd, SHUT_WR);
}

static void passed_on(struct vsock_conn *c, uint32_t n)
{
	c->fwd += n;
	if (c->fwd - c->told_fwd >= VSOCK_BUF / 4)
		vsock_conn_owe(c, OWE_CREDIT);
}

/* The client takes bytes again. */
void vsock_conn_drain(struct vsock_conn *c)
{
	while (c->got != c->fwd) {
		uint32_t at = c->fwd % VSOCK_BUF, len = MIN(c->got - c->fwd, VSOCK_BUF - at);
		ssize_t n = vsock_conn_write(c, c->buf + at, len);

		if (n < 0) {
			vsock_conn_reset(c);
			return;
		}
		passed_on(c, (uint32_t)n);
		if ((size_t)n < len)
			return;
	}
	vsock_conn_finish(c);
}

static void store(struct vsock_conn *c, const uint8_t *p, size_t len)
{
	while (len) {
		uint32_t at = c->got % VSOCK_BUF;
		size_t part = MIN(len, VSOCK_BUF - at);

		memcpy(c->buf + at, p, part);
		c->got += (uint32_t)part;
		p += part;
		len -= part;
	}
}

/* Straight from the guest's memory while the client takes it; the rest waits in the ring, which credit says is enough. */
void vsock_conn_pass_on(struct vsock_conn *c, uint32_t len, struct segs *data)
{
	bool direct = c->got == c->fwd;

	if (len > data->left || len > VSOCK_BUF - (c->got - c->fwd) || c->heard & VSOCK_SHUT_SEND) {
		vsock_conn_reset(c);
		return;
	}
	if (c->told & VSOCK_SHUT_RECV)
		return; /* on its way when we told the guest that nobody reads any more */
	for (unsigned i = 0; i < data->n && len; i++) {
		const uint8_t *p = data->iov[i].iov_base;
		size_t part = MIN(data->iov[i].iov_len, len);
		ssize_t n = direct ? vsock_conn_write(c, p, part) : 0;

		if (n < 0) {
			vsock_conn_reset(c);
			return;
		}
		len -= (uint32_t)part;
		if (direct) {
			c->got += (uint32_t)n;
			passed_on(c, (uint32_t)n);
			direct = (size_t)n == part;
		}
		store(c, p + n, part - (size_t)n);
	}
	vsock_conn_watch(c);
}
