/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * vhost_user.c - a vhost-user server while the machine runs: its queues, its answers, its end.
 *
 * On the I/O loop.  Answers come in the order of the questions, so a list of what is still to come tells what each must be.
 * Where the server can, it is asked to answer every message (REPLY_ACK), so that we learn what it refused.
 */
#include "vhost_user_wire.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

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
		good = vu_take_config(v->config, v->in);
		if (good && v->user.changed)
			v->user.changed(v->user.arg);
	} else {
		good = vu_take_number(a.request, v->in, &val);
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
		int ret = vu_receive(v, src->fd, v->in, &v->in_len);

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
	ret = vu_receive(v, src->fd, v->heard, &v->heard_len);
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

		vu_send(v, src->fd, &r, &no, NULL, 0);
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
	ret = answered && v->count == VHOST_USER_ANSWERS ? -EAGAIN : vu_send(v, v->sock.fd, &h, payload, fds, n);
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

		/* In two steps: where it fails, it counts from 0 again. */
		if (tell(v, GET_VRING_BASE, q, &s, sizeof(s), NULL, 0))
			v->stops++;
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
