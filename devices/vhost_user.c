/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * vhost_user.c - the vhost-user protocol from the side of who has the guest (docs/interop/vhost-user.rst of QEMU).
 *
 * A message is a header of 12 bytes (request, flags, length) and a payload, in the host's byte order; descriptors travel beside it.  Answers come in the
 * order of the questions, so a list of what is still to come tells what each must be.  Where the server can, it is asked to
 * answer every message (REPLY_ACK), so that we learn what it refused.  The handshake is in vhost_user_open(); the rest is on the loop.
 */
#include "vhost_user.h"

#include <assert.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include "bits.h"
#include "unix_listen.h"

#define ANSWER_MS 5000 /* for all of the handshake */

#define F_PROTOCOL BIT_ULL(30) /* among the device's features: there are features of the protocol */

#define P_MQ        BIT_ULL(0)
#define P_REPLY_ACK BIT_ULL(3)
#define P_CHANNEL   BIT_ULL(5)
#define P_CONFIG    BIT_ULL(9)

enum {
	GET_FEATURES = 1, SET_FEATURES = 2, SET_OWNER = 3, SET_MEM_TABLE = 5, SET_VRING_NUM = 8, SET_VRING_ADDR = 9,
	SET_VRING_BASE = 10, GET_VRING_BASE = 11, SET_VRING_KICK = 12, SET_VRING_CALL = 13, GET_PROTOCOL_FEATURES = 15,
	SET_PROTOCOL_FEATURES = 16, GET_QUEUE_NUM = 17, SET_VRING_ENABLE = 18, SET_CHANNEL = 21, GET_CONFIG = 24
};
enum { CHANNEL_CONFIG_CHANGED = 2 }; /* what the server says first */

#define FLAG_VERSION    1u
#define FLAG_VERSIONS   3u
#define FLAG_REPLY      BIT(2)
#define FLAG_NEED_REPLY BIT(3)

struct header {
	uint32_t request, flags, len;
};
static_assert(sizeof(struct header) == 12, "as it is on the wire");

struct ring_state {
	uint32_t index, num;
};

struct ring_addr {
	uint32_t index, flags;
	uint64_t desc, used, avail, log;
};
static_assert(sizeof(struct ring_addr) == 40, "as it is on the wire");

struct mem_table {
	uint32_t n, padding;
	struct mem_part {
		uint64_t guest, size, user, off;
	} part[GMEM_MAX_REGIONS];
};
static_assert(sizeof(struct mem_table) == 8 + 32 * GMEM_MAX_REGIONS, "as it is on the wire");

struct config {
	uint32_t off, len, flags;
	uint8_t data[VHOST_USER_CONFIG];
};
static_assert(sizeof(struct header) + sizeof(struct config) == VHOST_USER_MESSAGE, "the longest answer");

#define PAYLOAD_MAX sizeof(struct mem_table)

/* The longest message, and what its descriptors take. */
union control {
	char buf[CMSG_SPACE(sizeof(int[GMEM_MAX_REGIONS]))];
	struct cmsghdr align;
};

/* ---- messages ----------------------------------------------------------------------------------------------------- */

/* All of it or nothing: the socket has room for what we ever say at a time.  0 or -errno. */
static int send_message(struct vhost_user *v, int sock, const struct header *h, const void *payload, const int *fds, unsigned n)
{
	struct iovec iov[2] = { { (void *)(uintptr_t)h, sizeof(*h) }, { (void *)(uintptr_t)payload, h->len } };
	struct msghdr m = { .msg_iov = iov, .msg_iovlen = h->len ? 2 : 1 };
	union control c = { .buf = { 0 } };
	ssize_t ret;

	if (n) {
		struct cmsghdr *cmsg = &c.align;

		m.msg_control = c.buf;
		m.msg_controllen = CMSG_SPACE(n * sizeof(int));
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(n * sizeof(int));
		memcpy(CMSG_DATA(cmsg), fds, n * sizeof(int));
	}
	do
		ret = v->host->sendmsg(v->host, sock, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (ret == -EINTR);
	if (ret < 0)
		return (int)ret;
	return (size_t)ret == sizeof(*h) + h->len ? 0 : -EMSGSIZE;
}

/* What is there of a message, behind the *HAVE bytes of BUF that came before.  1: all of it; 0: not yet; or -errno. */
static int receive(struct vhost_user *v, int sock, uint8_t buf[VHOST_USER_MESSAGE], size_t *have)
{
	for (;;) {
		struct header h;
		size_t want = sizeof(h);
		ssize_t ret;

		if (*have >= sizeof(h)) {
			memcpy(&h, buf, sizeof(h));
			if ((h.flags & FLAG_VERSIONS) != FLAG_VERSION || h.len > VHOST_USER_MESSAGE - sizeof(h))
				return -EPROTO;
			want += h.len;
			if (*have == want)
				return 1;
		}
		/* No place for descriptors: if there are any, the kernel drops them. */
		ret = v->host->recv(v->host, sock, buf + *have, want - *have, MSG_DONTWAIT);
		if (ret == -EINTR)
			continue;
		if (ret == -EAGAIN)
			return 0;
		if (ret <= 0)
			return ret ? (int)ret : -ECONNRESET;
		*have += (size_t)ret;
	}
}

/* Is BUF the answer to REQUEST?  Its payload of LEN bytes, or NULL. */
static const void *answer_to(uint32_t request, const uint8_t *buf, size_t len)
{
	struct header h;

	memcpy(&h, buf, sizeof(h));
	return h.request == request && h.flags & FLAG_REPLY && h.len == len ? buf + sizeof(h) : NULL;
}

/* Answers of all kinds but the configuration: a number, or a ring's state.  False: it is none. */
static bool take_number(uint32_t request, const uint8_t *buf, uint64_t *val)
{
	const void *p = answer_to(request, buf, sizeof(*val));

	if (p)
		memcpy(val, p, sizeof(*val));
	return p;
}

static bool take_config(struct vhost_user *v, const uint8_t *buf)
{
	const uint8_t *p = answer_to(GET_CONFIG, buf, sizeof(struct config));
	struct config c;

	if (!p)
		return false;
	memcpy(&c, p, sizeof(c));
	if (c.off || c.len != sizeof(c.data))
		return false;
	memcpy(v->config, c.data, sizeof(c.data));
	return true;
}

/* ---- the handshake ------------------------------------------------------------------------------------------------ */

static int tell_at_first(struct vhost_user *v, uint32_t request, const void *payload, uint32_t len, const int *fd, struct tvmm_error *err)
{
	struct header h = { request, FLAG_VERSION, len };
	int ret = send_message(v, v->sock.fd, &h, payload, fd, fd ? 1 : 0);

	return ret ? err_set(err, TVMM_E_IO, -ret, v->path, "the vhost-user server takes no messages") : 0;
}

/* Asks, and waits for the answer, which is in v->in then. */
static int ask_at_first(struct vhost_user *v, uint32_t request, const void *payload, uint32_t len, uint64_t deadline, struct tvmm_error *err)
{
	const struct host *h = v->host;
	int ret = tell_at_first(v, request, payload, len, NULL, err);

	if (ret)
		return ret;
	v->in_len = 0;
	while (!(ret = receive(v, v->sock.fd, v->in, &v->in_len))) {
		struct pollfd p = { .fd = v->sock.fd, .events = POLLIN };
		uint64_t now = h->now_ns(h);

		if (now >= deadline) {
			err_set(err, TVMM_E_IO, ETIMEDOUT, v->path, "what listens there does not answer as a vhost-user server does");
			err_hint(err, "it may serve another machine, and that one alone");
			return -ETIMEDOUT;
		}
		ret = h->poll(h, &p, 1, (int)((deadline - now) / 1000000) + 1);
		if (ret < 0 && ret != -EINTR)
			return err_set(err, TVMM_E_HOST, -ret, v->path, "cannot wait for the vhost-user server");
	}
	v->in_len = 0;
	if (ret < 0)
		return err_set(err, TVMM_E_IO, -ret, v->path, ret == -EPROTO ? "what listens there does not speak vhost-user" :
			       "the vhost-user server hung up (request %u)", request);
	return 0;
}

static int ask_number(struct vhost_user *v, uint32_t request, uint64_t *val, uint64_t deadline, struct tvmm_error *err)
{
	int ret = ask_at_first(v, request, NULL, 0, deadline, err);

	if (!ret && !take_number(request, v->in, val))
		ret = err_set(err, TVMM_E_IO, EPROTO, v->path, "the vhost-user server answers request %u with something else", request);
	return ret;
}

static int ask_config(struct vhost_user *v, uint64_t deadline, struct tvmm_error *err)
{
	struct config c = { .len = sizeof(c.data) };
	int ret = ask_at_first(v, GET_CONFIG, &c, sizeof(c), deadline, err);

	if (!ret && !take_config(v, v->in)) {
		ret = err_set(err, TVMM_E_IO, 0, v->path, "the vhost-user server has no disk");
		err_hint(err, "it is the server of another device, or a very old one: it has not the configuration of a vhost-user-blk");
	}
	return ret;
}

/* The way by which the server tells that something has changed. */
static int make_channel(struct vhost_user *v, struct tvmm_error *err)
{
	int pair[2], ret = v->host->socketpair(v->host, AF_UNIX, SOCK_STREAM, pair);

	if (ret)
		return err_set(err, TVMM_E_HOST, -ret, v->path, "cannot make a socket pair");
	v->channel.fd = pair[0];
	ret = tell_at_first(v, SET_CHANNEL, NULL, 0, &pair[1], err);
	v->host->close(v->host, pair[1]);
	return ret;
}

static int agree(struct vhost_user *v, struct tvmm_error *err)
{
	uint64_t deadline = v->host->now_ns(v->host) + ANSWER_MS * 1000000ull, val;
	int ret = ask_number(v, GET_FEATURES, &v->features, deadline, err);

	if (ret)
		return ret;
	if (!(v->features & VIRTIO_F_VERSION_1))
		return err_set(err, TVMM_E_UNSUPPORTED, 0, v->path, "the vhost-user server does not know virtio 1.0");
	if (!(v->features & F_PROTOCOL))
		return err_set(err, TVMM_E_UNSUPPORTED, 0, v->path, "the vhost-user server has no protocol features, which a disk needs");
	ret = ask_number(v, GET_PROTOCOL_FEATURES, &v->protocol, deadline, err);
	if (ret)
		return ret;
	if (!(v->protocol & P_CONFIG)) {
		err_set(err, TVMM_E_UNSUPPORTED, 0, v->path, "the vhost-user server tells no configuration, so it has no disk");
		err_hint(err, "qemu-storage-daemon --export type=vhost-user-blk,... makes one that does");
		return -EINVAL;
	}
	v->protocol &= P_MQ | P_REPLY_ACK | P_CHANNEL | P_CONFIG;
	val = v->protocol;
	ret = tell_at_first(v, SET_PROTOCOL_FEATURES, &val, sizeof(val), NULL, err);
	if (!ret)
		ret = tell_at_first(v, SET_OWNER, NULL, 0, NULL, err);
	val = 1;
	if (!ret && v->protocol & P_MQ)
		ret = ask_number(v, GET_QUEUE_NUM, &val, deadline, err);
	v->queues = (unsigned)MIN(val, VIRTIO_MAX_QUEUES);
	if (!ret && !val)
		ret = err_set(err, TVMM_E_UNSUPPORTED, 0, v->path, "the vhost-user server has no queues");
	if (!ret && v->protocol & P_CHANNEL)
		ret = make_channel(v, err);
	return ret ? ret : ask_config(v, deadline, err);
}

static int dial(struct vhost_user *v, struct tvmm_error *err)
{
	struct sockaddr_un addr;
	int ret = unix_address(&addr, v->path, 0, "the vhost-user server", err);

	if (ret)
		return ret;
	ret = v->host->socket(v->host, AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
	if (ret < 0)
		return err_set(err, TVMM_E_HOST, -ret, v->path, "cannot make a socket");
	v->sock.fd = ret;
	ret = v->host->connect(v->host, v->sock.fd, (const struct sockaddr *)&addr, sizeof(addr));
	if (!ret)
		return 0;
	err_set(err, TVMM_E_IO, -ret, v->path, "cannot connect to the vhost-user server");
	if (ret == -ENOENT)
		err_hint(err, "start it first, and wait until its socket is there");
	else if (ret == -ECONNREFUSED)
		err_hint(err, "nobody listens there: start the server first");
	return ret;
}

int vhost_user_open(struct vhost_user **out, const struct host *h, const char *path, struct tvmm_error *err)
{
	struct vhost_user *v = calloc(1, sizeof(*v));
	int ret;

	if (!v)
		return err_set(err, TVMM_E_MEMORY, ENOMEM, path, "out of memory");
	v->host = h;
	v->sock.fd = v->channel.fd = -1;
	v->path = strdup(path);
	ret = v->path ? dial(v, err) : err_set(err, TVMM_E_MEMORY, ENOMEM, path, "out of memory");
	if (!ret)
		ret = agree(v, err);
	if (ret)
		vhost_user_close(v);
	else
		*out = v;
	return ret;
}

/* ---- the end of it ------------------------------------------------------------------------------------------------ */

/* The queues are ours again, or the driver's that resets them. */
static void take_back(struct vhost_user *v)
{
	for (; v->rings; v->rings &= v->rings - 1) {
		unsigned q = (unsigned)__builtin_ctz(v->rings);

		virtio_call_detach(&v->call[q]);
		v->dev->transport->bell_watch(v->dev, q, true);
	}
	v->dev = NULL;
}

/* The sockets stay open, as somebody may be waiting for one; but nobody speaks any more. */
static void give_up(struct vhost_user *v, const char *why, int ret)
{
	if (v->gone)
		return;
	v->gone = true;
	log_line(v->log, TVMM_LOG_WARN, "vhost-user %s: %s%s%s; all requests of this disk fail from now on", v->path, why,
		 ret ? ": " : "", ret ? strerror(-ret) : "");
	evloop_del(v->loop, &v->sock);
	v->host->shutdown(v->host, v->sock.fd, SHUT_RDWR);
	if (v->channel.fd >= 0)
		evloop_del(v->loop, &v->channel);
	v->count = v->stops = 0;
	if (v->dev)
		take_back(v);
	if (v->user.gone)
		v->user.gone(v->user.arg);
}

static void refused(struct vhost_user *v, const struct vhost_user_answer *a)
{
	char why[64];

	snprintf(why, sizeof(why), "the server refused request %u of queue %u", a->request, a->ring);
	give_up(v, why, 0);
}

/* ---- answers ------------------------------------------------------------------------------------------------------ */

/* One answer, in v->in. */
static void take_answer(struct vhost_user *v)
{
	struct vhost_user_answer a = v->answer[v->first];
	struct ring_state state = { .index = 0 };
	uint64_t val = 0;
	bool good;

	if (!v->count) {
		give_up(v, "the server answers what it was not asked", 0);
		return;
	}
	v->first = (v->first + 1) % VHOST_USER_ANSWERS;
	v->count--;
	if (a.request == GET_CONFIG) {
		good = take_config(v, v->in);
		if (good && v->user.changed)
			v->user.changed(v->user.arg);
	} else {
		good = take_number(a.request, v->in, &val);
	}
	if (good && a.request == GET_VRING_BASE) {
		memcpy(&state, &val, sizeof(state)); /* and how far it came, which a reset makes forgotten */
		good = state.index == a.ring;
		v->stops--;
	} else if (good && a.request != GET_CONFIG && val) {
		refused(v, &a);
		return;
	}
	if (!good)
		give_up(v, "the server's answers make no sense", 0);
}

static void sock_ready(struct evsource *src, uint32_t events)
{
	struct vhost_user *v = container_of(src, struct vhost_user, sock);

	/* No more than it was asked for, and one. */
	for (unsigned n = 0; !v->gone && n <= VHOST_USER_ANSWERS; n++) {
		int ret = receive(v, src->fd, v->in, &v->in_len);

		if (!ret)
			return;
		v->in_len = 0;
		if (ret < 0)
			give_up(v, ret == -ECONNRESET ? "the server is gone" : "the connection broke", ret == -ECONNRESET ? 0 : ret);
		else
			take_answer(v);
	}
}

/* One message a turn.  That a configuration has changed is the only one that means something to us. */
static void channel_ready(struct evsource *src, uint32_t events)
{
	struct vhost_user *v = container_of(src, struct vhost_user, channel);
	uint64_t no = 1;
	struct header h;
	int ret;

	if (v->gone)
		return;
	ret = receive(v, src->fd, v->heard, &v->heard_len);
	if (!ret)
		return;
	if (ret < 0) {
		evloop_del(v->loop, src); /* if it has gone altogether, the other socket tells */
		v->host->close(v->host, src->fd);
		src->fd = -1;
		return;
	}
	v->heard_len = 0;
	memcpy(&h, v->heard, sizeof(h));
	if (h.request == CHANNEL_CONFIG_CHANGED) {
		no = 0;
		vhost_user_refresh(v);
	}
	if (h.flags & FLAG_NEED_REPLY && !v->gone) {
		struct header r = { h.request, FLAG_VERSION | FLAG_REPLY, sizeof(no) };

		send_message(v, src->fd, &r, &no, NULL, 0);
	}
}

/* ---- on the loop -------------------------------------------------------------------------------------------------- */

/* Says it, and notes which answer will come.  False: it is over. */
static bool tell(struct vhost_user *v, uint32_t request, unsigned ring, const void *payload, uint32_t len, const int *fds, unsigned n)
{
	bool asks = request == GET_VRING_BASE || request == GET_CONFIG, answered = asks || v->protocol & P_REPLY_ACK;
	struct header h = { request, FLAG_VERSION | (answered && !asks ? FLAG_NEED_REPLY : 0), len };
	int ret;

	if (v->gone)
		return false;
	ret = answered && v->count == VHOST_USER_ANSWERS ? -EAGAIN : send_message(v, v->sock.fd, &h, payload, fds, n);
	if (ret) {
		give_up(v, ret == -EAGAIN ? "the server does not read what it is told" : "the server is gone", ret == -EAGAIN ? 0 : ret);
		return false;
	}
	if (answered)
		v->answer[(v->first + v->count++) % VHOST_USER_ANSWERS] =
			(struct vhost_user_answer){ (uint8_t)request, (uint8_t)ring };
	return true;
}

static bool tell_memory(struct vhost_user *v)
{
	struct mem_table t = { .n = v->mem->n };

	for (unsigned i = 0; i < v->mem->n; i++)
		t.part[i] = (struct mem_part){ .guest = v->mem->region[i].base, .size = v->mem->region[i].size,
					       .user = (uintptr_t)v->mem->region[i].host };
	return tell(v, SET_MEM_TABLE, 0, &t, (uint32_t)(8 + v->mem->n * sizeof(t.part[0])), v->mem_fd, v->mem->n);
}

static bool tell_ring(struct vhost_user *v, struct virtio_dev *dev, unsigned q)
{
	const struct virtq *vq = &dev->queue[q].vq;
	struct ring_state num = { q, vq->size }, base = { q, vq->next_avail },
			  on = { q, 1 };
	struct ring_addr addr = { .index = q, .desc = (uintptr_t)vq->desc, .used = (uintptr_t)vq->used,
				  .avail = (uintptr_t)vq->avail };
	int call = virtio_call_fd(&v->call[q]), kick = dev->transport->bell_fd(dev, q);
	uint64_t index = q;

	return tell(v, SET_VRING_NUM, q, &num, sizeof(num), NULL, 0) && tell(v, SET_VRING_BASE, q, &base, sizeof(base), NULL, 0) &&
	       tell(v, SET_VRING_ADDR, q, &addr, sizeof(addr), NULL, 0) &&
	       tell(v, SET_VRING_CALL, q, &index, sizeof(index), &call, 1) &&
	       tell(v, SET_VRING_KICK, q, &index, sizeof(index), &kick, 1) &&
	       tell(v, SET_VRING_ENABLE, q, &on, sizeof(on), NULL, 0);
}

void vhost_user_start(struct vhost_user *v, struct virtio_dev *dev)
{
	uint64_t features = dev->driver_features | F_PROTOCOL;

	if (!tell(v, SET_FEATURES, 0, &features, sizeof(features), NULL, 0) || !tell_memory(v))
		return;
	v->dev = dev;
	for (unsigned q = 0; q < MIN(dev->n_queues, v->n_calls) && !v->gone; q++) {
		if (!dev->queue[q].vq.live)
			continue;
		dev->transport->bell_watch(dev, q, false);
		virtio_call_attach(&v->call[q], dev, q);
		v->rings |= BIT(q);
		tell_ring(v, dev, q);
	}
}

void vhost_user_stop(struct vhost_user *v)
{
	uint32_t rings = v->rings;

	if (!v->dev)
		return;
	take_back(v);
	for (; rings && !v->gone; rings &= rings - 1) {
		unsigned q = (unsigned)__builtin_ctz(rings);
		struct ring_state s = { .index = q };

		v->stops += tell(v, GET_VRING_BASE, q, &s, sizeof(s), NULL, 0);
	}
}

bool vhost_user_is_idle(struct vhost_user *v)
{
	if (v->stops)
		sock_ready(&v->sock, 0);
	return !v->stops;
}

void vhost_user_refresh(struct vhost_user *v)
{
	struct config c = { .len = sizeof(c.data) };

	/* One question at a time is enough: its answer comes after the change. */
	for (unsigned i = 0; i < v->count; i++)
		if (v->answer[(v->first + i) % VHOST_USER_ANSWERS].request == GET_CONFIG)
			return;
	tell(v, GET_CONFIG, 0, &c, sizeof(c), NULL, 0);
}

/* ---- life --------------------------------------------------------------------------------------------------------- */

int vhost_user_attach(struct vhost_user *v, struct evloop *loop, struct log *log, const struct gmem *mem, const int *fd,
		      struct tvmm_error *err)
{
	int ret = 0;

	v->loop = loop;
	v->log = log;
	v->mem = mem;
	memcpy(v->mem_fd, fd, mem->n * sizeof(*fd));
	while (!ret && v->n_calls < v->queues) {
		ret = virtio_call_init(&v->call[v->n_calls], loop, err);
		v->n_calls += !ret;
	}
	v->sock = (struct evsource){ .fd = v->sock.fd, .events = EPOLLIN, .ready = sock_ready };
	v->channel = (struct evsource){ .fd = v->channel.fd, .events = EPOLLIN, .ready = channel_ready };
	if (!ret)
		ret = evloop_add(loop, &v->sock, err);
	if (!ret && v->channel.fd >= 0)
		ret = evloop_add(loop, &v->channel, err);
	return ret;
}

void vhost_user_close(struct vhost_user *v)
{
	if (!v)
		return;
	for (unsigned i = 0; i < v->n_calls; i++)
		virtio_call_fini(&v->call[i]);
	if (v->sock.fd >= 0)
		v->host->close(v->host, v->sock.fd);
	if (v->channel.fd >= 0)
		v->host->close(v->host, v->channel.fd);
	free(v->path);
	free(v);
}
