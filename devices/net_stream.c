/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * net_stream.c - frames over a stream socket, each behind its length (4 bytes, big-endian): the way to passt, and to
 * whatever else speaks as QEMU's "socket" interfaces do.
 *
 * Without a vnet header: no offloads, the header that the guest sees is empty.  What arrives is read in large pieces into
 * one fixed buffer and copied to the guest from there, so a burst of small frames costs one system call.  What is sent is
 * written straight from the guest's buffers; the rest of a frame that the socket took a part of waits in another fixed
 * buffer, and until it is out nothing else is sent.  All on the I/O loop, whose thread has SIGPIPE blocked.
 *
 * A peer that ends, or sends a length that no frame has, is gone for good: after a wrong length nothing can be told apart.
 */
#include <endian.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include "bits.h"
#include "netif.h"
#include "virtq.h"

#define PREFIX 4
#define IN_CAP KIB(256)

struct net_stream {
	struct netif nif;
	struct evsource src;
	const struct host *host;
	struct evloop *loop;
	struct log *log;
	void (*gone)(void *arg);
	void *arg;
	size_t in_at, in_end;       /* what was read and not yet taken */
	bool drained;               /* the socket had no more than that */
	size_t rest_at, rest_end;   /* of a frame that is out in part */
	struct iovec iov[VIRTQ_MAX_SEGS + 1];
	uint8_t in[IN_CAP], rest[PREFIX + NETIF_FRAME];
};

static struct net_stream *to_stream(struct netif *n)
{
	return container_of(n, struct net_stream, nif);
}

static void stream_gone(struct net_stream *s, const char *why, int ret)
{
	if (!s->nif.up)
		return;
	s->nif.up = false;
	evloop_del(s->loop, &s->src);
	if (ret)
		log_line(s->log, TVMM_LOG_WARN, "%s: %s (errno %d); the link is down", s->nif.kind, why, -ret);
	else
		log_line(s->log, TVMM_LOG_WARN, "%s: %s; the link is down", s->nif.kind, why);
	if (s->nif.link)
		s->nif.link(&s->nif);
	if (s->gone)
		s->gone(s->arg);
}

/* The host is short of memory just now: nothing was taken, and nothing is wrong with the connection. */
static bool is_passing(ssize_t ret)
{
	return ret == -ENOBUFS || ret == -ENOMEM;
}

/* ---- receiving ---------------------------------------------------------------------------------------------------- */

/* Reads once, behind what is there.  False: nothing came. */
static bool read_more(struct net_stream *s)
{
	ssize_t ret;

	if (s->drained)
		return false;
	if (s->in_at) {
		memmove(s->in, s->in + s->in_at, s->in_end - s->in_at);
		s->in_end -= s->in_at;
		s->in_at = 0;
	}
	do
		ret = s->host->recv(s->host, s->src.fd, s->in + s->in_end, IN_CAP - s->in_end, MSG_DONTWAIT);
	while (ret == -EINTR);
	if (ret > 0) {
		/* Less than there was room for: it is empty, and what comes next has an edge of its own. */
		s->drained = (size_t)ret < IN_CAP - s->in_end;
		s->in_end += (size_t)ret;
		return true;
	}
	s->drained = true;
	if (is_passing(ret))
		evloop_again(s->loop, &s->src);
	else if (ret != -EAGAIN)
		stream_gone(s, ret ? "the connection broke" : "the other side ended", (int)ret);
	return false;
}

/* Copies N bytes to OFF in IOV, which has the room. */
static void put_at(const struct iovec *iov, size_t off, const uint8_t *src, size_t n)
{
	while (off >= iov->iov_len)
		off -= iov++->iov_len;
	while (n) {
		size_t part = MIN(n, iov->iov_len - off);

		memcpy((uint8_t *)iov->iov_base + off, src, part);
		src += part;
		n -= part;
		off = 0;
		iov++;
	}
}

static ssize_t stream_recv(struct netif *n, unsigned pair, const struct iovec *iov, unsigned cnt)
{
	static const uint8_t header[NETIF_HDR];
	struct net_stream *s = to_stream(n);
	uint32_t len;

	if (!n->up)
		return -EAGAIN;
	for (;;) {
		size_t have = s->in_end - s->in_at;

		if (have >= PREFIX) {
			memcpy(&len, s->in + s->in_at, PREFIX);
			len = be32toh(len);
			if (!len || len > NETIF_FRAME) {
				stream_gone(s, "it sent a length that no frame has", 0);
				return -EAGAIN;
			}
			if (have >= PREFIX + len)
				break;
		}
		if (!read_more(s))
			return -EAGAIN;
	}
	put_at(iov, 0, header, NETIF_HDR);
	put_at(iov, NETIF_HDR, s->in + s->in_at + PREFIX, len);
	s->in_at += PREFIX + len;
	if (s->in_at == s->in_end)
		s->in_at = s->in_end = 0;
	return (ssize_t)(NETIF_HDR + len);
}

/* ---- sending ------------------------------------------------------------------------------------------------------ */

#define WATCH_IN   (EPOLLIN | EPOLLRDHUP | (uint32_t)EPOLLET)
#define WATCH_BOTH (WATCH_IN | EPOLLOUT)

/* What the last frame left.  True: all is out. */
static bool flush_rest(struct net_stream *s)
{
	while (s->rest_at < s->rest_end) {
		ssize_t ret = s->host->send(s->host, s->src.fd, s->rest + s->rest_at, s->rest_end - s->rest_at,
					    MSG_DONTWAIT | MSG_NOSIGNAL);

		if (ret == -EINTR)
			continue;
		if (ret < 0) {
			if (is_passing(ret)) /* no edge would come */
				evloop_again(s->loop, &s->src);
			else if (ret != -EAGAIN)
				stream_gone(s, "the connection broke", (int)ret);
			return false;
		}
		s->rest_at += (size_t)ret;
	}
	s->rest_at = s->rest_end = 0;
	return true;
}

/* Keeps what lies behind the first DONE bytes of CNT elements. */
static void keep_rest(struct net_stream *s, unsigned cnt, size_t done)
{
	for (unsigned i = 0; i < cnt; i++) {
		size_t skip = MIN(done, s->iov[i].iov_len), more = s->iov[i].iov_len - skip;

		memcpy(s->rest + s->rest_end, (uint8_t *)s->iov[i].iov_base + skip, more);
		s->rest_end += more;
		done -= skip;
	}
}

/* The frame of IOV behind its length, in s->iov: how many elements. */
static unsigned frame(struct net_stream *s, uint32_t *prefix, const struct iovec *iov, unsigned cnt)
{
	size_t skip = NETIF_HDR;
	unsigned n = 0;

	s->iov[n++] = (struct iovec){ prefix, PREFIX };
	for (unsigned i = 0; i < cnt; i++) {
		size_t part = MIN(skip, iov[i].iov_len);

		skip -= part;
		if (iov[i].iov_len > part)
			s->iov[n++] = (struct iovec){ (uint8_t *)iov[i].iov_base + part, iov[i].iov_len - part };
	}
	return n;
}

static int stream_send(struct netif *n, unsigned pair, struct iovec *iov, unsigned cnt, size_t len)
{
	struct net_stream *s = to_stream(n);
	uint32_t prefix = htobe32((uint32_t)(len - NETIF_HDR));
	ssize_t ret;

	if (!n->up || len <= NETIF_HDR || len > NETIF_ROOM || cnt > VIRTQ_MAX_SEGS) {
		n->dropped++;
		return 0;
	}
	if (!flush_rest(s)) {
		evloop_mod(s->loop, &s->src, WATCH_BOTH);
		return n->up ? -EAGAIN : 0;
	}
	cnt = frame(s, &prefix, iov, cnt);
	do
		ret = s->host->writev(s->host, s->src.fd, s->iov, (int)cnt);
	while (ret == -EINTR);
	if (ret < 0) {
		if (ret == -EAGAIN) {
			evloop_mod(s->loop, &s->src, WATCH_BOTH);
			return -EAGAIN;
		}
		n->dropped++;
		if (!is_passing(ret))
			stream_gone(s, "the connection broke", (int)ret);
	} else if ((size_t)ret < len - NETIF_HDR + PREFIX) {
		keep_rest(s, cnt, (size_t)ret);
		evloop_mod(s->loop, &s->src, WATCH_BOTH);
	}
	return 0;
}

static void stream_ready(struct evsource *src, uint32_t events)
{
	struct net_stream *s = container_of(src, struct net_stream, src);

	s->drained = false;
	if (events & EPOLLOUT) {
		bool done = flush_rest(s);

		if (!s->nif.up)
			return;
		evloop_mod(s->loop, src, done ? WATCH_IN : WATCH_BOTH);
	}
	if (s->nif.ready)
		s->nif.ready(&s->nif, 0);
	/* A guest that receives nothing would never see the end. */
	if (s->nif.up && events & (EPOLLHUP | EPOLLRDHUP) && s->in_at == s->in_end)
		read_more(s);
}

/* ---- life --------------------------------------------------------------------------------------------------------- */

static void stream_set_features(struct netif *n, uint64_t features)
{
}

static void stream_close(struct netif *n)
{
	struct net_stream *s = to_stream(n);

	if (n->up)
		evloop_del(s->loop, &s->src);
	s->host->close(s->host, s->src.fd);
	free(s);
}

static const struct netif_ops stream_ops = {
	.recv = stream_recv,
	.send = stream_send,
	.set_features = stream_set_features,
	.close = stream_close,
};

int net_stream_open(struct netif **out, const struct host *h, struct evloop *loop, struct log *log, int fd, const char *kind,
		    void (*gone)(void *arg), void *arg, struct tvmm_error *err)
{
	struct net_stream *s = calloc(1, sizeof(*s));
	int ret;

	if (!s) {
		h->close(h, fd);
		return err_set(err, TVMM_E_MEMORY, ENOMEM, "net", "out of memory");
	}
	s->nif = (struct netif){ .ops = &stream_ops, .kind = kind, .pairs = 1, .up = true };
	s->src = (struct evsource){ .fd = fd, .events = WATCH_IN, .ready = stream_ready };
	s->host = h;
	s->loop = loop;
	s->log = log;
	s->gone = gone;
	s->arg = arg;
	ret = evloop_add(loop, &s->src, err);
	if (ret) {
		h->close(h, fd);
		free(s);
		return ret;
	}
	*out = &s->nif;
	return 0;
}
