/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * vsock_hub.c - what the guest's packets do to connections, the packets it gets, and how clients come (vsock_conn.h has
 * the connections).  On the I/O loop.
 *
 * Towards the guest nothing is stored: a connection stands in a queue while it may have something to say, and
 * vsock_hub_next() asks each in turn, so that one that never ends does not keep the others waiting.
 */
#include "vsock_hub.h"

#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include "bits.h"
#include "error.h"
#include "unix_listen.h"
#include "vsock_conn.h"

#define BACKLOG    16
#define FIRST_PORT (1u << 30) /* where we count from; no service of a host is up there */
#define PACKET_MAX 65536u
#define WHAT       "the vsock socket"

/* No more of these than fit are kept: a guest that sends so many to nowhere can wait for its own timer. */
static void owe_stray(struct vsock_hub *h, const struct vsock_hdr *hdr)
{
	if (h->stray_n == VSOCK_STRAYS)
		return;
	h->stray[(h->stray_head + h->stray_n++) % VSOCK_STRAYS] = (struct vsock_stray){
		.cid = le64toh(hdr->dst_cid), .guest_port = le32toh(hdr->src_port), .host_port = le32toh(hdr->dst_port) };
}

static void wake(struct vsock_hub *h)
{
	if (h->wake && (h->queue_n || h->stray_n))
		h->wake(h->wake_arg);
}

/* ---- from the guest to the client --------------------------------------------------------------------------------- */

/* The guest wants port N of the host. */
static void request(struct vsock_hub *h, const struct vsock_hdr *hdr)
{
	const struct host *host = h->host;
	struct sockaddr_un addr = h->addr;
	size_t len = strlen(addr.sun_path);
	struct vsock_conn *c = NULL;
	int fd = host->socket(host, AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);

	snprintf(addr.sun_path + len, sizeof(addr.sun_path) - len, "_%u", le32toh(hdr->dst_port));
	if (fd >= 0 && !host->connect(host, fd, (const struct sockaddr *)&addr, sizeof(addr)))
		c = vsock_conn_claim(h, fd, VSOCK_OPEN);
	if (!c) {
		if (fd >= 0)
			host->close(host, fd);
		owe_stray(h, hdr);
		return;
	}
	c->guest_port = le32toh(hdr->src_port);
	c->host_port = le32toh(hdr->dst_port);
	c->peer_alloc = le32toh(hdr->buf_alloc);
	vsock_conn_owe(c, OWE_RESPONSE);
}

/* The guest took the connection that a client asked for. */
static void accepted(struct vsock_conn *c)
{
	char ok[24];
	int len = snprintf(ok, sizeof(ok), "OK %u\n", c->host_port);

	c->state = VSOCK_OPEN;
	if (c->src.fd < 0 || vsock_conn_write(c, ok, (size_t)len) != len)
		vsock_conn_reset(c);
	vsock_conn_watch(c);
}

/* How much the guest takes. */
static uint32_t guest_credit(const struct vsock_conn *c)
{
	uint32_t used = c->sent - c->peer_fwd;

	return used < c->peer_alloc ? c->peer_alloc - used : 0;
}

/*
 * What every packet of a connection tells (5.10.6.3).  A guest that has been asked for credit and has none is not asked
 * again: it would answer as often as it is asked, and tells by itself when it has read something.
 */
static void note_credit(struct vsock_conn *c, const struct vsock_hdr *hdr)
{
	c->peer_alloc = le32toh(hdr->buf_alloc);
	c->peer_fwd = le32toh(hdr->fwd_cnt);
	if (!guest_credit(c))
		return;
	c->asked_credit = false;
	if (c->readable)
		vsock_conn_enqueue(c);
}

static void packet(struct vsock_conn *c, const struct vsock_hdr *hdr, struct segs *data)
{
	note_credit(c, hdr);
	switch (le16toh(hdr->op)) {
	case VSOCK_OP_RESPONSE:
		if (c->state == VSOCK_ASKED)
			accepted(c);
		else
			vsock_conn_reset(c);
		break;
	case VSOCK_OP_SHUTDOWN:
		c->heard |= le32toh(hdr->flags) & VSOCK_SHUT_BOTH;
		if (c->state == VSOCK_OPEN)
			vsock_conn_finish(c);
		else
			vsock_conn_reset(c);
		break;
	case VSOCK_OP_RW:
		if (c->state == VSOCK_OPEN && c->src.fd >= 0)
			vsock_conn_pass_on(c, le32toh(hdr->len), data);
		break;
	case VSOCK_OP_CREDIT_UPDATE:
		break;
	case VSOCK_OP_CREDIT_REQUEST:
		vsock_conn_owe(c, OWE_CREDIT);
		break;
	default: /* a second REQUEST, or none that there is */
		vsock_conn_reset(c);
		break;
	}
}

void vsock_hub_receive(struct vsock_hub *h, const struct vsock_hdr *hdr, struct segs *data)
{
	struct vsock_conn *c = vsock_conn_find(h, le32toh(hdr->src_port), le32toh(hdr->dst_port));
	bool ours = le64toh(hdr->src_cid) == h->guest_cid && le64toh(hdr->dst_cid) == VSOCK_HOST_CID &&
		    le16toh(hdr->type) == VSOCK_STREAM;

	if (ours && c && le16toh(hdr->op) == VSOCK_OP_RST)
		vsock_conn_release(c);
	else if (ours && c && !(c->owe & OWE_RST))
		packet(c, hdr, data);
	else if (ours && !c && le16toh(hdr->op) == VSOCK_OP_REQUEST)
		request(h, hdr);
	else if (le16toh(hdr->op) != VSOCK_OP_RST)
		owe_stray(h, hdr);
	wake(h);
}

/* ---- from the client to the guest --------------------------------------------------------------------------------- */

static void fill(struct vsock_conn *c, struct vsock_hdr *hdr, enum vsock_op op, uint32_t flags, uint32_t len)
{
	*hdr = (struct vsock_hdr){
		.src_cid = htole64(VSOCK_HOST_CID), .dst_cid = htole64(c->hub->guest_cid), .src_port = htole32(c->host_port),
		.dst_port = htole32(c->guest_port), .len = htole32(len), .type = htole16(VSOCK_STREAM),
		.op = htole16((uint16_t)op), .flags = htole32(flags), .buf_alloc = htole32(VSOCK_BUF),
		.fwd_cnt = htole32(c->fwd),
	};
	c->told_fwd = c->fwd;
	c->owe &= (uint8_t)~OWE_CREDIT;
}

/* The client's end is over: it sends no more, or (GONE) it does not read either. */
static void client_ended(struct vsock_conn *c, bool gone)
{
	c->readable = false;
	if (gone) {
		vsock_conn_hang_up(c);
		c->fwd = c->got;
	}
	vsock_conn_owe(c, OWE_SHUTDOWN);
}

/* Takes what the client sent, as much as the guest has room and credit for.  True if there is a packet. */
static bool data_for_guest(struct vsock_conn *c, struct vsock_hdr *hdr, struct segs *room)
{
	const struct host *host = c->hub->host;
	uint32_t credit = guest_credit(c);
	ssize_t n;

	if (!c->readable || c->state != VSOCK_OPEN || c->src.fd < 0 || vsock_conn_is_over(c))
		return false;
	if (!credit || !room->left) {
		if (credit || c->asked_credit)
			return false;
		c->asked_credit = true;
		fill(c, hdr, VSOCK_OP_CREDIT_REQUEST, 0, 0);
		return true;
	}
	segs_limit(room, MIN(credit, PACKET_MAX));
	do
		n = host->readv(host, c->src.fd, room->iov, (int)room->n);
	while (n == -EINTR);
	if (n > 0) {
		fill(c, hdr, VSOCK_OP_RW, 0, (uint32_t)n);
		c->sent += (uint32_t)n;
		return true;
	}
	if (n == -EAGAIN)
		c->readable = false;
	else
		client_ended(c, n < 0);
	return false;
}

static bool shutdown_for_guest(struct vsock_conn *c, struct vsock_hdr *hdr)
{
	c->owe &= (uint8_t)~OWE_SHUTDOWN;
	c->told |= c->src.fd < 0 ? VSOCK_SHUT_BOTH : VSOCK_SHUT_SEND;
	fill(c, hdr, VSOCK_OP_SHUTDOWN, c->told, 0);
	return true;
}

/* What C has to say next. */
static bool speak(struct vsock_conn *c, struct vsock_hdr *hdr, struct segs *room)
{
	if (c->state == VSOCK_FREE)
		return false;
	if (c->owe & OWE_RST) {
		fill(c, hdr, VSOCK_OP_RST, 0, 0);
		vsock_conn_release(c);
		return true;
	}
	if (c->owe & OWE_REQUEST) {
		c->owe &= (uint8_t)~OWE_REQUEST;
		fill(c, hdr, VSOCK_OP_REQUEST, 0, 0);
		return true;
	}
	if (c->owe & OWE_RESPONSE) {
		c->owe &= (uint8_t)~OWE_RESPONSE;
		fill(c, hdr, VSOCK_OP_RESPONSE, 0, 0);
		vsock_conn_watch(c);
		return true;
	}
	if (data_for_guest(c, hdr, room))
		return true;
	if (c->owe & OWE_SHUTDOWN)
		return shutdown_for_guest(c, hdr);
	if (c->owe & OWE_CREDIT) {
		fill(c, hdr, VSOCK_OP_CREDIT_UPDATE, 0, 0);
		return true;
	}
	return false;
}

static bool answer_stray(struct vsock_hub *h, struct vsock_hdr *hdr)
{
	const struct vsock_stray *s = &h->stray[h->stray_head];

	if (!h->stray_n)
		return false;
	*hdr = (struct vsock_hdr){
		.src_cid = htole64(s->cid), .dst_cid = htole64(h->guest_cid), .src_port = htole32(s->host_port),
		.dst_port = htole32(s->guest_port), .type = htole16(VSOCK_STREAM), .op = htole16(VSOCK_OP_RST),
	};
	h->stray_head = (h->stray_head + 1) % VSOCK_STRAYS;
	h->stray_n--;
	return true;
}

bool vsock_hub_next(struct vsock_hub *h, struct vsock_hdr *hdr, struct segs *room)
{
	if (answer_stray(h, hdr))
		return true;
	while (h->queue_n) {
		struct vsock_conn *c = vsock_conn_dequeue(h);
		bool spoke = speak(c, hdr, room);

		if (c->state == VSOCK_FREE) {
			if (spoke)
				return true;
			continue;
		}
		/* It may have more; when it has not, it says so at its next turn. */
		if (spoke)
			vsock_conn_enqueue(c);
		vsock_conn_watch(c);
		if (spoke)
			return true;
	}
	return false;
}

/* ---- clients ------------------------------------------------------------------------------------------------------ */

/* "CONNECT PORT", the newline taken off. */
static bool parse_hello(const char *line, uint32_t *port)
{
	static const char verb[] = "CONNECT ";
	uint64_t n = 0;
	const char *p = line + sizeof(verb) - 1;

	if (strncmp(line, verb, sizeof(verb) - 1) || !*p)
		return false;
	for (; *p; p++) {
		if (*p < '0' || *p > '9')
			return false;
		n = n * 10 + (uint64_t)(*p - '0');
		if (n > UINT32_MAX)
			return false;
	}
	*port = (uint32_t)n;
	return true;
}

/* Takes the client's first line, and not a byte of what follows it.  1: it is whole; 0: not yet; -1: it is none. */
static int read_hello(struct vsock_conn *c)
{
	const struct host *host = c->hub->host;
	char *to = c->line + c->line_len, *end;
	size_t room = sizeof(c->line) - 1 - c->line_len;
	ssize_t n = host->recv(host, c->src.fd, to, room, MSG_PEEK | MSG_DONTWAIT);

	if (n == -EAGAIN || n == -EINTR)
		return 0;
	if (n <= 0)
		return -1;
	end = memchr(to, '\n', (size_t)n);
	n = host->recv(host, c->src.fd, to, end ? (size_t)(end - to) + 1 : (size_t)n, MSG_DONTWAIT);
	if (n <= 0)
		return -1;
	c->line_len += (unsigned)n;
	c->line[c->line_len] = '\0';
	if (c->line[c->line_len - 1] != '\n')
		return c->line_len == sizeof(c->line) - 1 ? -1 : 0;
	c->line[c->line_len - 1] = '\0';
	return 1;
}

/* A port of ours that is in no use with this port of the guest's. */
static uint32_t free_port(struct vsock_hub *h, uint32_t guest_port)
{
	do
		h->next_port = h->next_port < FIRST_PORT || h->next_port == UINT32_MAX ? FIRST_PORT : h->next_port + 1;
	while (vsock_conn_find(h, guest_port, h->next_port));
	return h->next_port;
}

static void hello(struct vsock_conn *c)
{
	int ret = read_hello(c);
	uint32_t port;

	if (!ret)
		return;
	if (ret < 0 || !parse_hello(c->line, &port) || !c->hub->wake) {
		vsock_conn_release(c);
		return;
	}
	c->host_port = free_port(c->hub, port);
	c->guest_port = port;
	c->state = VSOCK_ASKED;
	vsock_conn_owe(c, OWE_REQUEST);
}

void vsock_conn_client_ready(struct evsource *src, uint32_t events)
{
	struct vsock_conn *c = container_of(src, struct vsock_conn, src);
	struct vsock_hub *h = c->hub;

	if (c->state == VSOCK_HELLO) {
		hello(c);
	} else {
		if (events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) /* what is left finds out that nobody takes it */
			vsock_conn_drain(c);
		if (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) {
			c->readable = true;
			vsock_conn_enqueue(c);
		}
	}
	vsock_conn_watch(c);
	wake(h);
	vsock_conn_watch(c); /* what the guest had no room for is not asked for again */
}

static void listener_ready(struct evsource *src, uint32_t events)
{
	struct vsock_hub *h = container_of(src, struct vsock_hub, listener);
	int fd;

	/* Those who come when all places are taken wait in the kernel's queue. */
	if (h->n_conns == VSOCK_CONNS) {
		evloop_mod(h->loop, src, 0);
		return;
	}
	fd = h->host->accept(h->host, src->fd, SOCK_NONBLOCK);
	if (fd < 0) {
		if (fd != -EAGAIN && fd != -EINTR && fd != -ECONNABORTED) {
			log_event(h->log, "vsock", "cannot take a vsock client: %s", strerror(-fd));
			if (h->n_conns) /* there is a descriptor again when one of them ends */
				evloop_mod(h->loop, src, 0);
		}
		return;
	}
	if (!vsock_conn_claim(h, fd, VSOCK_HELLO))
		h->host->close(h->host, fd);
}

/* ---- life --------------------------------------------------------------------------------------------------------- */

static int listen_at(struct vsock_hub *h, struct tvmm_error *err)
{
	int fd = unix_listen(h->host, &h->addr, BACKLOG, false, WHAT, err);

	if (fd < 0)
		return fd;
	h->listener = (struct evsource){ .fd = fd, .events = EPOLLIN, .ready = listener_ready };
	return evloop_add(h->loop, &h->listener, err);
}

int vsock_hub_init(struct vsock_hub *h, const char *path, uint64_t guest_cid, struct evloop *loop, struct log *log,
		   struct tvmm_error *err)
{
	void *bufs;
	int ret;

	memset(h, 0, sizeof(*h));
	h->host = loop->host;
	h->loop = loop;
	h->log = log;
	h->guest_cid = guest_cid;
	h->listener.fd = -1;
	for (unsigned i = 0; i < VSOCK_CONNS; i++)
		h->conn[i] = (struct vsock_conn){ .src.fd = -1, .hub = h };
	ret = unix_address(&h->addr, path, sizeof("_4294967295") - 1, WHAT, err);
	if (ret)
		return ret;
	ret = h->host->mmap(h->host, &bufs, NULL, (size_t)VSOCK_CONNS * VSOCK_BUF, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (ret)
		return err_set(err, TVMM_E_MEMORY, -ret, "vsock", "no memory for its buffers");
	h->bufs = bufs;
	return listen_at(h, err);
}

void vsock_hub_attach(struct vsock_hub *h, void (*wake_fn)(void *arg), void *arg)
{
	for (unsigned i = 0; i < VSOCK_CONNS; i++)
		if (h->conn[i].state != VSOCK_FREE)
			vsock_conn_release(&h->conn[i]);
	while (h->queue_n)
		vsock_conn_dequeue(h);
	h->stray_n = 0;
	h->wake = wake_fn;
	h->wake_arg = arg;
}

void vsock_hub_fini(struct vsock_hub *h)
{
	if (h->bufs)
		vsock_hub_attach(h, NULL, NULL);
	if (h->listener.fd >= 0) {
		h->host->unlink(h->host, h->addr.sun_path);
		evloop_del(h->loop, &h->listener);
		h->host->close(h->host, h->listener.fd);
	}
	if (h->bufs)
		h->host->munmap(h->host, h->bufs, (size_t)VSOCK_CONNS * VSOCK_BUF);
}
